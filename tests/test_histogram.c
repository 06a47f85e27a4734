/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/counting.h"
#include "kernels/cpu.h"
#include "kernels/histogram.h"
#include "tests/fenced.h"
#include "tests/isa_rows.h"
#include "tests/pixels.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdint.h>
#include <stdlib.h>

/* By shift, by edges, with tails and without, one bin and the most there may be. */
static const struct bins raw_bins[] = {
	{ 4096, 0, 65536 },
	{ 256, 0, 256 },
	{ 16, 100, 228 },
	{ 65536, 0, 65536 },
	{ 1, 0, 128 },
	{ 100, 0, 300 },
	{ 7, -3.5, 250.3 },
	{ 3, 0.1, 0.4 },
	{ 30, 128, 4294967295.0 },
	{ 1000, -2e3, 1e3 },
	{ 128, 255, 383 },
	{ 1, 65535, 65536 },
	{ 4096, 0, 4294967296.0 },
	{ 65536, 0.25, 65537 },
	/* Counts on an edge, where the guess is one too many or one too few. */
	{ 2452, 16, 3448.8 },
	{ 403, 19, 986.2 },
	{ 1631, 43, 2000.2 },
};

static const struct bins flat_bins[] = {
	{ 256, 0.0, 1.5 }, { 1, 0, 1 }, { 65536, -0.1, 1.7 }, { 10, 0.3, 0.4 }, { 77, -1e30, 1e30 },
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

struct arrays {
	struct fence raw, index, expected;
};

static void arrays_open(struct arrays *a, size_t pixels)
{
	fence_open(&a->raw, pixels * 4);
	fence_open(&a->index, pixels * 2);
	fence_open(&a->expected, pixels * 2);
}

static void arrays_close(struct arrays *a)
{
	fence_close(&a->raw);
	fence_close(&a->index);
	fence_close(&a->expected);
}

static void assert_index(struct arrays *a, const uint16_t *index, const uint16_t *expected,
                         size_t n, const char *isa)
{
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(index[i], expected[i], "%s, pixel %zu of %zu: bin %u, reference %u",
		             isa, i, n, index[i], expected[i]);
	cr_assert(fence_intact(&a->index, index, n * sizeof *index));
}

static void compare_raw(struct arrays *a, const struct histogram_impl *row, enum product_type type,
                        const struct bins *bins, size_t n, size_t gap, enum pixel_style style)
{
	void *raw = fence_place(&a->raw, n * product_bytes(type), gap);
	uint16_t *index = fence_place(&a->index, n * 2, 2 * (gap % 3));
	uint16_t *expected = fence_place(&a->expected, n * 2, 0);
	struct histogram_tails tails = { 1, 2, 3 }, counts = tails;
	struct bin_map map;

	cr_assert(bin_map_init_raw(&map, bins, type));
	pixels_raw(raw, type, n, style, n + gap);
	histogram_impls[0].raw[type](expected, &counts, raw, n, &map);
	row->raw[type](index, &tails, raw, n, &map);
	assert_index(a, index, expected, n, row->name);
	cr_assert(memcmp(&tails, &counts, sizeof tails) == 0, "%s, type %d, n %zu, [%g, %g]",
	          row->name, (int)type, n, bins->low, bins->high);
}

static void compare_flat(struct arrays *a, const struct histogram_impl *row,
                         const struct bins *bins, size_t n, size_t gap, enum pixel_style style)
{
	float *t = fence_place(&a->raw, n * sizeof *t, gap);
	uint16_t *index = fence_place(&a->index, n * 2, 2 * (gap % 3));
	uint16_t *expected = fence_place(&a->expected, n * 2, 0);
	struct histogram_tails tails = { 1, 2, 3 }, counts = tails;
	struct bin_map map;

	cr_assert(bin_map_init_flat(&map, bins));
	pixels_flat(t, n, style, n + gap);
	bin_flat_scalar(expected, &counts, t, n, &map);
	row->flat(index, &tails, t, n, &map);
	assert_index(a, index, expected, n, row->name);
	cr_assert(memcmp(&tails, &counts, sizeof tails) == 0, "%s, n %zu, [%g, %g]", row->name, n,
	          bins->low, bins->high);
}

ParameterizedTestParameters(histogram, bin_numbers_are_the_same_on_every_isa)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(histogram_impls));
}

