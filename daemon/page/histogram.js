// SPDX-License-Identifier: Apache-2.0
// The histogram: counts on a logarithmic scale, what lies outside at both ends.
import * as format from './format.js';
import { byId, colourOf, say, sharp } from './dom.js';
import { get } from './feed.js';
import { Latest } from './latest.js';
import { onThemeChange } from './theme.js';

const MARGIN = { left: 34, right: 6, top: 14, bottom: 20 };
const TAIL = 12; // width of a bar for what is outside, and of its gap
const COLUMN = 2; // width of a bar, at least

const canvas = byId('histogram-canvas');
let shown = null;
let anyFrame = false;

/** Neighbouring bins added up, so many that each column is wide enough: [column]. */
function columnsOf(counts, room) {
	const together = Math.max(Math.ceil(counts.length / Math.max(room / COLUMN, 1)), 1);
	const columns = new Float64Array(Math.ceil(counts.length / together));

	counts.forEach((n, i) => {
		columns[Math.floor(i / together)] += n;
	});
	return { columns, together };
}

/** Round values for an axis from low to high, about `wanted` of them. */
function ticks(low, high, wanted) {
	const rough = (high - low) / wanted;
	const power = 10 ** Math.floor(Math.log10(rough));
	const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
	const values = [];

	for (let n = Math.ceil(low / step); n * step <= high * (1 + 1e-9); n++)
		values.push(Number((n * step).toPrecision(12)));
	return values;
}

/** Where things lie on the canvas. */
function layOut({ width, height }) {
	const left = MARGIN.left + 2 * TAIL, right = width - MARGIN.right - 2 * TAIL;
	const bottom = height - MARGIN.bottom;
	const { columns, together } = columnsOf(shown.counts, right - left);
	const most = Math.max(shown.below, shown.above, 9, columns.reduce((a, b) => Math.max(a, b), 0));
	const decades = Math.ceil(Math.log10(most + 1));
	const rise = (bottom - MARGIN.top) / decades;

	return {
		left, right, bottom, columns, together, decades, rise,
		x: (value) => left + ((value - shown.low) / (shown.high - shown.low)) * (right - left),
		// A count of one is to be seen; none is not.
		tall: (n) => (n > 0 ? Math.max(Math.log10(n) * rise, 2) : 0),
	};
}

function drawAxes(c, at, width) {
	c.font = '11px system-ui, sans-serif';
	c.fillStyle = colourOf('--quiet');
	c.strokeStyle = colourOf('--line');
	c.lineWidth = 1;
	c.textAlign = 'right';
	c.textBaseline = 'middle';
	const every = at.decades > 6 ? 3 : at.decades > 3 ? 2 : 1;
	for (let d = 0; d <= at.decades; d += every) {
		const y = Math.round(at.bottom - d * at.rise) + 0.5;
		c.beginPath();
		c.moveTo(MARGIN.left, y);
		c.lineTo(width - MARGIN.right, y);
		c.stroke();
		c.fillText(d === 0 ? '1' : `10${String(d).replace(/\d/g, (n) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[n])}`, MARGIN.left - 5, y);
	}
	c.textAlign = 'center';
	c.textBaseline = 'top';
	for (const value of ticks(shown.low, shown.high, (at.right - at.left) / 70))
		c.fillText(String(value), at.x(value), at.bottom + 5);
}

function drawBars(c, at, width) {
	const each = ((at.right - at.left) * at.together) / shown.counts.length;

	c.fillStyle = colourOf('--data');
	at.columns.forEach((n, i) => {
		const from = at.left + i * each;
		const to = Math.min(from + each, at.right);
		c.fillRect(from, at.bottom - at.tall(n), Math.max(to - from - (each > 4 ? 1 : 0), 0.75), at.tall(n));
	});
	c.fillStyle = colourOf('--warn');
	c.fillRect(MARGIN.left + TAIL / 2, at.bottom - at.tall(shown.below), TAIL, at.tall(shown.below));
	c.fillRect(width - MARGIN.right - 1.5 * TAIL, at.bottom - at.tall(shown.above), TAIL, at.tall(shown.above));
}

