/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SLOPE_H
#define BENCH_SLOPE_H

#include <stdbool.h>

/* Whether a quantity that was sampled over a long run stayed as it was.
 *
 *   slope    median of (v[j] - v[i]) / (t[j] - t[i]) over all i < j: outliers do not move it
 *            (Theil 1950, Sen 1968)
 *   S        sum of sign(v[j] - v[i]) over all i < j
 *   var(S)   (n(n-1)(2n+5) - sum over groups of g equal values of g(g-1)(2g+5)) / 18
 *   z        (S - sign(S)) / sqrt(var(S)), 0 where all values are equal
 *   p        erfc(|z| / sqrt(2)): how often chance alone gives such an order (Mann 1945,
 *            Kendall 1975; Gilbert, Statistical Methods for Environmental Pollution Monitoring,
 *            1987, chapter 16)
 *   change   slope * (last time - first time). Where a single step counts: or the median of the
 *            last fifth less that of the first fifth, whichever is larger
 *
 * Samples side by side depend on each other, which makes p smaller than it is. So a change counts
 * when it is both unlikely and large. */

#define SLOPE_SAMPLES_LEAST 10 /* with fewer, z is no normal variable */
#define SLOPE_SAMPLES_MAX   1200
#define SLOPE_P             0.01

/* Times rise; what is not finite is left out. */
struct slope_samples {
	unsigned count;
	double time_s[SLOPE_SAMPLES_MAX], value[SLOPE_SAMPLES_MAX];
};

enum slope_verdict { SLOPE_TOO_SHORT, SLOPE_FLAT, SLOPE_RISES, SLOPE_FALLS };

struct slope {
	unsigned count; /* samples used */
	double level;   /* their median */
	double least, most;
	double per_s, change, p; /* NaN when too short */
	enum slope_verdict verdict;
};

/* A sample, unless its value is not finite or there is no room. */
void slope_add(struct slope_samples *s, double time_s, double value);

/* Make each value the least of itself and all that follow: what a quantity that jumps up and falls
 * back does not go below any more. */
void slope_floor(struct slope_samples *s);

/* What counts. */
struct slope_rule {
	double from_s;          /* earlier samples are of the warm-up */
	double share, absolute; /* a change of up to the larger one is none: of |level|, and in the
	                           unit of the values */
	bool steps;             /* a step is a change, too: it has no slope */
};

/* 0 or -ENOMEM. */
int slope_judge(const struct slope_samples *s, const struct slope_rule *rule, struct slope *ret);

/* "too short", "flat", "rises", "falls". */
const char *slope_verdict_name(enum slope_verdict v);

#endif
