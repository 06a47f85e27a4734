/* SPDX-License-Identifier: Apache-2.0 */
/* The main thread starts the others and then only looks: at signals, at memory, at whether every
 * stage still turns, at the figures for the progress line and for systemd.
 * It waits for signals, ten times a second at most.
 * The first TERM or INT drains, the second aborts. */
#include "daemon/run_loop.h"
#include "daemon/ceiling.h"
#include "daemon/figures.h"
#include "daemon/isa.h"
#include "daemon/log.h"
#include "daemon/monitor.h"
#include "daemon/pipeline.h"
#include "daemon/service.h"
#include "daemon/version.h"
#include "ingest/sanitizer.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS            100
#define STILL_LIMIT_NS     ((uint64_t)10 * 1000000000u)
#define DISK_WARNING_NS    ((uint64_t)10 * 1000000000u)
#define PROGRESS_LINE_NS   ((uint64_t)5 * 1000000000u)
#define PROGRESS_REDRAW_NS ((uint64_t)250 * 1000000u)
#define ABORT_PATIENCE_MS  10000
#define JOIN_PATIENCE_MS   10000 /* for each thread, once the collector has ended */

struct run {
	struct pipeline pipeline;
	struct planes planes;
	struct sink_program program;
	struct monitor *monitor; /* NULL: none */
	struct service service;
	char *config_json;
	uint64_t ceiling_bytes;
	unsigned signals; /* TERM and INT received */
	bool stuck;
	struct watched_clock watched;
	uint64_t disk_told_ns, reopened_ns;
	uint64_t progress_ns, progress_bytes, progress_frames;
	uint64_t bytes_seen, frames_seen;
};

void run_block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int next_signal(int timeout_ms)
{
	struct timespec limit = { .tv_nsec = (long)timeout_ms * 1000000 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	return sigtimedwait(&set, NULL, &limit);
}

/* ---- signals ---- */

static void handle_signal(struct run *r, int number)
{
	const char *name = number == SIGINT ? "INT" : "TERM";

	service_stopping(&r->service, NULL);
	if (r->signals++ == 0) {
		log_line(LOG_INFO, "daemon", "%s: taking what has arrived, then closing the series",
		         name);
		pipeline_phase(&r->pipeline, PHASE_DRAIN);
		return;
	}
	log_line(LOG_WARNING, "daemon", "second %s: aborting, frames not in a file yet are dropped",
	         name);
	pipeline_phase(&r->pipeline, PHASE_ABORT);
}

/* ---- watching ---- */

static void watch_stage(struct run *r, struct stage *s, uint64_t now_ns, struct vitals *v)
{
	uint64_t still_ns = stage_still_ns(s, now_ns);

	vitals_take(v, s, now_ns, SERVICE_STILL_NS);
	if (still_ns < STILL_LIMIT_NS || !s->started || r->stuck)
		return;
	/* relaxed: a hint which of two messages is true. */
	if (atomic_load_explicit(&s->on_disk, memory_order_relaxed)) {
		if (now_ns - r->disk_told_ns >= DISK_WARNING_NS)
			log_line(LOG_WARNING, "daemon", "%s has waited %llu s for the disk",
			         s->name, (unsigned long long)(still_ns / 1000000000u));
		if (now_ns - r->disk_told_ns >= DISK_WARNING_NS)
			r->disk_told_ns = now_ns;
		return;
	}
	char why[200];
	snprintf(why, sizeof why, "thread %s has not moved for %llu s: ending the run", s->name,
	         (unsigned long long)(still_ns / 1000000000u));
	r->stuck = true;
	service_stopping(&r->service, why);
	pipeline_fail(&r->pipeline, 70, why);
	pipeline_phase(&r->pipeline, PHASE_ABORT);
}

static struct vitals watch_stages(struct run *r, uint64_t now_ns)
{
	struct pipeline *p = &r->pipeline;
	struct vitals v = { .pulse = PULSE_MOVES };

	for (unsigned i = 0; i < p->receiver_count; i++)
		watch_stage(r, &p->receivers[i].stage, now_ns, &v);
	for (unsigned i = 0; i < p->worker_count; i++)
		watch_stage(r, &p->workers[i].stage, now_ns, &v);
	watch_stage(r, &p->collector.stage, now_ns, &v);
	return v;
}

/* Resident memory without files that are mapped, such as a journal that is being read. */
static uint64_t anonymous_bytes(void)
{
	unsigned long long size = 0, resident = 0, shared = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%llu %llu %llu", &size, &resident, &shared) != 3)
		resident = shared;
	fclose(f);
	return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* What is kept on purpose, and what is being made of it, counts as it is used; all of the ceiling
 * is nobody's by default. */
static uint64_t allowed_bytes(struct run *r)
{
	struct calibration_report calibration;
	struct blackbox_report box;
	uint64_t kept = pipeline_kept_bytes(r->pipeline.config);

	calibration_report(&r->pipeline, &calibration);
	blackbox_report(&r->pipeline, &box);
	if (calibration.state != CALIBRATION_IDLE || box.writing)
		return r->ceiling_bytes;
	/* relaxed: a figure. */
	return r->ceiling_bytes - kept +
	       atomic_load_explicit(&r->pipeline.keeping.bytes, memory_order_relaxed);
}

/* The allocator is told to keep what it has: what is kept on purpose, and then let go of, is still
 * there until it is asked for. */
static bool passes_ceiling(struct run *r)
{
	if (anonymous_bytes() <= allowed_bytes(r))
		return false;
	(void)malloc_trim(0);
	return anonymous_bytes() > allowed_bytes(r);
}

/* libzmq cannot bound the parts of a message whose sender never ends it. */
static void watch_memory(struct run *r, uint64_t now_ns)
{
	/* relaxed: closing a long series takes memory of its own for a while. */
	bool closing =
		atomic_load_explicit(&r->pipeline.collector.stage.on_disk, memory_order_relaxed);

	if (SANITIZED || closing || now_ns - r->reopened_ns < 1000000000u || !passes_ceiling(r))
		return;
	r->reopened_ns = now_ns;
	for (unsigned i = 0; i < r->pipeline.receiver_count; i++) {
		/* relaxed: seen within a turn. */
		atomic_store_explicit(&r->pipeline.receivers[i].reopen, true, memory_order_relaxed);
		bell_ring(&r->pipeline.receivers[i].bell);
	}
}

/* ---- progress ---- */

static uint64_t received_bytes(struct run *r)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < r->pipeline.receiver_count; i++)
		bytes +=
			atomic_load_explicit(&r->pipeline.receivers[i].bytes, memory_order_relaxed);
	return bytes;
}

