// SPDX-License-Identifier: Apache-2.0
// Elements with data-figure show that member of the status, as data-as says. Losses, which are
// lists of reasons, are made when the first status tells which reasons there are.
import * as format from './format.js';
import { byId, make, say, symbol } from './dom.js';

const MANNERS = {
	count: format.count,
	fps: format.fps,
	gigabytes: format.gigabytes,
	bytes: format.bytes,
	seconds: format.seconds,
	ms: format.milliseconds,
	percent: format.percent,
	number: (value) => format.plain(value, 5),
	text: format.text,
};

/** A member of the status by its path; undefined where it is not. */
export const memberAt = (status, path) => path.split('.').reduce((o, key) => o?.[key], status);

/** "overload_at_sender" in words. */
const inWords = (reason) => reason.replaceAll('_', ' ');

function makeReason(group, reason) {
	const value = make('dd', 'loss');

	value.dataset.figure = `frames.${group}.${reason}`;
	value.dataset.as = 'count';
	return make('div', 'reason', make('dt', '', inWords(reason)), value);
}

function makeLosses(status) {
	for (const group of ['dropped', 'missing', 'rejected']) {
		const list = byId(`${group}-reasons`);

		if (list.children.length === 0)
			list.append(...Object.keys(status.frames[group]).map((reason) => makeReason(group, reason)));
	}
}

function showFigure(element, status) {
	const value = memberAt(status, element.dataset.figure);

	say(element, MANNERS[element.dataset.as](value));
	if (element.classList.contains('loss'))
		element.classList.toggle('lost', value > 0);
}

const sum = (reasons) => Object.values(reasons).reduce((a, b) => a + b, 0);

function showSum(id, reasons) {
	const element = byId(id), total = sum(reasons);

	say(element, format.count(total));
	element.classList.toggle('lost', total > 0);
	return total;
}

/** How far the series is: what is durable, what is only written, what is lost. */
function showLedger({ expected, durable, written }, lost) {
	const share = (n) => (expected > 0 ? Math.min(n / expected, 1) : 0);
	const bar = byId('ledger');

	bar.style.setProperty('--durable', share(durable));
	bar.style.setProperty('--written', share(written));
	bar.style.setProperty('--lost', share(lost));
	say(byId('ledger-text'), expected > 0 ?
		`${format.percent(share(durable))} of what is expected is durable` :
		'nothing is expected yet');
}

function showLastLoss(loss, lost) {
	const element = byId('last-loss');

	if (!loss)
		return say(element, lost > 0 ? '' : 'No frame of this series was lost.');
	const sentence = `Last loss: ${loss.text}`;
	if (element.textContent !== sentence)
		element.replaceChildren(symbol('degraded'), sentence);
}

export function status(s) {
	makeLosses(s);
	for (const element of document.querySelectorAll('[data-figure]'))
		showFigure(element, s);
	const dropped = showSum('dropped', s.frames.dropped);
	const missing = showSum('missing', s.frames.missing);
	showSum('rejected', s.frames.rejected);
	showLedger(s.frames, dropped + missing);
	showLastLoss(s.last_loss ?? null, dropped + missing);
}
