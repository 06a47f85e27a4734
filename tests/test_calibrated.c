/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/calibrated.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#define WIDTH  8u
#define HEIGHT 4u

static struct layout layout;
static struct planes planes;
static struct generations generations;
static struct sequence rings[2];
static const struct sequence *const all[2] = { &rings[0], &rings[1] };
static float offset[WIDTH * HEIGHT], gain[WIDTH * HEIGHT];

static void open_all(void)
{
	layout = (struct layout){ .plan = { .width = WIDTH - 2,
		                            .height = HEIGHT,
		                            .left = 1,
		                            .payload_width = WIDTH,
		                            .payload_height = HEIGHT,
		                            .attenuation = true,
		                            .dose = DOSE_APPLY,
		                            .least_dose = 0.5f },
		                  .gain_bytes = sizeof gain,
		                  .subtracts = true };
	planes = (struct planes){ .offset = offset, .gain = gain };
	for (unsigned i = 0; i < WIDTH * HEIGHT; i++)
		gain[i] = 2;
	for (unsigned i = 0; i < 2; i++)
		cr_assert_eq(sequence_open(&rings[i], 16), 0);
	cr_assert_eq(generations_open(&generations, 2), 0);
}

static void close_all(void)
{
	generations_close(&generations);
	for (unsigned i = 0; i < 2; i++)
		sequence_close(&rings[i]);
}

TestSuite(calibrated, .init = open_all, .fini = close_all);

static struct calibrated *make(uint32_t id)
{
	struct calibrated *c = calibrated_make(&layout, NULL, id, &planes);

	cr_assert_not_null(c);
	return c;
}

static void publish(unsigned ring, unsigned entries)
{
	for (unsigned i = 0; i < entries; i++) {
		cr_assert_not_null(sequence_next(&rings[ring]));
		sequence_publish(&rings[ring]);
	}
}

static void collect(unsigned ring, unsigned entries)
{
	for (unsigned i = 0; i < entries; i++)
		sequence_recycle(&rings[ring]);
}

static uint32_t current_id(void)
{
	return generations_at(&generations, generations_current(&generations))->id;
}

Test(calibrated, is_the_plan_with_the_planes)
{
	struct calibrated *c = make(5);

	cr_expect_eq(c->id, 5);
	cr_expect_eq(c->plan.offset, offset);
	cr_expect_eq(c->plan.gain, gain);
	cr_expect_not(c->plan.attenuation, "there is no flat");
	cr_expect_eq(c->plan.dose, DOSE_RECORD, "nor a dose in its units");
	calibrated_free(c);
}

Test(calibrated, attenuates_with_a_flat_and_subtracts_where_that_is_asked_for)
{
	struct calibrated *c;

	planes.images.of[PLANES_FLAT].pixels = gain;
	layout.subtracts = false;
	c = make(1);
	cr_expect(c->plan.attenuation);
	cr_expect_eq(c->plan.dose, DOSE_APPLY);
	cr_expect_eq(c->plan.least_dose, 0.5f);
	cr_expect_null(c->plan.offset);
	calibrated_free(c);
}

Test(calibrated, marks_the_pixels_of_the_mask_and_leaves_the_planes_alone)
{
	uint8_t mask[WIDTH * HEIGHT] = { 0 };
	struct calibrated *c;

	mask[1 * WIDTH + 3] = 4;
	c = calibrated_make(&layout, mask, 1, &planes);
	cr_assert_not_null(c);
	for (unsigned i = 0; i < (WIDTH - 2) * HEIGHT; i++) {
		cr_expect_eq(isnan(c->plan.gain[i]) != 0, i == WIDTH - 2 + 2, "pixel %u", i);
		cr_expect_eq(gain[i], 2);
	}
	calibrated_free(c);
}

Test(calibrated, a_generation_stays_until_its_entries_are_collected)
{
	uint32_t first;

	generations_restart(&generations, make(1));
	first = generations_current(&generations);
	publish(0, 3);
	cr_assert(generations_push(&generations, make(2), NULL, all));
	cr_expect_eq(current_id(), 2);
	publish(0, 1);
	collect(0, 2);
	cr_expect_not(generations_retire(&generations, all));
	cr_expect_eq(generations_at(&generations, first)->id, 1, "a frame in flight bears it");
	collect(0, 1);
	cr_expect(generations_retire(&generations, all), "what came later does not");
	cr_expect_null(generations_at(&generations, first));
	cr_expect_eq(current_id(), 2);
}

Test(calibrated, an_entry_that_is_being_published_holds_what_it_was_stamped_with)
{
	uint32_t stamp;

	generations_restart(&generations, make(1));
	stamp = generations_stamp(&generations, 1);
	cr_assert(generations_push(&generations, make(2), NULL, all));
	cr_expect_not(generations_retire(&generations, all));
	publish(1, 1);
	generations_stamped(&generations, 1);
	cr_expect_not(generations_retire(&generations, all));
	cr_expect_eq(generations_at(&generations, stamp)->id, 1);
	collect(1, 1);
	cr_expect(generations_retire(&generations, all));
}

Test(calibrated, old_planes_end_with_their_generation)
{
	struct planes *old = calloc(1, sizeof *old);

	generations_restart(&generations, make(1));
	cr_assert(generations_push(&generations, make(2), old, all));
	cr_expect_eq(generations_at(&generations, generations_current(&generations) - 1)->owned,
	             old, "freed with it, as the leak checker knows");
}

Test(calibrated, a_full_table_takes_no_further_one_until_frames_are_home)
{
	struct calibrated *late = make(100);
	uint32_t id = 1;

	generations_restart(&generations, make(id));
	publish(0, 1);
	for (; id < GENERATIONS_LIVE; id++)
		cr_assert(generations_push(&generations, make(id + 1), NULL, all));
	cr_expect_not(generations_push(&generations, late, NULL, all));
	cr_expect_eq(current_id(), GENERATIONS_LIVE, "nothing has changed");
	collect(0, 1);
	cr_expect(generations_push(&generations, late, NULL, all));
	cr_expect_eq(current_id(), 100);
}

Test(calibrated, begins_anew_without_those_before)
{
	uint32_t before;

	generations_restart(&generations, make(1));
	publish(1, 4);
	cr_assert(generations_push(&generations, make(2), NULL, all));
	before = generations_current(&generations);
	generations_restart(&generations, make(3));
	cr_expect_eq(current_id(), 3);
	cr_expect_gt(generations_current(&generations), before, "no stamp comes twice");
	cr_expect(generations_retire(&generations, all));
}

static bool sees(uint32_t left)
{
	struct calibrated *c;
	bool seen;

	layout.plan.regions[0] = (struct reduce_region){ left, 1, 2, 1 };
	layout.plan.region_count = layout.plan.open_beam = 1;
	c = make(1);
	seen = calibrated_sees_beam(c);
	calibrated_free(c);
	return seen;
}

Test(calibrated, sees_the_beam_where_one_of_its_pixels_is_good)
{
	const uint32_t row = layout.plan.width;

	gain[row] = gain[row + 1] = NAN;
	cr_expect_not(sees(0));
	cr_expect(sees(1));
}
