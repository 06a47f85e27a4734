/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/nanmedian.h"
#include "kernels/float_key.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define BINS 2048

/* What is known of the key looked for: its bits from `shift` on. */
struct search {
	uint32_t prefix;
	unsigned shift;
	uint64_t rank; /* among the keys with that prefix, from 0 */
};

/* Find the next `bits` bits. */
static void narrow(struct search *s, unsigned bits, const float *values, size_t n)
{
	unsigned shift = s->shift - bits;
	uint32_t counts[BINS] = { 0 }, bin = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t key = key_of_float(values[i]);
		bool here = s->shift == 32 || key >> s->shift == s->prefix;

		if (here && !isnan(values[i]))
			counts[key >> shift & ((1u << bits) - 1)]++;
	}
	while (s->rank >= counts[bin])
		s->rank -= counts[bin++];
	s->prefix = s->prefix << bits | bin;
	s->shift = shift;
}

/* The smallest value above `v`, and how many are at most v. */
static float next_above(const float *values, size_t n, float v, uint64_t *ret_at_most)
{
	uint64_t at_most = 0;
	float next = INFINITY;

	for (size_t i = 0; i < n; i++) {
		at_most += values[i] <= v;
		next = values[i] > v && values[i] < next ? values[i] : next;
	}
	*ret_at_most = at_most;
	return next;
}

double nanmedian(const float *values, size_t n)
{
	struct search s = { .shift = 32 };
	uint64_t count = 0, at_most;
	float lower, upper;

	for (size_t i = 0; i < n; i++)
		count += isnan(values[i]) ? 0 : 1;
	if (count == 0)
		return NAN;
	s.rank = (count - 1) / 2;
	narrow(&s, 11, values, n);
	narrow(&s, 11, values, n);
	narrow(&s, 10, values, n);
	lower = float_of_key(s.prefix);
	if (count % 2)
		return lower;
	upper = next_above(values, n, lower, &at_most);
	return at_most > count / 2 ? lower : ((double)lower + upper) / 2;
}

double nanmedian_deviation(float *values, double centre, size_t n)
{
	for (size_t i = 0; i < n; i++)
		values[i] = (float)fabs(values[i] - centre);
	return nanmedian(values, n);
}
