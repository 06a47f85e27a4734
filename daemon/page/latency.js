// SPDX-License-Identifier: Apache-2.0
// The table of latencies: its cells are figures.
import { byId, make } from './dom.js';

const STAGES = [
	['queue', 'last byte to worker'],
	['reduce', 'normalise, reduce'],
	['collect', 'wait for its turn'],
	['submit', 'last byte to sinks'],
	['write', 'sinks to file'],
	['durable', 'last byte to synced'],
];
const COLUMNS = ['p50', 'p99', 'p999', 'max'];

function makeCell(stage, column) {
	const cell = make('td', '', '\u2013');

	cell.dataset.figure = `latency_ms.${stage}.${column}`;
	cell.dataset.as = 'ms';
	return cell;
}

function makeRow([stage, meaning]) {
	const head = make('th', '', stage, make('span', 'note', meaning));

	head.scope = 'row';
	return make('tr', '', head, ...COLUMNS.map((column) => makeCell(stage, column)));
}

byId('stages').append(...STAGES.map(makeRow));
