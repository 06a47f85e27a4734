/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_RUNNING_MEDIAN_H
#define DAEMON_RUNNING_MEDIAN_H

#include <stdint.h>

/* The median of the last values, at most so many of them. */
#define RUNNING_MEDIAN 101

/* Zeroed: empty. */
struct running_median {
	unsigned count, oldest;
	double at[RUNNING_MEDIAN];        /* as they came, a ring from `oldest` on */
	uint64_t when_ns[RUNNING_MEDIAN]; /* of each, any clock that does not go back */
	double sorted[RUNNING_MEDIAN];    /* rising [count] */
};

/* Add a value, not NaN; the oldest one of RUNNING_MEDIAN goes. */
void running_median_push(struct running_median *m, double value, uint64_t when_ns);

/* Forget the values from before `ns`. */
void running_median_forget(struct running_median *m, uint64_t ns);

void running_median_clear(struct running_median *m);

/* The middle one, or the mean of both. NaN: there is none. */
double running_median(const struct running_median *m);

#endif
