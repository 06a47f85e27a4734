/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/quality.h"
#include "tests/simulated_frames.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define TENTH   (SIM_SECOND / 10)
#define FRAMES  3000
#define COLUMNS (7 + 3 * SIM_REGIONS)

static struct simulated sim;
static struct quality *quality;
static struct quality_events events;
static uint64_t now_ns; /* when it is published */
static unsigned raised[SENTINEL_COUNT], ended[SENTINEL_COUNT];

static const struct bins raw_bins = { SIM_BINS, 0, 65536 };
static const struct bins normalised_bins = { SIM_BINS, 0, 1.5 };

static void happened(void *user, const struct quality_event *e)
{
	cr_assert_eq(user, &sim);
	cr_assert_eq(e->alarm->active, e->raised);
	cr_assert_neq(e->alarm->text[0], 0);
	raised[e->sentinel] += e->raised;
	ended[e->sentinel] += !e->raised;
}

static void open_quality(void)
{
	sim_init(&sim);
	events = (struct quality_events){ &sim, happened };
	cr_assert_eq(quality_open(&quality, &sim.config, &events), 0);
	quality_begin(quality, &raw_bins, &normalised_bins, false);
	now_ns = SIM_START;
}

static void close_quality(void)
{
	quality_close(quality);
}

TestSuite(quality, .init = open_quality, .fini = close_quality);

static void publish(void)
{
	now_ns += TENTH;
	quality_publish(quality, now_ns);
}

static void run(unsigned frames)
{
	for (unsigned i = 0; i < frames; i++) {
		sim_next(&sim);
		quality_frame(quality, &sim.frame);
	}
}

static struct quality_figures figures(void)
{
	struct quality_figures f;

	quality_figures(quality, &f);
	return f;
}

static uint64_t frames_in(bool raw, enum quality_window w)
{
	struct quality_histogram h;

	cr_assert_eq(quality_histogram(quality, raw, w, &h), 0);
	free(h.counts);
	return h.frames;
}

/* ---- windows ---- */

/* All frames there were, to be added up one by one. */
static struct {
	uint64_t at_ns; /* received, or when a later one was */
	uint32_t counts[2][SIM_BINS];
	struct histogram_tails tails[2];
} all[FRAMES];
static unsigned all_count;

static void keep(void)
{
	uint64_t before_ns = all_count > 0 ? all[all_count - 1].at_ns : 0;
	uint64_t at_ns = sim.frame.received_ns;

	all[all_count].at_ns = at_ns > before_ns ? at_ns : before_ns;
	memcpy(all[all_count].counts[0], sim.normalised_counts, sizeof sim.normalised_counts);
	memcpy(all[all_count].counts[1], sim.raw_counts, sizeof sim.raw_counts);
	all[all_count].tails[0] = sim.reduction.normalised_tails;
	all[all_count].tails[1] = sim.reduction.raw_tails;
	all_count++;
}

static bool is_in(unsigned i, enum quality_window w)
{
	uint64_t last_ns = all[all_count - 1].at_ns;

	if (w == WINDOW_SECOND)
		return last_ns / TENTH - all[i].at_ns / TENTH < 10;
	return w == WINDOW_SERIES || i + 1 == all_count;
}

static void expect_window(bool raw, enum quality_window w)
{
	struct histogram_tails tails = { 0 };
	uint64_t counts[SIM_BINS] = { 0 }, frames = 0;
	float expected[PERCENTILES];
	struct quality_histogram h;

	for (unsigned i = 0; i < all_count; i++) {
		if (!is_in(i, w))
			continue;
		frames++;
		tails.below += all[i].tails[raw].below;
		tails.above += all[i].tails[raw].above;
		tails.nan += all[i].tails[raw].nan;
		for (unsigned j = 0; j < SIM_BINS; j++)
			counts[j] += all[i].counts[raw][j];
	}
	percentiles_of_series(expected, raw ? &raw_bins : &normalised_bins, counts, &tails, false);
	cr_assert_eq(quality_histogram(quality, raw, w, &h), 0);
	cr_assert_eq(h.frames, frames);
	cr_assert_eq(h.bins.bins, SIM_BINS);
	cr_assert_eq(memcmp(h.counts, counts, sizeof counts), 0);
	cr_assert_eq(memcmp(&h.tails, &tails, sizeof tails), 0);
	cr_assert_eq(memcmp(h.percentiles, expected, sizeof expected), 0);
	free(h.counts);
}

