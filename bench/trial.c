/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/trial.h"

#include "bench/trial_parts.h"
#include "bench/trial_reader.h"
#include "daemon/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sysexits.h>
#include <unistd.h>

#define EX_STOPPED      130
#define SETUP_SECONDS   60
#define LOOK_NS         (NS_PER_S / 20)
#define SETTINGS_MAX    24
#define MIB             ((uint64_t)1 << 20)
#define PICTURES_LEAST  128 /* MiB */
#define PICTURES_MOST   256 /* MiB */
#define PICTURES_WANTED 12  /* of them, where they are large */

/* ---- what a plan means ---- */

uint64_t trial_frame_bytes(const struct trial_plan *p)
{
	const struct pixel_format *f = pixel_format_find(p->pixel_format);

	return ((uint64_t)p->width * p->height * wire_bits(f->type, f->packing) + 7) / 8;
}

uint64_t trial_product_bytes(const struct trial_plan *p)
{
	const struct pixel_format *f = pixel_format_find(p->pixel_format);

	if (strcmp(p->sink, "null") == 0)
		return 0;
	if (p->source)
		return (uint64_t)p->width * p->height * pixel_bytes(f->type);
	return 2 * (uint64_t)(p->width / 2) * (p->height / 2);
}

const char *trial_transport_name(enum trial_transport t)
{
	static const char *const names[] = { "tcp", "ipc", "shm" };

	return names[t];
}

bool trial_keeps_source(const struct trial_plan *p)
{
	return p->source && strcmp(p->sink, "null") != 0;
}

unsigned trial_memory_mib(const struct trial_plan *p)
{
	uint64_t wanted = PICTURES_WANTED * (trial_frame_bytes(p) / MIB + 1);

	if (wanted < PICTURES_LEAST)
		return PICTURES_LEAST;
	return wanted < PICTURES_MOST ? (unsigned)wanted : PICTURES_MOST;
}

unsigned trial_slots(const struct trial_plan *p)
{
	uint64_t slots = trial_memory_mib(p) * MIB / trial_frame_bytes(p);

	return slots < 8 ? 8 : slots > 64 ? 64 : (unsigned)slots;
}

/* ---- files and programs ---- */

struct trial_path trial_in_scratch(const struct trial *t, const char *name)
{
	struct trial_path p;

	snprintf(p.text, sizeof p.text, "%s/%s", t->scratch.path, name);
	return p;
}

static struct trial_path program(const struct trial *t, const char *name)
{
	struct trial_path p;

	snprintf(p.text, sizeof p.text, "%s/%s", t->programs, name);
	return p;
}

static int find_programs(struct trial *t, char why[512])
{
	static const char *const names[] = { "openbeam-send", "openbeamd" };
	ssize_t n = readlink("/proc/self/exe", t->programs, sizeof t->programs - 1);
	char *slash;

	t->programs[n > 0 ? n : 0] = '\0';
	slash = strrchr(t->programs, '/');
	if (slash)
		*slash = '\0';
	for (int i = 0; i < 2; i++) {
		struct trial_path p = program(t, names[i]);

		if (access(p.text, X_OK)) {
			snprintf(why, WHY_BYTES, "%.*s is not there: build all programs", 400,
			         p.text);
			return EX_UNAVAILABLE;
		}
	}
	return 0;
}

/* The end of a program's log, on one line. */
static void read_tail(const struct trial *t, const char *log, char *tail, size_t size)
{
	struct trial_path path = trial_in_scratch(t, log);
	FILE *in = fopen(path.text, "r");
	size_t n;

	tail[0] = '\0';
	if (!in)
		return;
	if (fseek(in, -(long)(size - 1), SEEK_END))
		rewind(in);
	n = fread(tail, 1, size - 1, in);
	fclose(in);
	tail[n] = '\0';
	for (char *c = tail; *c; c++)
		if (*c == '\n')
			*c = ';';
}

static int refuse(const struct trial *t, const char *name, const char *log, int status,
                  char why[512])
{
	char tail[320];

	if (status == -EINTR) {
		snprintf(why, WHY_BYTES, "interrupted");
		return EX_STOPPED;
	}
	read_tail(t, log, tail, sizeof tail);
	if (status == -ETIMEDOUT)
		snprintf(why, WHY_BYTES, "%s did not end in time; it said: %s", name, tail);
	else
		snprintf(why, WHY_BYTES, "%s ended with status %d; it said: %s", name, status,
		         tail);
	return EX_UNAVAILABLE;
}

