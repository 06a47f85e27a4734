/* SPDX-License-Identifier: Apache-2.0 */
/* A source of up to 1 GB/s is run at its rate. Of a larger one the highest rate is measured
 * first, through shared memory (which has no packed pixels) and over tcp: only one that is nearly
 * reached is run at its own. */
#include "bench/bench_options.h"
#include "bench/profile_fit.h"
#include "bench/results.h"
#include "bench/trial.h"
#include "daemon/clock.h"
#include "daemon/status.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sysexits.h>

#define EX_LOST     1
#define EX_STOPPED  130
#define FULL_S      60.0
#define SHORT_S     4.0
#define FREE_S      1.5 /* of a run as fast as possible; with --full: */
#define FREE_FULL_S 10.0
#define GUESS       5e8  /* bytes a second, before anything is known */
#define TIMEOUT_S   60.0 /* beside twice what a run should take */
#define LATE_S      60.0 /* from then on, unless --full, only one transport is measured */
#define DISK_SHARE  0.45 /* of the free space that a run may fill */

/* What one source gave. */
struct outcome {
	const struct send_profile *profile;
	struct trial_plan plan; /* of the run in `figures` */
	struct trial_figures figures;
	struct samples rate;      /* of the runs like that one */
	bool tried;               /* at the asked rate */
	bool on_null;             /* for want of space */
	const char *missed;       /* NULL: held, if tried */
	double reached_hz;        /* the highest rate, 0: not measured */
	double hz[TRIAL_SHM + 1]; /* of each transport, likewise */
	uint64_t lost, wrong;     /* in all runs */
};

/* Where the measurements of one call stand. */
struct measuring {
	const struct bench_options *options;
	struct results *results;
	struct trial trial;
	struct outcome outcome;
	uint64_t begin_ns;
	bool failed;
};

static volatile sig_atomic_t stop;

static void handle_stop(int number)
{
	(void)number;
	stop = 1;
}

static bool is_late(const struct measuring *m)
{
	double elapsed_s = (double)(clock_now_ns() - m->begin_ns) * 1e-9;

	return !m->options->full && elapsed_s > LATE_S;
}

/* ---- runs ---- */

static bool has_room(const struct measuring *m, uint64_t frames)
{
	double bytes = (double)frames * (double)trial_product_bytes(&m->trial.plan);
	struct statvfs fs;

	return statvfs(m->options->directory, &fs) ||
	       bytes < DISK_SHARE * (double)fs.f_bavail * (double)fs.f_frsize;
}

/* One run, and what it lost; the sink is null where there is no room for the files. */
static int run(struct measuring *m, enum trial_transport transport, double rate_hz, uint64_t frames,
               double seconds, char *why)
{
	struct outcome *o = &m->outcome;
	struct trial_plan *plan = &m->trial.plan;
	int status;

	plan->transport = transport;
	plan->rate_hz = rate_hz;
	plan->sink = "tiff";
	o->on_null = !has_room(m, frames);
	if (o->on_null)
		plan->sink = "null";
	o->figures = (struct trial_figures){ 0 };
	status = trial_run(&m->trial, frames, 2 * seconds + TIMEOUT_S, &o->figures, why);
	o->plan = *plan;
	o->lost += o->figures.lost;
	o->wrong += o->figures.wrong;
	return stop ? EX_STOPPED : status;
}

/* As fast as possible. The number of frames is a guess, and a better one after a run that was too
 * short to tell. */
static int run_free(struct measuring *m, enum trial_transport transport, double *ret_hz, char *why)
{
	double wanted_s = m->options->full ? FREE_FULL_S : FREE_S;
	double rate_hz = GUESS / (double)trial_frame_bytes(&m->trial.plan);
	struct outcome *o = &m->outcome;
	int status = 0;

	*ret_hz = 0;
	for (unsigned i = 0; i < 2 && !status && (i == 0 || o->figures.seconds < wanted_s / 2);
	     i++) {
		status = run(m, transport, 0, profile_frames(rate_hz, wanted_s), wanted_s, why);
		rate_hz = o->figures.fps;
	}
	if (status)
		return status;
	*ret_hz = rate_hz;
	if (rate_hz > o->reached_hz) {
		o->reached_hz = rate_hz;
		o->rate = (struct samples){ 0 };
		samples_add(&o->rate, rate_hz);
	}
	return 0;
}

