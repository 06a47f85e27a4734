/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SEND_PROFILES_H
#define BENCH_SEND_PROFILES_H

#include "ingest/frame.h"

/* Names of pixel formats and of the sources people have. */

struct pixel_format {
	const char *name;
	enum pixel_type type; /* one pixel, before it is packed */
	unsigned bits;        /* full scale is 2^bits - 1 */
	enum pixel_packing packing;
};

struct send_profile {
	const char *name;
	uint32_t width, height; /* pixels */
	const char *format;     /* a row of pixel_formats */
	double rate_hz;
	double seconds;
	const char *summary;
};

/* Ended by rows with name NULL. */
extern const struct pixel_format pixel_formats[];
extern const struct send_profile send_profiles[];

/* The row called `name`, or NULL. */
const struct pixel_format *pixel_format_find(const char *name);
const struct send_profile *send_profile_find(const char *name);

#endif
