/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sentinels.h"
#include "tests/simulated_frames.h"

#include <criterion/criterion.h>

static struct simulated sim;
static struct sentinels watched;
static unsigned raised[SENTINEL_COUNT], ended[SENTINEL_COUNT], renewed[SENTINEL_COUNT];

static void note(void *user, enum sentinel s, enum watch_change change)
{
	cr_assert_eq(user, &sim);
	raised[s] += change == WATCH_RAISED;
	ended[s] += change == WATCH_ENDED;
	renewed[s] += change == WATCH_RENEWED;
}

static void set_up(void)
{
	sim_init(&sim);
	sentinels_init(&watched, &sim.config, &sim, note);
	sentinels_begin(&watched);
}

TestSuite(sentinels, .init = set_up);

static const struct alarm *alarm_of(enum sentinel s)
{
	return &watched.watches[s].alarm;
}

static uint32_t show(void)
{
	return sentinels_frame(&watched, &sim.frame);
}

/* Show frames that are well. */
static void run_well(unsigned frames)
{
	for (unsigned i = 0; i < frames; i++) {
		sim_next(&sim);
		cr_assert_eq(show(), 0, "frame %llu", (unsigned long long)sim.frame.number);
	}
}

static void expect_all_quiet(void)
{
	for (unsigned i = 0; i < SENTINEL_COUNT; i++)
		cr_expect_eq(alarm_of((enum sentinel)i)->times, 0, "%s: %s",
		             sentinel_name((enum sentinel)i), alarm_of((enum sentinel)i)->text);
}

/* Nothing but this alarm was ever raised, and that once. */
static void expect_only(enum sentinel s)
{
	for (unsigned i = 0; i < SENTINEL_COUNT; i++)
		cr_expect_eq(raised[i], i == s, "%s: %s", sentinel_name((enum sentinel)i),
		             alarm_of((enum sentinel)i)->text);
}

/* It goes on for sentinels.clear and no longer; then it has ended for good. */
static void expect_clears(enum sentinel s)
{
	run_well(450);
	cr_expect(alarm_of(s)->active, "%s ends too soon", sentinel_name(s));
	run_well(170);
	cr_expect_not(alarm_of(s)->active, "%s does not end", sentinel_name(s));
	cr_expect_eq(ended[s], 1);
	cr_expect_neq(alarm_of(s)->until_ns, 0);
	expect_only(s);
}

static void expect_text(enum sentinel s, const char *text)
{
	cr_expect_str_eq(alarm_of(s)->text, text, "%s: %s", sentinel_name(s), alarm_of(s)->text);
}

/* ---- one machine for all ---- */

static const struct watch_rules rules = { .limit = 5, .for_ns = 100, .clear_ns = 50 };

static enum watch_change look(struct watch *w, double value, uint64_t at_ns)
{
	const struct watch_look l = { .passed = value > rules.limit,
		                      .value = value,
		                      .frame = at_ns / 10,
		                      .real_ns = 1000 + at_ns,
		                      .steady_ns = at_ns };

	return watch_take(w, &rules, &l);
}

Test(sentinels, an_alarm_is_raised_when_the_limit_was_passed_for_long_enough)
{
	struct watch w = { .pending = false };

	cr_assert_eq(look(&w, 6, 10), WATCH_NOTHING);
	cr_assert_eq(look(&w, 6, 109), WATCH_NOTHING);
	cr_assert_eq(look(&w, 7, 110), WATCH_RAISED);
	cr_assert(w.alarm.active);
	cr_assert_eq(w.alarm.since_ns, 1010);
	cr_assert_eq(w.alarm.first_frame, 1);
	cr_assert_eq(w.alarm.last_frame, 11);
	cr_assert_eq(w.alarm.value, 7);
	cr_assert_eq(w.alarm.until_ns, 0);
}

Test(sentinels, a_break_begins_the_wait_anew)
{
	struct watch w = { .pending = false };

	look(&w, 6, 10);
	look(&w, 5, 100);
	cr_assert_eq(look(&w, 6, 110), WATCH_NOTHING);
	cr_assert_eq(look(&w, 6, 209), WATCH_NOTHING);
	cr_assert_eq(look(&w, 6, 210), WATCH_RAISED);
}

Test(sentinels, an_alarm_ends_when_all_was_well_for_long_enough)
{
	struct watch w = { .pending = false };

	look(&w, 9, 0);
	look(&w, 6, 100);
	cr_assert_eq(look(&w, 4, 110), WATCH_NOTHING);
	cr_assert_eq(look(&w, 6, 150), WATCH_NOTHING);
	cr_assert_eq(look(&w, 4, 160), WATCH_NOTHING);
	cr_assert_eq(look(&w, 4, 209), WATCH_NOTHING);
	cr_assert_eq(look(&w, 4, 210), WATCH_ENDED);
	cr_assert_not(w.alarm.active);
	cr_assert_eq(w.alarm.until_ns, 1150, "when the limit was last passed");
	cr_assert_eq(w.alarm.last_frame, 15);
	cr_assert_eq(w.alarm.value, 9, "the worst");
}

