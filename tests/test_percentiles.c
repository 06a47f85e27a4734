/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/prng.h"
#include "kernels/percentiles.h"
#include "tests/fenced.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PIXELS_MAX 20000
#define BINS_MAX   5000

static const struct histogram_tails no_tails;

static int rising(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Both kinds of counts, which must say the same. */
static void percentiles_of(float ret[PERCENTILES], const struct bins *b, const uint32_t *counts,
                           const struct histogram_tails *tails, bool whole)
{
	size_t narrow = b->bins * sizeof(uint32_t), wide = b->bins * sizeof(uint64_t);
	struct fence frame, series;
	float again[PERCENTILES];
	uint32_t *of_frame;
	uint64_t *of_series;

	fence_open(&frame, narrow);
	fence_open(&series, wide);
	of_frame = memcpy(fence_place(&frame, narrow, 0), counts, narrow);
	of_series = fence_place(&series, wide, 0);
	for (uint32_t i = 0; i < b->bins; i++)
		of_series[i] = counts[i];
	percentiles(ret, b, of_frame, tails, whole);
	percentiles_of_series(again, b, of_series, tails, whole);
	cr_assert_eq(memcmp(ret, again, sizeof again), 0);
	fence_close(&frame);
	fence_close(&series);
}

/* Pixels of `spread` values in bins of one count, sorted as the reference. */
static void expect_pixels(size_t n, uint32_t bins, uint32_t spread, uint64_t seed)
{
	static uint32_t pixels[PIXELS_MAX], counts[BINS_MAX];
	const struct bins b = { bins, 7, 7.0 + bins };
	float got[PERCENTILES];

	memset(counts, 0, sizeof counts);
	for (size_t i = 0; i < n; i++) {
		pixels[i] = (uint32_t)prng_below(&seed, spread);
		counts[pixels[i]]++;
	}
	qsort(pixels, n, sizeof *pixels, rising);
	percentiles_of(got, &b, counts, &no_tails, true);
	for (unsigned i = 0; i < PERCENTILES; i++) {
		double rank = fmax(1, ceil((double)n * (percentile_ranks[i] / 100)));

		cr_assert_eq(got[i], (float)(7 + pixels[(size_t)rank - 1]), "%zu of %u, %u: %g", n,
		             spread, i, (double)got[i]);
	}
}

Test(percentiles, of_whole_bins_are_those_of_the_sorted_pixels)
{
	static const uint32_t bins[] = { 1, 2, 63, 64, 65, 127, 128, 129, 256, 4096, 5000 };

	for (unsigned b = 0; b < sizeof bins / sizeof *bins; b++)
		for (size_t n = 1; n <= PIXELS_MAX; n = n < 40 ? n + 1 : n * 3 / 2) {
			expect_pixels(n, bins[b], bins[b], n + b);
			expect_pixels(n, bins[b], (bins[b] + 9) / 10, n + b);
		}
}

Test(percentiles, are_values_worked_by_hand)
{
	/* 1000 pixels: ranks 1, 10, 500, 990 and, as numpy rounds 99.9 %, 1000. */
	const uint32_t counts[4] = { 4, 496, 400, 100 };
	const struct bins b = { 4, 0, 2 };
	float got[PERCENTILES];

	percentiles_of(got, &b, counts, &no_tails, false);
	cr_assert_eq(got[0], (float)(0.5 * (0 + 0.5 / 4)));
	cr_assert_eq(got[1], (float)(0.5 * (1 + 5.5 / 496)));
	cr_assert_eq(got[2], (float)(0.5 * (1 + 495.5 / 496)));
	cr_assert_eq(got[3], (float)(0.5 * (3 + 89.5 / 100)));
	cr_assert_eq(got[4], (float)(0.5 * (3 + 99.5 / 100)));
	percentiles_of(got, &b, counts, &no_tails, true);
	cr_assert(got[0] == 0 && got[1] == 0.5f && got[2] == 0.5f && got[3] == 1.5f);
}

Test(percentiles, outside_the_histogram_are_infinite)
{
	const struct histogram_tails both = { .below = 20, .above = 15, .nan = 1000000 };
	const struct histogram_tails most = { .below = 600, .above = 400 };
	const uint32_t counts[3] = { 0, 965, 0 }, none[3] = { 0 };
	const struct bins b = { 3, 0, 3 };
	float got[PERCENTILES];

	percentiles_of(got, &b, counts, &both, true);
	cr_assert(got[0] == -INFINITY && got[1] == -INFINITY && got[2] == 1);
	cr_assert(got[3] == INFINITY && got[4] == INFINITY);
	percentiles_of(got, &b, none, &most, true);
	cr_assert(got[2] == -INFINITY && got[3] == INFINITY);
}

Test(percentiles, of_no_pixel_are_not_numbers)
{
	const struct histogram_tails bad = { .nan = 7 };
	const uint32_t none[2] = { 0 };
	const struct bins b = { 2, 0, 1 };
	float got[PERCENTILES];

	percentiles_of(got, &b, none, &bad, false);
	for (unsigned i = 0; i < PERCENTILES; i++)
		cr_assert(isnan(got[i]));
}

Test(percentiles, of_a_long_series_do_not_overflow)
{
	const uint64_t counts[2] = { UINT64_C(1) << 60, UINT64_C(1) << 60 };
	const struct bins b = { 2, 0, 2 };
	float got[PERCENTILES];

	percentiles_of_series(got, &b, counts, &no_tails, true);
	cr_assert(got[0] == 0 && got[2] == 0 && got[3] == 1 && got[4] == 1);
}
