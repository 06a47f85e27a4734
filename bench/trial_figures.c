/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/ledger_check.h"
#include "bench/trial_parts.h"

#include "daemon/clock.h"
#include "daemon/latency.h"

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* ---- the manifest ---- */

static uint64_t read_integer(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

static double read_number(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

static void read_latency(const json_t *stages, struct trial_figures *ret)
{
	for (unsigned i = 0; i < TRIAL_STAGES; i++) {
		const json_t *s = json_object_get(stages, latency_name((enum latency_stage)i));

		ret->latency[i] = (struct trial_latency){
			.count = read_integer(s, "count"),
			.p50_ms = read_number(s, "p50"),
			.p99_ms = read_number(s, "p99"),
			.p999_ms = read_number(s, "p999"),
			.max_ms = read_number(s, "max"),
		};
	}
}

/* Of the slots: they are nearly all of the buffer. */
static double buffer_peak(const json_t *buffer)
{
	double slots = read_number(buffer, "slots");

	return slots > 0 ? read_number(buffer, "slots_peak") / slots : NAN;
}

/* "messages 12 %, room 63 %" of the time. */
static void tell_waits(json_t *waited, double seconds, struct trial_thread *t)
{
	const char *what;
	json_t *one;
	size_t at = 0;

	json_object_foreach(waited, what, one)
	{
		int n = snprintf(t->waits + at, sizeof t->waits - at, "%s%s %.0f %%",
		                 at ? ", " : "", what, 100 * json_number_value(one) / seconds);

		at += (size_t)n < sizeof t->waits - at ? (size_t)n : 0;
	}
}

/* What the daemon's threads slept for. */
static void read_waits(const json_t *waited_s, struct trial_figures *ret)
{
	for (unsigned i = 0; i < ret->thread_count && ret->seconds > 0; i++) {
		struct trial_thread *t = &ret->threads[i];

		if (t->process == 'd')
			tell_waits(json_object_get(waited_s, t->name), ret->seconds, t);
	}
}

int trial_read_manifest(const struct trial *t, struct trial_figures *ret, char why[512])
{
	struct trial_path pattern = trial_in_scratch(t, "out/*/manifest.json");
	json_t *manifest = NULL, *totals;
	const char *loss;
	glob_t found;

	if (!glob(pattern.text, 0, NULL, &found)) {
		manifest = json_load_file(found.gl_pathv[0], 0, NULL);
		globfree(&found);
	}
	totals = json_object_get(manifest, "totals");
	if (!json_is_integer(json_object_get(totals, "expected"))) {
		json_decref(manifest);
		snprintf(why, WHY_BYTES, "openbeamd left no manifest with totals in its series");
		return EX_SOFTWARE;
	}
	ret->seconds = (double)(int64_t)(read_integer(manifest, "end_ns") -
	                                 read_integer(manifest, "start_ns")) *
	               1e-9;
	ret->end_ns = read_integer(manifest, "end_ns");
	ret->expected = read_integer(totals, "expected");
	ret->written = read_integer(totals, "written");
	ret->flagged = read_integer(totals, "flagged");
	ret->buffer_peak = buffer_peak(json_object_get(manifest, "buffer"));
	read_latency(json_object_get(manifest, "latency_ms"), ret);
	read_waits(json_object_get(manifest, "waited_s"), ret);
	loss = json_string_value(
		json_object_get(json_array_get(json_object_get(manifest, "losses"), 0), "text"));
	snprintf(ret->first_loss, sizeof ret->first_loss, "%s", loss ? loss : "");
	json_decref(manifest);
	ret->lost = ret->expected > ret->written ? ret->expected - ret->written : 0;
	ret->fps = ret->seconds > 0 ? (double)ret->written / ret->seconds : 0;
	return 0;
}

int trial_read_report(const struct trial *t, struct trial_figures *ret, char why[512])
{
	struct trial_path path = trial_in_scratch(t, "report.json");
	json_t *report = json_load_file(path.text, 0, NULL);

	if (!report) {
		snprintf(why, WHY_BYTES, "openbeam-send left no report");
		return EX_SOFTWARE;
	}
	ret->sender_late = read_integer(report, "late");
	json_decref(report);
	return 0;
}

/* ---- the ledger ---- */

/* A slot of shared memory is filled once, and whichever is free is sent. */
static struct ledger_rule rule_of(const struct trial *t, uint64_t frames)
{
	bool any = t->plan.transport == TRIAL_SHM;
	uint64_t slots = trial_slots(&t->plan);

	return (struct ledger_rule){ .frames = frames,
		                     .crc32c = t->crc32c,
		                     .places = any && slots < t->places ? slots : t->places,
		                     .any_place = any };
}

/* The manifest's start is when the series had its folder: frames came before. */
static void begin_with_first_frame(uint64_t first_ns, struct trial_figures *ret)
{
	double before_s = (double)(int64_t)(ret->end_ns - first_ns) * 1e-9 - ret->seconds;

	if (!first_ns || before_s <= 0)
		return;
	ret->seconds += before_s;
	ret->fps = (double)ret->written / ret->seconds;
}

int trial_read_ledger(const struct trial *t, uint64_t frames, struct trial_figures *ret,
                      char why[512])
{
	struct trial_path pattern = trial_in_scratch(t, "out/*/frames.csv");
	struct ledger_rule rule = rule_of(t, frames);
	struct ledger_found ledger;
	int err = -ENOENT;
	glob_t found;

	if (!glob(pattern.text, 0, NULL, &found)) {
		err = ledger_check(found.gl_pathv[0], &rule, &ledger);
		globfree(&found);
	}
	if (err) {
		snprintf(why, WHY_BYTES, "the run left no ledger in %.300s/out: %s",
		         t->scratch.path, strerror(-err));
		return EX_SOFTWARE;
	}
	ret->wrong = ledger_faults(&ledger);
	begin_with_first_frame(ledger.first_received_ns, ret);
	return 0;
}

/* ---- /proc ---- */

static bool is_begun(const struct trial *t)
{
	struct trial_path pattern = trial_in_scratch(t, "out/*");
	glob_t found;
	bool begun = !glob(pattern.text, GLOB_NOSORT, NULL, &found);

	if (begun)
		globfree(&found);
	return begun;
}

/* The folder of the series is made when its first frame comes: what both had used when they were
 * looked at before is what they needed to get ready. */
void trial_look(const struct trial *t, struct trial_watch *w)
{
	bool begins = !w->begun && is_begun(t);

	if (!w->begun && !begins) {
		w->begin[0] = w->now[0];
		w->begin[1] = w->now[1];
		w->busy_s[0] = w->busy_s[1];
		w->busy_ns[0] = w->busy_ns[1];
		w->loopback[0] = w->loopback[1];
	}
	w->begun = w->begun || begins;
	if (w->daemon.pid) {
		proc_machine_look(&w->busy_s[1]);
		w->busy_ns[1] = clock_now_ns();
		proc_loopback_look(&w->loopback[1]);
	}
	if (w->daemon.pid && proc_process_look(&w->now[0], w->daemon.pid))
		w->look_ns = clock_read_ns(CLOCK_REALTIME);
	if (w->sender.pid)
		proc_process_look(&w->now[1], w->sender.pid);
}

/* What both had used between the begin and the last look. */
static double looked_at_s(const struct trial_watch *w)
{
	return w->now[0].cpu_s - w->begin[0].cpu_s + w->now[1].cpu_s - w->begin[1].cpu_s;
}

static void add_threads(const struct trial_watch *w, unsigned i, struct trial_figures *ret)
{
	for (unsigned k = 0; k < w->now[i].count && ret->thread_count < TRIAL_THREADS_MAX; k++) {
		struct proc_thread d = proc_thread_since(&w->now[i].threads[k], &w->begin[i]);
		struct trial_thread *one = &ret->threads[ret->thread_count++];

		*one = (struct trial_thread){ .process = i ? 's' : 'd',
			                      .user_s = d.user_s,
			                      .system_s = d.system_s,
			                      .run_s = d.run_s,
			                      .queue_s = d.queue_s,
			                      .faults = d.faults,
			                      .major_faults = d.major_faults,
			                      .switches = d.switches,
			                      .preemptions = d.preemptions };
		memcpy(one->name, d.name, sizeof one->name);
	}
}

static double run_s(const struct trial_figures *f, char process)
{
	double sum = 0;

	for (unsigned i = 0; i < f->thread_count; i++)
		if (f->threads[i].process == process)
			sum += f->threads[i].run_s;
	return sum;
}

static void stretch(struct trial_thread *t, double factor)
{
	t->user_s *= factor;
	t->system_s *= factor;
	t->run_s *= factor;
	t->queue_s *= factor;
}

void trial_extrapolate(const struct trial_watch *w, struct trial_figures *ret)
{
	double tail = (double)(int64_t)(ret->end_ns - w->look_ns) * 1e-9;
	double window = (double)(w->busy_ns[1] - w->busy_ns[0]) * 1e-9;

	if (w->look_ns && tail > 0 && tail < 0.5 * ret->seconds)
		for (unsigned i = 0; i < ret->thread_count; i++)
			if (ret->threads[i].process == 'd')
				stretch(&ret->threads[i], ret->seconds / (ret->seconds - tail));
	if (window > 0) /* the looks do not begin and end with the series */
		ret->others_s *= ret->seconds / window;
	if (run_s(ret, 'd') > 0) /* else the kernel does not say */
		ret->cpu_daemon_s = fmin(ret->cpu_daemon_s, run_s(ret, 'd'));
	if (run_s(ret, 's') > 0)
		ret->cpu_sender_s = fmin(ret->cpu_sender_s, run_s(ret, 's'));
}

void trial_read_watch(const struct trial_watch *w, struct trial_figures *ret)
{
	ret->cpu_daemon_s = w->daemon.cpu_s - w->begin[0].cpu_s;
	ret->cpu_sender_s = w->sender.cpu_s - w->begin[1].cpu_s;
	for (unsigned i = 0; i < 2; i++) {
		ret->read_calls += w->now[i].read_calls - w->begin[i].read_calls;
		ret->write_calls += w->now[i].write_calls - w->begin[i].write_calls;
		add_threads(w, i, ret);
	}
	ret->loopback_bytes = w->loopback[1] - w->loopback[0];
	ret->others_s =
		w->busy_s[0] > 0 ? fmax(0, w->busy_s[1] - w->busy_s[0] - looked_at_s(w)) : NAN;
	ret->disk_bytes = w->now[0].written_bytes - w->begin[0].written_bytes;
	ret->peak_bytes = w->now[0].peak_bytes;
}
