// SPDX-License-Identifier: Apache-2.0
// The binary answer of /api/v1/live: a header of 64 bytes, pixels, and marks.

const HEADER_BYTES = 64;
const MAGIC = 0x4f424c56; // "OBLV"
const VERSION = 1;
const TYPES = [Uint8Array, Uint16Array, Float32Array];

export const SATURATED = 1;
export const BAD = 2;

function headerOf(view) {
	if (view.byteLength < HEADER_BYTES || view.getUint32(0) !== MAGIC)
		throw new Error('the daemon sent something that is no picture');
	if (view.getUint16(4, true) !== VERSION || !TYPES[view.getUint16(6, true)])
		throw new Error('the daemon sent a picture of a newer kind: load the page again');
	return {
		type: TYPES[view.getUint16(6, true)],
		width: view.getUint32(8, true),
		height: view.getUint32(12, true),
		frame: view.getBigUint64(16, true),
		timeMs: Number(view.getBigUint64(24, true)) / 1e6,
		low: view.getFloat32(32, true),
		high: view.getFloat32(36, true),
		step: view.getUint32(40, true) || 1,
		fullWidth: view.getUint32(44, true),
		fullHeight: view.getUint32(48, true),
		marked: (view.getUint32(52, true) & 1) !== 0,
	};
}

function countMarks(marks) {
	let saturated = 0, bad = 0;

	for (const mark of marks) {
		saturated += mark & SATURATED;
		bad += (mark & BAD) >> 1;
	}
	return { saturated, bad };
}

/** The header's members, and pixels [height * width], marks [the same] of those `kinds`, and how many
 * are saturated and bad. */
export function parsePicture(buffer, kinds) {
	const header = headerOf(new DataView(buffer));
	const area = header.width * header.height;
	const pixelBytes = area * header.type.BYTES_PER_ELEMENT;

	if (buffer.byteLength < HEADER_BYTES + pixelBytes + (header.marked ? area : 0))
		throw new Error('the picture was cut short');
	const marks = header.marked ?
		new Uint8Array(buffer, HEADER_BYTES + pixelBytes, area).map((mark) => mark & kinds) :
		new Uint8Array(area);
	return {
		...header,
		pixels: new header.type(buffer, HEADER_BYTES, area),
		marks,
		...countMarks(marks),
	};
}