Test(quality, histograms_are_those_of_their_frames)
{
	for (unsigned i = 0; i < FRAMES; i++) {
		sim.interval_ns = SIM_SECOND / (i < FRAMES / 2 ? 150 : 20);
		if (i % 501 == 500)
			sim.sent_ns += i * SIM_SECOND / 1000;
		run(1);
		keep();
		if (i % 23 != 0)
			continue;
		publish();
		for (unsigned w = 0; w < WINDOW_COUNT; w++) {
			expect_window(false, (enum quality_window)w);
			expect_window(true, (enum quality_window)w);
		}
	}
}

Test(quality, the_last_second_ends_without_frames)
{
	run(300);
	publish();
	cr_assert_geq(frames_in(true, WINDOW_SECOND), 90);
	for (unsigned i = 0; i < 8; i++)
		publish();
	cr_assert_geq(frames_in(true, WINDOW_SECOND), 1);
	for (unsigned i = 0; i < 3; i++)
		publish();
	cr_assert_eq(frames_in(true, WINDOW_SECOND), 0);
	cr_assert_eq(frames_in(true, WINDOW_FRAME), 1);
	cr_assert_eq(frames_in(true, WINDOW_SERIES), 300);
	run(1);
	publish();
	cr_assert_eq(frames_in(true, WINDOW_SECOND), 1);
}

Test(quality, frames_that_waited_long_have_a_last_second)
{
	now_ns += 30 * SIM_SECOND;
	for (unsigned i = 0; i < 100; i++) {
		run(10);
		publish();
	}
	cr_assert_geq(frames_in(true, WINDOW_SECOND), 90);
	cr_assert_leq(frames_in(true, WINDOW_SECOND), 110);
}

Test(quality, a_clock_that_is_set_back_stops_nothing)
{
	run(300);
	sim.sent_ns -= 3600 * SIM_SECOND;
	run(300);
	publish();
	cr_assert_geq(frames_in(true, WINDOW_SECOND), 85);
	cr_assert_leq(frames_in(true, WINDOW_SECOND), 110);
	cr_assert_eq(frames_in(true, WINDOW_SERIES), 600);
}

Test(quality, a_series_counts_anew)
{
	run(100);
	quality_end(quality, sim.frame.received_ns);
	quality_begin(quality, &raw_bins, &normalised_bins, true);
	publish();
	for (unsigned w = 0; w < WINDOW_COUNT; w++)
		cr_assert_eq(frames_in(false, (enum quality_window)w), 0);
	run(3);
	publish();
	cr_assert_eq(frames_in(false, WINDOW_SERIES), 3);
	cr_assert_eq(frames_in(false, WINDOW_SECOND), 3);
}

Test(quality, whole_bins_have_whole_percentiles)
{
	const struct bins ones = { SIM_BINS, 0, SIM_BINS };
	struct quality_histogram h;

	quality_begin(quality, &ones, &normalised_bins, true);
	run(10);
	publish();
	cr_assert_eq(quality_histogram(quality, true, WINDOW_SERIES, &h), 0);
	cr_assert_eq(h.percentiles[2], floorf(h.percentiles[2]));
	free(h.counts);
	cr_assert_eq(quality_histogram(quality, false, WINDOW_SERIES, &h), 0);
	cr_assert_neq(h.percentiles[2], floorf(h.percentiles[2]));
	free(h.counts);
}

