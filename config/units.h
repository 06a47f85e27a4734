/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_UNITS_H
#define CONFIG_UNITS_H

#include <stddef.h>
#include <stdint.h>

/* Numbers with and without units, as text. */

#define UNITS_TEXT 32 /* bytes of a number as text */

/* What became of a text. */
enum units_read {
	UNITS_OK,
	UNITS_MALFORMED,    /* no number of that kind */
	UNITS_LEADING_ZERO, /* 010: octal to some readers */
	UNITS_HUGE,         /* does not fit */
	UNITS_NO_UNIT,      /* a time without a unit */
	UNITS_UNKNOWN_UNIT,
	UNITS_UNEVEN /* not a whole number of bytes or nanoseconds */
};

/* Decimal, an optional minus, nothing else. *ret is set with UNITS_OK only, here and below. */
enum units_read units_integer(const char *text, int64_t *ret);

/* "64MiB", "1.5 GB", "4096": bytes. Accepted units are units_of_size. */
enum units_read units_size(const char *text, int64_t *ret);

/* "2s", "1.5 ms", "0": nanoseconds. Accepted units are units_of_time. */
enum units_read units_time(const char *text, int64_t *ret);

/* "2.5", "1e-3", as config_json() has times: seconds in nanoseconds, rounded. At least 0. */
enum units_read units_seconds(const char *text, int64_t *ret);

/* Decimal with optional point and exponent, finite. */
enum units_read units_real(const char *text, double *ret);

/* "B, KB, ... or TiB" */
extern const char units_of_size[], units_of_time[];

/* The shortest texts that read back to the same value: "64MiB", "2s", "1.5". */
void units_print_size(int64_t bytes, char ret[UNITS_TEXT]);
void units_print_time(int64_t ns, char ret[UNITS_TEXT]);
void units_print_real(double x, char ret[UNITS_TEXT]);

#endif
