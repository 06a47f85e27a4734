/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/calibration_make.h"

#include "bench/prng.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES_MAX 50

/* Frames of level + noise, of which a test makes single ones and single pixels different. */
static struct scene {
	double level[FRAMES_MAX];
	double noise; /* counts to each side */
	void (*change)(unsigned frame, size_t pixel, double *value);
} scene;
static uint64_t numbers[FRAMES_MAX];
static uint32_t rows_asked[FRAMES_MAX];
static struct calibration_frames frames;
static struct calibration_wish wish;
static struct calibration_made made;

static double value_of(unsigned frame, size_t pixel)
{
	uint64_t state = prng_stream(frame + 1, pixel);
	double value = scene.level[frame] + floor((2 * prng_unit(&state) - 1) * scene.noise + 0.5);

	if (scene.change)
		scene.change(frame, pixel, &value);
	return value;
}

static void put(void *at, size_t i, double value)
{
	switch (frames.type) {
	case PRODUCT_UINT8:
		((uint8_t *)at)[i] = (uint8_t)value;
		break;
	case PRODUCT_UINT16:
		((uint16_t *)at)[i] = (uint16_t)value;
		break;
	case PRODUCT_UINT32:
		((uint32_t *)at)[i] = (uint32_t)value;
		break;
	default:
		((float *)at)[i] = (float)value;
	}
}

static void rows_of(void *user, unsigned frame, uint32_t row, uint32_t rows, void *ret)
{
	cr_assert_eq(user, &scene);
	cr_assert(row < frames.height && rows > 0 && rows <= frames.height - row);
	rows_asked[frame] += rows;
	for (size_t i = 0; i < (size_t)rows * frames.width; i++)
		put(ret, i, value_of(frame, (size_t)row * frames.width + i));
}

/* A dark of 20 frames of 61 x 37 pixels, numbered from 1000 in steps of 3. */
static void set_up(void)
{
	for (unsigned f = 0; f < FRAMES_MAX; f++) {
		scene.level[f] = 100;
		numbers[f] = 1000 + 3 * f;
	}
	scene.noise = 5;
	frames = (struct calibration_frames){ .count = 20,
		                              .numbers = numbers,
		                              .width = 61,
		                              .height = 37,
		                              .type = PRODUCT_UINT16,
		                              .rows = rows_of,
		                              .user = &scene };
	wish = (struct calibration_wish){
		.hot = 10, .noisy = 10, .dead = 0.3, .saturation = INFINITY
	};
}

static void tear_down(void)
{
	calibration_made_done(&made);
}

TestSuite(calibration_make, .init = set_up, .fini = tear_down);

static void make(void)
{
	cr_assert_eq(calibration_make(&made, &frames, &wish), 0, "%s", made.why);
	cr_assert_str_empty(made.why);
}

