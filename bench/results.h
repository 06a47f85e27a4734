/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_RESULTS_H
#define BENCH_RESULTS_H

#include "daemon/samples.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* The results of one benchmark: a table on standard output, line by line as they come, and
 * the JSON of the same. */
struct results {
	const char *benchmark;
	json_t *rows;
};

struct result {
	const char *name, *unit;
	const struct samples *samples;
	double limit; /* in the same unit, from the same run; 0: none. ratio is median / limit */
	bool counts_lost; /* `lost` says something */
	uint64_t lost;    /* frames */
	json_t *more;     /* further members of the JSON object, or NULL; taken over */
	const char *note; /* end of the table's line, or NULL */
};

/* Print the head of the table. 0 or -ENOMEM. */
int results_open(struct results *r, const char *benchmark);

/* Accepts a zeroed one. */
void results_close(struct results *r);

/* Print and keep one result. */
void results_add(struct results *r, const struct result *one);

/* Write {"benchmark", "machine", "version", "results": [{"name", "unit", "median", "min", "max",
 * "runs", "limit", "ratio", "lost", ...}]}; what a result does not have is null. 0, or negative
 * errno of the file, -ENOMEM. */
int results_write(const struct results *r, const char *path);

#endif
