// SPDX-License-Identifier: Apache-2.0
// The page: panels, each a module that may have a function for each thing the daemon says.
import { follow } from './feed.js';
import './theme.js';
import * as state from './state.js';
import * as figures from './figures.js';
import * as machine from './machine.js';
import * as notices from './notices.js';
import * as picture from './picture.js';
import * as histogram from './histogram.js';
import * as trend from './trend.js';
import './latency.js';
import './command.js';

const panels = [state, figures, machine, notices, picture, histogram, trend];

const tell = (what) => (about) => {
	for (const panel of panels)
		panel[what]?.(about);
};

follow({
	status: tell('status'),
	trend: tell('trend'),
	picture: tell('picture'),
	lost: tell('lost'),
	back: tell('back'),
});