ParameterizedTest(unsigned *at, histogram, bin_numbers_are_the_same_on_every_isa)
{
	const struct histogram_impl *row = &histogram_impls[*at];
	struct arrays a;

	skip_unless(row->needs);
	arrays_open(&a, 140001);
	for (unsigned i = 0; pixels_length(i) != SIZE_MAX; i++) {
		size_t n = pixels_length(i);
		enum pixel_style style = (enum pixel_style)(i % PIXELS_STYLE_COUNT);

		for (unsigned b = 0; b < COUNT(raw_bins); b++)
			for (int type = 0; type < PRODUCT_TYPE_COUNT; type++)
				compare_raw(&a, row, (enum product_type)type, &raw_bins[b], n, 0,
				            style);
		for (unsigned b = 0; b < COUNT(flat_bins); b++)
			compare_flat(&a, row, &flat_bins[b], n, 0, style);
	}
	for (size_t gap = 0; gap < 64; gap++)
		for (int type = 0; type < PRODUCT_TYPE_COUNT; type++) {
			compare_raw(&a, row, (enum product_type)type, &raw_bins[gap % 8], 103, gap,
			            PIXELS_RANDOM);
			compare_raw(&a, row, (enum product_type)type, &raw_bins[gap % 8], 103, gap,
			            PIXELS_USUAL);
		}
	for (size_t gap = 0; gap < 64; gap += 4)
		compare_flat(&a, row, &flat_bins[0], 103, gap, PIXELS_EXTREME);
	arrays_close(&a);
}

/* numpy's edge i of a uniform histogram, and the bin that holds v by searching them. */
static double edge(const struct bins *b, uint32_t i)
{
	return i == b->bins ? b->high : i * ((b->high - b->low) / b->bins) + b->low;
}

