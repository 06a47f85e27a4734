// SPDX-License-Identifier: Apache-2.0
// The head of the page: the state in a word and a symbol, the series, and whether the daemon speaks.
import * as format from './format.js';
import { byId, say } from './dom.js';

const MEANING = {
	idle: 'No series runs.',
	armed: 'The next frame begins a series.',
	running: 'A series runs; nothing is lost.',
	degraded: 'Frames were lost or are damaged, or an alarm is active.',
	error: 'Frames cannot be written, or the run cannot go on.',
	silent: 'The daemon does not answer.',
};

let shown = '', spoken = '';

/** The state's symbol, in its colour, for the browser's tab. */
function iconOf(name) {
	const { innerHTML } = byId(`symbol-${name}`);
	const colour = getComputedStyle(byId('state')).color;

	return `data:image/svg+xml,${encodeURIComponent(
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" color="${colour}">${innerHTML}</svg>`)}`;
}

function showState(name, word) {
	if (shown === name)
		return;
	shown = name;
	byId('state').dataset.state = name;
	byId('state-symbol').setAttribute('href', `#symbol-${name}`);
	byId('icon').setAttribute('href', iconOf(name));
	say(byId('state-word'), word);
	performance.mark(`state ${name}`);
}

/** For those who listen: a new state, a new alarm, but not each figure in its text. */
function speak(word, alarms) {
	const about = [word, ...alarms.map((alarm) => alarm.sentinel)].join();

	if (spoken === about)
		return;
	spoken = about;
	say(byId('spoken'), [word, ...alarms.map((alarm) => alarm.text)].join('; '));
}

const nameOf = ({ name, number }) =>
	(number === null ? name : `${name}-${String(number).padStart(4, '0')}`);

function showArmed(armed) {
	const parts = [];

	byId('armed').hidden = !armed;
	if (!armed)
		return;
	if (armed.name)
		parts.push(armed.name);
	parts.push(armed.frames ? `${format.count(armed.frames)} frames` : 'any number of frames');
	if (armed.first !== null && armed.first !== undefined)
		parts.push(`from number ${format.count(armed.first)}`);
	say(byId('armed-text'), `Armed for the next series: ${parts.join(', ')}.`);
}

function meaningOf(s) {
	if (s.series.ending)
		return s.series.ending === 'stop' ? 'Stopping: what has arrived is written.' : 'Aborting.';
	if (s.state === 'idle' && s.series.start === 'armed' && !s.armed)
		return 'No series runs: arm one to begin.';
	return MEANING[s.state] ?? '';
}

export function status(s) {
	showState(s.state in MEANING ? s.state : 'error', s.state);
	say(byId('state-meaning'), meaningOf(s));
	say(byId('series-name'), s.series.number === null ? 'no series yet' : nameOf(s.series));
	byId('copy').disabled = !s.series.path;
	showArmed(s.armed);
	speak(s.state, s.alarms);
	document.title = `${s.state} \u00b7 ${nameOf(s.series)} \u00b7 openbeam`;
	byId('about').title = `commit ${s.commit}`;
}

export function lost(since) {
	const sentence = `The daemon does not answer since ${format.moment(since)}.`;

	showState('silent', 'no answer');
	say(byId('state-meaning'), MEANING.silent);
	document.body.classList.add('silent');
	say(byId('outage-text'), `${sentence} What is shown is from then; the page goes on by itself when it is back.`);
	byId('outage').hidden = false;
	document.title = 'no answer \u00b7 openbeam';
	spoken = '';
}

export function back() {
	document.body.classList.remove('silent');
	byId('outage').hidden = true;
}

async function copyPath() {
	const answer = byId('copy-answer');

	try {
		await navigator.clipboard.writeText(byId('series-path').textContent);
		say(answer, 'copied');
	} catch {
		// Browsers keep the clipboard from pages that came without TLS from another machine.
		getSelection().selectAllChildren(byId('series-path'));
		say(answer, 'selected: copy with Ctrl+C');
	}
	setTimeout(() => say(answer, ''), 3000);
}

byId('copy').addEventListener('click', copyPath);
