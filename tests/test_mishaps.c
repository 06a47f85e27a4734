/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/pattern.h"
#include "bench/stock.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH  96
#define HEIGHT 64
#define PIXELS ((size_t)WIDTH * HEIGHT)
#define FULL   4095

static struct pattern_options camera(enum pattern_kind kind)
{
	return (struct pattern_options){ .kind = kind,
		                         .width = WIDTH,
		                         .height = HEIGHT,
		                         .type = PIXEL_UINT16,
		                         .bits = 12,
		                         .seed = 5,
		                         .memory_limit = 1 << 22 };
}

/* A stream as it should be, and the same with mishaps. */
struct pair {
	struct pattern good, bad;
};

static void pair_open(struct pair *p, enum pattern_kind kind, struct mishap_options m)
{
	struct pattern_options o = camera(kind);

	cr_assert_eq(pattern_open(&p->good, &o), 0);
	o.mishaps = m;
	cr_assert_eq(pattern_open(&p->bad, &o), 0, "%s", p->bad.why);
}

static void pair_close(struct pair *p)
{
	pattern_close(&p->good);
	pattern_close(&p->bad);
}

/* A copy of a frame; number and index are the same. */
static uint16_t *frame_of(struct pattern *p, uint64_t number)
{
	uint16_t *copy = malloc(PIXELS * sizeof *copy);
	struct pattern_pixels pixels;

	cr_assert_eq(pattern_take(p, number, number, &pixels), 0);
	memcpy(copy, pixels.data, PIXELS * sizeof *copy);
	if (pixels.owned)
		free(pixels.data);
	return copy;
}

static size_t pixels_that_differ(const uint16_t *a, const uint16_t *b)
{
	size_t count = 0;

	for (size_t i = 0; i < PIXELS; i++)
		count += a[i] != b[i];
	return count;
}

/* In how many pixels frame `number` of one differs from frame `other` of the other. */
static size_t difference(struct pair *p, uint64_t number, uint64_t other)
{
	uint16_t *bad = frame_of(&p->bad, number), *good = frame_of(&p->good, other);
	size_t count = pixels_that_differ(bad, good);

	free(bad);
	free(good);
	return count;
}

static double mean_light(const struct pattern *p, const uint16_t *pixels)
{
	double sum = 0;

	for (size_t i = 0; i < PIXELS; i++)
		sum += pixels[i] - p->dark[i];
	return sum / (double)PIXELS;
}

Test(mishaps, leave_all_other_frames_as_they_are)
{
	struct pair p;

	pair_open(&p, PATTERN_PHANTOM,
	          (struct mishap_options){ .dip = { 10, 3 }, .dip_share = 0.5 });
	for (uint64_t n = 0; n < 64; n++)
		cr_expect_eq(difference(&p, n, n) > 0, n >= 10 && n < 13, "frame %lu", n);
	pair_close(&p);
}

Test(mishaps, dim_the_light_and_not_the_dark_in_a_dip)
{
	struct pair p;

	pair_open(&p, PATTERN_FLAT, (struct mishap_options){ .dip = { 4, 1 }, .dip_share = 0.55 });
	for (uint64_t n = 4; n < 6; n++) {
		uint16_t *bad = frame_of(&p.bad, n), *good = frame_of(&p.good, n);
		double share = mean_light(&p.bad, bad) / mean_light(&p.bad, good);

		cr_expect(fabs(share - (n == 4 ? 0.55 : 1)) < 0.003, "%g", share);
		free(bad);
		free(good);
	}
	pair_close(&p);
}

Test(mishaps, leave_dead_and_hot_pixels_what_they_are_in_a_dip)
{
	struct pair p;
	uint16_t *dim, *good;

	pair_open(&p, PATTERN_FLAT, (struct mishap_options){ .dip = { 4, 1 } });
	dim = frame_of(&p.bad, 4);
	good = frame_of(&p.good, 4);
	cr_assert_gt(p.bad.defect_count, 0);
	for (size_t i = 0; i < p.bad.defect_count; i++) {
		const struct phantom_defect *d = &p.bad.defects[i];

		if (d->kind == DEFECT_DEAD)
			cr_expect_eq(dim[d->at], good[d->at]);
		if (d->kind == DEFECT_HOT)
			cr_expect_gt(dim[d->at], 300);
	}
	free(dim);
	free(good);
	pair_close(&p);
}

