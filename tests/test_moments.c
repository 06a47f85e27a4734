/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu.h"
#include "kernels/moments.h"
#include "kernels/raw_moments.h"
#include "tests/fenced.h"
#include "tests/isa_rows.h"
#include "tests/pixels.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdint.h>
#include <stdlib.h>

/* Blocks are summed on any bits: sums that are NaN need only both be NaN. */
static bool same_sums(const struct block_sums *a, const struct block_sums *b)
{
	return floats_equal(&a->sum, &b->sum, 1) && floats_equal(&a->squares, &b->squares, 1) &&
	       a->min == b->min && a->max == b->max && a->good == b->good;
}

static void compare_block(struct fence *f, const struct moments_impl *row, size_t n, size_t gap,
                          enum pixel_style style, float shift)
{
	float *t = fence_place(f, n * sizeof *t, gap);
	struct block_sums sums, expected;

	pixels_flat(t, n, style, n + gap);
	moments_block_scalar(&expected, t, n, shift);
	row->fn(&sums, t, n, shift);
	cr_assert(same_sums(&sums, &expected), "%s, n %zu, gap %zu, style %d, shift %g", row->name,
	          n, gap, (int)style, (double)shift);
}

ParameterizedTestParameters(moments, of_a_block_are_the_same_on_every_isa)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(moments_impls));
}

ParameterizedTest(unsigned *at, moments, of_a_block_are_the_same_on_every_isa)
{
	const struct moments_impl *row = &moments_impls[*at];
	struct fence f;

	skip_unless(row->needs);
	fence_open(&f, MOMENTS_BLOCK * sizeof(float));
	for (size_t n = 0; n <= MOMENTS_BLOCK; n += n < 130 ? 1 : 149)
		for (int style = 0; style < PIXELS_STYLE_COUNT; style++) {
			compare_block(&f, row, n, 0, (enum pixel_style)style, 0.7f);
			compare_block(&f, row, n, 0, (enum pixel_style)style, 0);
		}
	for (size_t gap = 0; gap < 64; gap += 4)
		compare_block(&f, row, MOMENTS_BLOCK, gap, PIXELS_USUAL, 1);
	fence_close(&f);
}

static void run_moments(moments_block_fn *fn, const float *t, size_t n, size_t piece,
                        struct moments *ret)
{
	struct moments_run run;

	moments_begin(&run);
	for (size_t i = 0; i < n; i += piece)
		moments_add(&run, fn, t + i, n - i < piece ? n - i : piece);
	moments_finish(&run, fn, ret);
}

Test(moments, do_not_depend_on_the_pieces_or_the_isa)
{
	enum { N = 70001 };
	static const size_t pieces[] = { N, 1, 7, 1023, 1024, 1025, 2560, 16384, 40000 };
	float *t = malloc(N * sizeof *t);
	struct moments whole, pieced;

	pixels_flat(t, N, PIXELS_USUAL, 3);
	run_moments(moments_block_scalar, t, N, N, &whole);
	for (const struct moments_impl *row = moments_impls; row->name; row++)
		for (unsigned i = 0; i < sizeof pieces / sizeof *pieces; i++) {
			if (row->needs & ~cpu_detect())
				continue;
			run_moments(row->fn, t, N, pieces[i], &pieced);
			cr_assert(memcmp(&whole, &pieced, sizeof whole) == 0, "%s, pieces of %zu",
			          row->name, pieces[i]);
		}
	free(t);
}

/* Against long double: the std to 1e-6 of itself, the mean to 1e-6 of itself or to `of_std` of
 * the std. */
