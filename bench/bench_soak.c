/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_options.h"
#include "bench/profile_fit.h"
#include "bench/results.h"
#include "bench/soak_run.h"
#include "daemon/status.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sysexits.h>

#define EX_NOT_FLAT  1
#define HELD_RUNS    3
#define HELD_S       2.0 /* of each; with --full: */
#define HELD_FULL_S  8.0
#define TRY_BYTES    1e9 /* of the first run, which tells the rate and is dropped */
#define TIMEOUT_S    120.0
#define SERIES_S     20.0
#define SERIES_LEAST 2.0 /* s */
#define DISK_SHARE   0.2 /* of the free space that a series may take; a few are there at once */
#define SAMPLES      600 /* at most */
#define WARM_UP      0.2 /* of the run */
#define HOUR_S       3600.0
#define MIB          1048576.0

/* What is judged. */
struct quantity {
	const char *name, *unit;
	double scale; /* makes `unit` of the samples */
	struct slope_rule rule;
	bool floor; /* what it does not go below any more */
	enum slope_verdict worse;
};

/* Where the measurements of one call stand. */
struct soaked {
	const struct bench_options *options;
	struct results *results;
	struct trial trial;
	double held_hz;
	struct soak_plan plan;
	struct soak_figures figures;
	bool bad;
};

static volatile sig_atomic_t stop;

static void handle_stop(int number)
{
	(void)number;
	stop = 1;
}

/* Messages that wait are on the heap, which keeps the room for a while: resident memory jumps with
 * each backlog, up to ingest.buffer. What leaks is never given back. */
static const struct quantity quantities[SOAK_QUANTITIES] = {
	[SOAK_RATE] = { "soak-rate",
	                "frames/s",
	                1,
	                { .share = 0.01, .steps = true },
	                false,
	                SLOPE_FALLS },
	[SOAK_MEMORY] = { "soak-memory",
	                  "MB",
	                  1e-6,
	                  { .share = 0.01, .absolute = 4 * MIB },
	                  true,
	                  SLOPE_RISES },
	[SOAK_DESCRIPTORS] = { "soak-descriptors",
	                       "files",
	                       1,
	                       { .absolute = 0.5, .steps = true },
	                       false,
	                       SLOPE_RISES },
	[SOAK_THREADS] = { "soak-threads",
	                   "threads",
	                   1,
	                   { .absolute = 4, .steps = true },
	                   false,
	                   SLOPE_RISES },
	[SOAK_LATENCY] = { "soak-latency-p99",
	                   "ms",
	                   1,
	                   { .share = 0.2, .absolute = 0.2, .steps = true },
	                   false,
	                   SLOPE_RISES },
};

/* ---- what is held ---- */

static int run_free(struct soaked *s, double rate_hz, double *ret_hz, char *why)
{
	double seconds = s->options->full ? HELD_FULL_S : HELD_S;
	static struct trial_figures f;
	uint64_t frames = profile_frames(rate_hz, seconds);
	int status = trial_run(&s->trial, frames, TIMEOUT_S, &f, why);

	s->bad = s->bad || (!status && (f.lost || f.wrong));
	*ret_hz = f.fps;
	return status;
}

/* The lowest of some runs as fast as possible. */
static int measure_held(struct soaked *s, char *why)
{
	double hz = TRY_BYTES / HELD_S / (double)trial_frame_bytes(&s->trial.plan);
	struct samples rate = { 0 };
	int status = run_free(s, hz, &hz, why);

	for (unsigned i = 0; i < HELD_RUNS && !status; i++) {
		status = run_free(s, hz, &hz, why);
		samples_add(&rate, hz);
	}
	if (status)
		return status;
	s->held_hz = samples_min(&rate);
	results_add(s->results, &(struct result){ .name = "soak-held",
	                                          .unit = "frames/s",
	                                          .samples = &rate,
	                                          .note = "tcp to tiff, as fast as possible" });
	return 0;
}

/* ---- the long run ---- */

/* Seconds of a series, so that what is on the disk at once has room. */
static double series_seconds(const struct soaked *s, double rate_hz)
{
	double per_s = rate_hz * (double)trial_product_bytes(&s->trial.plan);
	struct statvfs fs;

	if (statvfs(s->options->directory, &fs))
		return SERIES_S;
	return fmax(SERIES_LEAST,
	            fmin(SERIES_S, DISK_SHARE * (double)fs.f_bavail * (double)fs.f_frsize / per_s));
}

static void plan_soak(struct soaked *s)
{
	double rate_hz = s->options->rate_share * s->held_hz, seconds = s->options->seconds;
	unsigned series = (unsigned)fmax(1, round(seconds / series_seconds(s, rate_hz)));

	s->plan = (struct soak_plan){ .trial = &s->trial,
		                      .rate_hz = rate_hz,
		                      .frames = profile_frames(rate_hz, seconds / series),
		                      .series = series,
		                      .every_s = ceil(seconds / SAMPLES) };
	printf("%.0f frames/s, %.0f %% of what is held, for %.0f s in %u series, after one as fast "
	       "as it is taken\n",
	       rate_hz, 100 * s->options->rate_share, seconds, series);
	fflush(stdout);
}

static json_t *list_json(const double *values, unsigned count, double scale)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(list, json_real(values[i] * scale));
	return list;
}