Test(mishaps, saturate_the_open_beam_where_the_exposure_is_too_long)
{
	struct pair p;
	uint16_t *frame;
	size_t saturated = 0;

	pair_open(&p, PATTERN_FLAT, (struct mishap_options){ .saturate = { 2, 2 }, .exposure = 2 });
	frame = frame_of(&p.bad, 3);
	for (size_t i = 0; i < PIXELS; i++) {
		cr_assert_leq(frame[i], FULL);
		saturated += frame[i] == FULL;
	}
	cr_expect_gt(saturated, PIXELS * 2 / 3);
	cr_expect_eq(difference(&p, 4, 4), 0);
	free(frame);
	pair_close(&p);
}

Test(mishaps, need_light_for_a_dip_and_an_exposure)
{
	struct pair p;

	pair_open(&p, PATTERN_DARK,
	          (struct mishap_options){ .dip = { 0, 9 }, .saturate = { 0, 9 }, .exposure = 3 });
	cr_expect_eq(difference(&p, 5, 5), 0);
	pair_close(&p);
}

Test(mishaps, show_the_frame_before_while_the_camera_is_frozen)
{
	static const enum pattern_kind kinds[] = { PATTERN_PHANTOM, PATTERN_COUNTER,
		                                   PATTERN_NOISE };

	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		struct pair p;

		pair_open(&p, kinds[k], (struct mishap_options){ .freeze = { 7, 3 } });
		cr_expect_eq(difference(&p, 6, 6), 0);
		for (uint64_t n = 7; n < 10; n++)
			cr_expect_eq(difference(&p, n, 6), 0, "kind %zu frame %lu", k, n);
		cr_expect_eq(difference(&p, 10, 10), 0);
		pair_close(&p);
	}
}

Test(mishaps, freeze_what_befell_the_frame_before)
{
	struct pair p;
	uint16_t *dipped, *frozen;

	pair_open(&p, PATTERN_PHANTOM,
	          (struct mishap_options){ .dip = { 6, 1 }, .freeze = { 7, 1 } });
	dipped = frame_of(&p.bad, 6);
	frozen = frame_of(&p.bad, 7);
	cr_expect_eq(pixels_that_differ(dipped, frozen), 0);
	free(dipped);
	free(frozen);
	pair_close(&p);
}

Test(mishaps, count_in_steps_of_the_number)
{
	struct pair p;
	struct pattern_pixels frozen, before;

	pair_open(&p, PATTERN_PHANTOM,
	          (struct mishap_options){ .step = 10, .freeze = { 130, 2 }, .dip = { 150, 2 } });
	cr_assert_eq(pattern_take(&p.bad, 140, 4, &frozen), 0);
	cr_assert_eq(pattern_take(&p.bad, 120, 2, &before), 0);
	cr_expect_eq(frozen.data, before.data);
	cr_expect_not(pattern_is_altered(&p.bad, 140));
	cr_expect(pattern_is_altered(&p.bad, 150));
	cr_expect(pattern_is_altered(&p.bad, 160));
	cr_expect_not(pattern_is_altered(&p.bad, 170));
	pair_close(&p);
}

Test(mishaps, make_pixels_fail_for_good)
{
	struct pair p;
	uint16_t *bad, *good;

	pair_open(&p, PATTERN_FLAT,
	          (struct mishap_options){ .seed = 5, .new_hot = { 3, 12 }, .new_dead = { 8, 7 } });
	cr_expect_eq(p.bad.mishaps.hot_count, 12);
	cr_expect_eq(p.bad.mishaps.dead_count, 7);
	cr_expect_eq(difference(&p, 2, 2), 0);
	cr_expect_eq(difference(&p, 3, 3), 12);
	cr_expect_eq(difference(&p, 7, 7), 12);
	cr_expect_eq(difference(&p, 5000, 5000), 19);
	bad = frame_of(&p.bad, 9);
	good = frame_of(&p.good, 9);
	for (size_t i = 0; i < 12; i++) {
		size_t at = p.bad.mishaps.hot[i].at;

		cr_expect_gt(bad[at], good[at] + 700);
	}
	for (size_t i = 0; i < 7; i++) {
		size_t at = p.bad.mishaps.dead[i].at;

		cr_expect_lt(bad[at], 100);
		cr_expect_gt(good[at], 500);
	}
	free(bad);
	free(good);
	pair_close(&p);
}

