/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/prng.h"
#include "kernels/shuffle.h"
#include "kernels/unshuffle.h"
#include "tests/fenced.h"
#include "tests/isa_rows.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdint.h>
#include <string.h>

#define MOST 8192 /* elements of the largest block: 8 KiB of bytes, the usual size */

/* The lengths tried: all around what the vectors take at once, the usual blocks, one with a rest.
 */
static size_t length(unsigned i)
{
	static const size_t more[] = { 504, 512, 520, 1096, 2048, 4096, 6056, MOST };

	return i <= 33 ? 8 * i : i - 34 < sizeof more / sizeof *more ? more[i - 34] : SIZE_MAX;
}

static void fill_random(uint8_t *at, size_t bytes, uint64_t seed)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(prng_next(&seed) >> 56);
}

/* One call on arrays at fences of their own; both transposes have one signature. */
static void compare(unshuffle_fn *fn, unshuffle_fn *scalar, const char *name, size_t elem_bytes,
                    size_t n, size_t gap)
{
	static struct fence in, out,
		expected; /* each case is a process: opened once, never closed */
	size_t bytes = n * elem_bytes;
	void *from, *to, *reference;

	if (!in.map) {
		fence_open(&in, 4 * MOST);
		fence_open(&out, 4 * MOST);
		fence_open(&expected, 4 * MOST);
	}
	from = fence_place(&in, bytes, gap);
	to = fence_place(&out, bytes, gap * 13 % 64);
	reference = fence_place(&expected, bytes, 0);
	fill_random(from, bytes, n + gap);
	scalar(reference, from, n);
	fn(to, from, n);
	cr_assert(memcmp(to, reference, bytes) == 0, "%s, %zu bytes, n %zu, gap %zu", name,
	          elem_bytes, n, gap);
	cr_assert(fence_intact(&out, to, bytes), "%s wrote outside, %zu bytes, n %zu, gap %zu",
	          name, elem_bytes, n, gap);
}

static void compare_all(unshuffle_fn *const fn[3], unshuffle_fn *const scalar[3], const char *name)
{
	for (unsigned e = 0; e < 3; e++) {
		for (unsigned i = 0; length(i) != SIZE_MAX; i++)
			compare(fn[e], scalar[e], name, (size_t)1 << e, length(i), 0);
		for (size_t gap = 0; gap < 64; gap++)
			compare(fn[e], scalar[e], name, (size_t)1 << e, 1096, gap);
	}
}

ParameterizedTestParameters(unshuffle, is_the_same_on_every_isa)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(unshuffle_impls));
}

ParameterizedTest(unsigned *at, unshuffle, is_the_same_on_every_isa)
{
	const struct unshuffle_impl *row = &unshuffle_impls[*at];

	skip_unless(row->needs);
	compare_all(row->fn, unshuffle_impls[0].fn, row->name);
}

ParameterizedTestParameters(shuffle, is_the_same_on_every_isa)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(shuffle_impls));
}

ParameterizedTest(unsigned *at, shuffle, is_the_same_on_every_isa)
{
	const struct shuffle_impl *row = &shuffle_impls[*at];

	skip_unless(row->needs);
	compare_all(row->fn, shuffle_impls[0].fn, row->name);
}

ParameterizedTestParameters(unshuffle, undoes_shuffle)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(unshuffle_impls));
}

ParameterizedTest(unsigned *at, unshuffle, undoes_shuffle)
{
	const struct unshuffle_impl *row = &unshuffle_impls[*at];
	static uint8_t elements[4 * MOST], rows[4 * MOST], again[4 * MOST];

	skip_unless(row->needs);
	fill_random(elements, sizeof elements, 3);
	for (unsigned e = 0; e < 3; e++) {
		for (unsigned i = 0; length(i) != SIZE_MAX; i++) {
			shuffle_for(cpu_detect())->fn[e](rows, elements, length(i));
			row->fn[e](again, rows, length(i));
			cr_assert(memcmp(again, elements, length(i) << e) == 0,
			          "%s, %u bytes, n %zu", row->name, 1u << e, length(i));
		}
	}
}

/* 32 elements of 16 bits and their rows: a test of the dectris-compression library. */
static const char text[64] = "My hair is shingled, and the longest strands are about nine inch";
static const uint8_t text_rows[16][4] = {
	{ 0x15, 0x80, 0x13, 0xf4 }, { 0x88, 0x88, 0x83, 0x82 }, { 0x81, 0x8b, 0x29, 0x24 },
	{ 0xd1, 0xa9, 0x00, 0x50 }, { 0x08, 0x00, 0x8a, 0x04 }, { 0xfe, 0xff, 0xff, 0xff },
	{ 0xdd, 0xab, 0xbb, 0xf6 }, { 0x00, 0x00, 0x00, 0x00 }, { 0xf5, 0x25, 0xe5, 0x03 },
	{ 0xb0, 0x80, 0x3c, 0x5a }, { 0x80, 0xfb, 0x93, 0x5e }, { 0x47, 0xc2, 0x10, 0xda },
	{ 0x31, 0x10, 0x2e, 0x04 }, { 0xff, 0xff, 0xff, 0xff }, { 0xf7, 0xfd, 0xff, 0xdf },
	{ 0x00, 0x00, 0x00, 0x00 },
};