function drawSaturation(c, at) {
	const value = shown.saturation;

	if (value === null || value === undefined || value < shown.low || value > shown.high)
		return;
	const x = Math.round(at.x(value)) - 0.5;
	c.strokeStyle = c.fillStyle = colourOf('--bad');
	c.setLineDash([4, 3]);
	c.beginPath();
	c.moveTo(x, MARGIN.top - 4);
	c.lineTo(x, at.bottom);
	c.stroke();
	c.setLineDash([]);
	c.textAlign = x > (at.left + at.right) / 2 ? 'right' : 'left';
	c.textBaseline = 'top';
	c.fillText('saturated', x + (c.textAlign === 'right' ? -4 : 4), 0);
}

function showWords() {
	const { below, above, nan, low, high, frames, percentiles, saturation } = shown;
	const besides = [];

	if (nan > 0)
		besides.push(`${format.count(nan)} bad`);
	if (typeof saturation === 'number')
		besides.push(`saturated from ${format.count(saturation)}`);

	say(byId('histogram-below'), `${format.count(below)} below ${format.plain(low)}`);
	say(byId('histogram-besides'), besides.join(', '));
	say(byId('histogram-above'), `${format.count(above)} above ${format.plain(high)}`);
	say(byId('histogram-frames'), `${format.count(frames)} ${frames === 1 ? 'frame' : 'frames'}`);
	for (const [id, rank] of [['p1', '1'], ['p50', '50'], ['p99', '99']])
		say(byId(id), format.plain(percentiles?.[rank], 4));
}

function draw() {
	if (canvas.clientWidth === 0)
		return;
	const { context, width, height } = sharp(canvas);

	context.clearRect(0, 0, width, height);
	if (!shown)
		return;
	const at = layOut({ width, height });
	drawAxes(context, at, width);
	drawBars(context, at, width);
	drawSaturation(context, at);
	showWords();
}

/** Which bins lie under the pointer, and what they hold. */
function pointAt(event) {
	if (!shown)
		return;
	const at = layOut({ width: canvas.clientWidth, height: canvas.clientHeight });
	const share = (event.offsetX - at.left) / (at.right - at.left);

	if (share < 0 || share >= 1)
		return leave();
	const column = Math.floor((share * shown.counts.length) / at.together);
	const bin = (shown.high - shown.low) / shown.counts.length;
	const from = shown.low + column * at.together * bin;
	const to = Math.min(from + at.together * bin, shown.high);
	say(byId('histogram-readout'), `${format.plain(from, 5)} to ${format.plain(to, 5)}: ${
		format.count(at.columns[column])}`);
}

function leave() {
	say(byId('histogram-readout'), '');
}

async function fetchHistogram() {
	const kind = byId('histogram-kind').value, span = byId('histogram-window').value;

	try {
		const answer = await get(`/api/v1/histogram?kind=${kind}&window=${span}`);
		shown = await answer.json();
	} catch {
		return; // what is shown stays; that nothing is answered is said elsewhere
	}
	draw();
}

const latest = new Latest(byId('histogram'), fetchHistogram);

export function status(s) {
	const before = anyFrame;

	anyFrame = s.since_start.received > 0;
	if (anyFrame && !before)
		latest.want();
	if (!anyFrame && shown) {
		shown = null;
		draw();
	}
}

export function trend() {
	if (anyFrame)
		latest.want();
}

export function back() {
	anyFrame = false;
}

byId('histogram-kind').addEventListener('change', () => latest.want());
byId('histogram-window').addEventListener('change', () => latest.want());
canvas.addEventListener('pointermove', pointAt);
canvas.addEventListener('pointerleave', leave);
new ResizeObserver(draw).observe(canvas);
onThemeChange(draw);
