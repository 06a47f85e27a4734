/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SAMPLES_H
#define DAEMON_SAMPLES_H

#include <stdlib.h>
#include <string.h>

/* What repeated runs of one measurement gave. Zeroed is empty. */

#define SAMPLES_MAX 64 /* further ones are ignored */

struct samples {
	unsigned count;
	double at[SAMPLES_MAX];
};

static inline void samples_add(struct samples *s, double value)
{
	if (s->count < SAMPLES_MAX)
		s->at[s->count++] = value;
}

static inline int samples_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The value in the middle, the mean of two for an even count; 0 when empty. */
static inline double samples_median(const struct samples *s)
{
	double sorted[SAMPLES_MAX];
	unsigned middle = s->count / 2;

	if (s->count == 0)
		return 0.0;
	memcpy(sorted, s->at, s->count * sizeof *sorted);
	qsort(sorted, s->count, sizeof *sorted, samples_compare);
	return s->count % 2 ? sorted[middle] : 0.5 * (sorted[middle - 1] + sorted[middle]);
}

static inline double samples_min(const struct samples *s)
{
	double least = s->count ? s->at[0] : 0.0;

	for (unsigned i = 1; i < s->count; i++)
		least = s->at[i] < least ? s->at[i] : least;
	return least;
}

static inline double samples_max(const struct samples *s)
{
	double most = s->count ? s->at[0] : 0.0;

	for (unsigned i = 1; i < s->count; i++)
		most = s->at[i] > most ? s->at[i] : most;
	return most;
}

#endif
