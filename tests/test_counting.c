/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/counting.h"
#include "kernels/cpu.h"
#include "tests/fenced.h"
#include "tests/pixels.h"

#include <criterion/criterion.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MOST 6400 /* numbers */

/* How far numbers spread about one that drifts; some stray. */
static const uint32_t spreads[] = { 1, 5, 30, 60, 120, 250, 70000 };

#define SPREADS (sizeof spreads / sizeof *spreads)

static uint32_t number(uint64_t *seed, size_t i, uint32_t spread, uint32_t bins)
{
	int64_t v = bins / 3 + (int64_t)(i / 97) + (int64_t)(prng_next(seed) % spread) - spread / 2;

	if (prng_next(seed) % 90 == 0)
		v = (int64_t)(prng_next(seed) % bins);
	return (uint32_t)(v < 0 ? 0 : v >= bins ? bins - 1 : v);
}

/* Counts of the numbers themselves. */
static void assert_index(const struct counting_impl *impl, uint32_t bins, uint32_t spread, size_t n,
                         unsigned shift)
{
	struct histogram_tables shape = histogram_tables_for(bins);
	struct fence tables, index;
	uint32_t *at, *expected = calloc(bins, sizeof *expected);
	uint16_t *numbers;
	uint64_t seed = bins + spread;

	fence_open(&tables, histogram_tables_size(shape) * sizeof *at);
	fence_open(&index, n * sizeof *numbers);
	at = fence_place(&tables, histogram_tables_size(shape) * sizeof *at, 0);
	numbers = fence_place(&index, n * sizeof *numbers, 0);
	memset(at, 0, histogram_tables_size(shape) * sizeof *at);
	for (size_t i = 0; i < n; i++) {
		uint32_t bin = number(&seed, i, spread, bins);

		numbers[i] = (uint16_t)(bin << shift | (prng_next(&seed) & ((1u << shift) - 1)));
		expected[bin]++;
	}
	impl->index(at, shape, numbers, shift, n);
	for (uint32_t b = 0; b < bins; b++) {
		uint32_t sum = 0;

		for (unsigned t = 0; t < shape.tables; t++)
			sum += at[t * shape.stride + b];
		cr_assert_eq(sum, expected[b], "%s: %u bins, spread %u, n %zu: bin %u has %u of %u",
		             impl->name, bins, spread, n, b, sum, expected[b]);
	}
	cr_assert(fence_intact(&tables, at, histogram_tables_size(shape) * sizeof *at));
	fence_close(&tables);
	fence_close(&index);
	free(expected);
}

Test(counting, of_index_is_exact_for_any_spread_bins_and_length)
{
	static const uint32_t bins[] = { 1, 2, 100, 128, 256, 4096, 5000, 65536 };

	for (const struct counting_impl *i = counting_impls; i->name; i++) {
		if (i->needs & ~cpu_detect())
			continue;
		for (size_t b = 0; b < sizeof bins / sizeof *bins; b++)
			for (size_t s = 0; s < SPREADS; s++)
				assert_index(i, bins[b], spreads[s], MOST - 7, 0);
		for (unsigned shift = 1; shift <= 8; shift++)
			for (size_t s = 0; s < SPREADS; s++)
				assert_index(i, 65536u >> shift, spreads[s], MOST - 7, shift);
		for (size_t n = 0; n <= 200; n++)
			assert_index(i, 4096, 30, n, (unsigned)(n % 5));
	}
}

static void assert_codes(const struct counting_impl *impl, uint32_t bins, uint32_t spread, size_t n)
{
	alignas(64) static uint64_t counts[CODE_COUNTS];
	struct fence codes;
	uint64_t expected[256] = { 0 }, seed = bins + spread;
	uint8_t *numbers;

	fence_open(&codes, n);
	numbers = fence_place(&codes, n, 0);
	memset(counts, 0, sizeof counts);
	for (size_t i = 0; i < n; i++)
		expected[numbers[i] = (uint8_t)number(&seed, i, spread, bins)]++;
	impl->codes(counts, numbers, n);
	for (unsigned b = 0; b < 256; b++) {
		uint64_t sum = 0;

		for (unsigned t = 0; t < CODE_TABLES; t++)
			sum += counts[t * 256 + b];
		cr_assert_eq(sum, expected[b], "%s: %u bins, spread %u, n %zu: bin %u", impl->name,
		             bins, spread, n, b);
	}
	fence_close(&codes);
}

Test(counting, of_codes_is_exact_for_any_spread_bins_and_length)
{
	static const uint32_t bins[] = { 1, 3, 64, 100, 255, 256 };

	for (const struct counting_impl *i = counting_impls; i->name; i++) {
		if (i->needs & ~cpu_detect())
			continue;
		for (size_t b = 0; b < sizeof bins / sizeof *bins; b++)
			for (size_t s = 0; s < SPREADS; s++)
				assert_codes(i, bins[b], spreads[s], MOST);
		for (size_t n = 0; n <= MOST; n += 64)
			assert_codes(i, 256, 30, n);
	}
}

Test(counting, counts_what_a_hand_counts)
{
	alignas(64) uint64_t counts[CODE_COUNTS] = { 0 };
	uint8_t codes[64] = { 7, 7, 9 }; /* and 61 times 0 */

	for (const struct counting_impl *i = counting_impls; i->name; i++)
		if (!(i->needs & ~cpu_detect())) {
			memset(counts, 0, sizeof counts);
			i->codes(counts, codes, 64);
			cr_assert_eq(counts[7] + counts[256 + 7] + counts[512 + 7], 2);
			cr_assert_eq(counts[0] + counts[256] + counts[512] + counts[768], 61);
		}
}