static void assert_near(const char *what, const float *t, size_t n, long double of_std)
{
	long double sum = 0, squares = 0, mean, std, good = 0;
	struct moments m;

	for (size_t i = 0; i < n; i++)
		if (!isnan(t[i])) {
			sum += t[i];
			good++;
		}
	mean = sum / good;
	for (size_t i = 0; i < n; i++)
		if (!isnan(t[i]))
			squares += (t[i] - mean) * (t[i] - mean);
	std = sqrtl(squares / good);
	run_moments(moments_for(cpu_detect()), t, n, 5120, &m);
	cr_assert(fabsl(m.mean - mean) <= fmaxl(1e-6L * fabsl(mean), of_std * std),
	          "%s, n %zu: mean %.12g, exactly %.12Lg, std %.12Lg", what, n, m.mean, mean, std);
	cr_assert(fabsl(m.std - std) <= 1e-6L * std, "%s, n %zu: std %.12g, exactly %.12Lg", what,
	          n, m.std, std);
}

static void assert_exact(const char *what, const float *t, size_t n)
{
	assert_near(what, t, n, 0);
}

static double gaussian(uint64_t *state)
{
	return sqrt(-2 * log(1 - prng_unit(state))) * cos(6.283185307179586 * prng_unit(state));
}

#define FRAME ((size_t)2560 * 2160)

static float *frame(void)
{
	float *t = malloc(FRAME * sizeof *t);

	cr_assert_not_null(t);
	return t;
}

Test(moments, are_exact_for_transmissions_near_one)
{
	uint64_t state = 1;
	float *t = frame();

	for (size_t i = 0; i < FRAME; i++)
		t[i] = (float)(1 + 0.0002 * gaussian(&state));
	assert_exact("transmission", t, FRAME);
	free(t);
}

Test(moments, are_exact_for_darks_around_zero)
{
	uint64_t state = 2;
	float *t = frame();

	for (size_t i = 0; i < FRAME; i++)
		t[i] = (float)(0.01 + 5 * gaussian(&state));
	assert_exact("dark", t, FRAME);
	free(t);
}

Test(moments, are_exact_when_the_first_rows_are_far_from_the_rest)
{
	uint64_t state = 3;
	float *t = frame();

	for (size_t i = 0; i < FRAME; i++)
		t[i] = i < 2560 * 4 ? 0 : (float)(1 + 0.0002 * gaussian(&state));
	assert_exact("zeros first", t, FRAME);
	for (size_t i = 0; i < 5; i++)
		t[i] = 1e6f;
	assert_exact("five hot pixels first", t, FRAME);
	for (size_t i = 0; i < 2560 * 4; i++)
		t[i] = i % 1024 ? NAN : 1e6f;
	assert_near("blocks of one hot pixel first", t, FRAME, 1e-6L);
	for (size_t i = 1; i < 2560 * 4; i++)
		t[i] = NAN;
	assert_near("one hot pixel first, then bad ones", t, FRAME, 1e-6L);
	free(t);
}

Test(moments, are_exact_with_hot_pixels)
{
	uint64_t state = 4;
	float *t = frame();

	for (size_t i = 0; i < FRAME; i++)
		t[i] = prng_below(&state, 5000) ? (float)(100 + 3 * gaussian(&state)) : 60000;
	assert_exact("hot pixels", t, FRAME);
	free(t);
}

Test(moments, are_exact_for_a_ramp_with_bad_pixels)
{
	uint64_t state = 5;
	float *t = frame();

	for (size_t i = 0; i < FRAME; i++)
		t[i] = prng_below(&state, 9) ? (float)i * 1e-3f : NAN;
	assert_exact("ramp", t, FRAME);
	free(t);
}

Test(moments, are_exact_for_tiny_frames)
{
	uint64_t state = 6;
	float t[2000];

	for (unsigned i = 0; i < 2000; i++)
		t[i] = (float)(1000 + gaussian(&state));
	for (size_t n = 2; n <= 2000; n += n < 40 ? 1 : 13)
		assert_exact("tiny", t, n);
}

