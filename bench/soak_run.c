/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/soak_run.h"

#include "bench/child.h"
#include "bench/progress.h"
#include "bench/soak_metrics.h"
#include "bench/soak_probe.h"
#include "bench/trial_parts.h"
#include "daemon/clock.h"
#include "daemon/http_client.h"

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define EX_STOPPED  130
#define STARTING_S  60.0
#define SHARE       0.99 /* of the frames, of the latency */
#define PATIENCE_MS 2000

/* Where a run stands. */
struct soaking {
	const struct soak_plan *plan;
	struct soak_figures *figures;
	struct trial_wiring wiring;
	struct child daemon, sender;
	struct progress progress;
	struct soak_metrics before;
	bool flooded;       /* the first series was sent */
	bool begun;         /* `before` is of a time when frames had come */
	uint64_t begin_ns;  /* of the first of them */
	uint64_t before_ns; /* of `before` */
};

static unsigned series_of_all(const struct soaking *s)
{
	return s->plan->series + 1;
}

static uint64_t frames_of_all(const struct soaking *s)
{
	return s->plan->frames * series_of_all(s);
}

/* ---- programs ---- */

static int start_daemon(struct soaking *s)
{
	const struct trial *t = s->plan->trial;
	struct trial_path config = trial_in_scratch(t, "openbeam.yaml");
	struct trial_path log = trial_in_scratch(t, "daemon.log");
	char program[SCRATCH_PATH_MAX + 16], series[16];
	const char *argv[] = { program, "-c", config.text, "--series", series, NULL };

	snprintf(program, sizeof program, "%s/openbeamd", t->programs);
	snprintf(series, sizeof series, "%u", series_of_all(s));
	return child_start(&s->daemon, argv, log.text);
}

static int start_sender(struct soaking *s)
{
	const struct trial *t = s->plan->trial;
	struct trial_path log = trial_in_scratch(t, "send.log");
	struct trial_path report = trial_in_scratch(t, "report.json");
	char program[SCRATCH_PATH_MAX + 16], size[32], frames[32], series[16], rate[32], memory[16];
	const char *argv[] = { program,
		               "--to",
		               s->wiring.endpoints[0],
		               "--size",
		               size,
		               "--pixel-format",
		               t->plan.pixel_format,
		               "--frames",
		               frames,
		               "--repeat",
		               series,
		               "--rate",
		               rate,
		               "--memory",
		               memory,
		               "--report",
		               report.text,
		               "--quiet",
		               NULL };

	snprintf(program, sizeof program, "%s/openbeam-send", t->programs);
	snprintf(size, sizeof size, "%" PRIu32 "x%" PRIu32, t->plan.width, t->plan.height);
	snprintf(frames, sizeof frames, "%" PRIu64, s->plan->frames);
	snprintf(series, sizeof series, "%u", s->flooded ? s->plan->series : 1);
	snprintf(rate, sizeof rate, "%.6f", s->flooded ? s->plan->rate_hz : 0);
	snprintf(memory, sizeof memory, "%u", trial_memory_mib(&t->plan));
	return child_start(&s->sender, argv, log.text);
}

static int ended(const char *name, int status, char *why)
{
	if (status == 0)
		return 0;
	if (status == -EINTR)
		snprintf(why, WHY_BYTES, "interrupted");
	else if (status == -ETIMEDOUT)
		snprintf(why, WHY_BYTES, "%s did not end in time", name);
	else
		snprintf(why, WHY_BYTES, "%s ended with status %d", name, status);
	return status == -EINTR ? EX_STOPPED : EX_UNAVAILABLE;
}

/* ---- a look from outside ---- */