Test(mishaps, let_only_good_pixels_fail_and_no_more_than_there_are)
{
	struct pair p;
	bool *seen = calloc(PIXELS, sizeof *seen);

	pair_open(&p, PATTERN_FLAT,
	          (struct mishap_options){ .new_hot = { 0, 500 }, .new_dead = { 0, 2 * PIXELS } });
	cr_expect_eq(p.bad.mishaps.hot_count, 500);
	cr_expect_leq(p.bad.mishaps.dead_count, PIXELS - 500);
	for (size_t i = 0; i < p.bad.defect_count; i++)
		seen[p.bad.defects[i].at] = true;
	for (size_t i = 0; i < p.bad.mishaps.hot_count; i++) {
		cr_assert_not(seen[p.bad.mishaps.hot[i].at]);
		seen[p.bad.mishaps.hot[i].at] = true;
	}
	for (size_t i = 0; i < p.bad.mishaps.dead_count; i++)
		cr_assert_not(seen[p.bad.mishaps.dead[i].at]);
	free(seen);
	pair_close(&p);
}

/* As the frame is sent, of any pattern. */
static void expect_same_sent(struct pattern_options o, uint64_t number)
{
	struct pattern_pixels kept, made;
	struct pattern a, b;

	cr_assert_eq(pattern_open(&a, &o), 0);
	o.mishaps = (struct mishap_options){ .dip = { 3, 1 } };
	cr_assert_eq(pattern_open(&b, &o), 0);
	cr_assert_eq(pattern_take(&a, number, number, &kept), 0);
	cr_assert_eq(pattern_take(&b, number, number, &made), 0);
	cr_assert_eq(a.frame_bytes, b.frame_bytes);
	cr_expect_eq(memcmp(kept.data, made.data, a.frame_bytes) == 0, number != 3,
	             "pattern %d packing %d frame %lu", o.kind, o.packing, number);
	if (kept.owned)
		free(kept.data);
	if (made.owned)
		free(made.data);
	pattern_close(&a);
	pattern_close(&b);
}

Test(mishaps, leave_packed_and_swapped_frames_as_they_are_sent)
{
	static const enum pattern_kind kinds[] = { PATTERN_PHANTOM, PATTERN_COUNTER,
		                                   PATTERN_NOISE };

	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		struct pattern_options o = camera(kinds[k]);

		for (uint64_t number = 2; number < 4; number++) {
			o.big_endian = true;
			expect_same_sent(o, number);
			o.big_endian = false;
			o.packing = PACKING_MONO12P;
			expect_same_sent(o, number);
			o.packing = PACKING_NONE;
		}
	}
}

Test(mishaps, are_in_compressed_frames_too)
{
	struct pattern_options o = camera(PATTERN_PHANTOM);
	struct pattern_pixels before, dipped, frozen;
	size_t bytes, before_bytes;
	struct pattern p;
	struct stock s;

	o.mishaps = (struct mishap_options){ .dip = { 3, 1 }, .freeze = { 9, 1 } };
	cr_assert_eq(pattern_open(&p, &o), 0);
	cr_assert_eq(stock_open(&s, &p, FRAMING_BSLZ4, 1 << 22, 0), 0, "%s", s.why);
	cr_assert_eq(stock_take(&s, 3, 3, &dipped, &bytes), 0);
	cr_assert_eq(stock_take(&s, 3 + 64, 3 + 64, &before, &before_bytes), 0);
	cr_expect(dipped.owned && !before.owned);
	cr_expect(bytes != before_bytes || memcmp(dipped.data, before.data, bytes) != 0);
	cr_assert_eq(stock_take(&s, 8, 8, &before, &bytes), 0);
	cr_assert_eq(stock_take(&s, 9, 9, &frozen, &bytes), 0);
	cr_expect_eq(before.data, frozen.data);
	free(dipped.data);
	stock_close(&s);
	pattern_close(&p);
}
