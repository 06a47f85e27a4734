/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_COLUMNS_H
#define SINKS_COLUMNS_H

#include "kernels/reduce.h"

#include <stdbool.h>
#include <stdint.h>

/* What tables say of a frame's percentiles, and of each region: in frames.csv, in the order of
 * these rows, as the column <region>_<name>; in a NeXus master as datasets of the region. */

/* "p0.1", "p1", ... of normalised pixels; of raw ones with "raw_" before it. */
extern const char *const percentile_columns[PERCENTILES];

enum region_kind {
	REGION_REAL,  /* a double */
	REGION_PIXEL, /* a double that is a pixel's value */
	REGION_COUNT
};

struct region_column {
	const char *name;
	enum region_kind kind;
	const char *units; /* NULL: none */
};

#define REGION_COLUMNS 11

extern const struct region_column region_columns[REGION_COLUMNS];

/* Value i < REGION_COLUMNS of a kind other than REGION_COUNT; NaN: there is none. The
 * signal-to-noise ratio is mean / std. */
double region_value(const struct region_stats *s, unsigned i);

/* Value i of kind REGION_COUNT. */
uint64_t region_number(const struct region_stats *s, unsigned i);

#endif
