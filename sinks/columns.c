/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/columns.h"

#include <math.h>

enum { MEAN, STD, MIN, MAX, SNR, RAW_MEAN, RAW_STD, RAW_MIN, RAW_MAX, SATURATED, GOOD };

const char *const percentile_columns[PERCENTILES] = { "p0.1", "p1", "p50", "p99", "p99.9" };

const struct region_column region_columns[REGION_COLUMNS] = {
	[MEAN] = { "mean", REGION_REAL, NULL },
	[STD] = { "std", REGION_REAL, NULL },
	[MIN] = { "min", REGION_PIXEL, NULL },
	[MAX] = { "max", REGION_PIXEL, NULL },
	[SNR] = { "snr", REGION_REAL, NULL },
	[RAW_MEAN] = { "raw_mean", REGION_REAL, "counts" },
	[RAW_STD] = { "raw_std", REGION_REAL, "counts" },
	[RAW_MIN] = { "raw_min", REGION_PIXEL, "counts" },
	[RAW_MAX] = { "raw_max", REGION_PIXEL, "counts" },
	[SATURATED] = { "saturated", REGION_COUNT, "pixel" },
	[GOOD] = { "good", REGION_COUNT, "pixel" },
};

double region_value(const struct region_stats *s, unsigned i)
{
	switch (i) {
	case MEAN:
		return s->normalised.mean;
	case STD:
		return s->normalised.std;
	case MIN:
		return s->normalised.min;
	case MAX:
		return s->normalised.max;
	case SNR:
		return s->normalised.mean / s->normalised.std;
	case RAW_MEAN:
		return s->raw.mean;
	case RAW_STD:
		return s->raw.std;
	case RAW_MIN:
		return s->raw.min;
	case RAW_MAX:
		return s->raw.max;
	default:
		return NAN;
	}
}

uint64_t region_number(const struct region_stats *s, unsigned i)
{
	return i == SATURATED ? s->saturated : i == GOOD ? s->good : 0;
}
