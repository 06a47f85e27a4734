/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SOAK_METRICS_H
#define BENCH_SOAK_METRICS_H

#include <stdbool.h>
#include <stdint.h>

/* What a daemon's /metrics says about its stream since it started, and what happened between two
 * looks at it. */

#define SOAK_BOUNDS 32

struct soak_metrics {
	uint64_t received; /* usable frames */
	unsigned bounds;
	double bound_s[SOAK_BOUNDS]; /* rising [bounds], of submit: last byte received to handed to
	                                the sink */
	uint64_t upto[SOAK_BOUNDS];  /* frames that needed no longer [bounds] */
	uint64_t count;              /* and all */
};

/* Take the text apart. False: it says nothing of frames or of the stage. */
bool soak_metrics_parse(const char *text, struct soak_metrics *ret);

/* The time that the share q, 0 to 1, of the frames between two looks did not exceed, seconds:
 * linear between the bounds around it, as Prometheus' histogram_quantile. Beyond the last bound
 * that bound; NaN without frames, or where the bounds are not the same. */
double soak_metrics_quantile(const struct soak_metrics *before, const struct soak_metrics *after,
                             double q);

#endif
