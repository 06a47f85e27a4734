// SPDX-License-Identifier: Apache-2.0
// The live picture: fetched while it can be seen, coloured here, with the value under the cursor.
import * as format from './format.js';
import { MARK_COLOURS, tableOf } from './colours.js';
import { byId, say } from './dom.js';
import { get } from './feed.js';
import { Latest } from './latest.js';
import { BAD, SATURATED, parsePicture } from './picture_data.js';

const STALE_MS = 2000;
const LOOK_MS = 200;
const UNITS = { normalised: 'normalised', raw: 'counts', dark: 'counts', flat: 'counts' };
const NO_FRAME = 'No picture yet: no frame has come.';
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const LARGE_STEP = 10;
const DECADES = 1e5; // that a logarithmic scale without a low has

const canvas = byId('live');
const cross = byId('cross');

let shown = null;     // the last picture
let cursor = null;    // { column, row } in it
let clockAhead = 0;   // ms by which the daemon's clock is ahead of ours
let fresh = true;     // nothing was heard yet of the run
let received = 0;     // frames, since the daemon's start
let calibration = -1; // the number of the one in use
const product = () => byId('product').value;
const isLive = () => product() === 'normalised' || product() === 'raw';

// ---- levels and colours

/** What is mapped to the ends of the colours. */
function levels() {
	const automatic = byId('auto').checked;
	let low = automatic ? shown.low : Number(byId('low').value);
	let high = automatic ? shown.high : Number(byId('high').value);

	if (byId('scale').value === 'log') {
		high = high > 0 ? high : 1;
		low = low > 0 ? low : high / DECADES;
	}
	return { low, high: high > low ? high : low + 1 };
}

/** A function from a value to a row of the colour table. */
function mapping({ low, high }, colours) {
	const top = colours - 1;

	if (byId('scale').value === 'log') {
		const factor = top / Math.log(high / low);
		return (value) => (value > low ? Math.min(Math.log(value / low) * factor, top) : 0);
	}
	const factor = top / (high - low);
	return (value) => Math.min(Math.max((value - low) * factor, 0), top);
}

function drawPicture() {
	const { width, height, pixels, marks } = shown;
	const table = tableOf(byId('map').value);
	const rowOf = mapping(levels(), table.length);
	const image = new ImageData(width, height);
	const out = new Uint32Array(image.data.buffer);
	const marking = byId('marks').checked;

	for (let i = 0; i < out.length; i++) {
		const mark = marking ? marks[i] : 0;
		out[i] = mark ? MARK_COLOURS[mark & SATURATED ? 'saturated' : 'bad'] : table[rowOf(pixels[i]) | 0];
	}
	if (canvas.width !== width || canvas.height !== height) {
		canvas.width = width;
		canvas.height = height;
	}
	canvas.getContext('2d').putImageData(image, 0, 0);
}

function drawRamp() {
	const ramp = byId('ramp');
	const table = tableOf(byId('map').value);
	const image = new ImageData(table.length, 1);

	new Uint32Array(image.data.buffer).set(table);
	ramp.width = table.length;
	ramp.height = 1;
	ramp.getContext('2d').putImageData(image, 0, 0);
}

// ---- words

function showLevels() {
	if (!byId('auto').checked)
		return;
	byId('low').value = format.plain(shown.low, 3);
	byId('high').value = format.plain(shown.high, 3);
}

function showWords() {
	const every = shown.step > 1 ? `every ${shown.step}th pixel of ` : '';

	say(byId('saturated-count'), `${format.count(shown.saturated)} saturated`);
	say(byId('bad-count'), `${format.count(shown.bad)} bad`);
	say(byId('marks-of'), `of ${format.count(shown.pixels.length)} shown`);
	byId('saturated-count').classList.toggle('lost', shown.saturated > 0);
	say(byId('picture-size'), `${every}${shown.fullWidth} \u00d7 ${shown.fullHeight}`);
	showLevels();
}

function markWords(mark) {
	const words = [];

	if (mark & SATURATED)
		words.push('saturated');
	if (mark & BAD)
		words.push('bad');
	return words.length ? ` (${words.join(', ')})` : '';
}

const exactly = (value) => (Number.isInteger(value) ? String(value) : format.plain(value));

function showCursor() {
	cross.hidden = !cursor || !shown;
	if (cross.hidden)
		return say(byId('readout'), 'point, or use the arrow keys');
	const at = cursor.row * shown.width + cursor.column;
	const { left, top, scale } = frameOf();

	cross.style.transform = `translate(${left + (cursor.column + 0.5) * scale}px, ${
		top + (cursor.row + 0.5) * scale}px)`;
	say(byId('readout'), `x ${cursor.column * shown.step}  y ${cursor.row * shown.step}  ${
		exactly(shown.pixels[at])} ${UNITS[shown.product]}${markWords(shown.marks[at])}`);
}