Test(moments, of_a_constant_frame_have_no_spread)
{
	static const float values[] = { 0, 0.1f, 1.0f / 3, 12345.678f, -7e-5f, 65535 };
	float t[5000];
	struct moments m;

	for (unsigned v = 0; v < sizeof values / sizeof *values; v++)
		for (size_t n = 1; n <= 5000; n += n < 20 ? 1 : 331) {
			for (size_t i = 0; i < n; i++)
				t[i] = i % 11 == 3 ? NAN : values[v];
			run_moments(moments_for(cpu_detect()), t, n, 700, &m);
			cr_assert_eq(m.std, 0, "n %zu of %g: std %g", n, (double)values[v], m.std);
			cr_assert_eq(m.mean, (double)values[v]);
			cr_assert_eq(m.min, (double)values[v]);
			cr_assert_eq(m.max, (double)values[v]);
		}
}

Test(moments, of_nothing_good_are_nan)
{
	float t[] = { NAN, NAN, NAN };
	struct moments m;

	run_moments(moments_block_scalar, t, 3, 1, &m);
	cr_assert(isnan(m.min) && isnan(m.max) && isnan(m.mean) && isnan(m.std));
	run_moments(moments_block_scalar, t, 0, 1, &m);
	cr_assert(isnan(m.min) && isnan(m.max) && isnan(m.mean) && isnan(m.std));
}

Test(moments, say_of_infinite_pixels_what_numpy_says)
{
	float up[] = { 1, INFINITY, 2 }, both[] = { -INFINITY, INFINITY };
	struct moments m;

	run_moments(moments_block_scalar, up, 3, 3, &m);
	cr_assert(m.min == 1 && isinf(m.max) && isinf(m.mean) && isnan(m.std));
	run_moments(moments_block_scalar, both, 2, 2, &m);
	cr_assert(isinf(m.min) && isinf(m.max) && isnan(m.mean) && isnan(m.std));
}

Test(moments, give_values_worked_by_hand)
{
	float t[] = { 2, NAN, 4, 4, 4, 5, 5, 7, 9 };
	struct moments m;

	run_moments(moments_block_scalar, t, 9, 9, &m);
	cr_assert(m.min == 2 && m.max == 9 && m.mean == 5 && m.std == 2);
}

/* The arrays of the raw kernels. */
struct arrays {
	struct fence raw, t, out, expected;
};

static void arrays_open(struct arrays *a, size_t pixels)
{
	fence_open(&a->raw, pixels * 4);
	fence_open(&a->t, pixels * 4);
	fence_open(&a->out, pixels * 4);
	fence_open(&a->expected, pixels * 4);
}

static void arrays_close(struct arrays *a)
{
	fence_close(&a->raw);
	fence_close(&a->t);
	fence_close(&a->out);
	fence_close(&a->expected);
}

static void compare_sums(struct arrays *a, const struct raw_moments_impl *row,
                         enum product_type type, size_t n, size_t gap, enum pixel_style style)
{
	static const uint32_t saturations[] = { 0, 128, 255 };
	void *raw = fence_place(&a->raw, n * product_bytes(type), gap);
	float *t = fence_place(&a->t, n * sizeof *t, 4 * (gap % 3));
	struct raw_sums sums = { .min = UINT32_MAX }, expected = sums;

	pixels_raw(raw, type, n, style, n + gap);
	pixels_flat(t, n, style == PIXELS_TOP ? PIXELS_ZERO : style, n + gap + 1);
	raw_moments_impls[0].sums[type](&expected, raw, t, saturations[n % 3], n);
	row->sums[type](&sums, raw, t, saturations[n % 3], n);
	/* How squares split into halves is the implementation's; their sum is not. */
	sums.squares_high += sums.squares_low >> 32;
	sums.squares_low = (uint32_t)sums.squares_low;
	expected.squares_high += expected.squares_low >> 32;
	expected.squares_low = (uint32_t)expected.squares_low;
	cr_assert(memcmp(&sums, &expected, sizeof sums) == 0,
	          "%s, type %d, n %zu, gap %zu, style %d", row->name, (int)type, n, gap,
	          (int)style);
}

