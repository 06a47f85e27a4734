/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/coefficients.h"
#include "kernels/cpu.h"
#include "kernels/flatten.h"
#include "tests/fenced.h"
#include "tests/isa_rows.h"
#include "tests/pixels.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdint.h>
#include <stdlib.h>

/* The arrays of one call, each at its own fence. */
struct arrays {
	struct fence raw, offset, gain, t, expected;
};

static void arrays_open(struct arrays *a, size_t pixels)
{
	fence_open(&a->raw, pixels * 4);
	fence_open(&a->offset, pixels * 4);
	fence_open(&a->gain, pixels * 4);
	fence_open(&a->t, pixels * 4);
	fence_open(&a->expected, pixels * 4);
}

static void arrays_close(struct arrays *a)
{
	fence_close(&a->raw);
	fence_close(&a->offset);
	fence_close(&a->gain);
	fence_close(&a->t);
	fence_close(&a->expected);
}

static void compare_flatten(struct arrays *a, const struct flatten_impl *row,
                            enum product_type type, size_t n, size_t gap, enum pixel_style style)
{
	size_t bytes = n * product_bytes(type), floats = n * sizeof(float);
	void *raw = fence_place(&a->raw, bytes, gap);
	float *offset = fence_place(&a->offset, floats, 4 * (gap % 3));
	float *gain = fence_place(&a->gain, floats, 4 * (gap % 5));
	float *t = fence_place(&a->t, floats, 4 * (gap % 7));
	float *expected = fence_place(&a->expected, floats, 0);

	pixels_raw(raw, type, n, style, n + gap);
	pixels_flat(offset, n, style == PIXELS_TOP ? PIXELS_USUAL : style, n + gap + 1);
	pixels_flat(gain, n, style == PIXELS_TOP ? PIXELS_USUAL : style, n + gap + 2);
	flatten_impls[0].fn[type](expected, raw, offset, gain, n);
	row->fn[type](t, raw, offset, gain, n);
	cr_assert(floats_equal(t, expected, n), "%s, type %d, n %zu, gap %zu, style %d", row->name,
	          (int)type, n, gap, (int)style);
	cr_assert(fence_intact(&a->t, t, floats), "%s wrote outside, type %d, n %zu", row->name,
	          (int)type, n);
}

static void compare_scale(struct arrays *a, const struct flatten_impl *row, size_t n,
                          enum pixel_style style)
{
	size_t bytes = n * sizeof(float);
	float *t = fence_place(&a->t, bytes, 0), *expected = fence_place(&a->expected, bytes, 0);
	static const float factors[] = { 1, 0.7f, 1e-30f, 1e30f };
	float factor = factors[n % 4];

	pixels_flat(t, n, style, n);
	memcpy(expected, t, bytes);
	scale_scalar(expected, factor, n);
	row->scale(t, factor, n);
	cr_assert(floats_equal(t, expected, n), "%s, n %zu, style %d", row->name, n, (int)style);
	cr_assert(fence_intact(&a->t, t, bytes), "%s wrote outside, n %zu", row->name, n);
}

ParameterizedTestParameters(flatten, scales_the_same_on_every_isa)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(flatten_impls));
}

ParameterizedTest(unsigned *at, flatten, scales_the_same_on_every_isa)
{
	const struct flatten_impl *row = &flatten_impls[*at];
	struct arrays a;

	skip_unless(row->needs);
	arrays_open(&a, 140001);
	for (unsigned i = 0; pixels_length(i) != SIZE_MAX; i++)
		for (int style = 0; style < PIXELS_STYLE_COUNT; style++)
			compare_scale(&a, row, pixels_length(i), (enum pixel_style)style);
	arrays_close(&a);
}

ParameterizedTestParameters(flatten, is_the_same_on_every_isa)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(flatten_impls));
}

ParameterizedTest(unsigned *at, flatten, is_the_same_on_every_isa)
{
	const struct flatten_impl *row = &flatten_impls[*at];
	struct arrays a;

	skip_unless(row->needs);
	arrays_open(&a, 140001);
	for (int type = 0; type < PRODUCT_TYPE_COUNT; type++) {
		for (unsigned i = 0; pixels_length(i) != SIZE_MAX; i++)
			for (int style = 0; style < PIXELS_STYLE_COUNT; style++)
				compare_flatten(&a, row, (enum product_type)type, pixels_length(i),
				                0, (enum pixel_style)style);
		for (size_t gap = 0; gap < 64; gap++)
			compare_flatten(&a, row, (enum product_type)type, 77, gap, PIXELS_EXTREME);
	}
	arrays_close(&a);
}

Test(flatten, gives_values_worked_by_hand)
{
	const uint8_t bytes[] = { 10, 255, 0 };
	const uint16_t counts[] = { 1100, 100, 65535 };
	const float offset[] = { 100, 100, 0.5f }, gain[] = { 1.0f / 1024, 0.5f, 2 };
	float t[3];

	flatten_uint16_scalar(t, counts, offset, gain, 3);
	cr_assert_eq(t[0], 0.9765625f); /* 1000 / 1024 */
	cr_assert_eq(t[1], 0);
	cr_assert_eq(t[2], 131069);
	flatten_uint8_scalar(t, bytes, offset, gain, 3);
	cr_assert_eq(t[0], -90.0f / 1024);
	cr_assert_eq(t[1], 77.5f);
	cr_assert_eq(t[2], -1);
}