Test(sentinels, an_alarm_at_the_limit_is_raised_once)
{
	struct watch w = { .pending = false };

	look(&w, 6, 0);
	look(&w, 6, 100);
	for (uint64_t at = 110; at < 100000; at += 10)
		cr_assert_eq(look(&w, at % 20 ? 5.001 : 4.999, at), WATCH_NOTHING);
	cr_assert_eq(w.alarm.times, 1);
	cr_assert(w.alarm.active);
}

Test(sentinels, a_text_is_renewed_once_a_second)
{
	struct watch w = { .pending = false };
	unsigned count = 0;

	look(&w, 6, 0);
	look(&w, 6, 100);
	for (uint64_t at = 100; at < 10 * SIM_SECOND; at += SIM_SECOND / 100)
		count += look(&w, 6, at) == WATCH_RENEWED;
	cr_assert_eq(count, 9);
}

Test(sentinels, time_never_goes_back)
{
	struct steady s = { .begun = false };

	cr_assert_eq(steady_at(&s, 100 * SIM_SECOND), 100 * SIM_SECOND);
	cr_assert_eq(steady_at(&s, 99 * SIM_SECOND), 100 * SIM_SECOND, "a late frame");
	cr_assert_eq(steady_at(&s, 101 * SIM_SECOND), 101 * SIM_SECOND);
	cr_assert_eq(steady_at(&s, 10 * SIM_SECOND), 101 * SIM_SECOND, "the clock was set back");
	cr_assert_eq(steady_at(&s, 11 * SIM_SECOND), 102 * SIM_SECOND);
}

Test(sentinels, a_running_median_is_that_of_the_last_values)
{
	static struct running_median m;
	static double values[1000];

	cr_assert(isnan(running_median(&m)));
	for (unsigned i = 0; i < 1000; i++) {
		double sorted[RUNNING_MEDIAN];
		unsigned n = i + 1 < RUNNING_MEDIAN ? i + 1 : RUNNING_MEDIAN;

		values[i] = floor(20 * sim_uniform(&sim));
		running_median_push(&m, values[i], i);
		for (unsigned j = 0; j < n; j++) {
			unsigned k = j;

			for (; k > 0 && sorted[k - 1] > values[i - j]; k--)
				sorted[k] = sorted[k - 1];
			sorted[k] = values[i - j];
		}
		cr_assert_eq(running_median(&m), (sorted[(n - 1) / 2] + sorted[n / 2]) / 2);
	}
	running_median_forget(&m, 997);
	cr_assert_eq(m.count, 3);
	running_median_forget(&m, 5000);
	cr_assert_eq(m.count, 0);
}

/* ---- frames that are well ---- */

static void run_long(void)
{
	sim.look_every = 100;
	for (unsigned i = 0; i < 10000; i++) {
		if (i % 97 == 96)
			sim_lose(&sim, 1 + i % 5);
		if (i == 3000)
			sim_lose(&sim, 150);
		if (i == 5000)
			sim.frame.calibration = 2, sim.dose = 1.02;
		sim_next(&sim);
		if (i % 1000 < 20)
			sim.frame.flags = FRAME_DARK, sim.reduction.dose = 1e-4;
		cr_assert_eq(show(), 0);
	}
	expect_all_quiet();
}

Test(sentinels, ten_thousand_frames_that_are_well_raise_nothing)
{
	run_long();
}

Test(sentinels, nor_do_those_of_a_detector_without_a_clock)
{
	sim.stamped = false;
	run_long();
}

Test(sentinels, nor_does_a_slow_detector)
{
	sim.interval_ns = 3 * SIM_SECOND;
	run_long();
}

Test(sentinels, nor_does_a_fast_one_that_counts_in_steps)
{
	sim.interval_ns = SIM_SECOND / 5000;
	sim.step = 4;
	run_long();
}

Test(sentinels, nor_do_limits_as_they_are_shipped)
{
	struct config shipped;
	char *problems = NULL;

	cr_assert_eq(config_parse(&shipped, NULL, 0, "", NULL, 0, &problems), 0);
	sim.config.sentinels = shipped.sentinels;
	sim.config.beam.dip = shipped.beam.dip;
	sim.config.beam.dump = shipped.beam.dump;
	config_done(&shipped);
	sentinels_init(&watched, &sim.config, &sim, note);
	run_long();
}

