/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/slope.h"

#include "bench/prng.h"

#include <criterion/criterion.h>
#include <math.h>

#define PLENTY 120
#define MB     1e6

static struct slope_samples samples;

/* -0.5 to 0.5, the same in every run. */
static double noise(unsigned i)
{
	uint64_t state = prng_stream(7, i);

	return prng_unit(&state) - 0.5;
}

static struct slope judged(double share, double absolute)
{
	struct slope s;

	cr_assert_eq(slope_judge(&samples, &(struct slope_rule){ 0, share, absolute, true }, &s),
	             0);
	return s;
}

Test(slope, is_worked_out_by_hand)
{
	static const double v[] = { 1, 2, 3, 4, 5, 6, 7, 8, 10, 9 };
	struct slope s;

	for (unsigned i = 0; i < 10; i++)
		slope_add(&samples, 2 * i, v[i]);
	s = judged(0, 0.5);
	/* S = 45 - 2, var = 10 * 9 * 25 / 18 = 125, z = 42 / sqrt(125) = 3.7566 */
	cr_assert_float_eq(s.p, erfc(42 / sqrt(250)), 1e-12);
	cr_assert_float_eq(s.per_s, 0.5, 1e-12);
	cr_assert_float_eq(s.change, 9, 1e-12);
	cr_assert(s.count == 10 && s.level == 5.5 && s.least == 1 && s.most == 10);
	cr_assert_eq(s.verdict, SLOPE_RISES);
}

Test(slope, takes_ties_out_of_the_variance)
{
	static const double v[] = { 1, 1, 1, 2, 2, 2, 2, 3, 3, 4 };

	for (unsigned i = 0; i < 10; i++)
		slope_add(&samples, i, v[i]);
	/* S = 45 - 3 - 6 - 1; groups of 3, 4, 2: 66 + 156 + 18 */
	cr_assert_float_eq(judged(0, 0).p, erfc(34 / sqrt(2 * (2250 - 240) / 18.0)), 1e-12);
}

Test(slope, of_noise_is_flat)
{
	struct slope s;

	for (unsigned i = 0; i < PLENTY; i++)
		slope_add(&samples, i, 100 + 10 * noise(i));
	s = judged(0.001, 0);
	cr_assert_eq(s.verdict, SLOPE_FLAT, "p %g change %g", s.p, s.change);
}

Test(slope, of_a_constant_is_nothing)
{
	struct slope s;

	for (unsigned i = 0; i < PLENTY; i++)
		slope_add(&samples, i, 42);
	s = judged(0, 0);
	cr_assert(s.verdict == SLOPE_FLAT && s.p == 1 && s.per_s == 0 && s.change == 0);
}

/* 0.1 % a minute of 500 MB for ten minutes, under noise of 2 MB. */
Test(slope, of_a_leak_is_found_under_noise)
{
	struct slope s;

	for (unsigned i = 0; i < PLENTY; i++)
		slope_add(&samples, 5 * i, (500 + 0.5 * 5 * i / 60 + 2 * noise(i)) * MB);
	s = judged(0.005, 1 * MB);
	cr_assert_eq(s.verdict, SLOPE_RISES, "p %g change %g", s.p, s.change);
	cr_assert_float_eq(s.per_s * 60, 0.5 * MB, 0.05 * MB);
	cr_assert_eq(judged(0.02, 0).verdict, SLOPE_FLAT, "less than what counts");
}

Test(slope, of_a_rate_that_sinks_falls)
{
	for (unsigned i = 0; i < PLENTY; i++)
		slope_add(&samples, i, 1000 - 0.2 * i + 5 * noise(i));
	cr_assert_eq(judged(0.01, 0).verdict, SLOPE_FALLS);
}

/* One descriptor that is never closed, in each of four series. */
Test(slope, of_a_staircase_is_found)
{
	for (unsigned i = 0; i < PLENTY; i++)
		slope_add(&samples, i, 20 + i / 30);
	cr_assert_eq(judged(0, 0).verdict, SLOPE_RISES);
}

Test(slope, sees_a_step_that_has_none)
{
	struct slope s;

	for (unsigned i = 0; i < PLENTY; i++)
		slope_add(&samples, i, i < 70 ? 20 : 21);
	s = judged(0, 0);
	cr_assert(s.verdict == SLOPE_RISES && s.per_s == 0 && s.change == 1);
	cr_assert_eq(slope_judge(&samples, &(struct slope_rule){ 0 }, &s), 0);
	cr_assert(s.verdict == SLOPE_FLAT && s.change == 0, "where it is none");
}

/* Memory of a program that has a backlog now and then, without and with a leak below. */
Test(slope, of_a_floor_ignores_backlogs_and_finds_a_leak)
{
	for (double leak = 0; leak < 1; leak += 0.5) {
		struct slope s;

		samples.count = 0;
		for (unsigned i = 0; i < PLENTY; i++)
			slope_add(&samples, i, 1000 + leak * i + (i > 40 && i % 40 < 9 ? 300 : 0));
		slope_floor(&samples);
		cr_assert_eq(slope_judge(&samples, &(struct slope_rule){ .share = 0.01 }, &s), 0);
		cr_assert_eq(s.verdict, leak > 0 ? SLOPE_RISES : SLOPE_FLAT, "%g", s.change);
		cr_assert_float_eq(s.per_s, leak, 0.02);
	}
}

Test(slope, is_not_moved_by_a_few_outliers)
{
	for (unsigned i = 0; i < PLENTY; i++)
		slope_add(&samples, i, i % 17 == 16 ? 1000 : 5 + 0.01 * noise(i));
	cr_assert_eq(judged(0.2, 0).verdict, SLOPE_FLAT);
}

Test(slope, leaves_the_warm_up_out)
{
	struct slope s;

	for (unsigned i = 0; i < PLENTY; i++)
		slope_add(&samples, i, i < 24 ? i : 24);
	cr_assert_eq(slope_judge(&samples, &(struct slope_rule){ .from_s = 24 }, &s), 0);
	cr_assert(s.verdict == SLOPE_FLAT && s.count == PLENTY - 24);
}

Test(slope, of_a_few_samples_is_too_short)
{
	struct slope s;

	for (unsigned i = 0; i < SLOPE_SAMPLES_LEAST - 1; i++)
		slope_add(&samples, i, i);
	slope_add(&samples, 50, (double)NAN);
	s = judged(0, 0);
	cr_assert(s.verdict == SLOPE_TOO_SHORT && isnan(s.p) && s.level == 4);
	samples.count = 0;
	s = judged(0, 0);
	cr_assert(s.verdict == SLOPE_TOO_SHORT && s.count == 0 && isnan(s.level));
}

Test(slope, takes_as_many_samples_as_there_is_room_for)
{
	for (unsigned i = 0; i < SLOPE_SAMPLES_MAX + 5; i++)
		slope_add(&samples, i, i);
	cr_assert_eq(samples.count, SLOPE_SAMPLES_MAX);
	cr_assert_eq(judged(0.01, 0).verdict, SLOPE_RISES);
}
