/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/phantom.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH  311
#define HEIGHT 203
#define PIXELS ((size_t)WIDTH * HEIGHT)

static struct phantom *open_phantom(enum pixel_type type, unsigned bits, uint64_t seed)
{
	struct phantom_options o = { WIDTH, HEIGHT, type, bits, 16, seed };
	struct phantom *p = NULL;

	cr_assert_eq(phantom_open(&p, &o), 0);
	return p;
}

static uint16_t *expose(struct phantom *p, enum phantom_kind kind, uint64_t index)
{
	uint16_t *pixels = malloc(PIXELS * sizeof *pixels);

	cr_assert_not_null(pixels);
	phantom_frame(p, kind, index, pixels);
	return pixels;
}

/* Defects of one kind, as a map of the image. */
static bool *map_of(const struct phantom *p, enum phantom_defect_kind kind, size_t *ret_count)
{
	bool *map = calloc(PIXELS, sizeof *map);
	size_t count;
	const struct phantom_defect *d = phantom_defects(p, &count);

	cr_assert_not_null(map);
	*ret_count = 0;
	for (size_t i = 0; i < count; i++)
		if (d[i].kind == kind && !map[d[i].at]) {
			map[d[i].at] = true;
			++*ret_count;
		}
	return map;
}

static double mean_of(const uint16_t *pixels)
{
	double sum = 0;

	for (size_t i = 0; i < PIXELS; i++)
		sum += pixels[i];
	return sum / (double)PIXELS;
}

Test(phantom, gives_the_same_frame_for_the_same_seed_and_index)
{
	struct phantom *a = open_phantom(PIXEL_UINT16, 12, 7),
		       *b = open_phantom(PIXEL_UINT16, 12, 7);
	uint16_t *first = expose(a, PHANTOM_SAMPLE, 3), *again;

	free(expose(b, PHANTOM_DARK, 9)); /* what was exposed before does not matter */
	again = expose(b, PHANTOM_SAMPLE, 3);
	cr_assert_eq(memcmp(first, again, PIXELS * sizeof *first), 0);
	free(first);
	free(again);
	phantom_close(a);
	phantom_close(b);
}

Test(phantom, differs_by_seed_index_and_kind)
{
	struct phantom *a = open_phantom(PIXEL_UINT16, 12, 7),
		       *b = open_phantom(PIXEL_UINT16, 12, 8);
	uint16_t *frame = expose(a, PHANTOM_SAMPLE, 0);
	uint16_t *others[] = { expose(b, PHANTOM_SAMPLE, 0), expose(a, PHANTOM_SAMPLE, 1),
		               expose(a, PHANTOM_SAMPLE, 16), expose(a, PHANTOM_FLAT, 0),
		               expose(a, PHANTOM_DARK, 0) };

	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		size_t same = 0;

		for (size_t at = 0; at < PIXELS; at++)
			same += frame[at] == others[i][at];
		cr_assert_lt(same, PIXELS / 5, "other %zu has %zu equal pixels", i, same);
		free(others[i]);
	}
	free(frame);
	phantom_close(a);
	phantom_close(b);
}

Test(phantom, normalises_to_the_transmission_of_the_sample)
{
	struct phantom *p = open_phantom(PIXEL_UINT16, 16, 3);
	float *dark = malloc(PIXELS * sizeof *dark), *flat = malloc(PIXELS * sizeof *flat);
	float t[WIDTH];
	uint16_t *frame = expose(p, PHANTOM_SAMPLE, 5);
	double worst = 0, sum = 0, squares = 0;
	size_t good = 0, wild = 0;

	phantom_mean(p, PHANTOM_DARK, 16, dark);
	phantom_mean(p, PHANTOM_FLAT, 16, flat);
	for (uint32_t y = 0; y < HEIGHT; y++) {
		phantom_transmission(p, 5, y, t);
		for (uint32_t x = 0; x < WIDTH; x++) {
			size_t at = (size_t)y * WIDTH + x;
			double beam = flat[at] - dark[at], error;

			cr_assert(t[x] > 0.0f && t[x] <= 1.0f);
			if (beam < 10000 || flat[at] > 60000)
				continue; /* defects */
			error = (frame[at] - dark[at]) / beam - t[x];
			if (fabs(error) > 0.06) { /* stray hits are no noise */
				wild++;
				continue;
			}
			good++;
			sum += error;
			squares += error * error;
			worst = fmax(worst, fabs(error));
		}
	}
	cr_assert_gt(good, PIXELS * 99 / 100);
	cr_assert_leq(wild, 3);
	cr_assert_lt(fabs(sum / (double)good), 0.012, "drift of the beam %g", sum / (double)good);
	cr_assert_lt(sqrt(squares / (double)good), 0.015);
	cr_assert_gt(sqrt(squares / (double)good), 0.001, "there is noise");
	free(dark);
	free(flat);
	free(frame);
	phantom_close(p);
}

