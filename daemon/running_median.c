/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/running_median.h"

#include <math.h>
#include <string.h>

/* How many of the sorted values are below `value`. */
static unsigned place_of(const struct running_median *m, double value)
{
	unsigned low = 0, high = m->count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (m->sorted[middle] < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void drop_oldest(struct running_median *m)
{
	unsigned place = place_of(m, m->at[m->oldest]);

	m->count--;
	memmove(m->sorted + place, m->sorted + place + 1, (m->count - place) * sizeof *m->sorted);
	m->oldest = (m->oldest + 1) % RUNNING_MEDIAN;
}

void running_median_push(struct running_median *m, double value, uint64_t when_ns)
{
	if (m->count == RUNNING_MEDIAN)
		drop_oldest(m);
	unsigned place = place_of(m, value);
	unsigned newest = (m->oldest + m->count) % RUNNING_MEDIAN;

	memmove(m->sorted + place + 1, m->sorted + place, (m->count - place) * sizeof *m->sorted);
	m->sorted[place] = value;
	m->at[newest] = value;
	m->when_ns[newest] = when_ns;
	m->count++;
}

void running_median_forget(struct running_median *m, uint64_t ns)
{
	while (m->count > 0 && m->when_ns[m->oldest] < ns)
		drop_oldest(m);
}

void running_median_clear(struct running_median *m)
{
	m->count = m->oldest = 0;
}

double running_median(const struct running_median *m)
{
	if (m->count == 0)
		return NAN;
	return (m->sorted[(m->count - 1) / 2] + m->sorted[m->count / 2]) / 2;
}