function showAge() {
	const age = byId('age');

	if (!shown)
		return;
	const old = Math.max(Date.now() + clockAhead - shown.timeMs, 0);
	const stale = isLive() && old > STALE_MS;
	say(age, isLive() ?
		`frame ${format.count(shown.frame)}, ${format.seconds(old / 1000)} old${stale ? ': stale' : ''}` :
		`the ${product()} in use`);
	age.classList.toggle('stale', stale);
	byId('view').classList.toggle('stale', stale);
}

function redraw() {
	if (!shown)
		return;
	drawPicture();
	showWords();
	showCursor();
	showAge();
}

function showNothing(sentence) {
	shown = null;
	byId('view').classList.add('empty');
	say(byId('no-picture'), sentence);
	say(byId('age'), '');
	showCursor();
}

// ---- fetching

async function fetchPicture() {
	const wanted = product();

	try {
		const answer = await get(`/api/v1/live?product=${wanted}&marks=1`);
		// Marks are of the frame: nothing of a dark or a flat is saturated.
		const picture = parsePicture(await answer.arrayBuffer(), isLive() ? SATURATED | BAD : BAD);
		if (wanted !== product())
			return;
		const newSize = !shown || shown.width !== picture.width || shown.height !== picture.height;
		shown = { ...picture, product: wanted };
		byId('view').classList.remove('empty');
		if (newSize)
			cursor = null;
		redraw();
	} catch (error) {
		if (wanted === product() && !document.body.classList.contains('silent'))
			showNothing(error.message);
	}
}

const latest = new Latest(byId('picture'), fetchPicture);

// ---- the cursor

/** Where in the canvas the picture lies (it keeps its shape), in CSS pixels. */
function frameOf() {
	const scale = Math.min(canvas.clientWidth / shown.width, canvas.clientHeight / shown.height);

	return {
		scale,
		left: (canvas.clientWidth - shown.width * scale) / 2,
		top: (canvas.clientHeight - shown.height * scale) / 2,
	};
}

function pointAt(event) {
	if (!shown)
		return;
	const { left, top, scale } = frameOf();
	const column = Math.floor((event.offsetX - left) / scale);
	const row = Math.floor((event.offsetY - top) / scale);
	const inside = column >= 0 && row >= 0 && column < shown.width && row < shown.height;

	cursor = inside ? { column, row } : null;
	showCursor();
}

function moveBy(event) {
	const step = STEPS[event.key];

	if (!step || !shown)
		return;
	event.preventDefault();
	const by = event.shiftKey ? LARGE_STEP : 1;
	const from = cursor ?? { column: shown.width >> 1, row: shown.height >> 1 };
	const within = (n, size) => Math.min(Math.max(n, 0), size - 1);
	cursor = {
		column: within(from.column + step[0] * by, shown.width),
		row: within(from.row + step[1] * by, shown.height),
	};
	showCursor();
	say(byId('spoken-value'), byId('readout').textContent);
}

function leave() {
	if (document.activeElement === canvas)
		return;
	cursor = null;
	showCursor();
}

// ---- what the page is told

export function status(s) {
	const other = s.calibration.id !== calibration && !isLive();

	clockAhead = Date.parse(s.time) - Date.now();
	calibration = s.calibration.id;
	received = s.since_start.received;
	if (received === 0 && isLive())
		showNothing(NO_FRAME);
	else if (fresh || other)
		latest.want();
	fresh = false;
}

export function picture() {
	if (isLive())
		latest.want();
}

export function back() {
	fresh = true; // it may be another run
}

function changeProduct() {
	byId('auto').checked = true;
	setFixed();
	showNothing(received > 0 ? '' : NO_FRAME);
	if (received > 0)
		latest.want();
}

function setFixed() {
	byId('low').readOnly = byId('high').readOnly = byId('auto').checked;
}

byId('product').addEventListener('change', changeProduct);
byId('auto').addEventListener('change', setFixed);
for (const id of ['map', 'scale', 'auto', 'low', 'high', 'marks'])
	byId(id).addEventListener('input', redraw);
byId('map').addEventListener('input', drawRamp);
canvas.addEventListener('pointermove', pointAt);
canvas.addEventListener('pointerdown', pointAt);
canvas.addEventListener('pointerleave', leave);
canvas.addEventListener('keydown', moveBy);
canvas.addEventListener('blur', leave);
new ResizeObserver(() => showCursor()).observe(canvas);
setInterval(showAge, LOOK_MS);
setFixed();
drawRamp();
