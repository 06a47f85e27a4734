/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/stream_bench.h"

#include "bench/machine.h"
#include "bench/stream_where.h"
#include "daemon/clock.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sysexits.h>
#include <zmq.h>

#define EX_LOST 1
/* The first run tells the rate and is dropped. No run is shorter: buffers would take it at once. */
#define TRY_BYTES   1.1e9
#define TRY_LEAST   16 /* frames */
#define TRY_MOST    2000
#define RUN_TIMEOUT 120.0
#define BUDGET_S    46.0 /* of the 50 that there are; without --full */
#define LONG_S      15.0 /* of a run: opening and closing the series take about 0.2 s of each */
#define SHORT_S     2.5
#define AFTER_S     16.0 /* of a round, and of what follows */
#define NOISY       0.1
#define GROUP       2 /* kinds that share all costs but the write */

static volatile sig_atomic_t stop;

static void handle_stop(int number)
{
	(void)number;
	stop = 1;
}

bool stream_has_time(const struct stream_bench *b, double needed_s)
{
	double elapsed = (double)(clock_now_ns() - b->begin_ns) * 1e-9;

	return b->options->full || elapsed + needed_s < BUDGET_S;
}

void stream_add_cost(struct stream_bench *b, const char *name, const struct samples *cost,
                     double scale, const char *unit, const char *note)
{
	struct samples scaled = { 0 };

	for (unsigned i = 0; i < cost->count; i++)
		samples_add(&scaled, cost->at[i] * scale);
	results_add(
		b->results,
		&(struct result){ .name = name, .unit = unit, .samples = &scaled, .note = note });
}

uint64_t stream_frames(const struct stream_bench *b, double rate, double seconds)
{
	const struct trial_plan *p = &b->trial.plan;
	double least = fmin(TRY_MOST, fmax(TRY_LEAST, TRY_BYTES / (double)trial_frame_bytes(p)));
	double frames = fmax(least, rate * seconds); /* more than the buffers take at once */
	double product = (double)trial_product_bytes(p);
	struct statvfs fs;

	if (product > 0 && !statvfs(b->options->directory, &fs))
		frames = fmin(frames, 0.45 * (double)fs.f_bavail * (double)fs.f_frsize / product);
	return (uint64_t)fmax(frames, 8.0);
}

int stream_use(struct stream_bench *b, const struct stream_kind *k, char why[512])
{
	const struct trial_plan plan = {
		.transport = k->transport,
		.endpoints = k->endpoints,
		.width = k->width,
		.height = k->height,
		.pixel_format = "Mono16",
		.sink = k->sink,
	};
	int status = 0;

	if (b->meter.width == k->width && b->meter.height == k->height) {
		b->trial.plan = plan; /* the same pictures */
		return 0;
	}
	stream_meter_close(&b->meter);
	trial_close(&b->trial);
	status = trial_open(&b->trial, &plan, b->options->directory, b->stop, why);
	return status ? status : stream_meter_open(&b->meter, b->options->directory, k, why);
}

/* ---- a group: the same stream to null and to the disk ---- */

/* One row. */
struct streamed {
	struct stream_kind kind;
	struct samples rate, limit, rest_daemon, rest_sender;
	struct stream_where where;
	uint64_t frames, lost, wrong; /* frames: of a run */
	char first_loss[sizeof((struct trial_figures *)0)->first_loss];
	struct trial_figures last;
	struct stream_calls calls;
};

struct group {
	struct streamed *rows[GROUP];
	unsigned count;
	struct stream_costs costs;
};

static bool keeps(const struct streamed *s)
{
	return strcmp(s->kind.sink, "null") != 0;
}

static double last(const struct samples *s)
{
	return s->count ? s->at[s->count - 1] : 0;
}

static const struct samples *costs_of(const struct group *g, const struct streamed *s)
{
	return keeps(s) ? &g->costs.disk : &g->costs.null;
}

static void note_run(struct stream_bench *b, const struct group *g, struct streamed *s)
{
	const struct trial_figures *f = &s->last;
	const struct stream_costs *c = &g->costs;
	double frames = (double)f->written;

	s->lost += f->lost;
	s->wrong += f->wrong;
	if (f->first_loss[0] && !s->first_loss[0])
		memcpy(s->first_loss, f->first_loss, sizeof s->first_loss);
	if (f->written == 0)
		return;
	samples_add(&s->rate, f->fps);
	samples_add(&s->limit, b->cores / last(costs_of(g, s)));
	samples_add(&s->rest_daemon, f->cpu_daemon_s / frames - last(&c->receive) - last(&c->pass) -
	                                     (keeps(s) ? last(&c->write) : 0));
	samples_add(&s->rest_sender, f->cpu_sender_s / frames - last(&c->send));
	stream_where_add(&s->where, f);
}

static int run_row(struct stream_bench *b, struct group *g, struct streamed *s, char why[512])
{
	int status = stream_use(b, &s->kind, why);

	if (!status)
		status = trial_run(&b->trial, s->frames, RUN_TIMEOUT, &s->last, why);
	if (!status)
		note_run(b, g, s);
	return status;
}

