/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/widen.h"
#include "tests/fenced.h"
#include "tests/pixels.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <string.h>

static const enum stored_type integers[] = { STORED_INT8, STORED_INT16, STORED_INT32, STORED_INT64,
	                                     STORED_UINT64 };

/* The integer of `bytes` at `raw`, as a signed one. */
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

static void expect_wide(const char *out, const unsigned char *raw, enum stored_type type,
                        bool big_endian, int64_t no_value, size_t n)
{
	unsigned bytes = stored_bytes(type);

	for (size_t i = 0; i < n; i++) {
		int64_t v = integer_at(raw + i * bytes, bytes, big_endian);
		float got, expected = type == STORED_UINT64 ? (float)(uint64_t)v : (float)v;

		memcpy(&got, out + i * sizeof got, sizeof got);
		if (v == no_value)
			cr_assert(isnan(got));
		else
			cr_assert_eq(got, expected, "type %d, pixel %zu of %zu: %f", (int)type, i,
			             n, (double)got);
	}
}

Test(widen, gives_every_integer_its_value)
{
	struct fence in, out;

	fence_open(&in, 8 * 3000);
	fence_open(&out, 4 * 3000);
	for (size_t n = 0; n <= 2050; n += n < 130 ? 1 : 240)
		for (size_t t = 0; t < sizeof integers / sizeof *integers; t++)
			for (unsigned order = 0; order < 2; order++) {
				size_t bytes = n * stored_bytes(integers[t]), gap = n % 64;
				unsigned char *raw = fence_place(&in, bytes, gap);
				char *wide = fence_place(&out, 4 * n, gap * 5 % 64);
				int64_t none = n % 3 ? WIDEN_NO_VALUE : -7;

				fill(raw, bytes, n + t);
				if (n)
					memset(raw, 0xff, stored_bytes(integers[t]));
				widen(wide, raw, integers[t], order, none, n);
				expect_wide(wide, raw, integers[t], order, none, n);
				cr_assert(fence_intact(&out, wide, 4 * n));
				cr_assert(fence_intact(&in, raw, bytes));
			}
	fence_close(&in);
	fence_close(&out);
}

/* What was decompressed into the memory that it is widened in. */
Test(widen, works_in_place)
{
	struct fence out;
	static unsigned char raw[8 * 5000];

	fence_open(&out, 8 * 5000);
	for (size_t n = 0; n <= 5000; n += n < 130 ? 1 : 487)
		for (size_t t = 0; t < sizeof integers / sizeof *integers; t++)
			for (unsigned order = 0; order < 2; order++) {
				size_t bytes = n * stored_bytes(integers[t]);
				size_t all = bytes > 4 * n ? bytes : 4 * n;
				char *wide = fence_place(&out, all, n % 5);
				char *at = wide + (bytes < 4 * n ? 4 * n - bytes : 0);

				fill(raw, bytes, n + t);
				memcpy(at, raw, bytes);
				widen(wide, at, integers[t], order, WIDEN_NO_VALUE, n);
				expect_wide(wide, raw, integers[t], order, WIDEN_NO_VALUE, n);
				cr_assert(fence_intact(&out, wide, all));
			}
	fence_close(&out);
}

static void expect_same_float(float got, float expected, const char *what, uint64_t bits)
{
	if (isnan(expected))
		cr_assert(isnan(got), "%s %llx: %g", what, (unsigned long long)bits, (double)got);
	else
		cr_assert(got == expected && !signbit(got) == !signbit(expected),
		          "%s %llx: %g, not %g", what, (unsigned long long)bits, (double)got,
		          (double)expected);
}

/* By its definition, not by bits. */
static float half_value(uint16_t half)
{
	int exponent = half >> 10 & 31, fraction = half & 1023;
	float magnitude = exponent == 0    ? ldexpf((float)fraction, -24)
	                  : exponent == 31 ? fraction ? NAN : INFINITY
	                                   : ldexpf((float)(1024 + fraction), exponent - 25);

	return half & 0x8000 ? -magnitude : magnitude;
}