ParameterizedTestParameters(unshuffle, gives_the_text_of_a_detectors_library)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(unshuffle_impls));
}

/* The text stands 1, 2, 3, ... times in a row, and so does each of its rows. */
ParameterizedTest(unsigned *at, unshuffle, gives_the_text_of_a_detectors_library)
{
	const struct unshuffle_impl *row = &unshuffle_impls[*at];
	uint8_t rows[40 * sizeof text];
	char out[40 * sizeof text];

	skip_unless(row->needs);
	for (size_t times = 1; times <= 40; times++) {
		for (size_t i = 0; i < 16 * times; i++)
			memcpy(rows + 4 * i, text_rows[i / times], 4);
		row->fn[1](out, rows, 32 * times);
		for (size_t i = 0; i < times; i++)
			cr_assert(memcmp(out + i * sizeof text, text, sizeof text) == 0,
			          "%s, %zu times, at %zu", row->name, times, i);
	}
}

ParameterizedTestParameters(shuffle, gives_the_rows_of_a_detectors_library)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(shuffle_impls));
}

ParameterizedTest(unsigned *at, shuffle, gives_the_rows_of_a_detectors_library)
{
	const struct shuffle_impl *row = &shuffle_impls[*at];
	uint8_t rows[40 * sizeof text];
	char in[40 * sizeof text];

	skip_unless(row->needs);
	for (size_t times = 1; times <= 40; times++) {
		for (size_t i = 0; i < times; i++)
			memcpy(in + i * sizeof text, text, sizeof text);
		row->fn[1](rows, in, 32 * times);
		for (size_t i = 0; i < 16 * times; i++)
			cr_assert(memcmp(rows + 4 * i, text_rows[i / times], 4) == 0,
			          "%s, %zu times, row %zu", row->name, times, i / times);
	}
}

/* Row 0 is the lowest bit of an element, bit 0 of a row's byte the first of its eight elements. */
Test(unshuffle, gives_values_worked_by_hand)
{
	const uint8_t rows8[8] = { 0x01, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00, 0x80 };
	const uint8_t rows16[16][2] = { [2] = { 0x00, 0x02 }, [8] = { 0x08, 0x80 } };
	const uint8_t rows32[32] = { [0] = 0x10, [15] = 0x10, [31] = 0x30 };
	const uint8_t expected8[8] = { 0x01, 0x08, 0x08, 0, 0, 0, 0, 0x80 };
	const uint16_t expected16[16] = { [3] = 0x0100, [9] = 0x0004, [15] = 0x0100 };
	const uint32_t expected32[8] = { [4] = 0x80008001, [5] = 0x80000000 };
	uint8_t out8[8], back8[8];
	uint16_t out16[16], back16[16];
	uint32_t out32[8], back32[8];

	unshuffle8_scalar(out8, rows8, 8);
	unshuffle16_scalar(out16, rows16, 16);
	unshuffle32_scalar(out32, rows32, 8);
	cr_assert(memcmp(out8, expected8, sizeof out8) == 0);
	cr_assert(memcmp(out16, expected16, sizeof out16) == 0);
	cr_assert(memcmp(out32, expected32, sizeof out32) == 0);
	shuffle8_scalar(back8, expected8, 8);
	shuffle16_scalar(back16, expected16, 16);
	shuffle32_scalar(back32, expected32, 8);
	cr_assert(memcmp(back8, rows8, sizeof rows8) == 0);
	cr_assert(memcmp(back16, rows16, sizeof rows16) == 0);
	cr_assert(memcmp(back32, rows32, sizeof rows32) == 0);
}

Test(unshuffle, of_a_part_leaves_the_columns_before_alone)
{
	uint8_t rows[2 * 264], whole[2 * 264], part[2 * 264];

	fill_random(rows, sizeof rows, 6);
	unshuffle16_scalar(whole, rows, 264);
	for (size_t column = 0; column <= 33; column++) {
		memset(part, 0xee, sizeof part);
		unshuffle_columns(part, rows, 2, 264, column);
		for (size_t i = 0; i < sizeof part; i++)
			cr_assert_eq(part[i], i < 16 * column ? 0xee : whole[i]);
	}
}

Test(unshuffle, takes_bits_by_the_formula)
{
	static uint8_t in[32 * MOST / 8], out[4 * MOST];
	static const size_t lengths[] = { 8, 16, 264, 1096 };

	fill_random(in, sizeof in, 8);
	for (size_t l = 0; l < 4; l++) {
		size_t n = lengths[l];

		for (size_t bytes = 1, e = 0; bytes <= 4; bytes *= 2, e++) {
			unshuffle_impls[0].fn[e](out, in, n);
			for (size_t i = 0; i < n; i++)
				for (size_t r = 0; r < 8 * bytes; r++)
					cr_assert_eq(out[i * bytes + r / 8] >> r % 8 & 1,
					             in[r * (n / 8) + i / 8] >> i % 8 & 1);
		}
	}
}
