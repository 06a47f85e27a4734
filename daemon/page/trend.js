// SPDX-License-Identifier: Apache-2.0
// Trends of the last ten minutes: one small chart for each chosen column, with one cursor for all.
// The charts' library is fetched after the page has shown its first figures.
import * as format from './format.js';
import { byId, colourOf, make, say } from './dom.js';
import { get } from './feed.js';
import { onThemeChange } from './theme.js';

const ROWS = 600;
const LIBRARY = '/assets/dygraph.min.js';
const NAMES = {
	fps: ['frame rate', 'frames/s'],
	mean: ['mean, normalised', ''],
	std: ['spread, normalised', ''],
	raw_mean: ['mean, raw', 'counts'],
	saturated_share: ['saturated', ''],
	dose: ['dose', ''],
};
const FIRST = ['fps', 'mean', 'saturated_share'];
const FROM_ZERO = ['fps', 'saturated_share'];
const SHORTEST_S = 60; // that the charts span
const OTHER_SIZE = 100;

let columns = [], rows = [];
let charts = new Map(); // by column
let library = null;
let asked = false; // for the rows so far
let pointed = null; // the row under the cursor
const chosen = new Set(FIRST);

/** What a column is called: those of regions are <region>_mean, _raw_mean, _snr. */
const titleOf = (column) => (NAMES[column] ?? [column.replaceAll('_', ' '), ''])[0];
const unitOf = (column) => (NAMES[column] ?? ['', ''])[1];

/** The script defines Dygraph for the window, and is loaded once; where that fails, again when it is
 * asked for next. Its legend, which we do not show, would set an inline style, which the page's policy
 * forbids. */
function load() {
	library ??= new Promise((resolve, reject) => {
		const script = make('script');
		script.src = LIBRARY;
		script.onload = () => {
			const { Dygraph } = window;
			Dygraph.PLUGINS = Dygraph.PLUGINS.filter((plugin) => plugin !== Dygraph.Plugins.Legend);
			resolve(Dygraph);
		};
		script.onerror = () => {
			library = null;
			script.remove();
			reject(new Error(LIBRARY));
		};
		document.head.append(script);
	});
	return library;
}

const pointsOf = (column) => {
	const at = columns.indexOf(column);
	return rows.map((row) => [new Date(row[0] * 1000), row[at]]);
};

// ---- charts

/** The cursor of one chart is that of all; and its value beside each title. */
function point(row) {
	pointed = row;
	for (const [column, chart] of charts) {
		chart.graph?.setSelection(row);
		showValue(column);
	}
	say(byId('trend-time'), format.moment(new Date(rows[row][0] * 1000)));
}

function unpoint() {
	pointed = null;
	for (const [column, chart] of charts) {
		chart.graph?.clearSelection();
		showValue(column);
	}
	say(byId('trend-time'), '');
}

const wordsOf = (column, value) => (column === 'saturated_share' ?
	format.percent(value) : format.plain(value, 4));

function showValue(column) {
	const value = rows[pointed ?? rows.length - 1]?.[columns.indexOf(column)];

	say(charts.get(column).value, `${wordsOf(column, value)} ${unitOf(column)}`.trim());
}

/** The time that all charts span. */
function timeWindow() {
	const last = rows.at(-1)[0];

	return [Math.min(rows[0][0], last - SHORTEST_S) * 1000, last * 1000];
}

/** What the axis spans; null: all values. Darks and flats are counts, while a sample's frames are
 * near 1: what is of quite another size than most is left out, so that the rest can be seen. */
function rangeOf(points) {
	const values = points.map(([, value]) => value).filter((value) => value !== null);
	const sizes = values.map(Math.abs).sort((a, b) => a - b);
	const kept = values.filter((value) => Math.abs(value) <= OTHER_SIZE * sizes[sizes.length >> 1]);

	if (kept.length === values.length || kept.length < 2)
		return null;
	const low = Math.min(...kept), high = Math.max(...kept);
	const margin = (high - low || Math.abs(high) || 1) * 0.1;
	return [low - margin, high + margin];
}