static int run_at_rate(struct measuring *m, enum trial_transport transport, char *why)
{
	double seconds = m->options->full ? FULL_S : SHORT_S;
	struct outcome *o = &m->outcome;
	uint64_t frames = profile_frames(o->profile->rate_hz, seconds);
	int status = run(m, transport, o->profile->rate_hz, frames, seconds, why);

	if (status)
		return status;
	o->tried = true;
	o->missed = profile_missed(&o->plan, &o->figures, frames);
	o->rate = (struct samples){ 0 };
	samples_add(&o->rate, o->figures.fps);
	return 0;
}

/* The transport asked for, or `usual`. */
static enum trial_transport transport(const struct measuring *m, enum trial_transport usual)
{
	const char *asked = m->options->transport;

	for (unsigned t = TRIAL_TCP; asked && t <= TRIAL_SHM; t++)
		if (strcmp(trial_transport_name((enum trial_transport)t), asked) == 0)
			return (enum trial_transport)t;
	return usual;
}

static int measure_small(struct measuring *m, char *why)
{
	struct outcome *o = &m->outcome, at_rate;
	enum trial_transport by = transport(m, TRIAL_TCP);
	int status = run_at_rate(m, by, why);

	if (status || !o->missed)
		return status;
	at_rate = *o;
	status = run_free(m, by, &at_rate.hz[by], why);
	at_rate.reached_hz = at_rate.hz[by];
	at_rate.lost = o->lost;
	at_rate.wrong = o->wrong;
	*o = at_rate;
	return status;
}

static bool can_carry(const struct outcome *o, enum trial_transport t)
{
	return t != TRIAL_SHM || pixel_format_find(o->profile->format)->packing == PACKING_NONE;
}

/* The figures that stay are of the fastest. */
static int measure_large(struct measuring *m, char *why)
{
	static const enum trial_transport usual[] = { TRIAL_SHM, TRIAL_TCP };
	struct outcome *o = &m->outcome, best = *o;
	enum trial_transport fastest = TRIAL_TCP;
	int status = 0;

	for (unsigned i = 0; i < 2 && !status; i++) {
		enum trial_transport t = transport(m, usual[i]);

		if (!can_carry(o, t))
			t = TRIAL_TCP;
		if (o->hz[t] > 0 || (best.reached_hz > 0 && is_late(m)))
			continue;
		status = run_free(m, t, &o->hz[t], why);
		if (o->hz[t] > o->hz[fastest] || best.reached_hz <= 0) {
			fastest = t;
			best = *o;
		}
	}
	if (status)
		return status;
	memcpy(best.hz, o->hz, sizeof best.hz);
	best.lost = o->lost;
	best.wrong = o->wrong;
	*o = best;
	if (o->profile->rate_hz <= PROFILE_REACH * o->reached_hz)
		return run_at_rate(m, fastest, why);
	return 0;
}

/* ---- what is told ---- */

static json_t *stage_json(const struct trial_latency *l)
{
	json_t *stage = json_object();

	if (l->count == 0) {
		json_decref(stage);
		return json_null();
	}
	status_set(stage, "p50", status_number(l->p50_ms));
	status_set(stage, "p99", status_number(l->p99_ms));
	status_set(stage, "p999", status_number(l->p999_ms));
	status_set(stage, "max", status_number(l->max_ms));
	return stage;
}

static json_t *latency_json(const struct trial_figures *f)
{
	static const char *const names[TRIAL_STAGES] = {
		[TRIAL_QUEUE] = "queue",   [TRIAL_REDUCE] = "reduce", [TRIAL_COLLECT] = "collect",
		[TRIAL_SUBMIT] = "submit", [TRIAL_WRITE] = "write",   [TRIAL_DURABLE] = "durable"
	};
	json_t *stages = json_object();

	for (unsigned i = 0; i < TRIAL_STAGES; i++)
		status_set(stages, names[i], stage_json(&f->latency[i]));
	return stages;
}

static bool held(const struct outcome *o)
{
	return o->tried && !o->missed;
}

