/* SPDX-License-Identifier: Apache-2.0 */
#include "config/units.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRACTION_DIGITS_MAX 9

/* Wide enough for any int64_t times any unit. */
__extension__ typedef unsigned __int128 wide;

struct unit {
	const char *name;
	int64_t scale;
	bool printed; /* used in print, the largest that fits first */
};

static const struct unit size_units[], time_units[];

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t count_digits(const char *text)
{
	size_t n = 0;

	while (is_digit(text[n]))
		n++;
	return n;
}

static enum units_read read_digits(const char *text, size_t digits, int64_t *ret)
{
	int64_t sum = 0;

	if (digits == 0)
		return UNITS_MALFORMED;
	if (digits > 1 && text[0] == '0')
		return UNITS_LEADING_ZERO;
	for (size_t i = 0; i < digits; i++) {
		if (__builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, text[i] - '0', &sum))
			return UNITS_HUGE;
	}
	*ret = sum;
	return UNITS_OK;
}

enum units_read units_integer(const char *text, int64_t *ret)
{
	bool minus = text[0] == '-';
	const char *digits = text + minus;
	size_t count = count_digits(digits);
	int64_t magnitude;
	enum units_read read;

	if (digits[count] != '\0')
		return UNITS_MALFORMED;
	read = read_digits(digits, count, &magnitude);
	if (read == UNITS_OK)
		*ret = minus ? -magnitude : magnitude;
	return read;
}

static const struct unit *find_unit(const struct unit *units, const char *name)
{
	for (const struct unit *u = units; u->name; u++) {
		if (strcmp(u->name, name) == 0)
			return u;
	}
	return NULL;
}

/* whole and fraction / 10^digits of a unit, exactly. */
static enum units_read scale(int64_t whole, int64_t fraction, size_t digits, int64_t unit,
                             int64_t *ret)
{
	wide sum = (wide)fraction * (wide)unit;
	wide ten = 1;

	for (size_t i = 0; i < digits; i++)
		ten *= 10;
	if (sum % ten != 0)
		return UNITS_UNEVEN;
	sum = sum / ten + (wide)whole * (wide)unit;
	if (sum > INT64_MAX)
		return UNITS_HUGE;
	*ret = (int64_t)sum;
	return UNITS_OK;
}

/* DIGITS[.DIGITS][ ][UNIT]; without a unit it is `bare`, 0 for: must have one. */
static enum units_read read_quantity(const char *text, const struct unit *units, int64_t bare,
                                     int64_t *ret)
{
	size_t digits = count_digits(text), fraction_digits = 0;
	const char *rest = text + digits;
	int64_t whole, fraction = 0, unit = bare;
	enum units_read read = read_digits(text, digits, &whole);

	if (read != UNITS_OK)
		return read;
	if (*rest == '.') {
		fraction_digits = count_digits(++rest);
		if (fraction_digits == 0 || fraction_digits > FRACTION_DIGITS_MAX)
			return UNITS_MALFORMED;
		for (size_t i = 0; i < fraction_digits; i++)
			fraction = fraction * 10 + (*rest++ - '0');
	}
	if (*rest != '\0') {
		const struct unit *u = find_unit(units, rest + (*rest == ' '));

		if (!u)
			return UNITS_UNKNOWN_UNIT;
		unit = u->scale;
	} else if (unit == 0) {
		if (whole != 0 || fraction != 0)
			return UNITS_NO_UNIT;
		unit = 1;
	}
	return scale(whole, fraction, fraction_digits, unit, ret);
}

enum units_read units_size(const char *text, int64_t *ret)
{
	return read_quantity(text, size_units, 1, ret);
}

enum units_read units_time(const char *text, int64_t *ret)
{
	return read_quantity(text, time_units, 0, ret);
}

static bool is_real(const char *text)
{
	const char *c = text + (text[0] == '-');
	size_t digits = count_digits(c);

	c += digits;
	if (*c == '.') {
		size_t fraction = count_digits(++c);

		digits = digits > 0 ? fraction : 0;
		c += fraction;
	}
	if (digits == 0)
		return false;
	if (*c == 'e' || *c == 'E') {
		c++;
		c += *c == '-' || *c == '+';
		digits = count_digits(c);
		c += digits;
	}
	return digits > 0 && *c == '\0';
}

enum units_read units_real(const char *text, double *ret)
{
	const char *magnitude = text + (text[0] == '-');
	double x;

	if (!is_real(text))
		return UNITS_MALFORMED;
	if (magnitude[0] == '0' && is_digit(magnitude[1]))
		return UNITS_LEADING_ZERO;
	x = strtod(text, NULL);
	if (!isfinite(x))
		return UNITS_HUGE;
	*ret = x;
	return UNITS_OK;
}

enum units_read units_seconds(const char *text, int64_t *ret)
{
	double seconds;
	enum units_read read = units_real(text, &seconds);

	if (read != UNITS_OK)
		return read;
	if (seconds < 0)
		return UNITS_MALFORMED;
	if (seconds > (double)INT64_MAX / 2e9)
		return UNITS_HUGE;
	*ret = llround(seconds * 1e9);
	return UNITS_OK;
}

static void print_quantity(int64_t n, const struct unit *units, const char *smallest,
                           char ret[UNITS_TEXT])
{
	for (const struct unit *u = units; n != 0 && u->name; u++) {
		if (u->printed && n % u->scale == 0) {
			snprintf(ret, UNITS_TEXT, "%" PRId64 "%s", n / u->scale, u->name);
			return;
		}
	}
	snprintf(ret, UNITS_TEXT, "%" PRId64 "%s", n, smallest);
}

void units_print_size(int64_t bytes, char ret[UNITS_TEXT])
{
	print_quantity(bytes, size_units, "", ret);
}

void units_print_time(int64_t ns, char ret[UNITS_TEXT])
{
	print_quantity(ns, time_units, "s", ret);
}

void units_print_real(double x, char ret[UNITS_TEXT])
{
	int precision = 1;

	/* 20.0, not 2e+01. */
	if (fabs(x) < 1e6 && x == trunc(x)) {
		snprintf(ret, UNITS_TEXT, "%.1f", x);
		return;
	}
	do
		snprintf(ret, UNITS_TEXT, "%.*g", precision, x);
	while (strtod(ret, NULL) != x && ++precision <= 17);
	if (!strpbrk(ret, ".e"))
		strcat(ret, ".0");
}

const char units_of_size[] = "B, KB, MB, GB, TB, KiB, MiB, GiB or TiB";
const char units_of_time[] = "ns, us, ms, s, min or h";

static const struct unit size_units[] = {
	{ "TiB", INT64_C(1) << 40, true },
	{ "GiB", INT64_C(1) << 30, true },
	{ "MiB", INT64_C(1) << 20, true },
	{ "KiB", INT64_C(1) << 10, true },
	{ "TB", INT64_C(1000000000000), true },
	{ "GB", 1000000000, true },
	{ "MB", 1000000, true },
	{ "KB", 1000, true },
	{ "B", 1, false },
	{ NULL, 0, false },
};

static const struct unit time_units[] = {
	{ "h", INT64_C(3600000000000), true },
	{ "min", INT64_C(60000000000), false },
	{ "s", 1000000000, true },
	{ "ms", 1000000, true },
	{ "us", 1000, true },
	{ "ns", 1, true },
	{ NULL, 0, false },
};