Test(sentinels, a_limit_of_zero_is_none)
{
	sim.config.sentinels = (struct config_sentinels){ .clear_ns = SIM_SECOND };
	sim.config.beam.dip = sim.config.beam.dump = 0;
	sentinels_init(&watched, &sim.config, &sim, note);
	run_well(500);
	for (unsigned i = 0; i < 1000; i++) {
		sim.interval_ns = SIM_SECOND / 20;
		sim.sent_ns -= i % 10 == 0 ? SIM_SECOND : 0;
		sim_next(&sim);
		sim.reduction = (struct reduction){ .good = 1, .saturated = 1, .dose = 0.01 };
		sim.defects.dead_count = sim.defects.hot_count = 1000;
		sim.frame.defects = &sim.defects;
		sim.regions[1].normalised.std = 10;
		cr_assert_eq(show(), 0);
	}
	const struct quality_machine m = { .now_ns = SIM_START, .buffer_used = 1, .disk = "/" };
	sentinels_machine(&watched, &m);
	expect_all_quiet();
}

/* ---- pixels ---- */

Test(sentinels, saturated_pixels_are_told)
{
	run_well(100);
	for (unsigned i = 0; i <= 1230; i++) {
		sim_next(&sim);
		sim.reduction.saturated = 4000;
		show();
		cr_assert_eq(alarm_of(SENTINEL_SATURATED)->active, raised[SENTINEL_SATURATED] > 0);
		cr_assert(i > 190 || !raised[SENTINEL_SATURATED]);
		cr_assert(i < 210 || raised[SENTINEL_SATURATED]);
	}
	expect_text(SENTINEL_SATURATED,
	            "0.4 % of pixels saturated for 12 s: reduce the exposure or the beam");
	cr_expect_eq(alarm_of(SENTINEL_SATURATED)->first_frame, 100);
	cr_expect_eq(alarm_of(SENTINEL_SATURATED)->last_frame, 1330);
	cr_expect_float_eq(alarm_of(SENTINEL_SATURATED)->value, 0.004, 1e-12);
	cr_expect_geq(renewed[SENTINEL_SATURATED], 9);
	expect_clears(SENTINEL_SATURATED);
	expect_text(SENTINEL_SATURATED,
	            "up to 0.4 % of pixels saturated for 12 s: reduce the exposure or the beam");
}

Test(sentinels, single_saturated_frames_are_not_told)
{
	for (unsigned i = 0; i < 2000; i++) {
		sim_next(&sim);
		sim.reduction.saturated = i % 50 ? 100000 : 0;
		show();
	}
	expect_all_quiet();
}

/* Looks at every frame find `count` pixels beside those that come and go. */
static void look_for(unsigned frames, unsigned count, bool hot)
{
	for (unsigned i = 0; i < frames; i++) {
		uint32_t *at = hot ? sim.defects.hot : sim.defects.dead;

		sim_next(&sim);
		sim.frame.defects = &sim.defects;
		for (unsigned j = 0; j < count && j < DEFECTS_MAX; j++)
			at[j] = 5000 + 7 * j;
		*(hot ? &sim.defects.hot_count : &sim.defects.dead_count) = count;
		show();
	}
}

Test(sentinels, pixels_in_three_looks_in_a_row_have_died)
{
	run_well(50);
	look_for(2, 23, false);
	cr_assert_not(alarm_of(SENTINEL_DEAD)->active);
	look_for(1, 23, false);
	cr_assert(alarm_of(SENTINEL_DEAD)->active);
	expect_text(SENTINEL_DEAD, "23 pixels have died since the calibration: take a new dark and "
	                           "flat, or check the detector");
	sim.look_every = 1;
	expect_clears(SENTINEL_DEAD);
}

Test(sentinels, hot_pixels_are_told)
{
	look_for(300, 40, true);
	expect_text(SENTINEL_HOT,
	            "40 pixels have become hot since the calibration: take a new dark "
	            "and flat, or check the detector's cooling");
	sim.look_every = 1;
	expect_clears(SENTINEL_HOT);
}

Test(sentinels, more_pixels_than_a_look_holds_are_more_than)
{
	look_for(3, 1000000, false);
	expect_text(SENTINEL_DEAD, "more than 2048 pixels have died since the calibration: take a "
	                           "new dark and flat, or check the detector");
	look_for(103, 30, false);
	expect_text(SENTINEL_DEAD, "30 pixels have died since the calibration: take a new dark and "
	                           "flat, or check the detector");
}

