/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/combine.h"
#include "kernels/nanmedian.h"
#include "tests/fenced.h"
#include "tests/pixels.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES_MAX 50
#define PIXELS_MAX 1100

static struct fence fences[FRAMES_MAX];
static const void *frames[FRAMES_MAX];

/* Frames of random pixels, each of which ends where its memory does. */
static struct combine_stack stack_of(enum product_type type, unsigned count, size_t n,
                                     enum pixel_style style)
{
	size_t bytes = n * product_bytes(type);

	for (unsigned f = 0; f < count; f++) {
		if (!fences[f].map)
			fence_open(&fences[f], PIXELS_MAX * 4);
		void *at = fence_place(&fences[f], bytes, 0);

		pixels_raw(at, type, n, style, f * 977 + n + count);
		frames[f] = at;
	}
	return (struct combine_stack){ .frames = frames, .count = count, .type = type };
}

static uint32_t bits_at(const struct combine_stack *s, unsigned frame, size_t i)
{
	uint32_t v = 0;

	memcpy(&v, (const char *)s->frames[frame] + i * product_bytes(s->type),
	       product_bytes(s->type));
	return v;
}

static double value_at(const struct combine_stack *s, unsigned frame, size_t i)
{
	uint32_t bits = bits_at(s, frame, i);
	float v;

	memcpy(&v, &bits, sizeof v);
	return s->type == PRODUCT_FLOAT32 ? (double)v : (double)bits;
}

static bool has_value(const struct combine_stack *s, size_t i)
{
	for (unsigned f = 0; f < s->count; f++)
		if (s->type == PRODUCT_FLOAT32 ? !isfinite(value_at(s, f, i))
		                               : s->has_no_value && bits_at(s, f, i) == s->no_value)
			return false;
	return true;
}

/* Pixel i of all frames, one after another, in integers of 128 bits. */
static void expect_exact(const struct combine_stack *s, size_t i, float mean, float variance)
{
	unsigned __int128 sum = 0, squares = 0;
	double n = s->count;

	for (unsigned f = 0; f < s->count; f++) {
		sum += bits_at(s, f, i);
		squares += (unsigned __int128)bits_at(s, f, i) * bits_at(s, f, i);
	}
	cr_assert_eq(mean, (float)((double)sum / n), "pixel %zu", i);
	cr_assert_eq(variance, (float)((double)(squares * s->count - sum * sum) / (n * n)),
	             "pixel %zu", i);
}

