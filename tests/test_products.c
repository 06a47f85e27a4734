/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/binning.h"
#include "kernels/convert.h"
#include "kernels/cpu.h"
#include "kernels/crc32c.h"
#include "tests/fenced.h"
#include "tests/isa_rows.h"
#include "tests/pixels.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdint.h>
#include <stdlib.h>

struct arrays {
	struct fence t, out, expected, sum, count;
};

static void arrays_open(struct arrays *a, size_t pixels)
{
	fence_open(&a->t, pixels * 4);
	fence_open(&a->out, pixels * 4);
	fence_open(&a->expected, pixels * 4);
	fence_open(&a->sum, pixels * 4);
	fence_open(&a->count, pixels * 4);
}

static void arrays_close(struct arrays *a)
{
	fence_close(&a->t);
	fence_close(&a->out);
	fence_close(&a->expected);
	fence_close(&a->sum);
	fence_close(&a->count);
}

static void compare_binning(struct arrays *a, const struct binning_impl *row, size_t width,
                            unsigned b, enum pixel_style style, bool in_place)
{
	size_t floats = width / b * sizeof(float);
	float *t = fence_place(&a->t, width * b * sizeof *t, 0);
	float *sum = fence_place(&a->sum, width * sizeof *sum, 0);
	float *count = fence_place(&a->count, width * sizeof *count, 4);
	float *out = in_place ? sum : fence_place(&a->out, floats, 4 * (width % 5));
	float *expected = fence_place(&a->expected, floats, 0);

	pixels_flat(t, width * b, style, width + b);
	bin_rows_scalar(expected, t, sum, count, width, b);
	row->fn(out, t, sum, count, width, b);
	cr_assert(floats_equal(out, expected, width / b), "%s, width %zu, bin %u, style %d",
	          row->name, width, b, (int)style);
	if (!in_place)
		cr_assert(fence_intact(&a->out, out, floats));
	cr_assert(fence_intact(&a->sum, sum, width * sizeof *sum));
	cr_assert(fence_intact(&a->count, count, width * sizeof *count));
}

ParameterizedTestParameters(binning, is_the_same_on_every_isa)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(binning_impls));
}

ParameterizedTest(unsigned *at, binning, is_the_same_on_every_isa)
{
	const struct binning_impl *row = &binning_impls[*at];
	struct arrays a;

	skip_unless(row->needs);
	arrays_open(&a, (size_t)5000 * 32);
	for (unsigned b = 2; b <= 32; b *= 2)
		for (unsigned i = 0; pixels_length(i) <= 5000; i++)
			for (int style = 0; style < PIXELS_STYLE_COUNT; style++)
				compare_binning(&a, row, pixels_length(i), b,
				                (enum pixel_style)style, i % 2);
	arrays_close(&a);
}

Test(binning, means_the_good_pixels)
{
	const float t[] = { 1, 2, NAN, 5, NAN, NAN, 99, /* the seventh column is left out */
		            3, 4, 7,   9, NAN, NAN, 99 };
	float out[3], sum[7], count[7];

	bin_rows_scalar(out, t, sum, count, 7, 2);
	cr_assert_eq(out[0], 2.5f);
	cr_assert_eq(out[1], 7);
	cr_assert(isnan(out[2]));
}

Test(binning, of_large_squares_means_all_their_pixels)
{
	float t[32 * 64], out[2], sum[64], count[64];

	for (unsigned y = 0; y < 32; y++)
		for (unsigned x = 0; x < 64; x++)
			t[y * 64 + x] = (float)(x < 32 ? y : x);
	for (const struct binning_impl *row = binning_impls; row->name; row++) {
		if (row->needs & ~cpu_detect())
			continue;
		row->fn(out, t, sum, count, 64, 32);
		cr_assert(out[0] == 15.5f && out[1] == 47.5f, "%s: %g %g", row->name,
		          (double)out[0], (double)out[1]);
	}
}

static void compare_convert(struct arrays *a, const struct convert_impl *row,
                            enum product_type type, const struct window *w, size_t n, size_t gap,
                            enum pixel_style style)
{
	size_t bytes = n * product_bytes(type);
	float *t = fence_place(&a->t, n * sizeof *t, 4 * (gap % 16));
	void *out = fence_place(&a->out, bytes, product_bytes(type) * (gap % 16));
	void *expected = fence_place(&a->expected, bytes, 0);
	uint64_t clipped, count;