function optionsOf(column, withTimes) {
	return {
		labels: ['time', 'value'],
		colors: [colourOf('--data')],
		axisLineColor: colourOf('--line'),
		gridLineColor: colourOf('--line'),
		strokeWidth: 1.5,
		highlightCircleSize: 3,
		axisLabelFontSize: 11,
		includeZero: FROM_ZERO.includes(column),
		interactionModel: {}, // no zoom: it shows ten minutes, and pages scroll over it
		axes: {
			x: { drawAxis: withTimes, pixelsPerLabel: 80, axisLabelFormatter: format.clock },
			y: { axisLabelWidth: 56, pixelsPerLabel: 18, axisLabelFormatter: (value) => wordsOf(column, value) },
		},
		highlightCallback: (_event, _x, _points, row) => point(row),
		unhighlightCallback: unpoint,
	};
}

function makeChart(column) {
	const value = make('span', 'value');
	const place = make('div', 'chart');
	const item = make('li', '', make('div', 'measure', make('span', 'label', titleOf(column)), value), place);

	byId('charts').append(item);
	charts.set(column, { item, value, place, graph: null });
}

function drawChart(column, chart, Dygraph) {
	const file = pointsOf(column);
	const isLast = chart.item === byId('charts').lastElementChild;
	const spans = { dateWindow: timeWindow(), valueRange: FROM_ZERO.includes(column) ? null : rangeOf(file) };

	if (chart.graph)
		chart.graph.updateOptions({ file, ...spans });
	else
		chart.graph = new Dygraph(chart.place, file, { ...optionsOf(column, isLast), ...spans });
	showValue(column);
}

async function draw() {
	byId('charts').hidden = rows.length === 0;
	byId('no-trend').hidden = rows.length > 0;
	if (rows.length === 0)
		return;
	const Dygraph = await load().catch(() => null);
	if (!Dygraph || rows.length === 0)
		return; // with the next row
	for (const [column, chart] of charts)
		drawChart(column, chart, Dygraph);
	if (pointed !== null)
		point(Math.min(pointed, rows.length - 1));
}

/** Make the charts anew: other columns, another choice, other colours. */
function rebuild() {
	for (const { graph } of charts.values())
		graph?.destroy();
	charts = new Map();
	byId('charts').replaceChildren();
	columns.filter((column) => chosen.has(column)).forEach(makeChart);
	draw();
}

// ---- the choice

function makeChoice(column) {
	const box = make('input');

	box.type = 'checkbox';
	box.checked = chosen.has(column);
	box.addEventListener('change', () => {
		if (box.checked)
			chosen.add(column);
		else
			chosen.delete(column);
		rebuild();
	});
	return make('label', 'choice', box, titleOf(column));
}

function takeColumns(names) {
	if (names.join() === columns.join())
		return;
	columns = names;
	rows = [];
	asked = false;
	byId('columns').replaceChildren(...columns.slice(1).map(makeChoice));
	rebuild();
}

// ---- rows

async function fetchRows() {
	asked = true;
	try {
		const answer = await (await get('/api/v1/trend')).json();
		takeColumns(answer.columns);
		asked = true;
		rows = answer.rows;
		draw();
	} catch {
		asked = false; // with the next row
	}
}

export function status(s) {
	if (!asked && s.since_start.received > 0)
		fetchRows();
}

export function trend({ columns: names, row }) {
	takeColumns(names);
	if (!asked)
		fetchRows();
	if (rows.length && row[0] <= rows.at(-1)[0])
		return;
	rows = [...rows, row].slice(-ROWS);
	if (!document.hidden)
		draw();
}

export function back() {
	asked = false; // it may be another run
}

onThemeChange(rebuild);