Test(sentinels, pixels_that_were_hit_by_chance_are_not_told)
{
	for (unsigned i = 0; i < 1000; i++) {
		sim_next(&sim);
		sim.frame.defects = &sim.defects;
		for (unsigned j = 0; j < 500; j++)
			sim.defects.hot[j] = 10 * j + (uint32_t)(10 * sim_uniform(&sim)) % 10;
		sim.defects.hot_count = 500;
		sim.defects.dead_count = 0;
		show();
	}
	cr_expect_leq(watched.hot.found, 20, "%u", watched.hot.found);
	expect_all_quiet();
}

Test(sentinels, without_a_calibration_pixels_are_not_marked)
{
	sim_next(&sim);
	for (unsigned i = 0; i < 3; i++) {
		sim_next(&sim);
		sim.frame.calibration = 0;
		sim.frame.has_flat = false;
		sim.frame.defects = &sim.defects;
		for (unsigned j = 0; j < 21; j++)
			sim.defects.dead[j] = j;
		sim.defects.dead_count = 21;
		show();
	}
	expect_text(SENTINEL_DEAD, "21 pixels are dead and no calibration marks them: take a dark "
	                           "and a flat");
}

Test(sentinels, a_new_calibration_marks_what_has_died)
{
	look_for(10, 23, false);
	sim.frame.calibration = 2;
	sim.look_every = 1;
	run_well(1);
	cr_assert_eq(watched.dead.found, 0);
	expect_clears(SENTINEL_DEAD);
}

/* Frames with the pixels of the one before. */
static void repeat(unsigned frames)
{
	struct reduction r = sim.reduction;

	for (unsigned i = 0; i < frames; i++) {
		sim_next(&sim);
		sim.reduction = r;
		show();
	}
}

Test(sentinels, a_stuck_detector_is_told)
{
	run_well(13);
	repeat(3);
	cr_assert_not(alarm_of(SENTINEL_REPEATED)->active);
	repeat(1);
	expect_text(
		SENTINEL_REPEATED,
		"the detector has sent the same pixels 5 times (frames 12 to 16): is it stuck?");
	cr_expect_eq(alarm_of(SENTINEL_REPEATED)->first_frame, 12);
	cr_expect_eq(alarm_of(SENTINEL_REPEATED)->last_frame, 16);
	cr_expect_lt(alarm_of(SENTINEL_REPEATED)->since_ns,
	             sim.frame.received_ns - SIM_SECOND / 50);
	expect_clears(SENTINEL_REPEATED);
}

Test(sentinels, pixels_that_differ_in_anything_are_others)
{
	run_well(100);
	struct reduction r = sim.reduction;
	for (unsigned i = 0; i < 100; i++) {
		sim_next(&sim);
		sim.reduction = r;
		if (i % 4 == 0)
			sim.reduction.reduced_crc32c ^= 1u << i % 32;
		if (i % 4 == 2)
			sim.reduction.raw.mean = nextafter(r.raw.mean, INFINITY);
		show();
	}
	expect_all_quiet();
}

Test(sentinels, darks_and_frames_without_a_good_pixel_may_be_alike)
{
	run_well(10);
	for (unsigned i = 0; i < 100; i++) {
		sim_next(&sim);
		memset(&sim.reduction, 0, sizeof sim.reduction);
		sim.reduction.dose = NAN;
		sim.reduction.good = i % 2;
		sim.reduction.bad = 10;
		sim.frame.flags = i % 2 ? FRAME_DARK : 0;
		cr_assert_eq(show(), 0);
	}
	expect_all_quiet();
}

/* ---- dose ---- */

/* Frames with this share of the usual dose; all have these flags. */
static void dim(unsigned frames, double share, uint32_t flags)
{
	for (unsigned i = 0; i < frames; i++) {
		sim_next(&sim);
		sim.reduction.dose *= share;
		cr_assert_eq(show(), flags, "%u of %u", i, frames);
	}
}

Test(sentinels, a_dip_of_the_beam_is_told_at_its_first_frame)
{
	run_well(417);
	dim(1, 0.5, FRAME_BEAM_DIP);
	cr_assert(alarm_of(SENTINEL_BEAM)->active);
	cr_expect_eq(alarm_of(SENTINEL_BEAM)->first_frame, 417);
	dim(40, 0.5, FRAME_BEAM_DIP);
	expect_clears(SENTINEL_BEAM);
	cr_expect_eq(alarm_of(SENTINEL_BEAM)->last_frame, 457);
	cr_expect_float_eq(alarm_of(SENTINEL_BEAM)->value, 0.5, 0.02);
}