static bool ask_metrics(const struct soaking *s, struct soak_metrics *ret)
{
	struct client_reply reply = { 0 };
	struct client_url url;
	char text[64], why[400];
	bool good;

	snprintf(text, sizeof text, "http://127.0.0.1:%u", s->wiring.monitor_port);
	if (client_url_parse(text, &url, why))
		return false;
	url.patience_ms = PATIENCE_MS;
	good = client_ask(&url, "/metrics", NULL, "", &reply) == 0 && reply.status == 200 &&
	       soak_metrics_parse(reply.body, ret);
	client_reply_done(&reply);
	return good;
}

/* Not after the last frame: the rate is no rate any more. */
static void add_samples(struct soaking *s, const struct soak_metrics *now, uint64_t now_ns)
{
	double at_s = (double)(now_ns - s->begin_ns) * 1e-9;
	double since_s = (double)(now_ns - s->before_ns) * 1e-9;
	struct slope_samples *samples = s->figures->samples;
	struct soak_process process;

	if (now->received >= frames_of_all(s))
		return;
	soak_probe(s->daemon.pid, &process);
	slope_add(&samples[SOAK_RATE], at_s,
	          (double)(now->received - s->before.received) / since_s);
	slope_add(&samples[SOAK_MEMORY], at_s, process.resident_bytes);
	slope_add(&samples[SOAK_DESCRIPTORS], at_s, process.descriptors);
	slope_add(&samples[SOAK_THREADS], at_s, process.threads);
	slope_add(&samples[SOAK_LATENCY], at_s,
	          1e3 * soak_metrics_quantile(&s->before, now, SHARE));
}

static void look(struct soaking *s)
{
	struct soak_metrics now;
	uint64_t now_ns;

	if (!ask_metrics(s, &now)) {
		s->figures->unanswered += s->begun;
		return;
	}
	now_ns = clock_now_ns();
	if (now.received <= s->plan->frames)
		return;
	if (s->begun)
		add_samples(s, &now, now_ns);
	else
		s->begin_ns = now_ns;
	s->begun = true;
	s->before = now;
	s->before_ns = now_ns;
}

static void show(struct soaking *s)
{
	uint64_t now_ns = clock_now_ns();
	char line[160];

	if (!progress_due(&s->progress, now_ns))
		return;
	snprintf(line, sizeof line, "%" PRIu64 " of %" PRIu64 " frames, %u of %u series read back",
	         s->before.received, frames_of_all(s), s->figures->series, series_of_all(s));
	progress_show(&s->progress, now_ns, line);
}

/* ---- series that are finished ---- */

/* "running" while it is, "" when there is nothing to read. */
static void read_state(const char *manifest, char state[32])
{
	json_t *all = json_load_file(manifest, 0, NULL);
	const char *text = json_string_value(json_object_get(all, "state"));

	snprintf(state, 32, "%s", text ? text : "");
	json_decref(all);
}

static int read_back(struct soaking *s, const char *folder, const char *state, char *why)
{
	const struct trial *t = s->plan->trial;
	char path[TRIAL_PATH_BYTES + 16];
	const struct ledger_rule rule = { s->plan->frames, t->crc32c, t->places, false };
	struct ledger_found ledger;
	int err;

	snprintf(path, sizeof path, "%s/frames.csv", folder);
	err = ledger_check(path, &rule, &ledger);
	if (err) {
		snprintf(why, WHY_BYTES, "cannot read %.300s: %s", path, strerror(-err));
		return EX_IOERR;
	}
	ledger_add(&s->figures->ledger, &ledger);
	s->figures->series++;
	s->figures->incomplete += strcmp(state, "complete") != 0;
	scratch_folder_remove(&t->scratch, folder + strlen(t->scratch.path) + 1);
	return 0;
}

/* A manifest that is not of a running series any more is the last thing that is written of it. */
static int read_finished(struct soaking *s, char *why)
{
	struct trial_path pattern = trial_in_scratch(s->plan->trial, "out/*/manifest.json");
	int status = 0;
	glob_t found;

	if (glob(pattern.text, 0, NULL, &found))
		return 0;
	for (size_t i = 0; i < found.gl_pathc && !status; i++) {
		char state[32];

		read_state(found.gl_pathv[i], state);
		if (!state[0] || strcmp(state, "running") == 0)
			continue;
		*strrchr(found.gl_pathv[i], '/') = '\0';
		status = read_back(s, found.gl_pathv[i], state, why);
	}
	globfree(&found);
	return status;
}