Test(quality, there_may_be_no_histogram_of_raw_pixels)
{
	const struct bins none = { 0, 0, 0 };
	struct quality_histogram h;

	quality_begin(quality, &none, &normalised_bins, false);
	sim_next(&sim);
	sim.frame.raw_counts = NULL;
	quality_frame(quality, &sim.frame);
	publish();
	cr_assert_eq(quality_histogram(quality, true, WINDOW_SERIES, &h), 0);
	cr_assert_eq(h.frames, 0);
	cr_assert_eq(h.bins.bins, 0);
	cr_assert(isnan(h.percentiles[2]));
	free(h.counts);
	cr_assert_eq(frames_in(false, WINDOW_SERIES), 1);
}

/* ---- figures ---- */

Test(quality, nothing_is_known_before_the_first_frame)
{
	struct quality_trend t;
	struct quality_figures f = figures();

	cr_assert(isnan(f.mean) && isnan(f.dose) && isnan(f.percentiles[0]));
	cr_assert_eq(f.region_count, SIM_REGIONS);
	cr_assert(isnan(f.regions[1].snr));
	cr_assert_eq(f.fps, 0);
	publish();
	f = figures();
	cr_assert(isnan(f.mean) && isnan(f.dose_reference));
	cr_assert_eq(f.fps, 0);
	cr_assert_eq(frames_in(true, WINDOW_FRAME), 0);
	cr_assert_eq(quality_trend(quality, TREND_ROWS, &t), 0);
	cr_assert_eq(t.rows, 0);
	cr_assert_eq(t.columns, COLUMNS);
	quality_trend_done(&t);
}

Test(quality, figures_are_those_of_the_last_frame)
{
	run(99);
	sim_next(&sim);
	sim.reduction.raw_percentiles[2] = 17;
	sim.reduction.percentiles[4] = 0.5f;
	sim.reduction.saturated = 50;
	quality_frame(quality, &sim.frame);
	publish();
	struct quality_figures f = figures();
	cr_assert_eq(f.frame, 99);
	cr_assert_eq(f.mean, sim.reduction.normalised.mean);
	cr_assert_eq(f.std, sim.reduction.normalised.std);
	cr_assert_eq(f.raw_mean, sim.reduction.raw.mean);
	cr_assert_eq(f.raw_std, sim.reduction.raw.std);
	cr_assert_eq(f.saturated_share, 50e-6);
	cr_assert_eq(f.bad_share, 1e-4);
	cr_assert_eq(f.dose, sim.reduction.dose);
	cr_assert_float_eq(f.dose_reference, 1, 0.02);
	cr_assert_eq(f.raw_percentiles[2], 17);
	cr_assert_eq(f.percentiles[4], 0.5);
	for (unsigned i = 0; i < SIM_REGIONS; i++) {
		const struct moments *m = &sim.regions[i].normalised;

		cr_assert_eq(memcmp(&f.regions[i].stats, &sim.regions[i], sizeof sim.regions[i]),
		             0);
		cr_assert_eq(f.regions[i].snr, m->mean / m->std);
	}
}

Test(quality, people_see_news_ten_times_a_second)
{
	unsigned news = 0;
	uint64_t seen = UINT64_MAX;

	for (unsigned i = 0; i < 1000; i++) {
		run(1);
		quality_publish(quality, now_ns += SIM_SECOND / 1000);
		news += figures().frame != seen;
		seen = figures().frame;
	}
	cr_assert_eq(news, 10);
}

Test(quality, the_rate_is_by_the_clock_of_the_sender)
{
	sim.interval_ns = SIM_SECOND / 80;
	for (unsigned i = 0; i < 500; i++) {
		sim_next(&sim);
		sim.frame.received_ns = SIM_START + (sim.frame.received_ns - SIM_START) / 2;
		quality_frame(quality, &sim.frame);
	}
	publish();
	cr_assert_float_eq(figures().fps, 80, 0.5);
}