Test(flatten, subtracts_large_counts_in_double)
{
	/* As floats both would be 4294967296: the difference would be 0. */
	const uint32_t counts[] = { 4294967295u, 16777217 };
	const float offset[] = { 4294967040.0f, 1 }, gain[] = { 2, 1 };
	float t[2];

	flatten_uint32_scalar(t, counts, offset, gain, 2);
	cr_assert_eq(t[0], 510);
	cr_assert_eq(t[1], 16777216);
}

Test(flatten, makes_nan_of_bad_pixels_and_of_values_that_are_not_finite)
{
	const float raw[] = { INFINITY, -INFINITY, NAN, 5, 5 };
	const float offset[] = { 0, 0, 0, 0, 1 }, gain[] = { 1, 1, 1, NAN, 1 };
	float t[5];

	flatten_float32_scalar(t, raw, offset, gain, 5);
	for (unsigned i = 0; i < 4; i++)
		cr_assert(isnan(t[i]), "pixel %u is %g", i, (double)t[i]);
	cr_assert_eq(t[4], 4);
}

Test(flatten, is_within_two_ulp_of_real_numbers)
{
	uint64_t state = 1;

	for (unsigned i = 0; i < 200000; i++) {
		uint16_t counts = (uint16_t)prng_next(&state);
		float dark = (float)prng_below(&state, 400) / 4, flat = dark + 1;
		float offset, gain, t;
		long double exact, ulp;

		flat += (float)prng_below(&state, 65000);
		coefficients(&offset, &gain, &dark, &flat, NULL, NULL, true, 1);
		flatten_uint16_scalar(&t, &counts, &offset, &gain, 1);
		exact = ((long double)counts - dark) / ((long double)flat - dark);
		ulp = nextafterf(fabsf(t), INFINITY) - fabsf(t);
		cr_assert(fabsl((long double)t - exact) <= 2 * ulp, "%u: %.9g, exactly %.12Lg", i,
		          (double)t, exact);
	}
}

Test(coefficients, gives_offset_and_inverse_open_beam)
{
	const float dark[] = { 100, 0 }, flat[] = { 1124, 4 };
	float offset[2], gain[2];

	cr_assert_eq(coefficients(offset, gain, dark, flat, NULL, NULL, true, 2), 0);
	cr_assert_eq(offset[0], 100);
	cr_assert_eq(gain[0], 1.0f / 1024);
	cr_assert_eq(gain[1], 0.25f);
}

Test(coefficients, calls_a_pixel_bad_for_each_reason)
{
	const float dark[] = { 5, 7, NAN, 0, -FLT_MAX, INFINITY, 1, 1, 0, 0 };
	const float flat[] = { 5, 6, 9, INFINITY, FLT_MAX, 9, NAN, 2, 2e38f, 2e-39f };
	const float mask[] = { 0, 0, 0, 0, 0, 0, 0, 1, 0, 0 };
	float offset[10], gain[10];

	/* 1 / 2e38 is subnormal, 1 / 2e-39 overflows. */
	cr_assert_eq(coefficients(offset, gain, dark, flat, NULL, mask, true, 10), 10);
	for (unsigned i = 0; i < 10; i++)
		cr_assert(isnan(gain[i]), "pixel %u has gain %g", i, (double)gain[i]);
}

Test(coefficients, takes_the_flats_own_dark_from_the_flat_alone)
{
	const float dark[] = { 10, 200, 10, NAN, 10 }, flat[] = { 110, 110, 110, 110, 110 };
	const float flat_dark[] = { 60, 60, 110, 60, NAN };
	float offset[5], gain[5];

	cr_assert_eq(coefficients(offset, gain, dark, flat, flat_dark, NULL, true, 5), 3);
	cr_assert(offset[0] == 10 && gain[0] == 1.0f / 50);
	cr_assert(offset[1] == 200 && gain[1] == 1.0f / 50, "its dark is above the flat");
	cr_assert(isnan(gain[2]) && isnan(gain[3]) && isnan(gain[4]));
	cr_assert_eq(coefficients(offset, gain, NULL, flat, flat_dark, NULL, true, 2), 0);
	cr_assert(offset[0] == 0 && gain[0] == 1.0f / 50);
}

Test(coefficients, needs_no_image_for_counts)
{
	const float dark[] = { 5, NAN, 7 }, mask[] = { 0, 0, -2 };
	float offset[3], gain[3];

	cr_assert_eq(coefficients(offset, gain, NULL, NULL, NULL, NULL, false, 3), 0);
	cr_assert_eq(offset[2], 0);
	cr_assert_eq(gain[2], 1);
	cr_assert_eq(coefficients(offset, gain, dark, NULL, NULL, mask, false, 3), 2);
	cr_assert_eq(offset[0], 5);
	cr_assert_eq(gain[0], 1);
	cr_assert(isnan(gain[1]) && isnan(gain[2]));
}
