/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attenuate.h"
#include "kernels/cpu.h"
#include "tests/fenced.h"
#include "tests/pixels.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define BLOCK    4096
#define INFINITE 0x7f800000u /* bits */

static float from_bits(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof f);
	return f;
}

/* Distance from the real value in units of its last place. */
static double error_in_ulp(float a, float t)
{
	double exact = -log((double)t);
	double ulp = exact == 0 ? 0x1p-149 : ldexp(1, ilogb((float)exact) - 23);

	return fabs(a - exact) / ulp;
}

/* All implementations give the scalar one's bits for t; NaN of any bits. */
static void compare(const float *t, size_t n)
{
	static float expected[BLOCK], a[BLOCK];

	attenuate_scalar(expected, t, n);
	for (const struct attenuate_impl *i = attenuate_impls; i->name; i++) {
		if (i->needs & ~cpu_detect())
			continue;
		i->fn(a, t, n);
		for (size_t k = 0; k < n; k++)
			cr_assert(memcmp(&a[k], &expected[k], sizeof *a) == 0 ||
			                  (isnan(a[k]) && isnan(expected[k])),
			          "%s: %a gives %a, scalar %a", i->name, t[k], a[k], expected[k]);
	}
}

/* Every exponent, subnormal ones too, and about 600 mantissas of each. */
Test(attenuate, is_within_two_ulp_of_every_positive_float)
{
	static float t[BLOCK], a[BLOCK];
	uint32_t bits = 1;

	while (bits < INFINITE) {
		size_t n = 0;

		for (; n < BLOCK && bits < INFINITE; bits += 13999)
			t[n++] = from_bits(bits);
		compare(t, n);
		attenuate_scalar(a, t, n);
		for (size_t k = 0; k < n; k++)
			cr_assert(error_in_ulp(a[k], t[k]) <= 2, "%a gives %a", t[k], a[k]);
	}
}

Test(attenuate, is_within_two_ulp_about_one)
{
	static float t[BLOCK], a[BLOCK];

	for (size_t k = 0; k < BLOCK; k++)
		t[k] = from_bits(0x3f800000u - BLOCK / 2 + (uint32_t)k);
	compare(t, BLOCK);
	attenuate_scalar(a, t, BLOCK);
	for (size_t k = 0; k < BLOCK; k++)
		cr_assert(error_in_ulp(a[k], t[k]) <= 2, "%a gives %a", t[k], a[k]);
}

Test(attenuate, gives_values_worked_by_hand)
{
	const float t[] = { 1, 0, -0.0f, -1, NAN, INFINITY, -INFINITY, 0.5f, 0x1p-149f };
	float a[9];

	compare(t, 9);
	attenuate_scalar(a, t, 9);
	cr_assert(a[0] == 0 && !signbit(a[0]));
	cr_assert(isnan(a[1]) && isnan(a[2]) && isnan(a[3]) && isnan(a[4]) && isnan(a[6]));
	cr_assert_eq(a[5], -INFINITY);
	cr_assert_eq(a[7], (float)log(2));
	cr_assert_eq(a[8], (float)(149 * log(2)));
}

Test(attenuate, keeps_to_its_arrays)
{
	struct fence in, out;
	uint64_t seed = 4;

	fence_open(&in, 130 * sizeof(float));
	fence_open(&out, 130 * sizeof(float));
	for (const struct attenuate_impl *i = attenuate_impls; i->name; i++)
		for (size_t n = 0; n <= 130 && !(i->needs & ~cpu_detect()); n++) {
			float *t = fence_place(&in, n * sizeof *t, 0), expected[130];
			float *a = fence_place(&out, n * sizeof *a, 0);

			for (size_t k = 0; k < n; k++)
				t[k] = (float)(prng_next(&seed) >> 40) / 0x1p23f - 0.5f;
			attenuate_scalar(expected, t, n);
			i->fn(a, t, n);
			i->screen(t, n);
			for (size_t k = 0; k < n; k++) {
				cr_assert_eq(isnan(a[k]) != 0, isnan(expected[k]) != 0);
				cr_assert(isnan(a[k]) || a[k] == expected[k]);
				cr_assert_eq(isnan(t[k]) != 0, isnan(expected[k]) != 0);
			}
			cr_assert(fence_intact(&in, t, n * sizeof *t));
			cr_assert(fence_intact(&out, a, n * sizeof *a));
		}
	fence_close(&in);
	fence_close(&out);
}
