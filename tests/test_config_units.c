/* SPDX-License-Identifier: Apache-2.0 */
#include "config/units.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>

static const struct quantity {
	const char *text;
	int64_t value;
} sizes[] = {
	{ "0", 0 },
	{ "0GiB", 0 },
	{ "1", 1 },
	{ "4096B", 4096 },
	{ "1KB", 1000 },
	{ "1KiB", 1024 },
	{ "3MB", 3000000 },
	{ "64MiB", INT64_C(67108864) },
	{ "64 MiB", INT64_C(67108864) },
	{ "1.5KiB", 1536 },
	{ "0.001KB", 1 },
	{ "1.000000001GB", INT64_C(1000000001) },
	{ "8GB", INT64_C(8000000000) },
	{ "1GiB", INT64_C(1073741824) },
	{ "2TB", INT64_C(2000000000000) },
	{ "16TiB", INT64_C(17592186044416) },
	{ "9223372036854775807", INT64_MAX },
}, times[] = {
	{ "0", 0 },
	{ "0.0", 0 },
	{ "1ns", 1 },
	{ "1us", 1000 },
	{ "1.5us", 1500 },
	{ "250ms", 250000000 },
	{ "0.25s", 250000000 },
	{ "2 s", INT64_C(2000000000) },
	{ "1min", INT64_C(60000000000) },
	{ "24h", INT64_C(86400000000000) },
};

Test(config_units, reads_sizes)
{
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		int64_t value = -1;

		cr_expect_eq(units_size(sizes[i].text, &value), UNITS_OK, "%s", sizes[i].text);
		cr_expect_eq(value, sizes[i].value, "%s", sizes[i].text);
	}
}

Test(config_units, reads_times)
{
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		int64_t value = -1;

		cr_expect_eq(units_time(times[i].text, &value), UNITS_OK, "%s", times[i].text);
		cr_expect_eq(value, times[i].value, "%s", times[i].text);
	}
}

static const struct misread {
	const char *text;
	enum units_read read;
} bad_sizes[] = {
	{ "", UNITS_MALFORMED },
	{ "x", UNITS_MALFORMED },
	{ "MiB", UNITS_MALFORMED },
	{ "-1", UNITS_MALFORMED },
	{ "+1", UNITS_MALFORMED },
	{ " 1", UNITS_MALFORMED },
	{ ".5KB", UNITS_MALFORMED },
	{ "1.", UNITS_MALFORMED },
	{ "1.KB", UNITS_MALFORMED },
	{ "1.0000000001GB", UNITS_MALFORMED },
	{ "010", UNITS_LEADING_ZERO },
	{ "00", UNITS_LEADING_ZERO },
	{ "1mib", UNITS_UNKNOWN_UNIT },
	{ "1K", UNITS_UNKNOWN_UNIT },
	{ "1 ", UNITS_UNKNOWN_UNIT },
	{ "1  KB", UNITS_UNKNOWN_UNIT },
	{ "1KBx", UNITS_UNKNOWN_UNIT },
	{ "1KB ", UNITS_UNKNOWN_UNIT },
	{ "1e3", UNITS_UNKNOWN_UNIT },
	{ "0x10", UNITS_UNKNOWN_UNIT },
	{ "0.5", UNITS_UNEVEN },
	{ "1.1KiB", UNITS_UNEVEN },
	{ "9223372036854775808", UNITS_HUGE },
	{ "99999999999999999999999", UNITS_HUGE },
	{ "8388608TiB", UNITS_HUGE },
	{ "9223372036854775807.5TiB", UNITS_HUGE },
}, bad_times[] = {
	{ "1", UNITS_NO_UNIT },
	{ "0.5", UNITS_NO_UNIT },
	{ "1m", UNITS_UNKNOWN_UNIT },
	{ "1S", UNITS_UNKNOWN_UNIT },
	{ "1.5ns", UNITS_UNEVEN },
	{ "1h30min", UNITS_UNKNOWN_UNIT },
	{ "99999999999h", UNITS_HUGE },
}, bad_integers[] = {
	{ "", UNITS_MALFORMED },
	{ "-", UNITS_MALFORMED },
	{ "--1", UNITS_MALFORMED },
	{ "1 ", UNITS_MALFORMED },
	{ "1.0", UNITS_MALFORMED },
	{ "1_000", UNITS_MALFORMED },
	{ "07", UNITS_LEADING_ZERO },
	{ "-07", UNITS_LEADING_ZERO },
	{ "9223372036854775808", UNITS_HUGE },
	{ "-9223372036854775808", UNITS_HUGE },
}, bad_reals[] = {
	{ "", UNITS_MALFORMED },
	{ "-", UNITS_MALFORMED },
	{ ".", UNITS_MALFORMED },
	{ ".5", UNITS_MALFORMED },
	{ "1.", UNITS_MALFORMED },
	{ "1.5x", UNITS_MALFORMED },
	{ "1e", UNITS_MALFORMED },
	{ "1e+", UNITS_MALFORMED },
	{ "1,5", UNITS_MALFORMED },
	{ "0x1p3", UNITS_MALFORMED },
	{ "nan", UNITS_MALFORMED },
	{ "inf", UNITS_MALFORMED },
	{ "-infinity", UNITS_MALFORMED },
	{ "01.5", UNITS_LEADING_ZERO },
	{ "1e309", UNITS_HUGE },
	{ "-1e309", UNITS_HUGE },
};

