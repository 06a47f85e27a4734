// SPDX-License-Identifier: Apache-2.0
// Commands, and what the daemon answers to them. The token is kept for this tab only.
import * as format from './format.js';
import { byId, make, recall, remember, symbol } from './dom.js';

const ANSWERS_SHOWN = 4;
const TOKEN = 'openbeam-token';

function showAnswer(good, sentence) {
	const time = make('time', '', format.clock(new Date()));
	const list = byId('answers');

	list.prepend(make('li', good ? 'good' : 'refused', symbol(good ? 'good' : 'error'), time, sentence));
	while (list.children.length > ANSWERS_SHOWN)
		list.lastElementChild.remove();
}

async function post(command) {
	const headers = { 'Content-Type': 'application/json' };
	const token = byId('token').value.trim();

	if (token)
		headers.Authorization = `Bearer ${token}`;
	const answer = await fetch('/api/v1/command', {
		method: 'POST', headers, body: JSON.stringify(command), signal: AbortSignal.timeout(8000),
	});
	return answer.json();
}

/** Give a command and show in words what became of it. */
async function give(command, words) {
	try {
		const { ok, error } = await post(command);
		showAnswer(ok, ok ? `${words}: accepted` : `${words}: refused, ${error}`);
	} catch {
		showAnswer(false, `${words}: the daemon did not answer, so nobody knows whether it was done`);
	}
}

/** A number field's value; undefined where it is left empty. */
function numberIn(id) {
	return byId(id).value === '' ? undefined : Number(byId(id).value);
}

function calibrate(role) {
	const frames = numberIn(`${role}-frames`);

	give({ command: role, frames }, `${role} of ${format.count(frames)} frames`);
}

function arm() {
	const name = byId('arm-name').value.trim() || undefined;

	give({ command: 'arm', name, frames: numberIn('arm-frames'), first: numberIn('arm-first') },
		name ? `arm ${name}` : 'arm');
}

function onSubmit(id, act) {
	byId(id).addEventListener('submit', (event) => {
		event.preventDefault();
		act();
	});
}

onSubmit('dark-form', () => calibrate('dark'));
onSubmit('flat-form', () => calibrate('flat'));
onSubmit('arm-form', arm);
byId('stop').addEventListener('click', () => give({ command: 'stop' }, 'stop'));
byId('keep').addEventListener('click', () => give({ command: 'keep' }, 'keep the black box'));
byId('cancel').addEventListener('click', () => give({ command: 'cancel' }, 'cancel the calibration'));

byId('abort').addEventListener('click', () => byId('abort-question').showModal());
byId('abort-no').addEventListener('click', () => byId('abort-question').close());
byId('abort-yes').addEventListener('click', () => {
	byId('abort-question').close();
	give({ command: 'abort' }, 'abort');
});

byId('token').value = recall('sessionStorage', TOKEN) ?? '';
byId('token').addEventListener('input', () => remember('sessionStorage', TOKEN, byId('token').value));