static int make_calibration(const struct trial *t, char why[512])
{
	struct trial_path send = program(t, "openbeam-send"), log = trial_in_scratch(t, "send.log");
	struct trial_path dark = trial_in_scratch(t, "dark.tif");
	struct trial_path flat = trial_in_scratch(t, "flat.tif");
	char size[32];
	const char *argv[] = {
		send.text,      "--size",  size,           "--pixel-format", t->plan.pixel_format,
		"--write-dark", dark.text, "--write-flat", flat.text,        NULL
	};
	struct child child;
	int status;

	snprintf(size, sizeof size, "%" PRIu32 "x%" PRIu32, t->plan.width, t->plan.height);
	status = child_start(&child, argv, log.text);
	if (status) {
		snprintf(why, WHY_BYTES, "cannot start openbeam-send: %s", strerror(-status));
		return EX_UNAVAILABLE;
	}
	status = child_wait(&child, clock_now_ns() + SETUP_SECONDS * NS_PER_S, t->stop);
	child_end(&child);
	return status ? refuse(t, "openbeam-send", "send.log", status, why) : 0;
}

/* ---- before the runs ---- */

static int check_plan(const struct trial_plan *p, char why[512])
{
	const struct pixel_format *f = pixel_format_find(p->pixel_format);

	if (!f || p->endpoints < 1 || p->endpoints > TRIAL_ENDPOINTS_MAX ||
	    (p->transport == TRIAL_SHM && (p->endpoints > 1 || f->packing != PACKING_NONE))) {
		snprintf(why, WHY_BYTES,
		         "a stream has 1 to %d endpoints, shared memory one and no packed pixels",
		         TRIAL_ENDPOINTS_MAX);
		return EX_USAGE;
	}
	return 0;
}

static int prepare(struct trial *t, char why[512])
{
	struct trial_path out = trial_in_scratch(t, "out");
	struct trial_wiring wiring;
	int status = make_calibration(t, why);

	if (status)
		return status;
	if (mkdir(out.text, 0700)) { /* as the configuration names it */
		snprintf(why, WHY_BYTES, "cannot make %.300s: %s", out.text, strerror(errno));
		return EX_CANTCREAT;
	}
	status = trial_wire(t, &wiring, why);
	if (!status)
		status = trial_configure(t, &wiring, 1, why);
	if (!status)
		status = trial_expect(t, why);
	scratch_folder_remove(&t->scratch, "out");
	return status;
}

int trial_open(struct trial *t, const struct trial_plan *plan, const char *directory,
               const volatile sig_atomic_t *stop, char why[512])
{
	int err, status;

	*t = (struct trial){ .plan = *plan, .stop = stop };
	status = check_plan(plan, why);
	if (!status)
		status = find_programs(t, why);
	if (status)
		return status;
	err = scratch_folder_open(&t->scratch, directory, "openbeam-bench");
	if (err) {
		snprintf(why, WHY_BYTES,
		         "cannot make a folder in %.300s: %s: give another --directory", directory,
		         strerror(-err));
		return err == -EACCES ? EX_NOPERM : EX_CANTCREAT;
	}
	status = prepare(t, why);
	if (status)
		trial_close(t);
	return status;
}

void trial_close(struct trial *t)
{
	scratch_folder_close(&t->scratch);
	free(t->crc32c);
	t->crc32c = NULL;
}

/* ---- a run ---- */

/* A command line. */
struct words {
	const char *at[96];
	unsigned count;
};

static void say(struct words *w, const char *word)
{
	if (w->count + 1 < sizeof w->at / sizeof *w->at)
		w->at[w->count++] = word;
}

static void say_both(struct words *w, const char *option, const char *value)
{
	say(w, option);
	say(w, value);
}

/* Under strace, which counts and is silent. */
static void say_tracer(struct words *w, const char *counts)
{
	say(w, "strace");
	say(w, "-f");
	say(w, "-c");
	say_both(w, "-o", counts);
}

static int start_daemon(const struct trial *t, struct child *ret)
{
	struct trial_path daemon = program(t, "openbeamd"), log = trial_in_scratch(t, "daemon.log");
	struct trial_path config = trial_in_scratch(t, "openbeam.yaml");
	struct trial_path counts = trial_in_scratch(t, "daemon.calls");
	struct words w = { 0 };

	if (t->plan.traced)
		say_tracer(&w, counts.text);
	say(&w, daemon.text);
	say_both(&w, "-c", config.text);
	say_both(&w, "--series", "1");
	for (unsigned i = 0; t->plan.settings && t->plan.settings[i] && i < SETTINGS_MAX; i++)
		say_both(&w, "--set", t->plan.settings[i]);
	return child_start_on(ret, w.at, log.text, t->plan.cpus);
}

static int start_sender(const struct trial *t, const struct trial_wiring *wiring, uint64_t frames,
                        struct child *ret)
{
	struct trial_path send = program(t, "openbeam-send"), log = trial_in_scratch(t, "send.log");
	struct trial_path report = trial_in_scratch(t, "report.json");
	struct trial_path counts = trial_in_scratch(t, "send.calls");
	char size[32], count[32], memory[16], rate[32], slots[16];
	struct words w = { 0 };