static void expect_refused(const char *text)
{
	memset(&made, 0x77, sizeof made);
	cr_assert_eq(calibration_make(&made, &frames, &wish), -EINVAL, "%s", made.why);
	cr_expect(strstr(made.why, text), "%s", made.why);
	cr_expect(!made.image && !made.variance && !made.found && !made.left_out);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Every pixel against sums and sorting of the frames used. */
static void expect_image(void)
{
	double used = made.used;

	for (size_t i = 0; i < (size_t)frames.width * frames.height; i++) {
		double values[FRAMES_MAX], sum = 0, squares = 0, median;
		unsigned n = 0;

		for (unsigned f = 0; f < frames.count; f++) {
			bool out = false;

			for (unsigned k = 0; k < made.left_out_count; k++)
				out |= made.left_out[k].frame == numbers[f];
			if (out)
				continue;
			values[n] = value_of(f, i);
			sum += values[n];
			squares += values[n] * values[n];
			n++;
		}
		cr_assert_eq(n, made.used);
		qsort(values, n, sizeof *values, compare);
		median = (values[(n - 1) / 2] + values[n / 2]) / 2;
		cr_assert_eq(made.image[i],
		             (float)(wish.combine == COMBINE_MEDIAN ? median : sum / used));
		cr_assert_eq(made.variance[i],
		             (float)((used * squares - sum * sum) / (used * used)));
	}
}

Test(calibration_make, takes_the_mean_and_the_variance_of_all_frames)
{
	make();
	cr_expect_eq(made.used, 20);
	cr_expect_eq(made.left_out_count, 0);
	cr_expect(made.first == 1000 && made.last == 1057);
	cr_expect(made.width == 61 && made.height == 37);
	expect_image();
	cr_expect(fabs(made.level - 100) < 0.5 && fabs(made.noise - sqrt(110.0 / 12)) < 0.3,
	          "%g, %g", made.level, made.noise);
	cr_expect(made.hot == 0 && made.noisy == 0 && made.dead == 0);
	for (unsigned f = 0; f < frames.count; f++)
		cr_expect_eq(rows_asked[f], 2 * frames.height);
}

Test(calibration_make, takes_the_median_where_it_is_asked_for)
{
	wish.combine = COMBINE_MEDIAN;
	make();
	expect_image();
}

Test(calibration_make, does_not_depend_on_how_many_rows_fit_the_memory)
{
	frames.width = 997;
	frames.height = 451;
	make();
	for (unsigned f = 0; f < frames.count; f++)
		cr_expect_eq(rows_asked[f], 2 * frames.height);
	expect_image();
	cr_expect_gt(calibration_make_bytes(&frames), (size_t)8 << 20);
}

Test(calibration_make, names_frames_that_are_far_from_the_others)
{
	for (unsigned f = 0; f < frames.count; f++)
		scene.level[f] = 100 + f % 3;
	scene.level[4] = 130;
	scene.level[19] = 20;
	make();
	cr_assert_eq(made.left_out_count, 2);
	cr_expect(made.left_out[0].frame == 1012 && made.left_out[1].frame == 1057);
	cr_expect(fabs(made.left_out[0].mean - 130) < 0.5 && made.left_out[0].deviations > 20);
	cr_expect_eq(made.used, 18);
	cr_expect(made.first == 1000 && made.last == 1054);
	expect_image();
}

static void change_one_pixel(unsigned frame, size_t pixel, double *value)
{
	*value += frame == 3 && pixel == 11 ? 1 : 0;
}

Test(calibration_make, keeps_frames_that_are_all_but_the_same)
{
	scene.noise = 0;
	frames.count = 3;
	make();
	cr_expect_eq(made.used, 3);
	frames.count = 20;
	scene.change = change_one_pixel; /* of 2257: the mean differs by 4e-6 of it */
	calibration_made_done(&made);
	make();
	cr_expect_eq(made.used, 20);
	scene.level[3] = 101;
	calibration_made_done(&made);
	make();
	cr_assert_eq(made.left_out_count, 1);
	cr_expect_eq(made.left_out[0].frame, 1009);
	cr_expect(isfinite(made.left_out[0].deviations));
}

static void lose_frames(unsigned frame, size_t pixel, double *value)
{
	(void)pixel;
	if (frame % 3 == 0)
		*value = 65535;
}

static void lose_most_frames(unsigned frame, size_t pixel, double *value)
{
	(void)pixel;
	if (frame % 3)
		*value = 65535;
}

Test(calibration_make, leaves_out_frames_without_any_value)
{
	frames.has_no_value = true;
	frames.no_value = 65535;
	scene.change = lose_frames;
	make();
	cr_expect_eq(made.used, 13);
	cr_assert_eq(made.left_out_count, 7);
	cr_expect(isnan(made.left_out[0].mean) && isinf(made.left_out[0].deviations));
	cr_expect_eq(made.dead, 0);
	calibration_made_done(&made);
	scene.change = lose_most_frames;
	expect_refused("only 7 of 20 frames are fit for a dark");
}

static void spoil_pixels(unsigned frame, size_t pixel, double *value)
{
	if (pixel == 20)
		*value = 400; /* hot */
	if (pixel == 21)
		*value = frame % 2 ? 20 : 180; /* noisy */
	if (pixel == 22)
		*value = frame % 2 ? 100 : 900; /* both */
	if (pixel == 23 && frame == 7)
		*value = 65535; /* no value once */
}

Test(calibration_make, finds_hot_and_noisy_pixels_of_a_dark)
{
	frames.has_no_value = true;
	frames.no_value = 65535;
	scene.change = spoil_pixels;
	make();
	for (size_t i = 0; i < 61 * 37; i++)
		cr_expect_eq(made.found[i],
		             i == 20   ? PIXEL_HOT
		             : i == 21 ? PIXEL_NOISY
		             : i == 22 ? PIXEL_HOT | PIXEL_NOISY
		             : i == 23 ? PIXEL_DEAD
		                       : 0,
		             "pixel %zu: %u", i, made.found[i]);
	cr_expect(made.hot == 2 && made.noisy == 2 && made.dead == 1);
	cr_expect(isnan(made.image[23]) && isnan(made.variance[23]));
	wish.hot = wish.noisy = 0;
	calibration_made_done(&made);
	make();
	cr_expect(made.hot == 0 && made.noisy == 0 && made.dead == 1);
}

Test(calibration_make, a_dark_without_noise_has_no_hot_pixels_by_a_count)
{
	scene.noise = 0;
	scene.change = change_one_pixel;
	make();
	cr_expect(made.hot == 0 && made.noisy == 0);
}

static float *plane_of(float value)
{
	float *plane = malloc(61 * 37 * sizeof *plane);

	for (size_t i = 0; i < 61 * 37; i++)
		plane[i] = value;
	return plane;
}

static void dim_pixels(unsigned frame, size_t pixel, double *value)
{
	(void)frame;
	if (pixel == 30)
		*value = 95 + 25; /* of a response of 5 with the dark of 95: dead */
	if (pixel == 31)
		*value = 95 + 500;
}

Test(calibration_make, finds_dead_pixels_of_a_flat_by_what_is_above_the_dark)
{
	float *dark = plane_of(95);

	for (unsigned f = 0; f < frames.count; f++)
		scene.level[f] = 1095;
	scene.change = dim_pixels;
	wish.flat = true;
	wish.dark = dark;
	make();
	for (size_t i = 0; i < 61 * 37; i++)
		cr_expect_eq(made.found[i], i == 30 ? PIXEL_DEAD : 0, "pixel %zu", i);
	cr_expect(made.dead == 1 && made.hot == 0 && made.noisy == 0);
	dark[40] = NAN;
	calibration_made_done(&made);
	make();
	cr_expect(made.dead == 2 && made.found[40] == PIXEL_DEAD);
	free(dark);
}

Test(calibration_make, refuses_a_flat_without_beam)
{
	float *dark = plane_of(100);

	wish.flat = true;
	wish.dark = dark;
	expect_refused("was the shutter closed?");
	wish.dark = NULL;
	make();
	for (unsigned f = 0; f < frames.count; f++)
		scene.level[f] = 1;
	scene.noise = 0;
	calibration_made_done(&made);
	expect_refused("not brighter than the dark");
	free(dark);
}

Test(calibration_make, refuses_a_dark_that_is_as_bright_as_the_flat)
{
	float *flat = plane_of(100.5f);

	wish.flat_in_use = flat;
	expect_refused("is the shutter open?");
	for (unsigned f = 0; f < frames.count; f++)
		scene.level[f] = 20;
	make();
	free(flat);
}

Test(calibration_make, refuses_a_saturated_flat)
{
	for (unsigned f = 0; f < frames.count; f++)
		scene.level[f] = 4095;
	scene.noise = 0;
	wish.flat = true;
	wish.saturation = 4095;
	expect_refused("the flat is saturated");
	wish.saturation = 4096;
	make();
}

static void mark_by_turns(unsigned frame, size_t pixel, double *value)
{
	if (pixel % 20 == frame)
		*value = 65535;
}

Test(calibration_make, refuses_what_has_no_pixel_with_a_value_in_all_frames)
{
	frames.has_no_value = true;
	frames.no_value = 65535;
	scene.change = mark_by_turns;
	scene.noise = 0;
	expect_refused("no pixel of the dark has a value in all of its 20 frames");
}

Test(calibration_make, takes_a_float_flat_of_any_scale)
{
	frames.type = PRODUCT_FLOAT32;
	scene.noise = 0;
	for (unsigned f = 0; f < frames.count; f++)
		scene.level[f] = 0.0078125;
	wish.flat = true;
	make();
	cr_expect_eq(made.level, 0.0078125);
	cr_expect_eq(made.dead, 0);
	scene.level[5] = 0.0087890625;
	calibration_made_done(&made);
	make();
	cr_expect(made.left_out_count == 1 && made.left_out[0].frame == 1015);
	for (unsigned f = 0; f < frames.count; f++)
		scene.level[f] = 0;
	calibration_made_done(&made);
	expect_refused("not brighter than the dark");
}

Test(calibration_make, takes_a_single_frame_of_every_type)
{
	for (unsigned type = 0; type < PRODUCT_TYPE_COUNT; type++) {
		frames.type = (enum product_type)type;
		frames.count = 1;
		make();
		cr_expect(made.used == 1 && made.noise == 0 && made.first == made.last);
		expect_image();
		calibration_made_done(&made);
	}
}

Test(calibration_make, refuses_no_frames_and_too_many)
{
	frames.count = 0;
	expect_refused("made of 1 to 65535 frames");
	frames.count = 65536;
	expect_refused("not of 65536");
}