Test(quality, without_a_clock_of_the_sender_the_rate_is_by_ours)
{
	sim.interval_ns = SIM_SECOND / 80;
	sim.stamped = false;
	run(500);
	publish();
	cr_assert_float_eq(figures().fps, 80, 8);
}

Test(quality, a_slow_detector_has_a_rate_between_its_frames)
{
	sim.interval_ns = 4 * SIM_SECOND;
	sim.sent_ns = now_ns;
	run(5);
	publish();
	cr_assert_float_eq(figures().fps, 0.25, 0.05);
	for (unsigned i = 0; i < 40; i++)
		publish();
	cr_assert_float_eq(figures().fps, 0.25, 0.05);
	for (unsigned i = 0; i < 200; i++)
		publish();
	cr_assert_eq(figures().fps, 0);
}

Test(quality, figures_have_alarms_and_pixels_that_died)
{
	for (unsigned i = 0; i < 10; i++) {
		sim_next(&sim);
		for (unsigned j = 0; j < 23; j++)
			sim.defects.dead[j] = j;
		sim.defects.dead_count = 23;
		sim.frame.defects = &sim.defects;
		quality_frame(quality, &sim.frame);
	}
	publish();
	struct quality_figures f = figures();
	cr_assert_eq(f.dead, 23);
	cr_assert(f.alarms[SENTINEL_DEAD].active);
	cr_assert_str_eq(f.alarms[SENTINEL_DEAD].text,
	                 "23 pixels have died since the calibration: take a new dark and flat, or "
	                 "check the detector");
	cr_assert_eq(raised[SENTINEL_DEAD], 1);
	quality_end(quality, sim.frame.received_ns);
	cr_assert_eq(ended[SENTINEL_DEAD], 1);
	publish();
	cr_assert_not(figures().alarms[SENTINEL_DEAD].active);
}

/* ---- trends ---- */

static struct quality_trend trend(void)
{
	struct quality_trend t;

	cr_assert_eq(quality_trend(quality, TREND_ROWS, &t), 0);
	return t;
}

Test(quality, trends_have_names)
{
	static const char *const names[COLUMNS] = { "time_s",     "fps",         "mean",
		                                    "std",        "raw_mean",    "saturated_share",
		                                    "dose",       "sample_mean", "sample_raw_mean",
		                                    "sample_snr", "open_mean",   "open_raw_mean",
		                                    "open_snr" };
	struct quality_trend t = trend();

	cr_assert_eq(t.columns, COLUMNS);
	for (unsigned i = 0; i < COLUMNS; i++)
		cr_assert_str_eq(t.names[i], names[i]);
	quality_trend_done(&t);
}

static void columns_of(double row[COLUMNS])
{
	const double of[] = {
		sim.reduction.normalised.mean,
		sim.reduction.normalised.std,
		sim.reduction.raw.mean,
		(double)sim.reduction.saturated / SIM_PIXELS,
		sim.reduction.dose,
		sim.regions[0].normalised.mean,
		sim.regions[0].raw.mean,
		sim.regions[0].normalised.mean / sim.regions[0].normalised.std,
		sim.regions[1].normalised.mean,
		sim.regions[1].raw.mean,
		sim.regions[1].normalised.mean / sim.regions[1].normalised.std,
	};

	memcpy(row + 2, of, sizeof of);
}

