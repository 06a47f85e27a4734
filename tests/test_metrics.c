/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/metrics.h"
#include "daemon/status.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct config config;
static struct status_view view;

static void look(const char *text)
{
	char *problems = NULL;

	cr_assert_eq(config_parse(&config, text, strlen(text), "test", NULL, 0, &problems), 0, "%s",
	             problems);
	view = (struct status_view){ .config = &config,
		                     .version = "1.2",
		                     .commit = "abc",
		                     .isa = "avx2",
		                     .calibration = { .role = "" } };
	view.quality.dose = NAN;
	view.rates.seconds_to_overflow = INFINITY;
}

static void look_at_region(void)
{
	static char name[] = "open";

	look("");
	config.region_count = view.quality.region_count = 1;
	config.regions[0].name = name;
}

static char *text(void)
{
	size_t length;
	char *t = metrics_text(&view, &length);

	cr_assert_not_null(t);
	cr_assert_eq(strlen(t), length);
	return t;
}

static void expect_line(const char *t, const char *line)
{
	char wanted[300];

	snprintf(wanted, sizeof wanted, "\n%s\n", line);
	cr_expect(strstr(t, wanted), "no line '%s' in\n%s", line, t);
}

Test(metrics, every_reason_is_there_from_the_start)
{
	char line[200];

	look("ingest: {name: cam-1}");
	char *t = text();
	for (unsigned i = 0; i < DROPPED_COUNT; i++) {
		snprintf(line, sizeof line,
		         "openbeam_frames_dropped_total{source=\"cam-1\",reason=\"%s\"} 0",
		         frame_reason_name(FRAME_DROPPED, i));
		expect_line(t, line);
	}
	for (unsigned i = 0; i < MISSING_COUNT; i++) {
		snprintf(line, sizeof line,
		         "openbeam_frames_missing_total{source=\"cam-1\",reason=\"%s\"} 0",
		         frame_reason_name(FRAME_MISSING, i));
		expect_line(t, line);
	}
	for (unsigned i = 0; i < REJECT_COUNT; i++) {
		snprintf(line, sizeof line,
		         "openbeam_messages_rejected_total{source=\"cam-1\",reason=\"%s\"} 0",
		         reject_name((enum reject)i));
		expect_line(t, line);
	}
	for (unsigned i = 0; i < SENTINEL_COUNT; i++) {
		snprintf(line, sizeof line, "openbeam_alarm{sentinel=\"%s\"} 0",
		         sentinel_name((enum sentinel)i));
		expect_line(t, line);
		snprintf(line, sizeof line, "openbeam_alarms_total{sentinel=\"%s\"} 0",
		         sentinel_name((enum sentinel)i));
		expect_line(t, line);
	}
	expect_line(t, "openbeam_series_state{state=\"idle\"} 1");
	expect_line(t, "openbeam_series_state{state=\"error\"} 0");
	expect_line(t, "openbeam_build_info{version=\"1.2\",commit=\"abc\",isa=\"avx2\"} 1");
	expect_line(t, "openbeam_image_dose NaN");
	expect_line(t, "openbeam_storage_free_bytes{sink=\"tiff\"} NaN");
	free(t);
}

Test(metrics, figures_are_those_since_the_start)
{
	look("");
	view.figures.series.written = 3;
	view.figures.ever.written = 18446744073709551615u;
	view.figures.ever.missing[MISSING_NEVER] = 7;
	view.figures.slots = 40;
	view.slots_used = 10;
	view.quality.alarms[SENTINEL_BEAM].active = true;
	view.quality.alarms[SENTINEL_BEAM].times = 4;
	view.calibration.id = 9;
	char *t = text();
	expect_line(t, "openbeam_frames_written_total{sink=\"tiff\"} 18446744073709551615");
	expect_line(t, "openbeam_frames_missing_total{source=\"camera\",reason=\"never\"} 7");
	expect_line(t, "openbeam_buffer_used_ratio{source=\"camera\"} 0.25");
	expect_line(t, "openbeam_alarm{sentinel=\"beam\"} 1");
	expect_line(t, "openbeam_alarms_total{sentinel=\"beam\"} 4");
	expect_line(t, "openbeam_calibration_id 9");
	free(t);
}