static void compare_screen(struct arrays *a, const struct raw_moments_impl *row, size_t n,
                           size_t gap, enum pixel_style style)
{
	void *raw = fence_place(&a->raw, n * sizeof(float), gap);
	float *t = fence_place(&a->t, n * sizeof *t, 0);
	float *out = fence_place(&a->out, n * sizeof *out, 4 * (gap % 3));
	float *expected = fence_place(&a->expected, n * sizeof *expected, 0);
	uint64_t saturated, count;

	pixels_raw(raw, PRODUCT_FLOAT32, n, style, n);
	pixels_flat(t, n, style, n + 1);
	count = raw_screen_scalar(expected, raw, t, 300, n);
	saturated = row->screen(out, raw, t, 300, n);
	cr_assert(floats_equal(out, expected, n), "%s, n %zu, style %d", row->name, n, (int)style);
	cr_assert_eq(saturated, count);
	cr_assert(fence_intact(&a->out, out, n * sizeof *out));
}

ParameterizedTestParameters(raw_moments, are_the_same_on_every_isa)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(raw_moments_impls));
}

ParameterizedTest(unsigned *at, raw_moments, are_the_same_on_every_isa)
{
	const struct raw_moments_impl *row = &raw_moments_impls[*at];
	struct arrays a;

	skip_unless(row->needs);
	arrays_open(&a, 140001);
	for (unsigned i = 0; pixels_length(i) != SIZE_MAX; i++)
		for (int style = 0; style < PIXELS_STYLE_COUNT; style++) {
			for (int type = 0; type < PRODUCT_FLOAT32; type++)
				compare_sums(&a, row, (enum product_type)type, pixels_length(i), 0,
				             (enum pixel_style)style);
			compare_screen(&a, row, pixels_length(i), 0, (enum pixel_style)style);
		}
	for (size_t gap = 0; gap < 64; gap++) {
		for (int type = 0; type < PRODUCT_FLOAT32; type++)
			compare_sums(&a, row, (enum product_type)type, 101, gap, PIXELS_EXTREME);
		compare_screen(&a, row, 101, gap, PIXELS_EXTREME);
	}
	arrays_close(&a);
}

Test(raw_moments, give_values_worked_by_hand)
{
	const uint16_t raw[] = { 2, 65535, 4, 4, 4, 5, 5, 7, 9 };
	const float t[] = { 0, NAN, 0, 0, 0, 0, 0, 0, 0 };
	struct raw_sums sums = { .min = UINT32_MAX };
	struct moments m;

	raw_sums_uint16_scalar(&sums, raw, t, 7, 9);
	raw_moments_finish(&sums, &m);
	cr_assert(m.min == 2 && m.max == 9 && m.mean == 5 && m.std == 2);
	cr_assert(sums.good == 8 && sums.saturated == 2);
}

Test(raw_moments, are_exact_for_the_largest_counts)
{
	enum { N = 100000 };
	uint32_t *raw = malloc(N * sizeof *raw);
	float *t = calloc(N, sizeof *t);
	struct raw_sums sums = { .min = UINT32_MAX };
	struct moments m;

	for (unsigned i = 0; i < N; i++)
		raw[i] = i % 2 ? UINT32_MAX : UINT32_MAX - 2;
	raw_sums_uint32_scalar(&sums, raw, t, UINT32_MAX, N);
	raw_moments_finish(&sums, &m);
	cr_assert(m.min == UINT32_MAX - 2 && m.max == UINT32_MAX);
	cr_assert(m.mean == UINT32_MAX - 1 && m.std == 1, "mean %.17g, std %.17g", m.mean, m.std);
	cr_assert_eq(sums.saturated, N / 2);
	free(raw);
	free(t);
}

Test(raw_moments, of_nothing_good_are_nan)
{
	struct raw_sums sums = { .min = UINT32_MAX };
	struct moments m;

	raw_moments_finish(&sums, &m);
	cr_assert(isnan(m.min) && isnan(m.max) && isnan(m.mean) && isnan(m.std));
}
