/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/invalidate.h"
#include "tests/fenced.h"
#include "tests/isa_rows.h"
#include "tests/pixels.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/* The arrays of one call, each at its own fence. */
struct arrays {
	struct fence raw, t, expected;
};

static void arrays_open(struct arrays *a, size_t pixels)
{
	fence_open(&a->raw, pixels * 4);
	fence_open(&a->t, pixels * 4);
	fence_open(&a->expected, pixels * 4);
}

static void arrays_close(struct arrays *a)
{
	fence_close(&a->raw);
	fence_close(&a->t);
	fence_close(&a->expected);
}

/* About one pixel in 50 is marked beside those of the style that have the value. */
static void compare(struct arrays *a, const struct invalidate_impl *row, enum product_type type,
                    size_t n, size_t gap, enum pixel_style style, uint32_t value)
{
	size_t pixel_bytes = product_bytes(type), bytes = n * pixel_bytes,
	       floats = n * sizeof(float);
	char *raw = fence_place(&a->raw, bytes, gap);
	float *t = fence_place(&a->t, floats, 4 * (gap % 7));
	float *expected = fence_place(&a->expected, floats, 0);
	uint64_t state = n + gap;

	pixels_raw(raw, type, n, style, n + gap);
	for (size_t i = 0; i < n; i += 1 + prng_below(&state, 97))
		memcpy(raw + i * pixel_bytes, &value, pixel_bytes);
	pixels_flat(t, n, PIXELS_RANDOM, n + gap + 1);
	memcpy(expected, t, floats);
	invalidate_impls[0].fn[type](expected, raw, value, n);
	row->fn[type](t, raw, value, n);
	cr_assert(memcmp(t, expected, floats) == 0, "%s, type %d, n %zu, gap %zu, value %x",
	          row->name, (int)type, n, gap, value);
	cr_assert(fence_intact(&a->t, t, floats), "%s wrote outside, type %d, n %zu", row->name,
	          (int)type, n);
}

ParameterizedTestParameters(invalidate, is_the_same_on_every_isa)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(invalidate_impls));
}

/* Values that pixels have, all of them and none: 511 and 65536 are beyond bytes and words, and so
 * the low bits alone of them are not the value. */
ParameterizedTest(unsigned *at, invalidate, is_the_same_on_every_isa)
{
	static const uint32_t values[] = { 0, 1, 150, 255, 511, 65535, 65536, UINT32_MAX };
	const struct invalidate_impl *row = &invalidate_impls[*at];
	struct arrays a;

	skip_unless(row->needs);
	arrays_open(&a, 140001);
	for (enum product_type type = PRODUCT_UINT8; type <= PRODUCT_UINT32; type++) {
		for (unsigned i = 0; pixels_length(i) != SIZE_MAX; i++)
			for (unsigned v = 0; v < sizeof values / sizeof *values; v++)
				compare(&a, row, type, pixels_length(i), 0,
				        (enum pixel_style)((i + v) % PIXELS_STYLE_COUNT),
				        values[v]);
		for (size_t gap = 0; gap < 64; gap++)
			compare(&a, row, type, 135, gap, PIXELS_USUAL, 150);
	}
	arrays_close(&a);
}

ParameterizedTestParameters(invalidate, gives_values_worked_by_hand)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(invalidate_impls));
}

/* Behind each other 1, 2, 3, ... times, so that vectors and what they leave over have them. */
ParameterizedTest(unsigned *at, invalidate, gives_values_worked_by_hand)
{
	static const uint16_t counts[5] = { 65535, 65534, 0, 255, 65535 };
	static const float flat[5] = { 0.5f, 1, -2, INFINITY, 0 };
	const struct invalidate_impl *row = &invalidate_impls[*at];
	uint16_t raw[5 * 30];
	float t[5 * 30];

	skip_unless(row->needs);
	for (size_t times = 1; times <= 30; times++) {
		for (size_t i = 0; i < times; i++) {
			memcpy(raw + 5 * i, counts, sizeof counts);
			memcpy(t + 5 * i, flat, sizeof flat);
		}
		row->fn[PRODUCT_UINT16](t, raw, 65535, 5 * times);
		for (size_t i = 0; i < 5 * times; i++) {
			uint32_t bits;

			memcpy(&bits, &t[i], sizeof bits);
			if (i % 5 == 0 || i % 5 == 4)
				cr_assert_eq(bits, 0x7fc00000, "%s, pixel %zu: %x", row->name, i,
				             bits);
			else
				cr_assert_eq(t[i], flat[i % 5], "%s, pixel %zu", row->name, i);
		}
	}
}

ParameterizedTestParameters(invalidate, finds_no_value_that_does_not_fit)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(invalidate_impls));
}

ParameterizedTest(unsigned *at, invalidate, finds_no_value_that_does_not_fit)
{
	const struct invalidate_impl *row = &invalidate_impls[*at];
	uint8_t raw[2 * 100];
	float t[100];

	skip_unless(row->needs);
	memset(raw, 0xff, sizeof raw);
	memset(t, 0, sizeof t);
	row->fn[PRODUCT_UINT8](t, raw, 0x1ff, 100);
	row->fn[PRODUCT_UINT8](t, raw, UINT32_MAX, 100);
	row->fn[PRODUCT_UINT16](t, raw, 0x1ffff, 100);
	for (size_t i = 0; i < 100; i++)
		cr_assert_eq(t[i], 0, "%s, pixel %zu", row->name, i);
}