Test(sentinels, a_dip_is_told_in_plain_words)
{
	run_well(417);
	sim_next(&sim);
	sim.reduction.dose = 0.12 * sentinels_usual_dose(&watched);
	cr_assert_eq(show(), FRAME_BEAM_DIP);
	expect_text(SENTINEL_BEAM, "beam at 12 % of the usual dose since frame 417: a dip, check "
	                           "beam and shutter and leave these frames out");
	run_well(1000);
	expect_text(SENTINEL_BEAM, "beam down to 12 % of the usual dose in frame 417: a dip, check "
	                           "beam and shutter and leave these frames out");
}

Test(sentinels, a_dump_is_told_as_one)
{
	run_well(417);
	sim_next(&sim);
	sim.reduction.dose = 0.02 * sentinels_usual_dose(&watched);
	cr_assert_eq(show(), FRAME_BEAM_DIP | FRAME_NO_BEAM);
	expect_text(SENTINEL_BEAM, "beam at 2 % of the usual dose since frame 417: it is dumped or "
	                           "the shutter is closed, wait for it");
	dim(3000, 0.02, FRAME_BEAM_DIP | FRAME_NO_BEAM);
	expect_clears(SENTINEL_BEAM);
}

Test(sentinels, a_beam_at_the_limit_raises_one_alarm)
{
	run_well(100);
	for (unsigned i = 0; i < 3000; i++) {
		sim_next(&sim);
		sim.reduction.dose *= 0.8;
		show();
	}
	cr_expect_eq(raised[SENTINEL_BEAM], 1);
}

Test(sentinels, the_usual_dose_follows_a_beam_that_decays)
{
	for (unsigned i = 0; i < 5000; i++) {
		sim.dose = exp(-(double)i / 2500);
		sim_next(&sim);
		sim.frame.has_flat = false;
		cr_assert_eq(show(), 0);
	}
	expect_all_quiet();
	cr_expect_float_eq(sentinels_usual_dose(&watched), exp(-2), 0.01);
}

Test(sentinels, overexposed_frames_do_not_tell_the_usual_dose)
{
	run_well(300);
	for (unsigned i = 0; i < 300; i++) {
		sim_next(&sim);
		sim.reduction.dose *= 1.6;
		sim.regions[1].saturated = 5000;
		cr_assert_eq(show(), 0);
	}
	run_well(300);
	cr_expect_eq(raised[SENTINEL_BEAM], 0);
	cr_expect_float_eq(sentinels_usual_dose(&watched), 1, 0.02);
}

Test(sentinels, ten_frames_are_learnt_from_before_a_dip_is_told)
{
	dim(3, 1, 0);
	dim(3, 0.5, 0);
	dim(4, 1, 0);
	dim(1, 0.5, FRAME_BEAM_DIP);
}

Test(sentinels, a_new_series_learns_its_dose_but_knows_a_dump)
{
	run_well(200);
	sentinels_begin(&watched);
	sim.number = 0;
	dim(20, 0.01, FRAME_BEAM_DIP | FRAME_NO_BEAM);
	dim(10, 0.4, 0);
	dim(5, 0.2, FRAME_BEAM_DIP);
	expect_only(SENTINEL_BEAM);
}

Test(sentinels, a_new_calibration_is_a_new_scale)
{
	run_well(200);
	sim.frame.calibration = 2;
	sim.dose = 0.01;
	dim(1, 1, 0);
	cr_assert(isnan(sentinels_usual_dose(&watched)));
	dim(50, 1, 0);
	cr_expect_float_eq(sentinels_usual_dose(&watched), 0.01, 0.0005);
}

Test(sentinels, a_frame_that_was_not_divided_has_no_beam)
{
	sim.config.beam.use = BEAM_APPLY;
	for (unsigned i = 0; i < 100; i++) {
		sim_next(&sim);
		sim.reduction.dose_applied = i % 10 != 5;
		if (i % 10 == 5)
			sim.reduction.dose = 0.001;
		cr_assert_eq(show(), i % 10 == 5 ? FRAME_BEAM_DIP | FRAME_NO_BEAM : 0);
	}
}

Test(sentinels, darks_and_damaged_frames_are_no_dips)
{
	static const uint32_t flags[] = { FRAME_DARK, FRAME_INCOMPLETE };

	run_well(100);
	for (unsigned i = 0; i < 1000; i++) {
		sim_next(&sim);
		sim.frame.flags = flags[i % 2];
		sim.reduction.dose = 0;
		sim.reduction.saturated = SIM_PIXELS;
		sim.regions[1].normalised.mean = 0.01;
		cr_assert_eq(show(), 0);
	}
	expect_all_quiet();
}