/* ---- the run ---- */

/* The sender that keeps the rate comes after the one that does not. */
static int next_sender(struct soaking *s, char *why)
{
	int status = s->flooded ? -ETIMEDOUT
	                        : child_wait(&s->sender, clock_now_ns(), s->plan->trial->stop);

	if (status == -ETIMEDOUT || status == -EINTR)
		return 0;
	s->flooded = status == 0;
	if (s->flooded && start_sender(s) < 0)
		status = 127;
	return ended("openbeam-send", status, why);
}

/* Until the daemon has ended: its exit status, or as child_wait(). A look each second. */
static int watch(struct soaking *s, uint64_t deadline_ns, char *why, int *ret_status)
{
	unsigned every = (unsigned)fmax(1, round(s->plan->every_s));
	uint64_t next_ns = clock_now_ns();

	for (unsigned nth = 0;; nth++) {
		int status = child_wait(&s->daemon, next_ns, s->plan->trial->stop);

		if (status != -ETIMEDOUT || clock_now_ns() >= deadline_ns)
			return status;
		if (s->flooded && (nth % every == 0 || !s->begun))
			look(s);
		*ret_status = next_sender(s, why);
		if (!*ret_status)
			*ret_status = read_finished(s, why);
		if (*ret_status)
			return 0;
		show(s);
		next_ns += NS_PER_S;
	}
}

static int watch_both(struct soaking *s, char *why)
{
	const struct trial *t = s->plan->trial;
	double all_s = (double)frames_of_all(s) / s->plan->rate_hz;
	uint64_t deadline_ns = clock_now_ns() + (uint64_t)((1.5 * all_s + STARTING_S) * 1e9);
	struct trial_figures report = { 0 };
	int failed = 0, status = watch(s, deadline_ns, why, &failed);

	progress_clear(&s->progress);
	if (failed)
		return failed;
	if (s->begun)
		s->figures->seconds = (double)(clock_now_ns() - s->begin_ns) * 1e-9;
	/* 1: a series has losses, which the ledger tells. */
	status = ended("openbeamd", status == 1 ? 0 : status, why);
	if (!status)
		status = ended("openbeam-send", child_wait(&s->sender, deadline_ns, t->stop), why);
	if (!status)
		status = read_finished(s, why);
	if (!status)
		status = trial_read_report(t, &report, why);
	s->figures->sender_late = report.sender_late;
	return status;
}

static int run_both(struct soaking *s, char *why)
{
	int err = start_daemon(s), status;

	if (!err)
		err = start_sender(s);
	if (err) {
		snprintf(why, WHY_BYTES, "cannot start the programs: %s", strerror(-err));
		status = EX_UNAVAILABLE;
	} else {
		status = watch_both(s, why);
	}
	child_end(&s->sender);
	child_end(&s->daemon);
	return status;
}

int soak_run(const struct soak_plan *p, struct soak_figures *ret, char why[512])
{
	struct soaking s = { .plan = p, .figures = ret };
	struct trial_path out = trial_in_scratch(p->trial, "out");
	int status = trial_wire(p->trial, &s.wiring, why);

	*ret = (struct soak_figures){ 0 };
	progress_init(&s.progress, !isatty(STDERR_FILENO));
	if (!status)
		status = trial_configure(p->trial, &s.wiring, p->frames, why);
	if (!status && mkdir(out.text, 0700)) {
		snprintf(why, WHY_BYTES, "cannot make %.300s: %s", out.text, strerror(errno));
		status = EX_CANTCREAT;
	}
	if (!status)
		status = run_both(&s, why);
	scratch_folder_remove(&p->trial->scratch, "out");
	return status;
}
