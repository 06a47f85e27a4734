/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/widen.h"
#include "tests/fenced.h"
#include "tests/pixels.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* The signed integer of `bytes` at `raw`. */
static int64_t integer_at(const unsigned char *raw, unsigned bytes, bool big_endian)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)raw[big_endian ? bytes - 1 - i : i] << 8 * i;
	return (int64_t)(v << (64 - 8 * bytes)) >> (64 - 8 * bytes);
}

static void fill(unsigned char *raw, size_t bytes, uint64_t seed)
{
	for (size_t i = 0; i < bytes; i++)
		raw[i] = (unsigned char)(prng_next(&seed) >> 56);
}

static void expect_wide(const char *out, const unsigned char *raw, unsigned bytes, bool big_endian,
                        int64_t no_value, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int64_t v = integer_at(raw + i * bytes, bytes, big_endian);
		float got;

		memcpy(&got, out + i * sizeof got, sizeof got);
		if (v == no_value)
			cr_assert(isnan(got));
		else
			cr_assert_eq(got, (float)v, "%u bytes, pixel %zu of %zu: %f", bytes, i, n,
			             (double)got);
	}
}

Test(widen, gives_every_integer_its_value)
{
	struct fence in, out;

	fence_open(&in, 4 * 3000);
	fence_open(&out, 4 * 3000);
	for (size_t n = 0; n <= 2050; n += n < 130 ? 1 : 240)
		for (unsigned bytes = 1; bytes <= 4; bytes *= 2)
			for (unsigned order = 0; order < 2; order++) {
				size_t gap = n % 64;
				unsigned char *raw = fence_place(&in, n * bytes, gap);
				char *wide = fence_place(&out, 4 * n, gap * 5 % 64);
				int64_t none = n % 3 ? WIDEN_NO_VALUE : -7;

				fill(raw, n * bytes, n + bytes);
				widen_signed(wide, raw, bytes, order, none, n);
				expect_wide(wide, raw, bytes, order, none, n);
				cr_assert(fence_intact(&out, wide, 4 * n));
				cr_assert(fence_intact(&in, raw, n * bytes));
			}
	fence_close(&in);
	fence_close(&out);
}

/* What was decompressed to the end of the memory that it is widened in. */
Test(widen, works_in_place)
{
	struct fence out;
	static unsigned char raw[4 * 5000];

	fence_open(&out, 4 * 5000);
	for (size_t n = 0; n <= 5000; n += n < 130 ? 1 : 487)
		for (unsigned bytes = 1; bytes <= 4; bytes *= 2)
			for (unsigned order = 0; order < 2; order++) {
				char *wide = fence_place(&out, 4 * n, n % 5);
				char *tail = wide + (4 - bytes) * n;

				fill(raw, n * bytes, n + bytes);
				memcpy(tail, raw, n * bytes);
				widen_signed(wide, tail, bytes, order, WIDEN_NO_VALUE, n);
				expect_wide(wide, raw, bytes, order, WIDEN_NO_VALUE, n);
				cr_assert(fence_intact(&out, wide, 4 * n));
			}
	fence_close(&out);
}

Test(widen, rounds_to_the_nearest_even)
{
	const int32_t raw[] = { 16777216, 16777217, 16777219, -16777217, INT32_MAX, INT32_MIN };
	const float expected[] = { 16777216,  16777216,      16777220,
		                   -16777216, 2147483648.0f, -2147483648.0f };
	float out[6];

	widen_signed(out, raw, 4, false, WIDEN_NO_VALUE, 6);
	for (unsigned i = 0; i < 6; i++)
		cr_assert_eq(out[i], expected[i], "%f", (double)out[i]);
}

Test(widen, marks_exactly_the_value_that_stands_for_none)
{
	const int8_t raw[] = { -128, 127, -1, 0, 1 };
	static const int64_t none[] = { -128, 127, -1, 0, 128, 255, -129, INT64_MAX };
	float out[5];

	for (unsigned v = 0; v < 8; v++) {
		widen_signed(out, raw, 1, false, none[v], 5);
		for (unsigned i = 0; i < 5; i++)
			cr_assert_eq(isnan(out[i]) != 0, raw[i] == none[v], "%d as %lld", raw[i],
			             (long long)none[v]);
	}
}