Test(quality, a_row_is_the_mean_of_its_second)
{
	double sums[12][COLUMNS] = { 0 }, counts[12] = { 0 };
	uint64_t latest_ns = 0;

	for (unsigned i = 0; i < 1000; i++) {
		double row[COLUMNS];

		run(1);
		if (sim.frame.received_ns > latest_ns)
			latest_ns = sim.frame.received_ns;
		uint64_t second = (latest_ns - SIM_START) / SIM_SECOND;
		columns_of(row);
		counts[second]++;
		for (unsigned j = 2; j < COLUMNS; j++)
			sums[second][j] += row[j];
	}
	publish();
	struct quality_trend t = trend();
	cr_assert_eq(t.rows, 10);
	for (unsigned i = 0; i < t.rows; i++) {
		const double *row = t.values + i * COLUMNS;

		cr_assert_eq(row[0], (double)(SIM_START / SIM_SECOND + i));
		cr_assert_float_eq(row[1], 100, 1);
		for (unsigned j = 2; j < COLUMNS; j++)
			cr_assert_float_eq(row[j], sums[i][j] / counts[i], 1e-9 * fabs(row[j]));
	}
	quality_trend_done(&t);
}

Test(quality, what_a_frame_lacks_is_left_out_of_its_second)
{
	for (unsigned i = 0; i < 250; i++) {
		sim_next(&sim);
		sim.reduction.dose = i < 90 && i % 2 ? 3 : NAN;
		sim.regions[0].normalised.std = 0;
		quality_frame(quality, &sim.frame);
	}
	publish();
	struct quality_trend t = trend();
	cr_assert_eq(t.values[6], 3);
	cr_assert(isnan(t.values[COLUMNS + 6]));
	cr_assert(isnan(t.values[9]));
	quality_trend_done(&t);
}

Test(quality, seconds_without_frames_have_a_rate_of_nothing)
{
	run(200);
	publish();
	for (unsigned i = 0; i < 50; i++)
		publish();
	struct quality_trend t = trend();
	cr_assert_eq(t.rows, 7);
	cr_assert_gt(t.values[COLUMNS + 1], 90);
	cr_assert_eq(t.values[6 * COLUMNS + 1], 0);
	cr_assert(isnan(t.values[6 * COLUMNS + 2]));
	quality_trend_done(&t);
}

/* Time rises by a second from row to row, up to the last one. */
static void expect_ten_minutes(double last)
{
	struct quality_trend t = trend();

	cr_assert_eq(t.rows, TREND_ROWS);
	for (unsigned i = 0; i < t.rows; i++)
		cr_assert_eq(t.values[i * COLUMNS], last - (TREND_ROWS - 1 - i));
	quality_trend_done(&t);
}

Test(quality, trends_hold_ten_minutes)
{
	sim.interval_ns = SIM_SECOND / 3;
	for (unsigned i = 0; i < 3000; i++) {
		run(1);
		publish();
	}
	expect_ten_minutes((double)(SIM_START / SIM_SECOND) + 999);
}

Test(quality, a_pause_of_hours_fills_the_trends_and_no_more)
{
	run(350);
	sim.sent_ns += 3 * 3600 * SIM_SECOND;
	run(1);
	publish();
	expect_ten_minutes((double)(SIM_START / SIM_SECOND) + 3 * 3600 + 2);
}

Test(quality, trends_go_on_with_the_next_series)
{
	run(300);
	quality_end(quality, sim.frame.received_ns);
	quality_begin(quality, &raw_bins, &normalised_bins, false);
	sim.number = 0;
	run(250);
	publish();
	struct quality_trend t = trend();
	cr_assert_eq(t.rows, 5);
	quality_trend_done(&t);
}

/* ---- findings ---- */

/* A dip of one frame, that ends before the next one. */
static void dip(void)
{
	sim_next(&sim);
	sim.reduction.dose = 0.12;
	cr_assert_eq(quality_frame(quality, &sim.frame), FRAME_BEAM_DIP);
	run(20);
}

static void open_with_short_alarms(void)
{
	quality_close(quality);
	sim.config.sentinels.clear_ns = SIM_SECOND / 10;
	cr_assert_eq(quality_open(&quality, &sim.config, &events), 0);
	quality_begin(quality, &raw_bins, &normalised_bins, false);
}