Test(sentinels, a_flat_that_has_grown_old_is_told)
{
	sim.dose = 0.93;
	for (unsigned i = 0; i < 1260; i++) {
		sim_next(&sim);
		sim.reduction.dose = 0.93;
		show();
		cr_assert(i > 480 || !raised[SENTINEL_FLAT_DRIFT]);
		cr_assert(i < 520 || raised[SENTINEL_FLAT_DRIFT]);
	}
	expect_text(SENTINEL_FLAT_DRIFT,
	            "the open beam has been 7 % below the flat for 12 s: take a new flat");
	sim.dose = 1;
	run_well(30);
	expect_clears(SENTINEL_FLAT_DRIFT);
	expect_text(SENTINEL_FLAT_DRIFT,
	            "the open beam was up to 7 % below the flat for 13 s: take a new flat");
}

Test(sentinels, dips_flats_and_frames_without_a_flat_do_not_drift)
{
	run_well(100);
	for (unsigned i = 0; i < 3000; i++) {
		sim_next(&sim);
		sim.reduction.dose *= i % 3 == 0 ? 0.5 : 1.2;
		sim.frame.flags = i % 3 == 1 ? FRAME_FLAT : i % 3 == 2 ? FRAME_DARK : 0;
		show();
	}
	cr_expect_eq(raised[SENTINEL_FLAT_DRIFT], 0);
}

/* Frames with this signal-to-noise in the open beam. */
static void show_noise(unsigned frames, double snr)
{
	for (unsigned i = 0; i < frames; i++) {
		sim_next(&sim);
		sim.regions[1].normalised.mean = 1;
		sim.regions[1].normalised.std = 1 / snr;
		show();
	}
}

Test(sentinels, more_noise_is_told)
{
	char text[ALARM_TEXT];

	show_noise(300, 50);
	show_noise(130, 24);
	cr_assert_not(alarm_of(SENTINEL_NOISE)->active);
	show_noise(170, 24);
	cr_assert(alarm_of(SENTINEL_NOISE)->active);
	cr_expect_float_eq(alarm_of(SENTINEL_NOISE)->value, 0.48, 1e-9);
	cr_expect(alarm_of(SENTINEL_NOISE)->first_frame >= 345 &&
	          alarm_of(SENTINEL_NOISE)->first_frame <= 355);
	snprintf(text, sizeof text,
	         "the open beam's signal-to-noise is 48 %% of what it was at first (24 instead of "
	         "50) since frame %llu: check exposure, gain and beam",
	         (unsigned long long)alarm_of(SENTINEL_NOISE)->first_frame);
	expect_text(SENTINEL_NOISE, text);
	run_well(50);
	expect_clears(SENTINEL_NOISE);
}

/* Frames of -ln T, about 0 in the open beam, with this error. */
static void show_attenuation(unsigned frames, double error)
{
	for (unsigned i = 0; i < frames; i++) {
		sim_next(&sim);
		sim.regions[1].normalised.mean = 0.001 * sim_normal(&sim);
		sim.regions[1].normalised.std = error;
		show();
	}
}

Test(sentinels, noise_of_attenuation_is_that_of_transmission)
{
	sim.config.reduce.normalise = NORMALISE_ATTENUATION;
	show_attenuation(2000, 0.02);
	expect_all_quiet();
	show_attenuation(300, 0.05);
	cr_assert(alarm_of(SENTINEL_NOISE)->active);
	cr_expect_float_eq(alarm_of(SENTINEL_NOISE)->value, 0.4, 1e-9);
	expect_only(SENTINEL_NOISE);
}

Test(sentinels, single_noisy_frames_are_not_told)
{
	for (unsigned i = 0; i < 3000; i++) {
		sim_next(&sim);
		if (i % 5 < 2)
			sim.regions[1].normalised.std *= 10;
		show();
	}
	expect_all_quiet();
}

/* ---- time ---- */

Test(sentinels, another_frame_rate_is_told)
{
	run_well(1200);
	sim.interval_ns = SIM_SECOND / 50;
	for (unsigned i = 0; i < 200; i++) {
		sim_next(&sim);
		show();
		cr_assert(i > 100 || !raised[SENTINEL_RATE]);
	}
	cr_assert(alarm_of(SENTINEL_RATE)->active);
	cr_expect_eq(strncmp(alarm_of(SENTINEL_RATE)->text, "the frame rate is 50", 20), 0, "%s",
	             alarm_of(SENTINEL_RATE)->text);
	run_well(1000);
	cr_expect_not(alarm_of(SENTINEL_RATE)->active, "the new rate is the usual one");
	expect_only(SENTINEL_RATE);
}

