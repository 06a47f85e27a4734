// SPDX-License-Identifier: Apache-2.0
// Dark, light, or as the system has it.
import { byId, recall, remember, say } from './dom.js';

const KEY = 'openbeam-theme';
const THEMES = ['auto', 'dark', 'light'];
const whenChanged = [];

/** Call `redraw` when colours have changed: canvases do not follow by themselves. */
export const onThemeChange = (redraw) => whenChanged.push(redraw);

const changed = () => whenChanged.forEach((redraw) => redraw());

function show(theme) {
	document.documentElement.dataset.theme = theme;
	say(byId('theme-word'), theme);
	changed();
}

byId('theme').addEventListener('click', () => {
	const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];

	remember('localStorage', KEY, next);
	show(next);
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', changed);
const kept = recall('localStorage', KEY);
show(THEMES.includes(kept) ? kept : 'auto');