	pixels_flat(t, n, style, n + gap);
	count = convert_impls[0].fn[type](expected, t, n, w);
	clipped = row->fn[type](out, t, n, w);
	cr_assert(memcmp(out, expected, bytes) == 0, "%s, type %d, n %zu, style %d", row->name,
	          (int)type, n, (int)style);
	cr_assert_eq(clipped, count, "%s, type %d, n %zu: %lu clipped, reference %lu", row->name,
	             (int)type, n, clipped, count);
	cr_assert(fence_intact(&a->out, out, bytes));
}

static void compare_convert_all(struct arrays *a, const struct convert_impl *row,
                                enum product_type type, float low, float high)
{
	struct window w;

	for (unsigned i = 0; pixels_length(i) != SIZE_MAX; i++)
		for (int style = 0; style < PIXELS_STYLE_COUNT; style++) {
			cr_assert(window_init(&w, type, low, high, i % 2));
			compare_convert(a, row, type, &w, pixels_length(i), i,
			                (enum pixel_style)style);
		}
}

ParameterizedTestParameters(convert, is_the_same_on_every_isa)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(convert_impls));
}

ParameterizedTest(unsigned *at, convert, is_the_same_on_every_isa)
{
	static const enum product_type types[] = { PRODUCT_UINT8, PRODUCT_UINT16, PRODUCT_FLOAT32 };
	const struct convert_impl *row = &convert_impls[*at];
	struct arrays a;

	skip_unless(row->needs);
	arrays_open(&a, 140001);
	for (unsigned i = 0; i < 3; i++) {
		compare_convert_all(&a, row, types[i], 0, 1.5f);
		compare_convert_all(&a, row, types[i], -1000, 65000);
		compare_convert_all(&a, row, types[i], -FLT_MAX / 2, FLT_MAX / 2);
	}
	arrays_close(&a);
}

Test(convert, rounds_to_nearest_even_and_marks_bad_pixels)
{
	/* With this window the scale is 1: levels are the values. */
	const float t[] = {
		0.5f, 1.5f, 2.5f, 253.5f, 254, 254.1f, -0.1f, NAN, INFINITY, -INFINITY
	};
	const uint8_t expected[] = { 0, 2, 2, 254, 254, 254, 0, 255, 254, 0 };
	struct window w;
	uint8_t out[10];

	cr_assert(window_init(&w, PRODUCT_UINT8, 0, 254, false));
	cr_assert_eq(w.scale, 1);
	for (const struct convert_impl *row = convert_impls; row->name; row++) {
		if (row->needs & ~cpu_detect())
			continue;
		cr_assert_eq(row->fn[PRODUCT_UINT8](out, t, 10, &w), 4);
		cr_assert(memcmp(out, expected, 10) == 0, "%s", row->name);
	}
}

Test(convert, maps_the_window_to_the_range)
{
	const float t[] = { 0, 0.75f, 1.5f, 1.6f, NAN };
	struct window w;
	uint16_t out[5];

	cr_assert(window_init(&w, PRODUCT_UINT16, 0, 1.5f, false));
	cr_assert_eq(convert_uint16_scalar(out, t, 5, &w), 1);
	cr_assert_eq(out[0], 0);
	cr_assert_eq(out[1], 32767);
	cr_assert_eq(out[2], 65534);
	cr_assert_eq(out[3], 65534);
	cr_assert_eq(out[4], 65535);
}

Test(convert, replaces_bad_pixels_of_float_output_as_told)
{
	const uint32_t nan_bits = 0x7fc00000, other_nan = 0xffc12345;
	float t[2] = { 3, 0 }, out[2];
	struct window w;

	memcpy(t + 1, &other_nan, sizeof other_nan);
	cr_assert(window_init(&w, PRODUCT_FLOAT32, 0, 0, false));
	convert_float32_scalar(out, t, 2, &w);
	cr_assert(out[0] == 3 && memcmp(out + 1, &nan_bits, sizeof nan_bits) == 0);
	cr_assert(window_init(&w, PRODUCT_FLOAT32, 0, 0, true));
	convert_float32_scalar(out, t, 2, &w);
	cr_assert(out[0] == 3 && out[1] == 0);
}