Test(sentinels, a_rate_is_told_in_plain_words)
{
	struct watch w = { .alarm = { .active = true, .first_frame = 417, .last_frame = 500 },
		           .last = { .value = 0.55, .detail = 45.04, .usual = 1000 },
		           .worst = { .value = 0.9, .detail = 0.25, .usual = 12345 } };

	sentinels_end(&watched);
	watched.watches[SENTINEL_RATE] = w;
	watched.watches[SENTINEL_RATE].worst = w.last;
	sentinels_end(&watched);
	expect_text(SENTINEL_RATE,
	            "the frame rate was 45 instead of 1000 frames/s in frames 417 to "
	            "500: check the detector's trigger and the network");
	watched.watches[SENTINEL_RATE] = w;
	sentinels_end(&watched);
	expect_text(SENTINEL_RATE,
	            "the frame rate was 0.25 instead of 12345 frames/s in frames 417 "
	            "to 500: check the detector's trigger and the network");
}

Test(sentinels, a_rate_that_falls_at_once_to_almost_nothing_is_told)
{
	sim.config.sentinels.timestamps = 0;
	sentinels_init(&watched, &sim.config, &sim, note);
	run_well(1200);
	sim.interval_ns = 2 * SIM_SECOND;
	run_well(4);
	expect_only(SENTINEL_RATE);
}

Test(sentinels, the_end_of_a_series_and_a_pause_are_no_change_of_rate)
{
	sim.config.sentinels.timestamps = 0;
	sentinels_init(&watched, &sim.config, &sim, note);
	for (unsigned i = 0; i < 10; i++) {
		run_well(500);
		sim.sent_ns += 3 * SIM_SECOND;
		if (i % 2)
			continue;
		sentinels_end(&watched);
		sentinels_begin(&watched);
		sim.number = 0;
		sim.interval_ns = SIM_SECOND / (100 + 50 * (i / 2));
	}
	expect_all_quiet();
}

Test(sentinels, lost_frames_are_no_change_of_rate)
{
	run_well(1000);
	for (unsigned i = 0; i < 1000; i++) {
		sim_lose(&sim, 1);
		run_well(1);
	}
	expect_all_quiet();
}

Test(sentinels, a_clock_that_jumps_is_told)
{
	run_well(11);
	sim_next(&sim);
	sim.frame.timestamp_ns += 3200 * (SIM_SECOND / 1000);
	show();
	expect_text(SENTINEL_TIMESTAMPS,
	            "the detector's clock jumped by 3.2 s between frames 10 and "
	            "11: check its source of time");
	sim_next(&sim);
	show();
	expect_text(SENTINEL_TIMESTAMPS,
	            "the detector's clock jumped by 3.2 s between frames 10 and "
	            "11: check its source of time");
	expect_clears(SENTINEL_TIMESTAMPS);
	cr_expect_eq(alarm_of(SENTINEL_TIMESTAMPS)->first_frame, 11);
	cr_expect_eq(alarm_of(SENTINEL_TIMESTAMPS)->last_frame, 12);
}

Test(sentinels, a_clock_that_goes_back_is_told_from_the_second_frame_on)
{
	run_well(1);
	sim_next(&sim);
	sim.frame.timestamp_ns -= SIM_SECOND / 2;
	show();
	expect_text(SENTINEL_TIMESTAMPS,
	            "the detector's clock jumped back by 0.49 s between frames "
	            "0 and 1: check its source of time");
}

Test(sentinels, a_detector_that_pauses_has_no_other_clock)
{
	run_well(100);
	sim.sent_ns += 5 * SIM_SECOND;
	sim_next(&sim);
	show();
	expect_text(SENTINEL_TIMESTAMPS,
	            "the detector paused for 5 s between frames 99 and 100: check its trigger");
	expect_clears(SENTINEL_TIMESTAMPS);
}

Test(sentinels, a_clock_of_whole_seconds_does_not_jump)
{
	sim.config.sentinels.rate = 0;
	sentinels_init(&watched, &sim.config, &sim, note);
	for (unsigned i = 0; i < 3000; i++) {
		sim_next(&sim);
		sim.frame.timestamp_ns = sim.sent_ns / SIM_SECOND * SIM_SECOND;
		show();
	}
	expect_all_quiet();
}

Test(sentinels, alarms_about_frames_end_with_them)
{
	run_well(100);
	dim(1, 0.5, FRAME_BEAM_DIP);
	sentinels_end(&watched);
	cr_assert_eq(ended[SENTINEL_BEAM], 1);
	cr_assert_not(alarm_of(SENTINEL_BEAM)->active);
	cr_assert_eq(alarm_of(SENTINEL_BEAM)->until_ns, sim.frame.received_ns);
	sentinels_end(&watched);
	cr_assert_eq(ended[SENTINEL_BEAM], 1);
}

/* ---- the machine ---- */

static struct quality_machine machine;