Test(config_units, says_why_a_size_is_none)
{
	for (size_t i = 0; i < sizeof bad_sizes / sizeof *bad_sizes; i++) {
		int64_t value = -7;

		cr_expect_eq(units_size(bad_sizes[i].text, &value), bad_sizes[i].read, "'%s'",
		             bad_sizes[i].text);
		cr_expect_eq(value, -7, "'%s'", bad_sizes[i].text);
	}
}

Test(config_units, says_why_a_time_is_none)
{
	for (size_t i = 0; i < sizeof bad_times / sizeof *bad_times; i++) {
		int64_t value = -7;

		cr_expect_eq(units_time(bad_times[i].text, &value), bad_times[i].read, "'%s'",
		             bad_times[i].text);
		cr_expect_eq(value, -7, "'%s'", bad_times[i].text);
	}
}

Test(config_units, says_why_an_integer_is_none)
{
	for (size_t i = 0; i < sizeof bad_integers / sizeof *bad_integers; i++) {
		int64_t value = -7;

		cr_expect_eq(units_integer(bad_integers[i].text, &value), bad_integers[i].read,
		             "'%s'", bad_integers[i].text);
		cr_expect_eq(value, -7, "'%s'", bad_integers[i].text);
	}
}

Test(config_units, says_why_a_real_is_none)
{
	for (size_t i = 0; i < sizeof bad_reals / sizeof *bad_reals; i++) {
		double value = -7;

		cr_expect_eq(units_real(bad_reals[i].text, &value), bad_reals[i].read, "'%s'",
		             bad_reals[i].text);
		cr_expect_eq(value, -7, "'%s'", bad_reals[i].text);
	}
}

Test(config_units, reads_integers_and_reals)
{
	int64_t integer;
	double real;

	cr_expect_eq(units_integer("-9223372036854775807", &integer), UNITS_OK);
	cr_expect_eq(integer, -INT64_MAX);
	cr_expect_eq(units_integer("-0", &integer), UNITS_OK);
	cr_expect_eq(integer, 0);
	cr_expect_eq(units_real("-1.25E-2", &real), UNITS_OK);
	cr_expect_eq(real, -0.0125);
	cr_expect_eq(units_real("7", &real), UNITS_OK);
	cr_expect_eq(real, 7);
}

Test(config_units, prints_the_shortest_text)
{
	char text[UNITS_TEXT];

	units_print_size(INT64_C(67108864), text);
	cr_expect_str_eq(text, "64MiB");
	units_print_size(1536, text);
	cr_expect_str_eq(text, "1536");
	units_print_size(3000000, text);
	cr_expect_str_eq(text, "3MB");
	units_print_size(0, text);
	cr_expect_str_eq(text, "0");
	units_print_time(INT64_C(60000000000), text);
	cr_expect_str_eq(text, "60s");
	units_print_time(1500000, text);
	cr_expect_str_eq(text, "1500us");
	units_print_real(0, text);
	cr_expect_str_eq(text, "0.0");
	units_print_real(20, text);
	cr_expect_str_eq(text, "20.0");
	units_print_real(-300000, text);
	cr_expect_str_eq(text, "-300000.0");
	units_print_real(0.1, text);
	cr_expect_str_eq(text, "0.1");
	units_print_real(1e30, text);
	cr_expect_str_eq(text, "1e+30");
}

Test(config_units, prints_texts_that_read_back)
{
	static const double reals[] = {
		0.1,   -0.30000000000000004, 1.0 / 3, 123456789.125, -2, DBL_MIN, DBL_MAX, 1e-7,
		100000
	};
	char text[UNITS_TEXT];

	for (int64_t n = 1; n < INT64_MAX / 7; n = n * 7 / 2 + 1) {
		int64_t value = -1;

		units_print_size(n, text);
		cr_expect_eq(units_size(text, &value), UNITS_OK, "%s", text);
		cr_expect_eq(value, n, "%s", text);
		units_print_time(n, text);
		cr_expect_eq(units_time(text, &value), UNITS_OK, "%s", text);
		cr_expect_eq(value, n, "%s", text);
	}
	for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
		double value = 0;

		units_print_real(reals[i], text);
		cr_expect_eq(units_real(text, &value), UNITS_OK, "%s", text);
		cr_expect_eq(value, reals[i], "%s", text);
	}
}