	snprintf(size, sizeof size, "%" PRIu32 "x%" PRIu32, t->plan.width, t->plan.height);
	snprintf(count, sizeof count, "%" PRIu64, frames);
	snprintf(memory, sizeof memory, "%u", trial_memory_mib(&t->plan));
	snprintf(rate, sizeof rate, "%.6f", t->plan.rate_hz);
	snprintf(slots, sizeof slots, "%u", trial_slots(&t->plan));
	if (t->plan.traced)
		say_tracer(&w, counts.text);
	say(&w, send.text);
	for (unsigned i = 0; i < t->plan.endpoints; i++)
		say_both(&w, "--to", wiring->endpoints[i]);
	say_both(&w, "--size", size);
	say_both(&w, "--pixel-format", t->plan.pixel_format);
	say_both(&w, "--frames", count);
	say_both(&w, "--memory", memory);
	say_both(&w, "--report", report.text);
	say(&w, "--quiet");
	if (t->plan.rate_hz > 0)
		say_both(&w, "--rate", rate);
	if (t->plan.transport == TRIAL_SHM) {
		say_both(&w, "--protocol", "shm");
		say_both(&w, "--slots", slots);
		say_both(&w, "--release", wiring->release);
	}
	return child_start_on(ret, w.at, log.text, t->plan.cpus);
}

/* Wait for one of them and look at both meanwhile. As child_wait(). */
static int await(const struct trial *t, struct trial_watch *w, struct child *c,
                 uint64_t deadline_ns)
{
	for (;;) {
		uint64_t now = clock_now_ns();
		int status = child_wait(c, now + LOOK_NS, t->stop);

		if (status != -ETIMEDOUT || now >= deadline_ns)
			return status;
		trial_look(t, w);
	}
}

/* Status 1 of the daemon is a series with losses: a result, not an error. */
static int await_both(const struct trial *t, struct trial_watch *w, uint64_t deadline_ns,
                      char why[512])
{
	int status = await(t, w, &w->daemon, deadline_ns);

	if (status != 0 && status != 1)
		return refuse(t, "openbeamd", "daemon.log", status, why);
	status = await(t, w, &w->sender, deadline_ns);
	return status ? refuse(t, "openbeam-send", "send.log", status, why) : 0;
}

static int run_both(const struct trial *t, const struct trial_wiring *wiring, uint64_t frames,
                    uint64_t deadline_ns, struct trial_watch *w, char why[512])
{
	struct trial_reader reader = { 0 };
	int status = 0, err = start_daemon(t, &w->daemon);

	if (!err)
		err = start_sender(t, wiring, frames, &w->sender);
	if (!err && wiring->monitor_port)
		err = trial_reader_start(&reader, wiring->monitor_port);
	if (err) {
		snprintf(why, WHY_BYTES, "cannot start the programs: %s", strerror(-err));
		status = EX_UNAVAILABLE;
	}
	if (!status)
		status = await_both(t, w, deadline_ns, why);
	trial_reader_end(&reader);
	child_end(&w->sender);
	child_end(&w->daemon);
	return status;
}

/* Half of the free disk stays free. */
static int check_space(const struct trial *t, uint64_t frames, char why[512])
{
	double needed = (double)frames * (double)trial_product_bytes(&t->plan);
	struct statvfs fs;
	double room;

	if (statvfs(t->scratch.path, &fs))
		return 0;
	room = 0.5 * (double)fs.f_bavail * (double)fs.f_frsize;
	if (needed <= room)
		return 0;
	snprintf(why, WHY_BYTES,
	         "%.1f GB of frames are more than half of what is free in %.300s: give another "
	         "--directory",
	         needed * 1e-9, t->scratch.path);
	return EX_CANTCREAT;
}

static int run_and_read(const struct trial *t, uint64_t frames, uint64_t deadline_ns,
                        struct trial_watch *w, struct trial_figures *ret, char why[512])
{
	struct trial_wiring wiring;
	int status = trial_wire(t, &wiring, why);

	if (!status)
		status = trial_configure(t, &wiring, frames, why);
	if (!status)
		status = run_both(t, &wiring, frames, deadline_ns, w, why);
	if (status)
		return status;
	*ret = (struct trial_figures){ 0 };
	trial_read_watch(w, ret);
	status = trial_read_manifest(t, ret, why);
	if (status)
		return status;
	trial_extrapolate(w, ret);
	status = trial_read_ledger(t, frames, ret, why);
	if (!status && t->plan.traced)
		status = trial_read_calls(t, ret, why);
	return status ? status : trial_read_report(t, ret, why);
}

int trial_run(struct trial *t, uint64_t frames, double timeout_s, struct trial_figures *ret,
              char why[512])
{
	uint64_t deadline_ns = clock_now_ns() + (uint64_t)(timeout_s * 1e9);
	struct trial_watch *w = calloc(1, sizeof *w);
	struct trial_path out = trial_in_scratch(t, "out");
	int status = check_space(t, frames, why);

	if (!status && (!w || mkdir(out.text, 0700))) {
		snprintf(why, WHY_BYTES, "cannot prepare a run in %.300s: %s", t->scratch.path,
		         strerror(errno));
		status = EX_CANTCREAT;
	}
	if (!status)
		status = run_and_read(t, frames, deadline_ns, w, ret, why);
	scratch_folder_remove(&t->scratch, "out");
	free(w);
	return status;
}