/* By the highest rate that was measured, else by the rate that was held. */
static double factor(const struct outcome *o)
{
	return profile_factor(o->profile->rate_hz,
	                      o->reached_hz > 0 ? o->reached_hz : o->figures.fps);
}

static json_t *hz_or_null(double hz)
{
	return hz > 0 ? json_real(hz) : json_null();
}

static json_t *verdict_json(const struct outcome *o)
{
	unsigned machines = profile_machines(held(o), factor(o));

	return json_pack("{s:b, s:s?, s:b, s:f, s:o, s:o, s:o, s:o, s:o}", "held", (int)held(o),
	                 "missed", o->missed, "tried", (int)o->tried, "asked_hz",
	                 o->profile->rate_hz, "reached_hz", hz_or_null(o->reached_hz), "shm_hz",
	                 hz_or_null(o->hz[TRIAL_SHM]), "tcp_hz", hz_or_null(o->hz[TRIAL_TCP]),
	                 "machines", machines ? json_integer(machines) : json_null(),
	                 "factor_missing", held(o) ? json_real(1) : status_number(factor(o)));
}

/* A second of the run. */
static double per_s(const struct outcome *o, double amount)
{
	return o->figures.seconds > 0 ? amount / o->figures.seconds : 0;
}

static double gb_per_s(const struct outcome *o)
{
	return samples_median(&o->rate) * (double)trial_frame_bytes(&o->plan) * 1e-9;
}

static json_t *run_json(const struct outcome *o)
{
	const struct trial_figures *f = &o->figures;

	return json_pack(
		"{s:s, s:s, s:b, s:b, s:f, s:f, s:I, s:I, s:I, s:I, s:f, s:o, s:f, s:f, "
		"s:f, s:I}",
		"transport", trial_transport_name(o->plan.transport), "sink", o->plan.sink,
		"no_room_on_disk", (int)o->on_null, "everything", (int)o->plan.everything,
		"gb_per_s", gb_per_s(o), "seconds", f->seconds, "frames", (json_int_t)f->written,
		"wrong_checksums", (json_int_t)o->wrong, "flagged", (json_int_t)f->flagged,
		"sender_late", (json_int_t)f->sender_late, "rate_hz", o->plan.rate_hz,
		"buffer_peak", status_number(f->buffer_peak), "cpu_cores",
		per_s(o, f->cpu_daemon_s), "cpu_sender", per_s(o, f->cpu_sender_s), "disk_mb_per_s",
		per_s(o, (double)f->disk_bytes * 1e-6), "peak_bytes", (json_int_t)f->peak_bytes);
}

/* Where the time went: of each thread of both, seconds. */
static json_t *threads_json(const struct trial_figures *f)
{
	json_t *threads = json_array();

	for (unsigned i = 0; i < f->thread_count; i++) {
		const struct trial_thread *t = &f->threads[i];

		json_array_append_new(
			threads,
			json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:s}", "process",
		                  t->process == 'd' ? "openbeamd" : "openbeam-send", "name",
		                  t->name, "user_s", t->user_s, "system_s", t->system_s, "run_s",
		                  t->run_s, "queue_s", t->queue_s, "faults", (json_int_t)t->faults,
		                  "switches", (json_int_t)t->switches, "preemptions",
		                  (json_int_t)t->preemptions, "waits", t->waits));
	}
	return threads;
}

static json_t *more_json(const struct outcome *o)
{
	json_t *more = verdict_json(o), *run = run_json(o);

	json_object_update(more, run);
	json_decref(run);
	status_set(more, "latency_ms", latency_json(&o->figures));
	status_set(more, "threads", threads_json(&o->figures));
	return more;
}

