/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/percentiles.h"

#include <math.h>

const double percentile_ranks[PERCENTILES] = { 0.1, 1, 50, 99, 99.9 };

#define RUN 64 /* bins that are added up at once */

/* Counts of a frame or of a series. */
struct counts {
	const uint32_t *narrow; /* or NULL: */
	const uint64_t *wide;
	uint32_t bins;
};

static inline uint64_t count_at(const struct counts *c, uint32_t bin)
{
	return c->narrow ? c->narrow[bin] : c->wide[bin];
}

/* All pixels in bins first to first + n. */
static uint64_t sum_of(const struct counts *c, uint32_t first, uint32_t n)
{
	uint64_t sum = 0;

	if (c->narrow)
		for (uint32_t i = 0; i < n; i++)
			sum += c->narrow[first + i];
	else
		for (uint32_t i = 0; i < n; i++)
			sum += c->wide[first + i];
	return sum;
}

/* Where the ranks, which rise, have got to: `before` pixels are below bin `at`, in the histogram
 * or under it. */
struct place {
	uint32_t at;
	uint64_t before;
};

/* Go on to the bin that holds the rank. False when the rank is above the histogram. */
static bool go_to(const struct counts *c, struct place *p, uint64_t rank)
{
	while (p->at < c->bins) {
		bool run = p->at % RUN == 0 && c->bins - p->at >= RUN;
		uint64_t n = run ? sum_of(c, p->at, RUN) : count_at(c, p->at);

		if (p->before + n < rank) {
			p->before += n;
			p->at += run ? RUN : 1;
			continue;
		}
		if (!run)
			return true;
		for (; (n = count_at(c, p->at)) < rank - p->before; p->at++)
			p->before += n;
		return true;
	}
	return false;
}

/* The rank of numpy's inverted_cdf, rounded where it rounds. */
static uint64_t rank_of(double percentile, uint64_t n)
{
	double rank = ceil((double)n * (percentile / 100));

	return rank < 1 ? 1 : rank < (double)n ? (uint64_t)rank : n;
}

static float value_at(const struct bins *b, const struct counts *c, const struct place *p,
                      uint64_t rank, bool whole)
{
	double width = (b->high - b->low) / b->bins;
	double inside = ((double)(rank - p->before) - 0.5) / (double)count_at(c, p->at);

	return (float)(b->low + width * (p->at + (whole ? 0 : inside)));
}

static void find(float ret[PERCENTILES], const struct bins *b, const struct counts *c,
                 const struct histogram_tails *tails, bool whole)
{
	uint64_t n = tails->below + sum_of(c, 0, c->bins) + tails->above;
	struct place place = { 0, tails->below };

	for (unsigned i = 0; i < PERCENTILES; i++) {
		uint64_t rank = rank_of(percentile_ranks[i], n);

		if (n == 0)
			ret[i] = NAN;
		else if (rank <= tails->below)
			ret[i] = -INFINITY;
		else if (go_to(c, &place, rank))
			ret[i] = value_at(b, c, &place, rank, whole);
		else
			ret[i] = INFINITY;
	}
}

void percentiles(float ret[PERCENTILES], const struct bins *b, const uint32_t *counts,
                 const struct histogram_tails *tails, bool whole)
{
	const struct counts c = { .narrow = counts, .bins = b->bins };

	find(ret, b, &c, tails, whole);
}

void percentiles_of_series(float ret[PERCENTILES], const struct bins *b, const uint64_t *counts,
                           const struct histogram_tails *tails, bool whole)
{
	const struct counts c = { .wide = counts, .bins = b->bins };

	find(ret, b, &c, tails, whole);
}
