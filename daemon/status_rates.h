/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_STATUS_RATES_H
#define DAEMON_STATUS_RATES_H

#include <stdint.h>

/* Rates over the last second, of sums that are looked at ten times in it. Pure bookkeeping: no
 * clock, no thread. */

#define RATES_KEPT 12

struct rate_sums {
	uint64_t ns;                          /* CLOCK_MONOTONIC */
	uint64_t frames, bytes_in, bytes_out; /* since start */
	uint64_t slots_used, slots;           /* now */
};

struct rates {
	struct rate_sums at[RATES_KEPT]; /* [count % RATES_KEPT] comes next */
	uint64_t count;
};

struct rate_figures {
	double fps, bytes_in_per_s, bytes_out_per_s; /* 0 before the second look */
	double seconds_to_overflow;                  /* infinite: the slots do not fill */
};

void rates_add(struct rates *r, const struct rate_sums *now);
void rates_get(const struct rates *r, struct rate_figures *ret);

#endif