static uint32_t search(const struct bins *b, double v)
{
	uint32_t low = 0, high = b->bins;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (v >= edge(b, middle))
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* All counts of 16 bit through one variant. */
static void assert_searched(const struct histogram_impl *row, const struct bins *b,
                            const uint16_t *raw, uint16_t *index)
{
	struct histogram_tails tails = { 0 };
	uint64_t below = 0, above = 0;
	struct bin_map map;

	cr_assert(bin_map_init_raw(&map, b, PRODUCT_UINT16));
	row->raw[PRODUCT_UINT16](index, &tails, raw, 65536, &map);
	for (unsigned v = 0; v < 65536; v++) {
		bool inside = v >= b->low && v <= b->high;

		below += v < b->low;
		above += v > b->high;
		cr_assert_eq(index[v], inside ? search(b, v) : 0, "%s, %u in [%g, %g]: bin %u",
		             row->name, v, b->low, b->high, index[v]);
	}
	cr_assert(tails.below == below && tails.above == above && tails.nan == 0);
}

Test(histogram, of_raw_pixels_agrees_with_a_search_of_the_edges)
{
	uint16_t *raw = malloc(65536 * sizeof *raw), *index = malloc(65536 * sizeof *index);

	for (unsigned i = 0; i < 65536; i++)
		raw[i] = (uint16_t)i;
	for (const struct histogram_impl *row = histogram_impls; row->name; row++)
		for (unsigned b = 0; b < COUNT(raw_bins) && !(row->needs & ~cpu_detect()); b++)
			assert_searched(row, &raw_bins[b], raw, index);
	free(raw);
	free(index);
}

Test(histogram, takes_the_shift_where_it_can)
{
	struct bin_map map;

	cr_assert(bin_map_init_raw(&map, &(struct bins){ 4096, 0, 65536 }, PRODUCT_UINT16));
	cr_assert(map.by_shift && map.shift == 4 && map.first == 0 && map.top == 65535);
	cr_assert(bin_map_init_raw(&map, &(struct bins){ 16, 100, 228 }, PRODUCT_UINT8));
	cr_assert(map.by_shift && map.shift == 3 && map.first == 100 && map.top == 228);
	cr_assert(bin_map_init_raw(&map, &(struct bins){ 16, 100, 227 }, PRODUCT_UINT8));
	cr_assert(!map.by_shift);
	cr_assert(bin_map_init_raw(&map, &(struct bins){ 16, 100.5, 228.5 }, PRODUCT_UINT8));
	cr_assert(!map.by_shift);
	cr_assert(bin_map_init_raw(&map, &(struct bins){ 4096, 0, 65536 }, PRODUCT_FLOAT32));
	cr_assert(!map.by_shift);
}

Test(histogram, puts_the_upper_limit_into_the_last_bin)
{
	const uint16_t raw[] = { 99, 100, 227, 228, 229 };
	const float t[] = { -1e-6f, 0, 0.75f, 1.5f, 1.5000001f, NAN, 1.4999999f };
	struct histogram_tails tails = { 0 };
	struct bin_map map;
	uint16_t index[7];

	cr_assert(bin_map_init_raw(&map, &(struct bins){ 16, 100, 228 }, PRODUCT_UINT16));
	bin_uint16_scalar(index, &tails, raw, 5, &map);
	cr_assert(index[1] == 0 && index[2] == 15 && index[3] == 15);
	cr_assert(tails.below == 1 && tails.above == 1);

	tails = (struct histogram_tails){ 0 };
	cr_assert(bin_map_init_flat(&map, &(struct bins){ 256, 0, 1.5 }));
	bin_flat_scalar(index, &tails, t, 7, &map);
	cr_assert(index[1] == 0 && index[2] == 128 && index[3] == 255 && index[6] == 255);
	cr_assert(tails.below == 1 && tails.above == 1 && tails.nan == 1);
}

Test(histogram, counts_every_pixel_once)
{
	static const uint32_t sizes[] = { 1, 2, 256, 1000, 4096, 20000, 65536 };
	enum { N = 100003 };
	uint16_t *index = malloc(N * sizeof *index);
	uint64_t state = 9;

	for (unsigned s = 0; s < COUNT(sizes); s++) {
		struct histogram_tables shape = histogram_tables_for(sizes[s]);
		uint32_t *tables = calloc(histogram_tables_size(shape), sizeof *tables);
		uint32_t *counts = malloc(sizes[s] * sizeof *counts);
		uint32_t *expected = calloc(sizes[s], sizeof *expected);
		struct histogram_tails tails = { 3, 5, 7 };

		for (size_t i = 0; i < N; i++) {
			index[i] = (uint16_t)(i < 15 ? 0 : prng_below(&state, sizes[s]));
			expected[index[i]] += i >= 15; /* the tails' pixels */
		}
		for (size_t i = 0, n = 0; i < N; i += n) {
			n = 1 + prng_below(&state, 2000);
			n = N - i < n ? N - i : n;
			count_index_scalar(tables, shape, index + i, 0, n);
		}
		histogram_fold(counts, tables, shape, &tails, sizes[s]);
		cr_assert(memcmp(counts, expected, sizes[s] * sizeof *counts) == 0, "%u bins",
		          sizes[s]);
		free(tables);
		free(counts);
		free(expected);
	}
	free(index);
}

Test(histogram, refuses_bins_that_make_no_sense)
{
	static const struct bins none[] = {
		{ 0, 0, 1 },       { 65537, 0, 1 },       { 10, 1, 1 },        { 10, 2, 1 },
		{ 10, NAN, 1 },    { 10, 0, NAN },        { 10, 0, INFINITY }, { 10, -INFINITY, 0 },
		{ 10, 0, 1e-320 }, { 10, -1e308, 1e308 },
	};
	struct bin_map map;

	for (unsigned i = 0; i < COUNT(none); i++) {
		cr_assert_not(bin_map_init_raw(&map, &none[i], PRODUCT_UINT16), "row %u", i);
		cr_assert_not(bin_map_init_flat(&map, &none[i]), "row %u", i);
	}
	cr_assert_not(bin_map_init_flat(&map, &(struct bins){ 10, 1e9, 1e9 + 1 }));
	cr_assert_not(bin_map_init_flat(&map, &(struct bins){ 10, 0, 1e39 }));
	cr_assert(bin_map_init_raw(&map, &(struct bins){ 10, 1e9, 1e9 + 1 }, PRODUCT_UINT32));
}

/* Codes say what bin numbers say, in any order within 64. */
static void compare_codes(const struct histogram_impl *row, const struct bins *bins, size_t n,
                          enum pixel_style style)
{
	struct histogram_tails tails = { 0 }, expected_tails = { 0 };
	uint32_t counts[256] = { 0 };
	struct fence t, codes;
	uint16_t *index = malloc((n + 1) * sizeof *index);
	size_t padded = (n + 63) / 64 * 64;
	struct bin_map map;
	uint8_t *numbers;
	float *pixels;

	cr_assert(bin_map_init_flat(&map, bins));
	fence_open(&t, n * sizeof *pixels);
	fence_open(&codes, padded);
	pixels = fence_place(&t, n * sizeof *pixels, 0);
	numbers = fence_place(&codes, padded, 0);
	pixels_flat(pixels, n, style, n + 3);
	histogram_impls[0].flat(index, &expected_tails, pixels, n, &map);
	row->codes(numbers, &tails, pixels, n, &map);
	for (size_t i = 0; i < n; i++)
		counts[index[i]]++;
	for (size_t i = 0; i < padded; i++)
		counts[numbers[i]]--;
	cr_assert_eq(counts[0], 0u - (uint32_t)(padded - n), "%s: n %zu, bin 0", row->name, n);
	for (unsigned b = 1; b < 256; b++)
		cr_assert_eq(counts[b], 0, "%s: n %zu, bin %u", row->name, n, b);
	cr_assert(memcmp(&tails, &expected_tails, sizeof tails) == 0);
	cr_assert(fence_intact(&codes, numbers, padded));
	fence_close(&t);
	fence_close(&codes);
	free(index);
}

Test(histogram, codes_are_the_bin_numbers)
{
	static const struct bins bins[] = { { 256, 0.0, 1.5 }, { 1, 0, 1 }, { 77, 0.25, 0.75 } };

	for (const struct histogram_impl *row = histogram_impls; row->name; row++)
		for (size_t n = 0; n <= 200 && row->codes && !(row->needs & ~cpu_detect()); n++)
			compare_codes(row, &bins[n % 3], n,
			              (enum pixel_style)(n / 3 % PIXELS_STYLE_COUNT));
}
