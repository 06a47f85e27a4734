// SPDX-License-Identifier: Apache-2.0
// What people are told in sentences: alarms, the calibration, the black box.
import * as format from './format.js';
import { byId, make, say, showList, symbol } from './dom.js';

function makeAlarm() {
	return make('li', '', symbol('degraded'), make('span', 'alarm-text'), make('span', 'since'));
}

function fillAlarm(item, alarm) {
	say(item.querySelector('.alarm-text'), alarm.text);
	say(item.querySelector('.since'), `since ${format.moment(new Date(alarm.since))}`);
	item.title = alarm.sentinel;
}

function showAlarms(alarms) {
	byId('alarms').classList.toggle('raised', alarms.length > 0);
	byId('no-alarm').hidden = alarms.length > 0;
	showList(byId('alarm-list'), alarms, makeAlarm, fillAlarm);
}

function calibrationWord(c) {
	const role = (c.role ?? 'calibration').replaceAll('_', ' ');

	if (c.state === 'collecting')
		return `taking the ${role}: ${format.count(c.taken)} of ${format.count(c.wanted)} frames`;
	if (c.state === 'making')
		return `making the ${role} of ${format.count(c.taken)} frames`;
	if (c.failed)
		return `no ${role} was made`;
	return c.done ? `${role} taken` : c.id > 0 ? 'from files' : 'none';
}

function showCalibration(c) {
	say(byId('calibration-word'), calibrationWord(c));
	byId('calibration-word').classList.toggle('lost', c.failed);
	byId('taking').hidden = c.state === 'idle';
	byId('taking').style.setProperty('--share', c.wanted > 0 ? Math.min(c.taken / c.wanted, 1) : 0);
	byId('cancel').hidden = c.state !== 'collecting';
	say(byId('calibration-text'), c.text);
	say(byId('calibration-path'), c.path ?? '');
	say(byId('calibration-id'), c.id > 0 ? `number ${c.id} is in use` : 'none is in use');
}

function showBlackbox(b) {
	byId('keep').disabled = !b.configured;
	say(byId('blackbox-word'), !b.configured ? 'not configured' : b.writing ? 'writing' : 'keeping');
	say(byId('blackbox-held'), b.configured ?
		`${format.count(b.frames)} frames, ${format.seconds(b.seconds ?? 0)}, ${format.bytes(b.bytes)}` :
		'blackbox.before is 0');
	say(byId('blackbox-text'), b.text);
	say(byId('blackbox-path'), b.path ?? '');
}

export function status(s) {
	showAlarms(s.alarms);
	showCalibration(s.calibration);
	showBlackbox(s.blackbox);
}
