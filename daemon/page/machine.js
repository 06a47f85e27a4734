// SPDX-License-Identifier: Apache-2.0
// Buffer and disks: how full, and for how long that goes well.
import * as format from './format.js';
import { byId, make, say, showList } from './dom.js';

const SOON_S = 60; // before it is full
const NEARLY = 0.8;

/** The share is a bar; the words beside it say the same. */
function showBar(bar, share, urgent) {
	bar.style.setProperty('--share', Math.min(Math.max(share, 0), 1));
	bar.classList.toggle('urgent', urgent);
}

function showBuffer(b) {
	const share = b.size > 0 ? b.used / b.size : 0;
	const filling = b.seconds_to_overflow !== null;
	const full = b.slots > 0 && b.slots_used >= b.slots;

	showBar(byId('buffer'), share, share >= NEARLY || (filling && b.seconds_to_overflow < SOON_S));
	say(byId('buffer-text'), b.slots > 0 ?
		`${format.count(b.slots_used)} of ${format.count(b.slots)} frames, ${format.bytes(b.size)}` :
		'laid out at the first frame');
	say(byId('overflow'), full ? 'full' : filling ?
		`full in ${format.seconds(b.seconds_to_overflow)}` : 'not filling up');
	byId('overflow').classList.toggle('urgent', full || (filling && b.seconds_to_overflow < SOON_S));
}

function makeDisk() {
	return make('li', '', make('div', 'measure', make('span', 'label'), make('span', 'beside')),
		make('div', 'bar'), make('p', 'note path'));
}

function fillDisk(item, disk) {
	const share = disk.size_bytes > 0 ? 1 - disk.free_bytes / disk.size_bytes : 0;
	const known = disk.free_bytes !== null;

	say(item.querySelector('.label'), disk.sink);
	say(item.querySelector('.beside'), known ?
		`${format.bytes(disk.free_bytes)} of ${format.bytes(disk.size_bytes)} free` : 'unknown');
	showBar(item.querySelector('.bar'), share, share > 0.95);
	say(item.querySelector('.note'), disk.directory);
}

function showDisks(disk) {
	const filling = disk.seconds_left !== null;

	showList(byId('disks'), disk.directories, makeDisk, fillDisk);
	say(byId('disk-left'), disk.directories.length === 0 ? 'no files are written' :
		filling ? `full in ${format.seconds(disk.seconds_left)} at this rate` : 'nothing is being written');
	byId('disk-left').classList.toggle('urgent', filling && disk.seconds_left < SOON_S);
}

export function status(s) {
	showBuffer(s.buffer);
	showDisks(s.disk);
}
