// SPDX-License-Identifier: Apache-2.0
// Numbers as people read them. What is not known (null, undefined, NaN) is a dash.

const THIN = '\u202f'; // between groups of three digits, and before a unit
const NOTHING = '\u2013';

const known = (value) => typeof value === 'number' && Number.isFinite(value);

const group = (digits) => digits.replace(/\B(?=(\d{3})+$)/g, THIN);

/** 1234567 as "1 234 567"; a bigint, too. */
export function count(value) {
	if (typeof value === 'bigint')
		return group(String(value));
	return known(value) ? group(String(Math.trunc(value))) : NOTHING;
}

/** With so many digits after the point, the whole part in groups. */
export function fixed(value, digits) {
	if (!known(value))
		return NOTHING;
	const [whole, part] = value.toFixed(digits).split('.');
	return part ? `${group(whole)}.${part}` : group(whole);
}

/** With so many significant digits, as few characters as they need. */
export function plain(value, digits = 6) {
	if (!known(value))
		return NOTHING;
	return String(Number(value.toPrecision(digits)));
}

export const fps = (value) => fixed(value, 1);

/** Bytes a second, in GB/s. */
export const gigabytes = (value) => fixed(known(value) ? value / 1e9 : value, 3);

export function bytes(value) {
	const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
	let unit = 0;

	if (!known(value))
		return NOTHING;
	while (value >= 999.5 && unit < units.length - 1) {
		value /= 1000;
		unit++;
	}
	return `${unit ? value.toPrecision(3) : value}${THIN}${units[unit]}`;
}

/** A length of time, in the unit that tells most. */
export function seconds(value) {
	if (!known(value))
		return NOTHING;
	if (value < 10)
		return `${value.toFixed(1)}${THIN}s`;
	if (value < 120)
		return `${Math.floor(value)}${THIN}s`;
	if (value < 7200)
		return `${Math.floor(value / 60)}${THIN}min`;
	if (value < 172800)
		return `${Math.floor(value / 3600)}${THIN}h`;
	return `${count(value / 86400)}${THIN}days`;
}

/** Milliseconds, three significant digits down to a thousandth. */
export function milliseconds(value) {
	if (!known(value))
		return NOTHING;
	return fixed(value, value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3);
}

/** A share of one, in percent. */
export function percent(value) {
	if (!known(value))
		return NOTHING;
	const hundredths = value * 100;
	const digits = hundredths === 0 || hundredths >= 10 ? 1 : hundredths >= 0.1 ? 2 : 4;
	return `${hundredths.toFixed(digits)}${THIN}%`;
}

const two = (n) => String(n).padStart(2, '0');

/** The time of day here: "12:03:05". */
export function clock(date) {
	return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
}

/** The same, with the day when it is not today's. */
export function moment(date) {
	const today = new Date().toDateString() === date.toDateString();
	const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
	return today ? clock(date) : `${day} ${clock(date)}`;
}

export const text = (value) => (value === null || value === undefined || value === '' ?
	NOTHING : String(value));
