// SPDX-License-Identifier: Apache-2.0
// Colours for values. viridis and inferno are those of matplotlib (S. van der Walt, N. Smith, CC0),
// every 15th of their 256 colours; between them it is interpolated.

const COLOURS = 256;
const ANCHORS = {
	grey: '000000 ffffff',
	viridis: `440154 481769 472a7a 433d84 3d4e8a 355e8d 2e6d8e 297b8e 23898e
		1f978b 21a585 2eb37c 46c06f 65cb5e 89d548 b0dd2f d8e219 fde725`,
	inferno: `000004 0a0722 1e0c45 380962 510e6c 69166e 801f6c 982766 b0315b
		c63d4d d94d3d e9612b f47918 fa9407 fcb014 f8cd37 f2ea69 fcffa4`,
};

const channelsOf = (hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));

/** A pixel of ImageData as one word. */
const wordOf = ([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;

function interpolate(anchors) {
	const table = new Uint32Array(COLOURS);

	for (let i = 0; i < COLOURS; i++) {
		const at = (i / (COLOURS - 1)) * (anchors.length - 1);
		const from = anchors[Math.floor(at)], to = anchors[Math.ceil(at)];
		table[i] = wordOf(from.map((c, k) => Math.round(c + (to[k] - c) * (at % 1))));
	}
	return table;
}

const tables = Object.fromEntries(Object.entries(ANCHORS).map(([name, words]) =>
	[name, interpolate(words.split(/\s+/).map(channelsOf))]));

/** The 256 colours of a map, as words of ImageData. */
export const tableOf = (map) => tables[map];

/** What is in none of the maps: a saturated pixel, a bad one. */
export const MARK_COLOURS = {
	saturated: wordOf([255, 64, 220]),
	bad: wordOf([0, 224, 255]),
};
