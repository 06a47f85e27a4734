/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/clock.h"
#include "daemon/disks.h"
#include "daemon/host_fit.h"
#include "daemon/host_trial.h"
#include "daemon/log.h"
#include "daemon/memory_limit.h"
#include "daemon/pipeline.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/statvfs.h>

#define DOES_NOT_FIT 1 /* exit status */
#define PATH_S       1.5
#define NULL_S       0.6
#define WIRE_S       0.7
#define MOST_BYTES   4e9  /* written by a trial, */
#define MOST_SHARE   0.25 /* and of the free space */
#define LEAST_FRAMES 32   /* else a trial says nothing */
#define WAITS_SHARE  0.15 /* of the cores: something else is waited for */
#define FASTER       1.2
#define OTHERS_BLUR  0.5
#define OTHERS       0.1 /* share of the cores that others used, worth a warning */
#define COPIES       4
#define WHAT_BYTES   64

struct measuring {
	struct check *check;
	struct trial_frames frames;
	struct fit fit;
	double others_cores; /* that other programs used meanwhile */
	char what[WHAT_BYTES];
};

static void progress(const char *what)
{
	if (!log_is_terminal())
		return;
	fprintf(stderr, "\r\033[K%s%s", what, what[0] ? " ..." : "");
	fflush(stderr);
}

static int failed(struct check *k, int status, const char *area, const char *why)
{
	progress("");
	check_fail(k, status, area, why);
	return status;
}

/* ---- what is there ---- */

static void find_space(struct measuring *m)
{
	const struct config *c = m->check->config;

	for (unsigned i = 0; i < c->sink_count; i++) {
		struct statvfs fs;
		double free_bytes;

		if (!disks_has_files(&c->sinks[i]) || statvfs(c->sinks[i].directory, &fs) != 0)
			continue;
		free_bytes = (double)fs.f_bavail * (double)fs.f_frsize;
		if (m->fit.directory && free_bytes >= m->fit.free_bytes)
			continue;
		m->fit.directory = c->sinks[i].directory;
		m->fit.free_bytes = free_bytes;
	}
}

/* The sender's share of the cores counts where it must be on this host. */
static bool sender_is_here(const struct config *c)
{
	static const char *const here[] = { "ipc:", "tcp://127.",
		                            "tcp://localhost:", "tcp://[::1]" };

	for (unsigned i = 0; i < sizeof here / sizeof *here; i++)
		if (strncmp(c->ingest.endpoints.at[0], here[i], strlen(here[i])) == 0)
			return true;
	return false;
}

static double product_bytes_of(const struct layout *l)
{
	return (double)(l->geometry.reduced.bytes + l->geometry.source.bytes);
}

/* ---- measuring ---- */

static int measure_memory(struct measuring *m)
{
	unsigned threads = (unsigned)fmin(fmax(m->fit.cores, 1), CREW_MAX);
	struct samples copy = { 0 };
	struct memory_limit limit;
	double bytes, cpu_s;

	progress("measuring memory");
	if (memory_limit_open(&limit, threads) < 0)
		return failed(m->check, 71, "memory", "no memory to measure with");
	cpu_s = -(double)clock_cpu_ns() * 1e-9;
	memory_limit_copy(&limit, COPIES - 1, &copy); /* and one that warms up */
	cpu_s += (double)clock_cpu_ns() * 1e-9;
	bytes = COPIES * (double)threads * (double)limit.bytes; /* half read, half written */
	memory_limit_close(&limit);
	/* By CPU time, so that other programs hardly change it. */
	m->fit.memory_bytes_per_s = cpu_s > 0 ? m->fit.cores * bytes / cpu_s : 0;
	return 0;
}

/* What was not tried, and would take longer. */
static void tell_untried(struct check *k)
{
	static const char *const compress[] = { "bsread", "dectris-v1", "dectris-v2", "odin-live" };

	for (unsigned i = 0; i < sizeof compress / sizeof *compress; i++)
		if (strcmp(k->config->ingest.protocol, compress[i]) == 0)
			check_find(k, "warning", "cores",
			           "frames were tried as they are without compression: where the "
			           "detector compresses them, decompressing takes cores, too");
	if (k->config->ingest.curve_role != CURVE_NONE)
		check_find(k, "warning", "receiving",
		           "encryption (ingest.curve) was not tried: with it receiving takes "
		           "several times as long");
}

static int measure_wire(struct measuring *m)
{
	const struct config *c = m->check->config;
	const struct protocol *p = protocol_find(c->ingest.protocol);
	struct trial_wire wire;
	char why[400];

	if (p && p->in_shared_memory)
		return 0;
	progress("measuring what it takes to receive");
	if (trial_receive(m->check, &m->frames, WIRE_S, &wire, why) < 0)
		return trial_stopped() ? 0 : failed(m->check, 69, "receiving", why);
	/* A side has a core to itself where other programs leave it one. */
	m->fit.wire_rate = pipeline_receivers(c) *
	                   fmax(wire.frames_per_s, 1 / fmax(wire.cpu_s, wire.sender_cpu_s));
	m->fit.wire_cpu_s = wire.cpu_s;
	m->fit.sender_cpu_s = sender_is_here(c) ? wire.sender_cpu_s : 0;
	return 0;
}

static double most_bytes(const struct measuring *m)
{
	return m->fit.directory ? fmin(MOST_BYTES, MOST_SHARE * m->fit.free_bytes) : MOST_BYTES;
}

