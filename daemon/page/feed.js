// SPDX-License-Identifier: Apache-2.0
// What the daemon says: one stream of events for the whole page, and whether it still speaks.

const LATE_MS = 2400; // it speaks twice a second
const LOOK_MS = 200;
const AGAIN_MS = 2000;
const STUCK_MS = 5000;
const KINDS = ['status', 'trend', 'picture'];

/** GET, within a time. What is refused is thrown as an Error with the daemon's sentence. */
export async function get(path) {
	const answer = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(8000) });

	if (!answer.ok)
		throw new Error(await sentenceOf(answer));
	return answer;
}

/** Why an answer is no good, in its own words where it has some. */
export async function sentenceOf(answer) {
	try {
		return (await answer.json()).error ?? `status ${answer.status}`;
	} catch {
		return `status ${answer.status}`;
	}
}

/**
 * Follow the daemon. `handlers` has a function for each kind of event, lost(since) for when
 * nothing came for a while, and back() for when something comes again.
 */
export function follow(handlers) {
	let heardAt = performance.now(), heardOn = new Date(), away = false;
	let source = null, openedAt = 0;

	function heard() {
		heardAt = performance.now();
		heardOn = new Date();
		if (!away)
			return;
		away = false;
		handlers.back();
	}

	function take(kind, data) {
		heard();
		handlers[kind](data);
	}

	// The first figures need not wait for the stream, nor do later ones where it is refused.
	async function once() {
		try {
			take('status', await (await get('/api/v1/status')).json());
		} catch {
			// Silence says it.
		}
	}

	function open() {
		source?.close();
		source = new EventSource('/api/v1/events');
		openedAt = performance.now();
		for (const kind of KINDS)
			source.addEventListener(kind, (event) => take(kind, JSON.parse(event.data)));
		source.addEventListener('error', () => {
			if (source.readyState !== EventSource.CLOSED)
				return; // it tries again by itself
			once();
			setTimeout(open, AGAIN_MS);
		});
	}

	function look() {
		const now = performance.now();

		if (now - heardAt < LATE_MS)
			return;
		if (!away) {
			away = true;
			handlers.lost(heardOn);
		}
		// A connection that a network lost tells nobody that it is no more.
		if (now - openedAt > STUCK_MS)
			open();
	}

	once();
	open();
	setInterval(look, LOOK_MS);
}
