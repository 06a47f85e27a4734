/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/idle.h"
#include "daemon/picture_levels.h"
#include "daemon/pictures.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#define SECOND ((uint64_t)1000000000u)

static const struct config config = {
	.series = { .reorder = 8, .step = 10, .idle_end_ns = 2 * SECOND }
};

static struct pictures *open_wanted(uint64_t interval_ns)
{
	struct pictures *p;

	cr_assert_eq(pictures_open(&p, &config, interval_ns), 0);
	pictures_want(p, clock_monotonic_ns());
	return p;
}

/* Whether the frame becomes the next picture. */
static bool shows(struct pictures *p, uint64_t number, uint64_t received_ns, uint64_t series)
{
	const struct frame f = { .number = number, .received_ns = received_ns, .series = series };
	struct picture *picture = pictures_begin(p, &f, clock_monotonic_ns());
	const struct picture *seen;

	if (!picture)
		return false;
	pictures_end(p, picture, true);
	seen = pictures_look(p);
	cr_assert(seen && seen->frame == number && seen->time_ns == received_ns);
	return true;
}

Test(pictures, are_made_now_and_then_without_anybody_looking)
{
	struct pictures *p;
	uint64_t frame, time_ns;

	cr_assert_eq(pictures_open(&p, &config, 0), 0);
	cr_assert_not(pictures_newest(p, &frame, &time_ns), "there is none yet");
	cr_assert(shows(p, 1, 1, 0), "the first is");
	cr_assert_not(shows(p, 2, 2, 0), "nobody looks: one a second");
	cr_assert(pictures_newest(p, &frame, &time_ns) && frame == 1 && time_ns == 1);
	pictures_want(p, clock_monotonic_ns());
	cr_assert(shows(p, 3, 3, 0));
	cr_assert(shows(p, 4, 4, 0));
	pictures_want(p, clock_monotonic_ns() - PICTURES_WANTED_NS);
	cr_assert_not(shows(p, 5, 5, 0), "nobody has looked for three seconds");
	usleep(PICTURES_UNWATCHED_NS / 1000 + 1000);
	cr_assert(shows(p, 6, 6, 0), "a second later");
	pictures_close(p);
}

Test(pictures, of_the_last_frame_are_made_whenever_it_comes)
{
	struct pictures *p = open_wanted(3600 * SECOND);

	pictures_final(p, 90);
	cr_assert(shows(p, 10, 1, 0));
	cr_assert_not(shows(p, 80, 2, 0));
	cr_assert(shows(p, 90, 3, 0));
	cr_assert_not(shows(p, 100, 4, 0));
	pictures_close(p);
}

Test(pictures, are_rare)
{
	struct pictures *p = open_wanted(3600 * SECOND);

	cr_assert(shows(p, 1, 1, 0));
	cr_assert_not(shows(p, 2, 2, 0));
	pictures_close(p);
	p = open_wanted(1000);
	cr_assert(shows(p, 1, 1, 0));
	usleep(100);
	cr_assert(shows(p, 2, 2, 0));
	pictures_close(p);
}

/* Workers read the clock when they claim a hand, and are done in another order. */
Test(pictures, are_not_due_before_the_last_one)
{
	struct pictures *p = open_wanted(0);
	const struct frame f = { .number = 2, .received_ns = 2 };
	uint64_t before_ns = clock_monotonic_ns() - 1;

	cr_assert(shows(p, 1, 1, 0));
	cr_assert_null(pictures_begin(p, &f, before_ns));
	pictures_close(p);
}

Test(pictures, do_not_go_back_in_a_series)
{
	struct pictures *p = open_wanted(0);

	cr_assert(shows(p, 1000, 50, 7));
	cr_assert_not(shows(p, 990, 60, 7), "a number out of order");
	cr_assert_not(shows(p, 920, 60, 7), "as late as any can be");
	cr_assert_not(shows(p, 1010, 40, 7), "received before");
	cr_assert(shows(p, 1000, 50, 7), "the same again");
	cr_assert(shows(p, 910, 60, 7), "so far back it is a new series");
	cr_assert(shows(p, 900, 70, 8), "its sender says that it is another one");
	cr_assert(shows(p, 910, 80, 8));
	pictures_close(p);
}

Test(pictures, that_are_no_good_are_not_shown)
{
	struct pictures *p = open_wanted(0);
	const struct frame f = { .number = 1, .received_ns = 1 };
	struct picture *picture = pictures_begin(p, &f, clock_monotonic_ns());

	cr_assert(picture);
	cr_assert_null(pictures_begin(p, &f, clock_monotonic_ns()), "one is being made");
	pictures_end(p, picture, false);
	cr_assert_null(pictures_look(p));
	cr_assert(shows(p, 0, 0, 0), "one that is not shown is not gone back from");
	pictures_close(p);
}

#define PIXELS 3000u

static float values[PIXELS], normalised[PIXELS];
static struct picture_counts counts;

static struct picture_levels levels(void)
{
	const struct picture p = { .grid = { 1, PIXELS / 10, 10 },
		                   .types = { PRODUCT_FLOAT32, PRODUCT_FLOAT32 },
		                   .pixels = { normalised, values } };
	struct picture_levels l;

	picture_levels_find(&p, PICTURE_RAW, &counts, &l);
	return l;
}

Test(pictures, have_levels_that_leave_out_a_thousandth_at_both_ends)
{
	struct picture_levels l;

	for (unsigned i = 0; i < PIXELS; i++) /* -1500 to 1499 in some order */
		values[i] = (float)(i * 7919 % PIXELS) - 1500;
	l = levels();
	cr_assert(l.low == -1497 && l.high == 1496, "%g %g", (double)l.low, (double)l.high);
	for (unsigned i = 0; i < PIXELS; i++)
		normalised[i] = values[i] < 0 ? NAN : 0;
	l = levels();
	cr_assert(l.low == 1 && l.high == 1498, "good ones: %g %g", (double)l.low, (double)l.high);
	for (unsigned i = 0; i < PIXELS; i++)
		values[i] = values[i] < 1400 ? values[i] : INFINITY;
	l = levels();
	cr_assert(l.low == 1 && l.high == 1398, "finite: %g %g", (double)l.low, (double)l.high);
}

Test(pictures, have_levels_where_there_is_little_to_see)
{
	struct picture_levels l;

	for (unsigned i = 0; i < PIXELS; i++)
		values[i] = 5;
	l = levels();
	cr_assert(l.low == 5 && l.high == 6, "all equal");
	for (unsigned i = 0; i < PIXELS; i++)
		values[i] = 1e20f;
	l = levels();
	cr_assert(l.low == 1e20f && l.high > l.low && isfinite(l.high),
	          "so large that 1 is nothing");
	for (unsigned i = 0; i < PIXELS; i++)
		values[i] = 3, normalised[i] = NAN;
	l = levels();
	cr_assert(l.low == 3 && l.high == 4, "nothing is good");
	for (unsigned i = 0; i < PIXELS; i++)
		values[i] = NAN;
	l = levels();
	cr_assert(l.low == 0 && l.high == 1, "nothing is finite");
}