static void expect_floats(const struct combine_stack *s, size_t i, float mean, float variance)
{
	double middle = 0, squares = 0;

	for (unsigned f = 0; f < s->count; f++)
		middle += value_at(s, f, i);
	middle /= s->count;
	for (unsigned f = 0; f < s->count; f++)
		squares += (value_at(s, f, i) - middle) * (value_at(s, f, i) - middle);
	cr_assert_eq(mean, (float)middle, "pixel %zu", i);
	cr_assert_eq(variance, (float)(squares / s->count), "pixel %zu", i);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double middle_of(double *sorted, size_t n)
{
	qsort(sorted, n, sizeof *sorted, compare);
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static void expect_median(const struct combine_stack *s, size_t i, float median)
{
	double values[FRAMES_MAX];

	for (unsigned f = 0; f < s->count; f++)
		values[f] = value_at(s, f, i);
	cr_assert_eq(median, (float)middle_of(values, s->count), "pixel %zu: %g", i,
	             (double)median);
}

static void expect_all(const struct combine_stack *s, size_t n)
{
	static struct fence fence[3];
	float *mean, *variance, *median;
	size_t bytes = n * sizeof(float);

	for (unsigned k = 0; k < 3; k++)
		if (!fence[k].map)
			fence_open(&fence[k], PIXELS_MAX * sizeof(float));
	mean = fence_place(&fence[0], bytes, 0);
	variance = fence_place(&fence[1], bytes, 0);
	median = fence_place(&fence[2], bytes, 0);
	combine_moments(mean, variance, s, n);
	combine_median(median, s, n);
	cr_assert(fence_intact(&fence[0], mean, bytes) &&
	          fence_intact(&fence[1], variance, bytes) &&
	          fence_intact(&fence[2], median, bytes));
	for (size_t i = 0; i < n; i++) {
		if (!has_value(s, i)) {
			cr_assert(isnan(mean[i]) && isnan(variance[i]) && isnan(median[i]),
			          "pixel %zu", i);
			continue;
		}
		if (s->type == PRODUCT_FLOAT32)
			expect_floats(s, i, mean[i], variance[i]);
		else
			expect_exact(s, i, mean[i], variance[i]);
		expect_median(s, i, median[i]);
	}
	float alone[PIXELS_MAX];

	combine_moments(NULL, alone, s, n);
	cr_assert(floats_equal(alone, variance, n));
}

Test(combine, gives_what_sorting_and_exact_sums_give)
{
	static const unsigned counts[] = { 1, 2, 3, 4, 17, 50 };
	static const size_t lengths[] = { 1, 2, 7, 33, 255, 256, 257, 1099 };

	for (unsigned type = 0; type < PRODUCT_TYPE_COUNT; type++)
		for (unsigned style = 0; style < PIXELS_STYLE_COUNT; style++)
			for (unsigned c = 0; c < sizeof counts / sizeof *counts; c++)
				for (unsigned l = 0; l < sizeof lengths / sizeof *lengths; l++) {
					struct combine_stack s =
						stack_of((enum product_type)type, counts[c],
					                 lengths[l], (enum pixel_style)style);

					expect_all(&s, lengths[l]);
				}
}

Test(combine, leaves_out_a_pixel_without_value_in_one_frame)
{
	static const uint32_t none[] = { UINT8_MAX, UINT16_MAX, UINT32_MAX };

	for (unsigned type = 0; type < PRODUCT_FLOAT32; type++) {
		struct combine_stack s = stack_of((enum product_type)type, 5, 600, PIXELS_EXTREME);

		s.has_no_value = true;
		s.no_value = none[type];
		expect_all(&s, 600);
		s.no_value = 1;
		expect_all(&s, 600);
	}
}

Test(combine, of_numbers_worked_by_hand)
{
	static const uint16_t a[] = { 1, 65535, 7 }, b[] = { 2, 65535, 7 }, c[] = { 6, 0, 7 };
	const void *three[] = { a, b, c };
	struct combine_stack s = { .frames = three, .count = 3, .type = PRODUCT_UINT16 };
	float mean[3], variance[3], median[3];

	combine_moments(mean, variance, &s, 3);
	combine_median(median, &s, 3);
	cr_assert(mean[0] == 3 && mean[1] == 43690 && mean[2] == 7);
	cr_assert(variance[0] == (float)(14.0 / 3) && variance[1] == (float)954408050.0 &&
	          variance[2] == 0);
	cr_assert(median[0] == 2 && median[1] == 65535 && median[2] == 7);
	s.count = 2;
	combine_median(median, &s, 3);
	cr_assert(median[0] == 1.5f && median[1] == 65535 && median[2] == 7);
}

Test(combine, sums_of_65535_full_frames_are_exact)
{
	static const void *many[COMBINE_FRAMES_MAX];
	const uint16_t narrow[] = { UINT16_MAX, UINT16_MAX };
	const uint32_t wide[] = { UINT32_MAX, UINT32_MAX };
	struct combine_stack s = { .frames = many, .count = COMBINE_FRAMES_MAX };
	float mean[2], variance[2], median[2];

	for (unsigned k = 0; k < 2; k++) {
		s.type = k ? PRODUCT_UINT32 : PRODUCT_UINT16;
		for (unsigned f = 0; f < s.count; f++)
			many[f] = k ? (const void *)wide : (const void *)narrow;
		combine_moments(mean, variance, &s, 2);
		combine_median(median, &s, 2);
		cr_assert(mean[1] == (k ? (float)UINT32_MAX : 65535.0f) && variance[1] == 0);
		cr_assert_eq(median[1], mean[1]);
	}
}

Test(combine, floats_below_zero_have_their_order)
{
	static const float a[] = { -1.5f, -0.0f }, b[] = { -2.5f, 0.0f }, c[] = { 3, -1e-40f };
	const void *three[] = { a, b, c };
	struct combine_stack s = { .frames = three, .count = 3, .type = PRODUCT_FLOAT32 };
	float median[2];

	combine_median(median, &s, 2);
	cr_assert(median[0] == -1.5f && median[1] == 0);
	s.count = 2;
	combine_median(median, &s, 2);
	cr_assert(median[0] == -2 && median[1] == 0);
}

static double mean_by_rows(const struct combine_stack *s, size_t n, size_t row)
{
	struct frame_sum sum = { 0 };

	for (size_t at = 0; at < n; at += row)
		frame_sum_add(&sum, (const char *)s->frames[0] + at * product_bytes(s->type), s,
		              n - at < row ? n - at : row);
	return frame_sum_mean(&sum, s->type);
}

Test(combine, means_of_frames_are_those_of_their_pixels_with_a_value)
{
	for (unsigned type = 0; type < PRODUCT_TYPE_COUNT; type++) {
		struct combine_stack s = stack_of((enum product_type)type, 1, 1000, PIXELS_EXTREME);
		double sum = 0, good = 0, most = 0;

		s.has_no_value = true;
		s.no_value = 0;
		for (size_t i = 0; i < 1000; i++) {
			double v = value_at(&s, 0, i);

			if (type == PRODUCT_FLOAT32 ? !isfinite(v) : v == 0)
				continue;
			sum += v;
			most = fmax(most, fabs(v));
			good++;
		}
		for (size_t row = 1; row <= 1000; row = row * 3 + 1)
			cr_assert_lt(fabs(mean_by_rows(&s, 1000, row) - sum / good),
			             type == PRODUCT_FLOAT32 ? 1e-12 * most : 1e-9 * sum / good,
			             "type %u", type);
	}
}

Test(combine, the_mean_of_a_frame_without_any_value_is_none)
{
	const uint8_t pixels[] = { 255, 255 };
	const float floats[] = { NAN, INFINITY };
	struct combine_stack s = { .count = 1, .has_no_value = true, .no_value = 255 };
	struct frame_sum sum = { 0 };

	frame_sum_add(&sum, pixels, &s, 2);
	cr_assert(isnan(frame_sum_mean(&sum, s.type)));
	s.type = PRODUCT_FLOAT32;
	frame_sum_add(&sum, floats, &s, 2);
	cr_assert(isnan(frame_sum_mean(&sum, s.type)));
}

Test(combine, the_median_of_an_image_leaves_out_what_is_no_number)
{
	for (unsigned style = 0; style < PIXELS_STYLE_COUNT; style++)
		for (size_t n = 0; n <= PIXELS_MAX; n += n < 20 ? 1 : 111) {
			static float values[PIXELS_MAX];
			static double sorted[PIXELS_MAX], deviations[PIXELS_MAX];
			size_t good = 0;
			double median, expected;

			pixels_flat(values, n, (enum pixel_style)style, n);
			for (size_t i = 0; i < n; i++)
				if (!isnan(values[i]))
					sorted[good++] = values[i];
			median = nanmedian(values, n);
			expected = good ? middle_of(sorted, good) : NAN;
			cr_assert(median == expected || (isnan(median) && isnan(expected)),
			          "%zu pixels: %g, not %g", n, median, expected);
			if (!isfinite(median))
				continue;
			for (size_t i = 0; i < good; i++)
				deviations[i] = (float)fabs(sorted[i] - median);
			expected = middle_of(deviations, good);
			cr_assert_eq(nanmedian_deviation(values, median, n), expected);
		}
}