Test(metrics, write_times_are_a_cumulative_histogram)
{
	look("");
	view.figures.sinks.write_times[0] = 2;
	view.figures.sinks.write_times[2] = 3;
	view.figures.sinks.write_times[WRITE_TIMES - 1] = 1;
	view.figures.sinks.write_ns = 1500000000;
	char *t = text();
	expect_line(t, "openbeam_write_duration_seconds_bucket{le=\"0.00025\"} 2");
	expect_line(t, "openbeam_write_duration_seconds_bucket{le=\"0.001\"} 2");
	expect_line(t, "openbeam_write_duration_seconds_bucket{le=\"0.004\"} 5");
	expect_line(t, "openbeam_write_duration_seconds_bucket{le=\"4.096\"} 5");
	expect_line(t, "openbeam_write_duration_seconds_bucket{le=\"+Inf\"} 6");
	expect_line(t, "openbeam_write_duration_seconds_count 6");
	expect_line(t, "openbeam_write_duration_seconds_sum 1.500000000");
	free(t);
}

Test(metrics, latency_is_a_histogram_for_each_stage)
{
	struct latency_since_start *l;

	look("");
	l = &view.latency_ever[LATENCY_REDUCE];
	l->upto[1] = 3;
	for (unsigned i = 2; i < LATENCY_BOUNDS; i++)
		l->upto[i] = 4;
	l->count = 5;
	l->sum_ns = 200000025000;
	view.last_loss.time_ns = 1500000000;
	view.ceiling_bytes = 1 << 30;
	view.process.open_fds = 12;
	char *t = text();
	expect_line(t, "openbeam_frame_latency_seconds_bucket{stage=\"reduce\",le=\"1e-05\"} 0");
	expect_line(t, "openbeam_frame_latency_seconds_bucket{stage=\"reduce\",le=\"2.5e-05\"} 3");
	expect_line(t, "openbeam_frame_latency_seconds_bucket{stage=\"reduce\",le=\"100\"} 4");
	expect_line(t, "openbeam_frame_latency_seconds_bucket{stage=\"reduce\",le=\"+Inf\"} 5");
	expect_line(t, "openbeam_frame_latency_seconds_count{stage=\"reduce\"} 5");
	expect_line(t, "openbeam_frame_latency_seconds_sum{stage=\"reduce\"} 200.000025000");
	expect_line(t, "openbeam_frame_latency_seconds_count{stage=\"durable\"} 0");
	expect_line(t, "openbeam_last_loss_timestamp_seconds 1.5");
	expect_line(t, "openbeam_memory_ceiling_bytes 1073741824");
	expect_line(t, "process_open_fds 12");
	free(t);
}

Test(metrics, sinks_have_names_of_their_own)
{
	look("sinks: [{format: null}, {format: raw, directory: a}, {format: tiff, directory: b}, "
	     "{format: raw, directory: c}]");
	view.disks[3] = (struct disk_space){ true, 5, 6 };
	view.figures.sinks.each[1].written_bytes = 70;
	view.figures.sinks.each[3].sync_errors = 2;
	char *t = text();
	expect_line(t, "openbeam_frames_written_total{sink=\"raw\"} 0");
	expect_line(t, "openbeam_written_bytes_total{sink=\"raw\"} 70");
	expect_line(t, "openbeam_written_bytes_total{sink=\"tiff\"} 0");
	expect_line(t, "openbeam_io_errors_total{sink=\"raw-3\",operation=\"sync\"} 2");
	expect_line(t, "openbeam_storage_free_bytes{sink=\"raw-3\"} 5");
	cr_expect_null(strstr(t, "sink=\"null\""));
	free(t);
}

Test(metrics, regions_have_their_names)
{
	look_at_region();
	view.quality.regions[0].stats.normalised.mean = 0.5;
	view.quality.regions[0].snr = INFINITY;
	char *t = text();
	expect_line(t, "openbeam_region_mean{region=\"open\"} 0.5");
	expect_line(t, "openbeam_region_snr{region=\"open\"} +Inf");
	free(t);
}