Test(quality, findings_are_what_was_wrong_with_a_series)
{
	const struct finding *f;
	uint64_t left_out = 1;

	open_with_short_alarms();
	run(417);
	dip();
	for (unsigned i = 0; i < 300; i++) {
		sim_next(&sim);
		sim.reduction.saturated = 4000 + i;
		quality_frame(quality, &sim.frame);
	}
	quality_end(quality, sim.frame.received_ns);
	cr_assert_eq(quality_findings(quality, &f, &left_out), 2);
	cr_assert_eq(left_out, 0);
	cr_assert_eq(f[0].sentinel, SENTINEL_BEAM);
	cr_assert_eq(f[0].first_frame, 417);
	cr_assert_eq(f[0].last_frame, 417);
	cr_assert_eq(f[0].limit, 0.8);
	cr_assert_float_eq(f[0].worst, 0.12, 0.01);
	cr_assert_eq(strncmp(f[0].text, "beam down to 12 % of the usual dose in frame 417: ", 50),
	             0, "%s", f[0].text);
	cr_assert_eq(f[0].from_ns, f[0].to_ns);
	cr_assert_eq(f[1].sentinel, SENTINEL_SATURATED);
	cr_assert_eq(f[1].first_frame, 438);
	cr_assert_eq(f[1].last_frame, 737);
	cr_assert_eq(f[1].to_ns, sim.frame.received_ns);
	cr_assert_eq(f[1].worst, 0.004299);
	cr_assert_str_eq(f[1].text, "up to 0.43 % of pixels saturated for 3 s: reduce the exposure "
	                            "or the beam");
	quality_begin(quality, &raw_bins, &normalised_bins, false);
	cr_assert_eq(quality_findings(quality, &f, &left_out), 0);
}

Test(quality, findings_beyond_the_last_are_counted)
{
	const struct finding *f;
	uint64_t left_out = 0;

	open_with_short_alarms();
	run(100);
	for (unsigned i = 0; i < FINDINGS_MAX + 44; i++)
		dip();
	quality_end(quality, sim.frame.received_ns);
	cr_assert_eq(quality_findings(quality, &f, &left_out), FINDINGS_MAX);
	cr_assert_eq(left_out, 44);
	cr_assert_eq(f[FINDINGS_MAX - 1].first_frame, 100 + 21 * (FINDINGS_MAX - 1));
	cr_assert_eq(raised[SENTINEL_BEAM], FINDINGS_MAX + 44);
	cr_assert_eq(ended[SENTINEL_BEAM], FINDINGS_MAX + 44);
}

Test(quality, what_was_wrong_with_the_machine_before_is_a_finding)
{
	struct quality_machine m = { .now_ns = SIM_START, .buffer_used = 0.1, .disk = "/data" };
	const struct finding *f;
	uint64_t left_out;

	m.disk_seconds_left = 30;
	m.disk_free_bytes = (uint64_t)1 << 40;
	quality_machine(quality, &m);
	cr_assert_eq(raised[SENTINEL_DISK], 1);
	quality_begin(quality, &raw_bins, &normalised_bins, false);
	run(10);
	quality_end(quality, SIM_START + SIM_SECOND);
	cr_assert_eq(quality_findings(quality, &f, &left_out), 1);
	cr_assert_not(f[0].of_frames);
	cr_assert_eq(f[0].from_ns, SIM_START);
	cr_assert_eq(f[0].to_ns, SIM_START + SIM_SECOND);
	cr_assert_str_eq(f[0].text, "disk /data is full in 30 s at this rate: free space or stop");
}

Test(quality, nobody_need_listen)
{
	struct quality *q;

	cr_assert_eq(quality_open(&q, &sim.config, NULL), 0);
	quality_begin(q, &raw_bins, &normalised_bins, false);
	for (unsigned i = 0; i < 100; i++) {
		sim_next(&sim);
		sim.reduction.dose = i < 50 ? 1 : 0.2;
		quality_frame(q, &sim.frame);
	}
	quality_close(q);
	quality_close(NULL);
}