static unsigned long long figure(const _Atomic uint64_t *f)
{
	return atomic_load_explicit(f, memory_order_relaxed);
}

static void show_progress(struct run *r, uint64_t now_ns)
{
	uint64_t every = log_is_terminal() ? PROGRESS_REDRAW_NS : PROGRESS_LINE_NS;
	uint64_t bytes = received_bytes(r);
	double seconds = (double)(now_ns - r->progress_ns) / 1e9;
	struct figures f;
	char line[400];

	if (now_ns - r->progress_ns < every)
		return;
	figures_get(&r->pipeline.collector.board, &f);
	if (f.running) {
		snprintf(line, sizeof line,
		         "received %llu written %llu durable %llu dropped %llu missing %llu "
		         "rejected "
		         "%llu | %.0f frames/s %.2f GB/s",
		         (unsigned long long)f.series.received,
		         (unsigned long long)f.series.written, (unsigned long long)f.series.durable,
		         (unsigned long long)totals_dropped(&f.series),
		         (unsigned long long)totals_missing(&f.series),
		         (unsigned long long)totals_rejected(&f.series),
		         (double)(f.ever.received - r->frames_seen) / seconds,
		         (double)(bytes - r->bytes_seen) / seconds / 1e9);
		log_progress(line);
	}
	r->progress_ns = now_ns;
	r->bytes_seen = bytes;
	r->frames_seen = f.ever.received;
}

/* ---- life ---- */

static int refuse(int status, const char *area, const char *why)
{
	log_line(LOG_ERROR, area, "%s", why);
	return status;
}

static int open_run(struct run *r, const struct run_options *o)
{
	struct pipeline_options options = { .series_limit = o->series_limit };
	const struct config *c = o->config;
	char why[400];
	unsigned cpu;
	int status;

	if (!isa_choose(c->daemon.isa, &cpu, why))
		return refuse(78, "daemon", why);
	if (planes_open(&r->planes, c) < 0)
		return refuse(78, "calibration", r->planes.why);
	if (r->planes.note[0])
		log_line(LOG_WARNING, "calibration", "%s", r->planes.note);
	r->config_json = config_json(c);
	if (!r->config_json)
		return refuse(71, "daemon", "no memory for the configuration");
	r->program = (struct sink_program){ .version = OPENBEAM_VERSION,
		                            .commit = OPENBEAM_COMMIT,
		                            .isa = cpu_level_name(cpu),
		                            .config_json = r->config_json };
	options.program = r->program;
	if (pipeline_open(&r->pipeline, c, &r->planes, cpu, &options, why, &status) < 0)
		return refuse(status, "daemon", why);
	r->ceiling_bytes = pipeline_ceiling(c, &r->planes);
	return 0;
}

static void tell_curve(const struct source *s)
{
	const struct curve_options *o = &s->options.curve;

	if (o->role == CURVE_SERVER)
		log_line(s->curve.allowed.count ? LOG_INFO : LOG_WARNING, "daemon",
		         "encrypting as CURVE server, public key %s, clients let in: %u in %s",
		         o->own.public_key, s->curve.allowed.count, o->allowed_path);
	if (o->role == CURVE_CLIENT)
		log_line(LOG_INFO, "daemon",
		         "encrypting as CURVE client, public key %s, of the server with %s",
		         o->own.public_key, o->server_key);
}