/* Look at the machine once a second. */
static void look_at_machine(unsigned seconds)
{
	if (machine.now_ns == 0)
		machine =
			(struct quality_machine){ SIM_START, 0.1,      INFINITY, (uint64_t)1 << 40,
			                          0,         INFINITY, "/data" };
	for (unsigned i = 0; i < seconds; i++) {
		machine.now_ns += SIM_SECOND;
		sentinels_machine(&watched, &machine);
	}
}

Test(sentinels, a_machine_that_is_well_raises_nothing)
{
	look_at_machine(1);
	for (unsigned i = 0; i < 1000; i++) {
		machine.buffer_used = 0.79 * sim_uniform(&sim);
		machine.disk_seconds_left = 61 + 100 * sim_uniform(&sim);
		look_at_machine(1);
	}
	expect_all_quiet();
}

Test(sentinels, a_buffer_that_fills_is_told)
{
	look_at_machine(1);
	machine.buffer_used = 0.834;
	machine.seconds_to_overflow = 12;
	look_at_machine(1);
	cr_assert_not(alarm_of(SENTINEL_BUFFER)->active);
	look_at_machine(1);
	expect_text(SENTINEL_BUFFER, "the buffer is 83 % full and overflows in 12 s: disks or "
	                             "processing are too slow for this rate");
	machine.seconds_to_overflow = INFINITY;
	look_at_machine(2);
	expect_text(SENTINEL_BUFFER,
	            "the buffer is 83 % full: disks or processing are too slow for "
	            "this rate");
	sentinels_end(&watched);
	cr_assert(alarm_of(SENTINEL_BUFFER)->active, "it is not about frames");
	machine.buffer_used = 0.1;
	look_at_machine(5);
	cr_assert(alarm_of(SENTINEL_BUFFER)->active);
	look_at_machine(1);
	cr_assert_not(alarm_of(SENTINEL_BUFFER)->active);
	expect_text(SENTINEL_BUFFER, "the buffer was up to 83 % full: disks or processing are too "
	                             "slow for this rate");
	expect_only(SENTINEL_BUFFER);
}

Test(sentinels, a_buffer_at_the_limit_raises_one_alarm)
{
	look_at_machine(1);
	for (unsigned i = 0; i < 300; i++) {
		machine.buffer_used = i % 4 < 2 ? 0.81 : 0.79;
		look_at_machine(1);
	}
	cr_expect_eq(raised[SENTINEL_BUFFER], 1);
	cr_expect_eq(ended[SENTINEL_BUFFER], 0);
}

Test(sentinels, a_disk_that_fills_is_told)
{
	look_at_machine(1);
	machine.disk_seconds_left = 40;
	look_at_machine(1);
	expect_text(SENTINEL_DISK, "disk /data is full in 40 s at this rate: free space or stop");
	machine.disk_seconds_left = INFINITY;
	look_at_machine(6);
	cr_expect_eq(ended[SENTINEL_DISK], 1);
	expect_text(SENTINEL_DISK,
	            "disk /data would have been full in 40 s at this rate: free space or stop");
	expect_only(SENTINEL_DISK);
}

Test(sentinels, a_disk_with_little_space_is_told_though_nothing_is_written)
{
	look_at_machine(1);
	machine.disk_free_bytes = (uint64_t)120 << 20;
	look_at_machine(1);
	expect_text(SENTINEL_DISK, "disk /data has 120 MiB left: free space or stop");
	machine.disk_free_bytes = (uint64_t)1 << 32;
	machine.disk_bytes = (uint64_t)1 << 39;
	look_at_machine(1);
	cr_expect(alarm_of(SENTINEL_DISK)->active, "less than a hundredth");
	machine.disk_bytes = (uint64_t)1 << 38;
	look_at_machine(7);
	cr_expect_not(alarm_of(SENTINEL_DISK)->active);
}

Test(sentinels, of_a_long_path_the_text_has_the_end)
{
	char path[4096];

	memset(path, 'x', sizeof path);
	memcpy(path + sizeof path - 5, "/end", 5);
	look_at_machine(1);
	machine.disk = path;
	machine.disk_seconds_left = 3;
	look_at_machine(1);
	const char *text = alarm_of(SENTINEL_DISK)->text;
	cr_expect_eq(strncmp(text, "disk ...xxx", 11), 0, "%s", text);
	cr_expect_not_null(strstr(text, "x/end is full in 3 s at this rate: free space or stop"),
	                   "%s", text);
}

Test(sentinels, without_a_disk_none_is_watched)
{
	look_at_machine(1);
	machine.disk = NULL;
	machine.disk_free_bytes = 0;
	look_at_machine(10);
	expect_all_quiet();
}
