/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_options.h"
#include "bench/profile_fit.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#define FRAMES 240

static const struct trial_plan lightsheet = { .rate_hz = 60 };

/* Four seconds that went well. */
static struct trial_figures good(void)
{
	return (struct trial_figures){ .seconds = 4.1,
		                       .expected = FRAMES,
		                       .written = FRAMES,
		                       .sender_late = 3,
		                       .buffer_peak = 0.1 };
}

static const char *missed(const struct trial_figures *f)
{
	const char *why = profile_missed(&lightsheet, f, FRAMES);

	return why ? why : "held";
}

Test(profiles, are_held_when_all_is_well)
{
	struct trial_figures f = good();

	cr_assert_str_eq(missed(&f), "held");
	f.buffer_peak = NAN;
	cr_assert_str_eq(missed(&f), "held", "what is not known is no reason");
}

Test(profiles, are_not_held_with_one_frame_lost_or_wrong)
{
	struct trial_figures f = good();

	f.lost = 1;
	cr_assert_str_eq(missed(&f), "lost");
	f = good();
	f.expected = f.written = FRAMES - 1; /* of a head that nobody knows of */
	cr_assert_str_eq(missed(&f), "lost");
	f = good();
	f.wrong = 1;
	cr_assert_str_eq(missed(&f), "wrong");
}

Test(profiles, are_not_held_by_a_sender_that_waits)
{
	struct trial_figures f = good();

	f.sender_late = FRAMES / 2;
	cr_assert_str_eq(missed(&f), "held");
	f.sender_late++;
	cr_assert_str_eq(missed(&f), "late");
	f = good();
	f.seconds = 4.28;
	cr_assert_str_eq(missed(&f), "slow");
	f.seconds = NAN;
	cr_assert_str_eq(missed(&f), "slow");
}

Test(profiles, may_wait_for_the_disk_at_the_end_but_not_before)
{
	struct trial_figures f = good();

	f.seconds = 4.8;
	cr_assert_str_eq(missed(&f), "slow");
	f.latency[TRIAL_SUBMIT] = (struct trial_latency){ FRAMES, 5, 20, 100, 100 };
	f.latency[TRIAL_DURABLE] = (struct trial_latency){ FRAMES, 500, 600, 700, 700 };
	cr_assert_str_eq(missed(&f), "held");
	f.seconds = 4.9;
	cr_assert_str_eq(missed(&f), "slow");
	f.seconds = 4.1;
	f.latency[TRIAL_SUBMIT].p50_ms = 251;
	cr_assert_str_eq(missed(&f), "queue");
}

Test(profiles, are_not_held_by_the_buffer_alone)
{
	struct trial_figures f = good();

	f.buffer_peak = 0.9;
	cr_assert_str_eq(missed(&f), "buffer");
	f.buffer_peak = 0.89;
	cr_assert_str_eq(missed(&f), "held");
}

/* 8.3, 12.4, 16.6, 8.1, 30 GB/s and 116, 503, 105, 249, 258 MB/s */
Test(profiles, send_as_many_bytes_as_their_sources)
{
	static const struct {
		const char *name;
		double mb_per_s;
		bool small;
	} rows[] = {
		{ "headline", 16589, false },    { "headline-8", 8294, false },
		{ "headline-12", 12442, false }, { "srxtm", 8129, false },
		{ "srxtm-12", 8129, false },     { "csaxs", 30009, false },
		{ "nanoscopium", 115.8, true },  { "lightsheet", 503.3, true },
		{ "confocal", 104.9, true },     { "gopro", 248.8, true },
		{ "fps1000", 258.0, true },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct send_profile *p = send_profile_find(rows[i].name);

		cr_assert_not_null(p, "%s", rows[i].name);
		cr_assert_float_eq(profile_bytes_per_s(p) / 1e6, rows[i].mb_per_s,
		                   1e-3 * rows[i].mb_per_s, "%s", rows[i].name);
		cr_assert_eq(profile_small(p), rows[i].small, "%s", rows[i].name);
	}
}

Test(profiles, say_how_many_machines_they_need)
{
	cr_assert_eq(profile_factor(1500, 500), 3);
	cr_assert(isinf(profile_factor(1500, 0)));
	cr_assert_eq(profile_machines(true, 0.4), 1);
	cr_assert_eq(profile_machines(true, 1.01), 1, "it was held all the same");
	cr_assert_eq(profile_machines(false, 0.9), 2, "one did not hold it");
	cr_assert_eq(profile_machines(false, 1.5), 2);
	cr_assert_eq(profile_machines(false, 3.0), 3);
	cr_assert_eq(profile_machines(false, 3.0000000001), 3);
	cr_assert_eq(profile_machines(false, 3.01), 4);
	cr_assert_eq(profile_machines(false, (double)INFINITY), 0);
	cr_assert_eq(profile_frames(13.8, 60), 828);
	cr_assert_eq(profile_frames(0.1, 1), 8);
}

static int parse(struct bench_options *o, const char *text, char why[512])
{
	static char line[128];
	char *argv[8] = { NULL };
	int argc = 0;

	snprintf(line, sizeof line, "openbeam-bench %s", text);
	for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	return bench_options_parse(o, argc, argv, why);
}

Test(profiles, are_chosen_and_soaked_by_options)
{
	struct bench_options o;
	char why[512];

	cr_assert_eq(parse(&o, "profiles --profile confocal --full", why), 0);
	cr_assert(strcmp(o.profile, "confocal") == 0 && o.full);
	cr_assert_eq(parse(&o, "soak --seconds 600 --rate-share 0.5", why), 0);
	cr_assert(o.seconds == 600 && o.rate_share == 0.5);
	cr_assert_eq(parse(&o, "soak", why), 0);
	cr_assert(o.seconds == 60 && o.rate_share == 0.8);
}

Test(profiles, refuse_what_is_no_option_of_theirs)
{
	static const char *const rows[][2] = {
		{ "profiles --profile nonsense", "confocal" },
		{ "limits --profile confocal", "profiles alone" },
		{ "profiles --seconds 60", "soak alone" },
		{ "limits --rate-share 0.5", "soak alone" },
		{ "soak --seconds 3", "from 20" },
		{ "soak --seconds 1e9", "to 604800" },
		{ "soak --rate-share 0", "0.05 to 1" },
		{ "soak --rate-share much", "0.05 to 1" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct bench_options o;
		char why[512] = "";

		cr_assert_eq(parse(&o, rows[i][0], why), -EINVAL, "\"%s\" was taken", rows[i][0]);
		cr_assert(strstr(why, rows[i][1]), "\"%s\": %s", rows[i][0], why);
	}
}