Test(metrics, the_state_says_the_worst)
{
	look("");
	cr_expect_eq(status_state(&view), STATUS_IDLE);
	view.figures.armed = 1;
	cr_expect_eq(status_state(&view), STATUS_ARMED);
	view.figures.armed = 0;
	view.figures.running = 1;
	cr_expect_eq(status_state(&view), STATUS_RUNNING);
	view.quality.alarms[SENTINEL_NOISE].active = true;
	cr_expect_eq(status_state(&view), STATUS_DEGRADED);
	view.quality.alarms[SENTINEL_NOISE].active = false;
	view.figures.series.missing[MISSING_NEVER] = 1;
	cr_expect_eq(status_state(&view), STATUS_DEGRADED);
	view.figures.series.dropped[DROPPED_NO_SPACE] = 1;
	cr_expect_eq(status_state(&view), STATUS_ERROR);
	view.figures.running = 0;
	cr_expect_eq(status_state(&view), STATUS_IDLE);
	view.failed = true;
	cr_expect_eq(status_state(&view), STATUS_ERROR);
}

/* ---- the same in JSON ---- */

Test(status, what_is_not_known_is_null_and_alarms_are_listed)
{
	look_at_region();
	struct alarm *a = &view.quality.alarms[SENTINEL_SATURATED];
	*a = (struct alarm){ .active = true, .times = 2, .since_ns = 1500000000, .value = 0.4 };
	strcpy(a->text, "bad bytes \xff in it");
	json_t *o = status_json(&view);
	cr_assert_not_null(o);
	json_t *alarms = json_object_get(o, "alarms");
	cr_assert_eq(json_array_size(alarms), 1);
	json_t *alarm = json_array_get(alarms, 0);
	cr_expect_str_eq(json_string_value(json_object_get(alarm, "sentinel")), "saturated");
	cr_expect_str_eq(json_string_value(json_object_get(alarm, "since")),
	                 "1970-01-01T00:00:01.500000000Z");
	cr_expect_str_eq(json_string_value(json_object_get(alarm, "text")), "bad bytes ? in it");
	cr_expect(json_is_null(json_object_get(alarm, "first_frame")));
	cr_expect_eq(json_array_size(json_object_get(o, "sentinels")), SENTINEL_COUNT);
	cr_expect(json_is_null(json_object_get(json_object_get(o, "quality"), "dose")));
	cr_expect(json_is_null(json_object_get(json_object_get(o, "series"), "path")));
	cr_expect(
		json_is_null(json_object_get(json_object_get(o, "buffer"), "seconds_to_overflow")));
	json_decref(o);
}

Test(status, rates_are_those_of_the_last_second)
{
	struct rates r = { 0 };
	struct rate_figures f;

	rates_get(&r, &f);
	cr_expect_eq(f.fps, 0);
	for (unsigned i = 0; i < 50; i++) {
		struct rate_sums s = { .ns = 7000000000u + i * 100000000ull,
			               .frames = i < 20 ? 0 : (i - 20) * 10,
			               .bytes_in = i * 5000,
			               .slots = 1000,
			               .slots_used = i * 2 };

		rates_add(&r, &s);
	}
	rates_get(&r, &f);
	cr_expect_float_eq(f.fps, 100, 1e-9);
	cr_expect_float_eq(f.bytes_in_per_s, 50000, 1e-6);
	cr_expect_eq(f.bytes_out_per_s, 0);
	cr_expect_float_eq(f.seconds_to_overflow, (1000 - 98) / 20.0, 1e-9);
}

Test(status, slots_that_do_not_fill_never_overflow)
{
	struct rates r = { 0 };
	struct rate_figures f;
	struct rate_sums s[] = { { .ns = 1, .slots = 10, .slots_used = 5 },
		                 { .ns = 1000000001, .slots = 10, .slots_used = 5 },
		                 { .ns = 2000000001, .slots = 20, .slots_used = 9 } };

	for (unsigned i = 0; i < 3; i++) {
		rates_add(&r, &s[i]);
		rates_get(&r, &f);
		cr_expect(isinf(f.seconds_to_overflow));
	}
}
