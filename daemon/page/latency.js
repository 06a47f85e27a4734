// SPDX-License-Identifier: Apache-2.0
// The table of latencies: its cells are figures.
import { byId, make } from './dom.js';

const STAGES = [
	['queue', 'from its last byte to a worker'],
	['reduce', 'normalised and reduced'],
	['collect', 'until its turn in the order'],
	['submit', 'from its last byte to the sinks'],
	['write', 'from the sinks to the file'],
	['durable', 'from its last byte until it is safe'],
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