/* How many frames a run needs, by a short one. */
static int try_group(struct stream_bench *b, struct group *g, double seconds, char why[512])
{
	struct streamed *first = g->rows[0];
	int status = stream_use(b, &first->kind, why);

	if (!status)
		status = trial_run(&b->trial, stream_frames(b, 0, 0), RUN_TIMEOUT, &first->last,
		                   why);
	for (unsigned i = 0; i < g->count && !status; i++) {
		status = stream_use(b, &g->rows[i]->kind, why);
		g->rows[i]->frames = stream_frames(b, first->last.fps, seconds);
	}
	return status;
}

/* Whether more is said of it: of each transport's plainest stream. */
static bool is_shown(const struct stream_bench *b, const struct stream_kind *k)
{
	return k->width == b->options->width && k->height == b->options->height &&
	       (k->endpoints == 1 || k->endpoints == b->options->endpoints);
}

/* Costs and runs in turn, so that what else the machine does hits all. */
static int measure_rounds(struct stream_bench *b, struct group *g, char why[512])
{
	bool full = b->options->full && is_shown(b, &g->rows[0]->kind);
	bool disk = keeps(g->rows[g->count - 1]);
	unsigned rounds = full ? 5 : 3;
	int status = try_group(b, g, full ? LONG_S : b->options->full ? 5.0 : SHORT_S, why);

	for (unsigned r = 0; r < rounds && !status && (r == 0 || stream_has_time(b, AFTER_S));
	     r++) {
		status = stream_meter_round(&b->meter, &g->rows[0]->kind, disk, full ? 1.0 : 0.4,
		                            &g->costs, why);
		for (unsigned i = 0; i < g->count && !status; i++)
			status = run_row(b, g, g->rows[i], why);
	}
	return status;
}

static int count_calls(struct stream_bench *b, struct streamed *s, char why[512])
{
	int status = 0;

	for (unsigned i = 0; i < 2; i++) {
		s->calls.per_frame[i] = NAN;
		snprintf(s->calls.text[i], sizeof s->calls.text[i], "not counted; --full does");
	}
	if (!b->options->full || !is_shown(b, &s->kind))
		return 0;
	status = stream_use(b, &s->kind, why);
	return status ? status : stream_count_calls(b, &s->calls, why);
}

/* `name` is the caller's, and filled. */
static struct stream_account account_of(const struct stream_bench *b, const struct group *g,
                                        const struct streamed *s, char name[STREAM_NAME_BYTES])
{
	stream_kind_name(&s->kind, name);
	return (struct stream_account){ .kind = &s->kind,
		                        .name = name,
		                        .limit_s = samples_median(costs_of(g, s)),
		                        .cores = b->cores,
		                        .calls = &s->calls };
}

static void add_row(struct stream_bench *b, const struct group *g, const struct streamed *s)
{
	double bytes = (double)2 * s->kind.width * s->kind.height;
	double gbs = samples_median(&s->rate) * bytes * 1e-9;
	double free_cores = 1 - stream_where_others(&s->where, b->cores);
	double free_ratio = samples_median(&s->rate) / samples_median(&s->limit) / free_cores;
	char name[STREAM_NAME_BYTES], note[96];
	struct stream_account account = account_of(b, g, s, name);
	json_t *more = stream_where_json(&s->where, &account);

	snprintf(note, sizeof note, "%.2f GB/s%s; %.2f of what cores without other programs allow",
	         gbs, s->lost || s->wrong ? ", NOT HELD" : "", free_ratio);
	json_object_update_new(
		more, json_pack("{s:s, s:f, s:I, s:I, s:I, s:b, s:f, s:f}", "first_loss",
	                        s->first_loss, "gb_per_s", gbs, "frames", (json_int_t)s->frames,
	                        "frame_bytes", (json_int_t)bytes, "wrong", (json_int_t)s->wrong,
	                        "noisy", (int)b->noisy, "limit_spread",
	                        stream_spread(costs_of(g, s)), "ratio_of_free_cores", free_ratio));
	results_add(b->results, &(struct result){ .name = name,
	                                          .unit = "frames/s",
	                                          .samples = &s->rate,
	                                          .limit = samples_median(&s->limit),
	                                          .counts_lost = true,
	                                          .lost = s->lost,
	                                          .note = note,
	                                          .more = more });
	if (s->lost || s->wrong)
		printf("not held: %" PRIu64 " lost, %" PRIu64 " wrong in the ledger; %s\n", s->lost,
		       s->wrong, s->first_loss);
	b->failed = b->failed || s->lost || s->wrong;
}