Test(widen, gives_every_half_its_value)
{
	static uint16_t raw[65536], swapped[65536];
	static float out[65536], back[65536];

	for (unsigned i = 0; i < 65536; i++) {
		raw[i] = (uint16_t)i;
		swapped[i] = __builtin_bswap16(raw[i]);
	}
	widen(out, raw, STORED_FLOAT16, false, 0, 65536);
	widen(back, swapped, STORED_FLOAT16, true, 0, 65536);
	for (unsigned i = 0; i < 65536; i++) {
		expect_same_float(out[i], half_value(raw[i]), "half", i);
		expect_same_float(back[i], half_value(raw[i]), "swapped half", i);
	}
}

Test(widen, rounds_doubles_as_a_cast_does)
{
	static const double some[] = { 0,       -0.0,     1.0 / 3, -1e300,   1e-300, DBL_MAX,
		                       FLT_MAX, 16777217, 1e-45,   INFINITY, NAN };
	enum { KINDS = sizeof some / sizeof *some, COUNT = KINDS + 4096 };
	static double raw[COUNT];
	static uint64_t swapped[COUNT];
	static float out[COUNT], back[COUNT];

	memcpy(raw, some, sizeof some);
	fill((unsigned char *)(raw + KINDS), 4096 * sizeof *raw, 7);
	for (unsigned i = 0; i < COUNT; i++) {
		memcpy(&swapped[i], &raw[i], sizeof *raw);
		swapped[i] = __builtin_bswap64(swapped[i]);
	}
	widen(out, raw, STORED_FLOAT64, false, 0, COUNT);
	widen(back, swapped, STORED_FLOAT64, true, 0, COUNT);
	for (unsigned i = 0; i < COUNT; i++) {
		expect_same_float(out[i], (float)raw[i], "double", i);
		expect_same_float(back[i], (float)raw[i], "swapped double", i);
	}
}

Test(widen, of_64_bits_has_every_value_unless_one_is_none)
{
	const int64_t raw[] = { INT64_MIN, INT64_MAX, -1 };
	float out[3];

	widen(out, raw, STORED_INT64, false, WIDEN_NO_VALUE, 3);
	cr_assert(out[0] == -0x1p63f && out[1] == 0x1p63f && out[2] == -1);
	widen(out, raw, STORED_UINT64, false, WIDEN_NO_VALUE, 3);
	cr_assert(out[0] == 0x1p63f && out[1] == 0x1p63f && out[2] == 0x1p64f);
	widen(out, raw, STORED_UINT64, false, -1, 3);
	cr_assert(out[0] == 0x1p63f && out[1] == 0x1p63f && isnan(out[2]));
}

Test(widen, rounds_to_the_nearest_even)
{
	const int32_t raw[] = { 16777216, 16777217, 16777219, -16777217, INT32_MAX, INT32_MIN };
	const float expected[] = { 16777216,  16777216,      16777220,
		                   -16777216, 2147483648.0f, -2147483648.0f };
	float out[6];

	widen(out, raw, STORED_INT32, false, WIDEN_NO_VALUE, 6);
	for (unsigned i = 0; i < 6; i++)
		cr_assert_eq(out[i], expected[i], "%f", (double)out[i]);
}

Test(widen, marks_exactly_the_value_that_stands_for_none)
{
	const int8_t raw[] = { -128, 127, -1, 0, 1 };
	static const int64_t none[] = { -128, 127, -1, 0, 128, 255, -129, INT64_MAX };
	float out[5];

	for (unsigned v = 0; v < 8; v++) {
		widen(out, raw, STORED_INT8, false, none[v], 5);
		for (unsigned i = 0; i < 5; i++)
			cr_assert_eq(isnan(out[i]) != 0, raw[i] == none[v], "%d as %lld", raw[i],
			             (long long)none[v]);
	}
}