static int refuse_space(struct measuring *m, double least)
{
	char why[400];

	snprintf(why, sizeof why,
	         "%.200s has %.1f MB free: too little to try %d frames there, which needs %.1f MB; "
	         "free some, or name another directory",
	         m->fit.directory, m->fit.free_bytes / 1e6, LEAST_FRAMES, least / MOST_SHARE / 1e6);
	return failed(m->check, collector_status_of(-ENOSPC), "disk", why);
}

/* The verdict is about a host that has its cores for the daemon. */
static void tell_others(const struct measuring *m)
{
	const struct fit *f = &m->fit;
	double left = fmax(0, f->cores - m->others_cores);

	if (m->others_cores > OTHERS * f->cores)
		check_find(m->check, "warning", "cores",
		           "other programs used %.1f cores meanwhile: beside them the rest would "
		           "hold %.0f frames/s, and all that follows is without them",
		           m->others_cores,
		           left / (f->path_cpu_s + f->wire_cpu_s + f->sender_cpu_s));
}

/* Without its sinks the data path is faster by the CPU time of writing; where it is faster than
 * that, the disk was waited for. Other programs may hit one of the two more than the other. */
static bool waited_for_disk(const struct measuring *m, const struct trial_figures *to_disk,
                            const struct trial_figures *to_null)
{
	double faster = to_null->frames / to_null->seconds / (to_disk->frames / to_disk->seconds);
	double cheaper = to_disk->cpu_s / to_disk->fed / (to_null->cpu_s / to_null->fed);

	return faster > fmax(cheaper, 1) * (FASTER + OTHERS_BLUR * m->others_cores / m->fit.cores);
}

static int measure_without_disk(struct measuring *m, const struct trial_figures *to_disk)
{
	struct trial_figures f;
	char why[400];
	int status;

	progress("measuring the data path without the disk");
	status = trial_path(m->check, &m->frames, true, NULL_S, 0, &f, why);
	if (status != 0)
		return failed(m->check, status, "cores", why);
	if (m->fit.out_bytes > 0 && waited_for_disk(m, to_disk, &f))
		m->fit.disk_is_least = false;
	else if (f.waits_share > WAITS_SHARE && to_disk->waits_share > WAITS_SHARE)
		m->fit.path_rate = f.frames / f.seconds;
	return 0;
}

static int measure_path(struct measuring *m)
{
	double least = LEAST_FRAMES * product_bytes_of(&m->check->plan);
	struct trial_figures f;
	char why[400];
	int status;

	if (m->fit.directory && most_bytes(m) < least)
		return refuse_space(m, least);
	progress("measuring the data path, from memory to the disk");
	status = trial_path(m->check, &m->frames, false, PATH_S, most_bytes(m), &f, why);
	if (status != 0)
		return failed(m->check, status, "fit", why);
	m->others_cores = f.others_cores;
	m->fit.path_cpu_s = f.cpu_s / f.fed;
	if (m->fit.directory) {
		m->fit.out_bytes = f.bytes / f.frames;
		m->fit.disk_bytes_per_s = f.bytes / f.seconds;
		m->fit.disk_is_least = true;
	}
	return trial_stopped() ? 0 : measure_without_disk(m, &f);
}

/* ---- judging ---- */

static void ask(struct measuring *m)
{
	const struct check *k = m->check;
	const struct config *c = k->config;

	snprintf(m->what, sizeof m->what, "%u x %u %s", k->shape.width, k->shape.height,
	         wire_name(k->shape.type, k->shape.packing));
	m->fit.what = m->what;
	m->fit.rate = k->load->rate;
	m->fit.seconds = k->load->frames && k->load->rate > 0
	                         ? (double)k->load->frames / k->load->rate
	                         : k->load->seconds;
	m->fit.cores = check_cores_allowed();
	m->fit.frame_bytes = (double)m->frames.frame.bytes;
	m->fit.buffer_frames = k->plan.budget.slots;
	m->fit.sender_is_held =
		c->ingest.overload == OVERLOAD_BLOCK && c->ingest.socket == SOCKET_PULL;
	find_space(m);
}

static void tell(struct measuring *m)
{
	struct fit_verdict v;

	fit_judge(&m->fit, &v);
	progress("");
	tell_others(m);
	tell_untried(m->check);
	for (unsigned i = 0; i < v.count; i++)
		check_find(m->check, v.findings[i].level, v.findings[i].area, "%s",
		           v.findings[i].text);
	if (!v.fits && m->check->status == 0)
		m->check->status = DOES_NOT_FIT;
}

void check_fit(struct check *k)
{
	struct measuring m = { .check = k };
	int status = 0;

	if (k->status != 0) {
		check_find(k, "error", "fit", "nothing is measured before the errors are gone");
		return;
	}
	if (!k->has_shape) {
		check_fail(
			k, 78, "fit",
			"the size of the frames is not known: give --size WxH, and their type with "
			"--set ingest.frame.type=uint16 or ingest.pixel_format");
		return;
	}
	if (trial_frames_open(&m.frames, &k->shape) < 0) {
		check_fail(k, 71, "fit", "no memory for frames of that size");
		return;
	}
	log_least(LOG_ERROR);
	ask(&m);
	status = measure_memory(&m);
	if (status == 0 && !trial_stopped())
		status = measure_wire(&m);
	if (status == 0 && !trial_stopped())
		status = measure_path(&m);
	if (trial_stopped())
		k->status = 128 + trial_stopped();
	else if (status == 0)
		tell(&m);
	progress("");
	trial_frames_close(&m.frames);
}