static const char *missed_text(const char *missed)
{
	static const char *const texts[][2] = {
		{ "lost", "frames were lost" },
		{ "wrong", "checksums or numbers are wrong" },
		{ "late", "the sender came too late" },
		{ "slow", "it took longer than the source" },
		{ "queue", "more and more frames waited" },
		{ "buffer", "the buffer was filling" },
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (strcmp(texts[i][0], missed) == 0)
			return texts[i][1];
	return missed;
}

static void note_of(const struct outcome *o, char note[160])
{
	unsigned machines = profile_machines(held(o), factor(o));

	if (held(o))
		snprintf(note, 160, "held");
	else if (o->tried && factor(o) <= 1)
		snprintf(note, 160, "NOT HELD: %s, though it reaches %.0f Hz",
		         missed_text(o->missed), o->reached_hz);
	else if (o->tried)
		snprintf(note, 160, "NOT HELD: %s; %u machines (%.2f times this)",
		         missed_text(o->missed), machines, factor(o));
	else
		snprintf(note, 160,
		         "NOT HELD: reached %.0f of %g Hz, not run at that; %u machines "
		         "(%.2f times this)",
		         o->reached_hz, o->profile->rate_hz, machines, factor(o));
}

/* The second line of a row. */
static void print_run(const struct outcome *o)
{
	const struct trial_figures *f = &o->figures;
	const struct trial_latency *l = &f->latency[TRIAL_SUBMIT];

	printf("    %s to %s%s, %.1f s: %.2f GB/s", trial_transport_name(o->plan.transport),
	       o->plan.sink, o->on_null ? " (NO ROOM on the disk for its files)" : "", f->seconds,
	       gb_per_s(o));
	if (o->tried && o->profile->seconds > FULL_S)
		printf(" (of the %.0f h that it goes on)", o->profile->seconds / 3600);
	if (l->count)
		printf(", submit p50 %.1f p99 %.1f p99.9 %.1f ms", l->p50_ms, l->p99_ms,
		       l->p999_ms);
	if (isfinite(f->buffer_peak))
		printf(", buffer %.0f %%", 100 * f->buffer_peak);
	printf(", cores %.2f + %.2f sending, %.0f MB/s to disk", per_s(o, f->cpu_daemon_s),
	       per_s(o, f->cpu_sender_s), per_s(o, (double)f->disk_bytes * 1e-6));
	if (o->tried && f->sender_late)
		printf(", %" PRIu64 " sent late", f->sender_late);
	for (unsigned t = TRIAL_TCP, any = 0; t <= TRIAL_SHM; t++)
		if (o->hz[t] > 0)
			printf("%s %s %.0f Hz", any++ ? "," : "; most",
			       trial_transport_name((enum trial_transport)t), o->hz[t]);
	printf("%s%s\n", f->first_loss[0] ? "; " : "", f->first_loss);
	fflush(stdout);
}

static void add_row(struct measuring *m)
{
	const struct outcome *o = &m->outcome;
	char note[160];

	note_of(o, note);
	results_add(m->results, &(struct result){ .name = o->profile->name,
	                                          .unit = "frames/s",
	                                          .samples = &o->rate,
	                                          .limit = o->profile->rate_hz,
	                                          .counts_lost = true,
	                                          .lost = o->lost,
	                                          .more = more_json(o),
	                                          .note = note });
	print_run(o);
	if (o->lost || o->wrong || (profile_small(o->profile) && !held(o)))
		m->failed = true;
}

/* ---- all of them ---- */

static int measure_profile(struct measuring *m, const struct send_profile *p, char *why)
{
	bool small = profile_small(p);
	const struct trial_plan plan = { .transport = TRIAL_TCP,
		                         .endpoints = 1,
		                         .width = p->width,
		                         .height = p->height,
		                         .pixel_format = p->format,
		                         .rate_hz = p->rate_hz,
		                         .sink = "tiff",
		                         .everything = true };
	int status = trial_open(&m->trial, &plan, m->options->directory, &stop, why);

	if (status)
		return status;
	m->outcome = (struct outcome){ .profile = p };
	status = small ? measure_small(m, why) : measure_large(m, why);
	if (!status)
		add_row(m);
	trial_close(&m->trial);
	return status;
}

int bench_profiles(const struct bench_options *o, struct results *r, char why[512])
{
	static struct measuring m;
	struct sigaction action = { .sa_handler = handle_stop, .sa_flags = (int)SA_RESETHAND };
	int status = 0;

	m = (struct measuring){ .options = o, .results = r, .begin_ns = clock_now_ns() };
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	for (const struct send_profile *p = send_profiles; p->name && !status; p++)
		if (!o->profile || strcmp(o->profile, p->name) == 0)
			status = measure_profile(&m, p, why);
	return status ? status : m.failed ? EX_LOST : 0;
}