Test(phantom, attenuates_by_bodies_that_turn)
{
	struct phantom *p = open_phantom(PIXEL_UINT16, 12, 3);
	float t[WIDTH], quarter[WIDTH];
	float least = 1.0f;
	unsigned open_beam = 0, moved = 0;

	for (uint32_t y = 0; y < HEIGHT; y++) {
		phantom_transmission(p, 0, y, t);
		phantom_transmission(p, 4, y, quarter);
		for (uint32_t x = 0; x < WIDTH; x++) {
			least = fminf(least, t[x]);
			open_beam += t[x] == 1.0f;
			moved += fabsf(t[x] - quarter[x]) > 0.02f;
		}
	}
	cr_assert_lt(least, 0.5f);
	cr_assert_gt(open_beam, PIXELS / 10, "some of the beam passes beside the sample");
	cr_assert_gt(moved, PIXELS / 20);
	phantom_close(p);
}

Test(phantom, has_dead_hot_and_saturated_pixels)
{
	struct phantom *p = open_phantom(PIXEL_UINT16, 12, 11);
	size_t dead_count, hot_count, saturated_count;
	bool *dead = map_of(p, DEFECT_DEAD, &dead_count), *hot = map_of(p, DEFECT_HOT, &hot_count);
	bool *saturated = map_of(p, DEFECT_SATURATED, &saturated_count);
	uint16_t *dark = expose(p, PHANTOM_DARK, 0), *other = expose(p, PHANTOM_DARK, 1);
	uint16_t *flat = expose(p, PHANTOM_FLAT, 0);

	cr_assert(dead_count && hot_count && saturated_count);
	for (size_t i = 0; i < PIXELS; i++) {
		if (dead[i])
			cr_assert(flat[i] == dark[i] && other[i] == dark[i], "dead: stuck");
		else if (hot[i])
			cr_assert_gt(dark[i], 300);
		else if (saturated[i])
			cr_assert_eq(flat[i], 4095);
		else
			cr_assert_lt(dark[i], 150);
		cr_assert_leq(flat[i], 4095);
	}
	free(dead);
	free(hot);
	free(saturated);
	free(dark);
	free(other);
	free(flat);
	phantom_close(p);
}

Test(phantom, has_a_beam_that_drifts_slowly_and_returns)
{
	struct phantom *p = open_phantom(PIXEL_UINT16, 16, 5);
	double mean[17], step = 0, range = 0;

	for (unsigned i = 0; i < 17; i++) {
		uint16_t *flat = expose(p, PHANTOM_FLAT, i);

		mean[i] = mean_of(flat);
		free(flat);
		if (i)
			step = fmax(step, fabs(mean[i] / mean[i - 1] - 1));
		range = fmax(range, fabs(mean[i] / mean[0] - 1));
	}
	cr_assert(range > 0.004 && range < 0.02, "drift %g", range);
	cr_assert_lt(step, 0.006);
	cr_assert_lt(fabs(mean[16] / mean[0] - 1), 0.001);
	phantom_close(p);
}

Test(phantom, fills_the_range_of_every_type)
{
	static const struct {
		enum pixel_type type;
		unsigned bits;
	} rows[] = { { PIXEL_UINT8, 8 },
		     { PIXEL_UINT16, 10 },
		     { PIXEL_UINT32, 16 },
		     { PIXEL_FLOAT32, 16 } };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct phantom *p = open_phantom(rows[i].type, rows[i].bits, 2);
		uint32_t *pixels = calloc(PIXELS, sizeof *pixels);
		double full = (double)((1u << rows[i].bits) - 1), sum = 0, most = 0;

		cr_assert_not_null(pixels);
		phantom_frame(p, PHANTOM_FLAT, 0, pixels);
		for (size_t at = 0; at < PIXELS; at++) {
			double v = rows[i].type == PIXEL_UINT8     ? ((uint8_t *)pixels)[at]
			           : rows[i].type == PIXEL_UINT16  ? ((uint16_t *)pixels)[at]
			           : rows[i].type == PIXEL_FLOAT32 ? (double)((float *)pixels)[at]
			                                           : pixels[at];

			sum += v;
			most = fmax(most, v);
		}
		sum /= (double)PIXELS;
		cr_assert(sum > 0.5 * full && sum < 0.8 * full, "mean %g of %g", sum, full);
		cr_assert_float_eq(most, full, 1e-9);
		free(pixels);
		phantom_close(p);
	}
}

Test(phantom, renders_images_of_one_pixel_and_of_one_row)
{
	static const uint32_t sizes[][2] = { { 1, 1 }, { 1, 50 }, { 50, 1 }, { 2, 2 } };

	for (size_t i = 0; i < 4; i++) {
		struct phantom_options o = { sizes[i][0], sizes[i][1], PIXEL_UINT16, 12, 1, 9 };
		struct phantom *p;
		uint16_t pixels[50 + 1] = { 0 };

		pixels[o.width * o.height] = 0xbeef;
		cr_assert_eq(phantom_open(&p, &o), 0);
		phantom_frame(p, PHANTOM_FLAT, 0, pixels);
		cr_assert(pixels[0] > 500 && pixels[0] <= 4095);
		cr_assert_eq(pixels[o.width * o.height], 0xbeef, "nothing written behind");
		phantom_close(p);
	}
}