static void add_costs(struct stream_bench *b, const struct group *g)
{
	const struct stream_costs *c = &g->costs;
	int major, minor, patch;
	char note[96];

	zmq_version(&major, &minor, &patch);
	stream_add_cost(b, "cost-zmq-send", &c->send, 1e3, "ms/frame", "CPU of bare libzmq, alone");
	stream_add_cost(b, "cost-zmq-receive", &c->receive, 1e3, "ms/frame", "CPU likewise");
	snprintf(note, sizeof note, "CPU of both; libzmq %d.%d.%d, %.0f page faults a frame", major,
	         minor, patch, samples_median(&c->faults));
	stream_add_cost(b, "cost-zmq", &c->zmq, 1e3, "ms/frame", note);
	stream_add_cost(b, "cost-pass", &c->pass, 1e3, "ms/frame",
	                "CPU of the pass, all cores busy");
	if (c->write.count)
		stream_add_cost(b, "cost-write", &c->write, 1e3, "ms/frame",
		                "CPU of writing the reduced frame");
	for (unsigned i = 0; i < g->count; i++) {
		bool disk = keeps(g->rows[i]);

		stream_add_cost(b, disk ? "cost-rest-disk" : "cost-rest-null",
		                &g->rows[i]->rest_daemon, 1e3, "ms/frame",
		                "CPU of openbeamd beyond these");
		stream_add_cost(b, disk ? "cost-rest-sender-disk" : "cost-rest-sender-null",
		                &g->rows[i]->rest_sender, 1e3, "ms/frame",
		                "CPU of openbeam-send beyond these");
	}
}

/* Costs are measured alone: when they differ, something else runs. */
static void judge_noise(struct stream_bench *b, const struct group *g)
{
	double spread = stream_spread(&g->costs.null), others = 0;

	for (unsigned i = 0; i < g->count; i++)
		others = fmax(others, stream_where_others(&g->rows[i]->where, b->cores));
	b->noisy = spread > NOISY || others > NOISY;
	if (b->noisy)
		printf("noisy machine: what is measured alone differed by %.0f %% between rounds, "
		       "other programs took up to %.0f %% of the cores\n",
		       100 * spread, 100 * others);
}

static void keep_found(struct stream_bench *b, const struct group *g)
{
	struct stream_found *f = &b->found;

	if (f->rate.count)
		return;
	f->costs = g->costs;
	f->rate = g->rows[0]->rate;
	f->rate_disk = g->rows[g->count - 1]->rate;
	f->rest = fmax(0, samples_median(&g->rows[0]->rest_daemon));
	f->rest_sender = fmax(0, samples_median(&g->rows[0]->rest_sender));
	f->rest_disk = fmax(0, samples_median(&g->rows[g->count - 1]->rest_daemon));
}

static int measure_group(struct stream_bench *b, struct group *g, char why[512])
{
	bool first = b->found.rate.count == 0;
	int status = measure_rounds(b, g, why);

	for (unsigned i = 0; i < g->count && !status; i++)
		status = count_calls(b, g->rows[i], why);
	if (status)
		return status;
	if (first)
		add_costs(b, g);
	judge_noise(b, g);
	for (unsigned i = 0; i < g->count; i++)
		add_row(b, g, g->rows[i]);
	for (unsigned i = 0; i < g->count; i++) {
		char name[STREAM_NAME_BYTES];
		const struct stream_account account = account_of(b, g, g->rows[i], name);

		if (is_shown(b, &g->rows[i]->kind))
			stream_where_print(&g->rows[i]->where, &account);
	}
	keep_found(b, g);
	return 0;
}

static bool belong_together(const struct stream_kind *a, const struct stream_kind *b)
{
	return a->transport == b->transport && a->endpoints == b->endpoints &&
	       a->width == b->width && a->height == b->height;
}

static int measure_kinds(struct stream_bench *b, const struct stream_kind *kinds, unsigned count,
                         char why[512])
{
	struct streamed *rows = calloc(GROUP, sizeof *rows);
	int status = rows ? 0 : EX_OSERR;

	for (unsigned i = 0; i < count && !status;) {
		struct group g = { .count = 0 };

		memset(rows, 0, GROUP * sizeof *rows);
		do {
			rows[g.count].kind = kinds[i++];
			g.rows[g.count] = &rows[g.count];
			g.count++;
		} while (g.count < GROUP && i < count && belong_together(&kinds[i - 1], &kinds[i]));
		status = measure_group(b, &g, why);
	}
	free(rows);
	return status;
}

static int measure_all(struct stream_bench *b, char why[512])
{
	const struct bench_options *o = b->options;
	bool asked = o->sized || o->transport || o->sink || o->endpoints;
	struct stream_kind kinds[STREAM_KINDS_MAX];
	int status = measure_kinds(b, kinds, stream_kinds(o, kinds), why);

	if (!status && !asked)
		status = stream_scaling(b, why);
	if (!status && !asked)
		status = stream_predict(b, why);
	return status;
}

int bench_stream(const struct bench_options *o, struct results *r, char why[512])
{
	struct sigaction action = { .sa_handler = handle_stop, .sa_flags = (int)SA_RESETHAND };
	struct stream_bench *b = calloc(1, sizeof *b);
	int status;

	if (!b) {
		snprintf(why, 512, "no memory");
		return EX_OSERR;
	}
	*b = (struct stream_bench){ .options = o,
		                    .results = r,
		                    .stop = &stop,
		                    .begin_ns = clock_now_ns(),
		                    .cores = machine_cores() };
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	status = measure_all(b, why);
	stream_meter_close(&b->meter);
	trial_close(&b->trial);
	if (!status && b->failed)
		status = EX_LOST;
	free(b);
	return status;
}