static json_t *slope_json(const struct slope_samples *s, const struct slope *l,
                          const struct quantity *q, const struct slope_rule *rule, bool flat)
{
	json_t *more = json_object();

	status_set(more, "time_s", list_json(s->time_s, s->count, 1));
	status_set(more, "value", list_json(s->value, s->count, q->scale));
	status_set(more, "runs", json_integer(1));
	status_set(more, "samples", json_integer(l->count));
	status_set(more, "slope_per_hour", status_number(l->per_s * HOUR_S * q->scale));
	status_set(more, "change", status_number(l->change * q->scale));
	status_set(more, "p", status_number(l->p));
	status_set(more, "tolerance",
	           status_number(q->scale * fmax(rule->share * fabs(l->level), rule->absolute)));
	status_set(more, "verdict", json_string(slope_verdict_name(l->verdict)));
	status_set(more, "flat", json_boolean(flat));
	return more;
}

/* What gets better is no fault; what could not be judged is one. */
static bool is_good(const struct slope *l, const struct quantity *q)
{
	return l->verdict != SLOPE_TOO_SHORT && l->verdict != q->worse;
}

/* A message is one piece of the heap: two more or less are no change. */
static struct slope_rule rule_of(const struct soaked *s, enum soak_quantity which)
{
	struct slope_rule rule = quantities[which].rule;

	rule.from_s = WARM_UP * s->options->seconds;
	if (which == SOAK_MEMORY)
		rule.absolute =
			fmax(rule.absolute, 2.0 * (double)trial_frame_bytes(&s->trial.plan));
	return rule;
}

static int add_quantity(struct soaked *s, enum soak_quantity which, char *why)
{
	static struct slope_samples judged;
	const struct quantity *q = &quantities[which];
	struct slope_rule rule = rule_of(s, which);
	struct samples range = { 0 };
	struct slope l;
	char note[160];
	bool good;

	judged = s->figures.samples[which];
	if (q->floor)
		slope_floor(&judged);
	if (slope_judge(&judged, &rule, &l)) {
		snprintf(why, 512, "no memory for the slopes");
		return EX_OSERR;
	}
	good = is_good(&l, q);
	s->bad = s->bad || !good;
	if (l.count) {
		samples_add(&range, l.least * q->scale);
		samples_add(&range, l.level * q->scale);
		samples_add(&range, l.most * q->scale);
	}
	snprintf(note, sizeof note,
	         "%s%s: %+.3g %s an hour, changed by %+.3g, p %.3f, of %u samples",
	         good ? "" : "NOT FLAT, ", slope_verdict_name(l.verdict),
	         l.per_s * HOUR_S * q->scale, q->unit, l.change * q->scale, l.p, l.count);
	results_add(s->results, &(struct result){ .name = q->name,
	                                          .unit = q->unit,
	                                          .samples = &range,
	                                          .limit = which == SOAK_RATE ? s->plan.rate_hz : 0,
	                                          .more = slope_json(&s->figures.samples[which], &l,
	                                                             q, &rule, good),
	                                          .note = note });
	return 0;
}

static void add_ledger(struct soaked *s)
{
	const struct soak_figures *f = &s->figures;
	const struct ledger_found *l = &f->ledger;
	unsigned series = s->plan.series + 1; /* and the one that fills the buffer */
	uint64_t frames = s->plan.frames * series;
	bool exact = ledger_exact(l) && l->right == frames && !f->incomplete;
	struct samples right = { 1, { (double)l->right } };
	char note[200];

	snprintf(note, sizeof note,
	         "%s: %u of %u series, %" PRIu64 " wrong, %" PRIu64 " twice, %" PRIu64
	         " absent; %" PRIu64 " sent late, %u looks unanswered",
	         exact ? "exact" : "NOT EXACT", f->series, series, l->wrong, l->twice + l->foreign,
	         l->absent, f->sender_late, f->unanswered);
	results_add(
		s->results,
		&(struct result){
			.name = "soak-ledger",
			.unit = "frames",
			.samples = &right,
			.limit = (double)frames,
			.counts_lost = true,
			.lost = frames - l->right,
			.more = json_pack(
				"{s:b, s:b, s:i, s:i, s:I, s:I, s:I, s:I, s:f, s:f, s:I}", "exact",
				(int)exact, "flat", (int)exact, "series", (int)f->series,
				"incomplete", (int)f->incomplete, "wrong", (json_int_t)l->wrong,
				"twice", (json_int_t)l->twice, "foreign", (json_int_t)l->foreign,
				"absent", (json_int_t)l->absent, "seconds", f->seconds, "asked_hz",
				s->plan.rate_hz, "sender_late", (json_int_t)f->sender_late),
			.note = note });
	s->bad = s->bad || !exact;
}

static int soak(struct soaked *s, char *why)
{
	int status;

	plan_soak(s);
	status = soak_run(&s->plan, &s->figures, why);
	for (unsigned i = 0; i < SOAK_QUANTITIES && !status; i++)
		status = add_quantity(s, (enum soak_quantity)i, why);
	if (!status)
		add_ledger(s);
	return status;
}

int bench_soak(const struct bench_options *o, struct results *r, char why[512])
{
	const struct trial_plan plan = { .transport = TRIAL_TCP,
		                         .endpoints = 1,
		                         .width = o->width,
		                         .height = o->height,
		                         .pixel_format = "Mono16",
		                         .sink = "tiff",
		                         .everything = true };
	static struct soaked s;
	struct sigaction action = { .sa_handler = handle_stop, .sa_flags = (int)SA_RESETHAND };
	int status;

	s = (struct soaked){ .options = o, .results = r };
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	status = trial_open(&s.trial, &plan, o->directory, &stop, why);
	if (status)
		return status;
	status = measure_held(&s, why);
	if (!status)
		status = soak(&s, why);
	trial_close(&s.trial);
	return status ? status : s.bad ? EX_NOT_FLAT : 0;
}
