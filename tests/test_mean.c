/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/mean.h"
#include "tests/fenced.h"
#include "tests/pixels.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define N 301

static uint64_t pixel_at(const void *pixels, enum product_type type, size_t i)
{
	uint64_t v = 0;

	memcpy(&v, (const char *)pixels + i * product_bytes(type), product_bytes(type));
	return v;
}

/* The mean of `frames` frames, of which some pixels are marked in some, against a sum in double. */
static void expect_mean(enum product_type type, uint32_t no_value, unsigned frames)
{
	struct fence sums_fence, pixels_fence;
	size_t bytes = N * product_bytes(type);
	void *sums, *pixels;
	double expected[N] = { 0 };
	bool bad[N] = { false };
	float t[N];

	fence_open(&sums_fence, N * 8);
	fence_open(&pixels_fence, bytes);
	sums = fence_place(&sums_fence, N * mean_sum_bytes(type), 0);
	pixels = fence_place(&pixels_fence, bytes, 0);
	for (unsigned f = 0; f < frames; f++) {
		pixels_raw(pixels, type, N, f % 2 ? PIXELS_EXTREME : PIXELS_RANDOM, f + 1);
		for (size_t i = f; i < N; i += 37)
			memcpy((char *)pixels + i * product_bytes(type), &no_value,
			       product_bytes(type));
		mean_add_marked(sums, pixels, type, no_value, N, f == 0);
		for (size_t i = 0; i < N; i++) {
			bad[i] |= pixel_at(pixels, type, i) == no_value;
			expected[i] += (double)pixel_at(pixels, type, i);
		}
	}
	cr_assert(fence_intact(&sums_fence, sums, N * mean_sum_bytes(type)));
	mean_flatten(t, sums, type, frames, NULL, NULL, N);
	for (size_t i = 0; i < N; i++)
		if (bad[i])
			cr_assert(isnan(t[i]), "pixel %zu", i);
		else
			cr_assert_eq(t[i], (float)(expected[i] / frames), "pixel %zu: %g", i,
			             (double)t[i]);
	fence_close(&sums_fence);
	fence_close(&pixels_fence);
}

Test(mean, of_marked_pixels_is_bad_where_one_frame_has_none)
{
	for (unsigned frames = 1; frames <= 17; frames += 4) {
		expect_mean(PRODUCT_UINT8, 255, frames);
		expect_mean(PRODUCT_UINT8, 7, frames);
		expect_mean(PRODUCT_UINT16, 65535, frames);
		expect_mean(PRODUCT_UINT16, 0, frames);
		expect_mean(PRODUCT_UINT32, UINT32_MAX, frames);
		expect_mean(PRODUCT_UINT32, 150, frames);
	}
}

/* The same sums as without a mark where no pixel has it. */
Test(mean, of_marked_pixels_is_the_mean_where_no_pixel_has_the_mark)
{
	uint16_t pixels[N];
	uint32_t marked[N], plain[N];

	for (unsigned f = 0; f < 5; f++) {
		pixels_raw(pixels, PRODUCT_UINT16, N, PIXELS_RANDOM, f + 1);
		mean_add_marked(marked, pixels, PRODUCT_UINT16, 65536, N, f == 0);
		mean_add(plain, pixels, PRODUCT_UINT16, N, f == 0);
	}
	cr_assert_eq(memcmp(marked, plain, sizeof plain), 0);
}

Test(mean, of_65536_full_frames_is_not_taken_for_bad)
{
	const uint16_t narrow = UINT16_MAX;
	const uint32_t wide = UINT32_MAX;
	uint32_t narrow_sum;
	uint64_t wide_sum;
	float t;

	for (unsigned f = 0; f < 65536; f++) {
		mean_add_marked(&narrow_sum, &narrow, PRODUCT_UINT16, 0, 1, f == 0);
		mean_add_marked(&wide_sum, &wide, PRODUCT_UINT32, 0, 1, f == 0);
	}
	mean_flatten(&t, &narrow_sum, PRODUCT_UINT16, 65536, NULL, NULL, 1);
	cr_assert_eq(t, 65535.0f);
	mean_flatten(&t, &wide_sum, PRODUCT_UINT32, 65536, NULL, NULL, 1);
	cr_assert_eq(t, (float)UINT32_MAX);
}

/* A group begins with what the frame has, whatever was there. */
Test(mean, begins_anew_with_a_spoilt_pixel_forgotten)
{
	const uint8_t marked = 255, good = 9;
	uint32_t sum = UINT32_MAX;
	float t;

	mean_add_marked(&sum, &marked, PRODUCT_UINT8, 255, 1, true);
	mean_add_marked(&sum, &good, PRODUCT_UINT8, 255, 1, false);
	mean_flatten(&t, &sum, PRODUCT_UINT8, 2, NULL, NULL, 1);
	cr_assert(isnan(t));
	mean_add_marked(&sum, &good, PRODUCT_UINT8, 255, 1, true);
	mean_flatten(&t, &sum, PRODUCT_UINT8, 1, NULL, NULL, 1);
	cr_assert_eq(t, 9.0f);
}