static void tell_start(const struct run *r, const struct config *c)
{
	const struct pipeline *p = &r->pipeline;

	for (unsigned i = 0; i < p->receiver_count; i++)
		for (unsigned n = 0; n < p->receivers[i].source_count; n++)
			log_line(LOG_INFO, "daemon", "%s %s %s as %s protocol=%s",
			         c->ingest.attach == ATTACH_BIND ? "listening on" : "connecting to",
			         p->receivers[i].sources[n].endpoint,
			         c->ingest.socket == SOCKET_SUB ? "sub" : "pull", c->ingest.name,
			         c->ingest.protocol);
	tell_curve(&p->receivers[0].sources[0]);
	log_line(LOG_INFO, "daemon",
	         "openbeamd %s ready isa=%s workers=%u memory_ceiling_bytes=%llu", OPENBEAM_VERSION,
	         cpu_level_name(p->cpu), p->worker_count, (unsigned long long)r->ceiling_bytes);
	ceiling_warn(r->ceiling_bytes);
	if (c->ingest.socket == SOCKET_SUB && c->ingest.overload == OVERLOAD_BLOCK)
		log_line(LOG_WARNING, "daemon",
		         "ingest.socket sub cannot hold the sender back: when the buffer is full "
		         "frames "
		         "are lost there, and counted as missing reason=overload_at_sender");
}

static void loop(struct run *r)
{
	uint64_t deadline_ns = 0;

	while (!pipeline_ended(&r->pipeline)) {
		int number = next_signal(TICK_MS);
		uint64_t now_ns = clock_monotonic_ns();

		if (number > 0)
			handle_signal(r, number);
		struct vitals v = watch_stages(r, watched_clock_ns(&r->watched, now_ns));
		service_turn(&r->service, &v, now_ns);
		watch_memory(r, now_ns);
		show_progress(r, now_ns);
		if ((r->stuck || r->signals >= 2) && deadline_ns == 0)
			deadline_ns = now_ns + (uint64_t)ABORT_PATIENCE_MS * 1000000u;
		if (deadline_ns != 0 && now_ns > deadline_ns)
			return;
	}
}

static void tell_peers(struct pipeline *p)
{
	for (unsigned i = 0; i < p->receiver_count; i++)
		for (unsigned n = 0; n < p->receivers[i].source_count; n++) {
			struct receiver *r = &p->receivers[i];
			struct source *s = &r->sources[n];

			log_line(LOG_INFO, r->stage.name,
			         "%s ends messages=%llu bytes=%llu passed_over=%llu connected=%llu "
			         "disconnected=%llu handshake_failed=%llu refused=%llu "
			         "reopened=%llu",
			         s->endpoint, figure(&r->messages), figure(&r->bytes),
			         figure(&r->passed_over), figure(&s->events.connected),
			         figure(&s->events.disconnected),
			         figure(&s->events.handshake_failed), figure(&s->events.refused),
			         figure(&s->events.reopened));
		}
}

static int finish(struct run *r)
{
	struct pipeline *p = &r->pipeline;

	log_progress_end();
	tell_peers(p);
	/* acquire pairs with pipeline_fail(). */
	bool failed = atomic_load_explicit(&p->failed, memory_order_acquire);
	if (failed)
		log_line(LOG_ERROR, "daemon", "%s", p->failure);
	service_stopping(&r->service, failed ? p->failure : NULL);
	if (!pipeline_join(p, JOIN_PATIENCE_MS)) {
		log_line(LOG_ERROR, "daemon",
		         "threads that do not end: leaving without closing the "
		         "series; its journal has every durable frame");
		_exit(70);
	}
	return failed ? p->failure_status : p->collector.status;
}

int run(const struct run_options *options)
{
	struct run *r = aligned_alloc(64, (sizeof *r + 63) / 64 * 64);
	int status;

	if (!r)
		return 71;
	memset(r, 0, sizeof *r);
	status = open_run(r, options);
	if (status == 0) {
		tell_start(r, options->config);
		r->monitor = monitor_open(&r->pipeline, &r->program);
		service_open(&r->service, &r->pipeline, &r->program);
		if (pipeline_start(&r->pipeline) < 0) {
			pipeline_fail(&r->pipeline, 71, "cannot start the threads");
		} else {
			service_ready(&r->service);
			loop(r);
		}
		status = finish(r);
	}
	service_close(&r->service);
	if (!monitor_close(r->monitor)) {
		log_line(LOG_WARNING, "daemon",
		         "thread http does not end: leaving it, all series are closed");
		_exit(status);
	}
	pipeline_close(&r->pipeline);
	planes_close(&r->planes);
	free(r->config_json);
	free(r);
	return status;
}
