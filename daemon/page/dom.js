// SPDX-License-Identifier: Apache-2.0
// The little that the panels need of the document.

export const byId = (id) => document.getElementById(id);

/** Text from the daemon is only ever text; the document is touched only when it changes. */
export function say(element, text) {
	if (element.textContent !== text)
		element.textContent = text;
}

/** An element with a class and what it holds: texts and elements. */
export function make(tag, className, ...children) {
	const element = document.createElement(tag);

	if (className)
		element.className = className;
	element.append(...children);
	return element;
}

/** A symbol of index.html's sheet. */
export function symbol(name) {
	const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
	const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');

	svg.setAttribute('class', 'symbol');
	svg.setAttribute('aria-hidden', 'true');
	use.setAttribute('href', `#symbol-${name}`);
	svg.append(use);
	return svg;
}

/** Give a list one child for each item: kept, and renewed with `fill(child, item)`. */
export function showList(list, items, create, fill) {
	while (list.children.length > items.length)
		list.lastElementChild.remove();
	while (list.children.length < items.length)
		list.append(create());
	items.forEach((item, i) => fill(list.children[i], item));
}

/** What the browser keeps for us ('localStorage', 'sessionStorage') under a key; null: nothing, or it
 * is told to keep nothing, and throws. */
export function recall(storage, key) {
	try {
		return window[storage].getItem(key);
	} catch {
		return null;
	}
}

export function remember(storage, key, value) {
	try {
		window[storage].setItem(key, value);
	} catch {
		// It holds until the page is left.
	}
}

/** A colour of the style sheet as a canvas takes it, in the theme that is shown. */
export function colourOf(name) {
	const probe = byId('probe');

	probe.style.color = `var(${name})`;
	return getComputedStyle(probe).color;
}

/** A canvas with as many pixels as it covers; its context, in units of the page. */
export function sharp(canvas) {
	const scale = window.devicePixelRatio || 1;
	const width = canvas.clientWidth, height = canvas.clientHeight;
	const context = canvas.getContext('2d');

	canvas.width = Math.round(width * scale);
	canvas.height = Math.round(height * scale);
	context.setTransform(scale, 0, 0, scale, 0, 0);
	return { context, width, height };
}