Test(convert, refuses_windows_that_make_no_sense)
{
	struct window w;

	cr_assert_not(window_init(&w, PRODUCT_UINT16, 1, 1, false));
	cr_assert_not(window_init(&w, PRODUCT_UINT8, 2, 1, false));
	cr_assert_not(window_init(&w, PRODUCT_UINT8, NAN, 1, false));
	cr_assert_not(window_init(&w, PRODUCT_UINT8, 0, INFINITY, false));
	cr_assert_not(window_init(&w, PRODUCT_UINT16, 0, 1e-40f, false));
}

/* Bit by bit, from the polynomial. */
static uint32_t crc_by_bits(uint32_t crc, const unsigned char *at, size_t n)
{
	crc = ~crc;
	for (size_t i = 0; i < n; i++) {
		crc ^= at[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static void compare_crc(struct fence *f, const struct crc32c_impl *row, size_t n, size_t gap)
{
	unsigned char *at = fence_place(f, n, gap);
	uint64_t state = n + gap;
	uint32_t before, expected, crc;

	for (size_t i = 0; i < n; i++)
		at[i] = (unsigned char)prng_next(&state);
	before = gap % 2 ? (uint32_t)prng_next(&state) : 0;
	expected = crc_by_bits(before, at, n);
	crc = row->fn(before, at, n);
	cr_assert_eq(crc, expected, "%s, n %zu, gap %zu: %08x, not %08x", row->name, n, gap, crc,
	             expected);
}

ParameterizedTestParameters(crc32c, is_the_same_on_every_isa)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(crc32c_impls));
}

ParameterizedTest(unsigned *at, crc32c, is_the_same_on_every_isa)
{
	const struct crc32c_impl *row = &crc32c_impls[*at];
	struct fence f;

	skip_unless(row->needs);
	fence_open(&f, 140001);
	for (size_t n = 0; n < 700; n++)
		for (size_t gap = 0; gap < 2; gap++)
			compare_crc(&f, row, n, gap);
	for (size_t n = 3060; n < 3084; n++)
		compare_crc(&f, row, n, 1);
	for (unsigned i = 131; pixels_length(i) != SIZE_MAX; i++)
		compare_crc(&f, row, pixels_length(i), 1);
	for (size_t gap = 0; gap < 64; gap++)
		compare_crc(&f, row, 6500 + gap, gap);
	fence_close(&f);
}

Test(crc32c, gives_the_published_values)
{
	/* RFC 3720, appendix B.4 */
	unsigned char zeros[32] = { 0 }, ones[32], rising[32];

	memset(ones, 0xff, sizeof ones);
	for (unsigned i = 0; i < 32; i++)
		rising[i] = (unsigned char)i;
	for (const struct crc32c_impl *row = crc32c_impls; row->name; row++) {
		if (row->needs & ~cpu_detect())
			continue;
		cr_assert_eq(row->fn(0, "123456789", 9), 0xe3069283);
		cr_assert_eq(row->fn(0, zeros, 32), 0x8a9136aa);
		cr_assert_eq(row->fn(0, ones, 32), 0x62a8ab43);
		cr_assert_eq(row->fn(0, rising, 32), 0x46dd794e);
		cr_assert_eq(row->fn(0, NULL, 0), 0);
	}
}

Test(crc32c, goes_on_where_it_stopped)
{
	unsigned char bytes[5000];
	uint64_t state = 1;

	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)prng_next(&state);
	for (const struct crc32c_impl *row = crc32c_impls; row->name; row++) {
		uint32_t whole;

		if (row->needs & ~cpu_detect())
			continue;
		whole = row->fn(0, bytes, sizeof bytes);
		for (size_t cut = 0; cut <= sizeof bytes; cut += 131)
			cr_assert_eq(
				row->fn(row->fn(0, bytes, cut), bytes + cut, sizeof bytes - cut),
				whole, "%s cut at %zu", row->name, cut);
	}
}
