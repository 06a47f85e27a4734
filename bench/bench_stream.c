/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_options.h"
#include "daemon/clock.h"
#include "bench/disk_limit.h"
#include "bench/machine.h"
#include "bench/pass_limit.h"
#include "bench/results.h"
#include "bench/trial.h"
#include "bench/zmq_limit.h"
#include "kernels/cpu.h"

#include <errno.h>
#include <math.h>
#include <sys/statvfs.h>
#include <sysexits.h>

#define EX_LOST     1
#define TRY_FRAMES  200 /* of the first run, which tells the rate and is dropped */
#define RUN_TIMEOUT 120.0
#define BUDGET_S    40.0 /* no run begins later than this, unless --full */

static volatile sig_atomic_t stop;

static void handle_stop(int number)
{
	(void)number;
	stop = 1;
}

/* CPU time of one frame in each part of the way, seconds. */
struct costs {
	double zmq, pass, write;
};

/* Where the measurements of one call stand. */
struct measuring {
	const struct bench_options *options;
	struct results *results;
	struct costs costs;
	uint64_t begin_ns;
	bool lost;
};

static double frame_bytes(const struct bench_options *o)
{
	return 2.0 * o->width * o->height;
}

/* 2 x 2 binned, 16 bit. */
static double reduced_bytes(const struct bench_options *o)
{
	return 2.0 * (o->width / 2) * (o->height / 2);
}

/* `scale` makes milliseconds a frame of the samples. */
static void add_cost(struct results *r, const char *name, const struct samples *cost, double scale,
                     const char *note)
{
	struct samples ms = { 0 };

	for (unsigned i = 0; i < cost->count; i++)
		samples_add(&ms, cost->at[i] * scale);
	results_add(r, &(struct result){
			       .name = name, .unit = "ms/frame", .samples = &ms, .note = note });
}

static int measure_zmq(struct measuring *m, char why[512])
{
	struct zmq_limit limit;
	int err = zmq_limit_measure("tcp://127.0.0.1:*", (size_t)frame_bytes(m->options), 3, 1.0,
	                            &limit, why);

	if (err)
		return EX_UNAVAILABLE;
	m->costs.zmq = samples_median(&limit.cpu_s_per_frame);
	add_cost(m->results, "cost-zmq", &limit.cpu_s_per_frame, 1e3,
	         "CPU of bare send and receive over tcp");
	return 0;
}

static int measure_pass(struct measuring *m, char why[512])
{
	unsigned cores = machine_cores();
	struct pass_figures figures;
	struct pass_limit pass;
	bool good;

	if (pass_limit_open(&pass, m->options->width, m->options->height, cores)) {
		snprintf(why, 512, "no memory for the frames of the pass");
		return EX_OSERR;
	}
	good = pass_limit_measure(&pass, &(struct pass_load){ cpu_detect(), cores, true }, 3, 0.5,
	                          &figures);
	pass_limit_close(&pass);
	if (!good) {
		snprintf(why, 512, "no memory for the pass");
		return EX_OSERR;
	}
	m->costs.pass = samples_median(&figures.cpu_s_per_frame);
	add_cost(m->results, "cost-pass", &figures.cpu_s_per_frame, 1e3,
	         "CPU of the pass, all cores busy");
	return 0;
}

static int measure_write(struct measuring *m, char why[512])
{
	struct disk_limit limit;
	int err = disk_limit_measure(m->options->directory, 2, 2.0, 1ull << 30, &limit, why);

	if (err)
		return err == -EACCES ? EX_NOPERM : EX_CANTCREAT;
	m->costs.write = samples_median(&limit.cpu_s_per_gb) * reduced_bytes(m->options) * 1e-9;
	add_cost(m->results, "cost-write", &limit.cpu_s_per_gb, reduced_bytes(m->options) * 1e-6,
	         "CPU of writing the reduced frame");
	return 0;
}

/* Frames for a run of `seconds` at this rate that fit on half of the free disk. */
static uint64_t frames_for(const struct measuring *m, double rate, double seconds)
{
	double frames = fmax(TRY_FRAMES, rate * seconds);
	struct statvfs fs;

	if (!statvfs(m->options->directory, &fs))
		frames = fmin(frames, 0.5 * (double)fs.f_bavail * (double)fs.f_frsize /
		                              reduced_bytes(m->options));
	return (uint64_t)fmax(frames, 8.0);
}

static bool has_time(const struct measuring *m)
{
	double elapsed = (double)(clock_now_ns() - m->begin_ns) * 1e-9;

	return m->options->full || elapsed < BUDGET_S;
}

static void add_stream(struct measuring *m, const char *name, const struct samples *rate,
                       uint64_t frames, uint64_t lost, double cost)
{
	double gbs = samples_median(rate) * frame_bytes(m->options) * 1e-9;
	char note[64];

	snprintf(note, sizeof note, "%.2f GB/s", gbs);
	results_add(m->results,
	            &(struct result){ .name = name,
	                              .unit = "frames/s",
	                              .samples = rate,
	                              .limit = machine_cores() / cost,
	                              .counts_lost = true,
	                              .lost = lost,
	                              .note = note,
	                              .more = json_pack("{s:f, s:I, s:I}", "gb_per_s", gbs,
	                                                "frames", (json_int_t)frames, "frame_bytes",
	                                                (json_int_t)frame_bytes(m->options)) });
	m->lost = m->lost || lost;
}

/* The runs that count, after a short one that tells the rate. */
static int run_stream(struct measuring *m, struct trial *t, const char *name, double cost,
                      char why[512])
{
	unsigned runs = m->options->full ? 5 : 3;
	struct trial_figures figures;
	struct samples rate = { 0 };
	uint64_t frames, lost = 0;
	int status = trial_run(t, frames_for(m, 0, 0), RUN_TIMEOUT, &figures, why);

	if (status)
		return status;
	frames = frames_for(m, figures.fps, m->options->full ? 20.0 : 3.0);
	for (unsigned i = 0; i < runs && (i == 0 || has_time(m)); i++) {
		status = trial_run(t, frames, RUN_TIMEOUT, &figures, why);
		if (status)
			return status;
		samples_add(&rate, figures.fps);
		lost += figures.lost + figures.wrong;
	}
	add_stream(m, name, &rate, frames, lost, cost);
	return 0;
}

static int measure_stream(struct measuring *m, const char *name, const char *format, double cost,
                          char why[512])
{
	const struct trial_plan plan = {
		.transport = TRIAL_TCP,
		.endpoints = 1,
		.width = m->options->width,
		.height = m->options->height,
		.pixel_format = "Mono16",
		.sink = format,
	};
	struct trial trial;
	int status = trial_open(&trial, &plan, m->options->directory, &stop, why);

	if (status)
		return status;
	status = run_stream(m, &trial, name, cost, why);
	trial_close(&trial);
	return status;
}

static int measure_all(struct measuring *m, char why[512])
{
	int status = measure_zmq(m, why);

	if (!status)
		status = measure_pass(m, why);
	if (!status)
		status = measure_write(m, why);
	if (!status)
		status = measure_stream(m, "tcp-null", "null", m->costs.zmq + m->costs.pass, why);
	if (!status)
		status = measure_stream(m, "tcp-disk", "tiff",
		                        m->costs.zmq + m->costs.pass + m->costs.write, why);
	return status;
}

int bench_stream(const struct bench_options *o, struct results *r, char why[512])
{
	struct measuring m = { .options = o, .results = r, .begin_ns = clock_now_ns() };
	struct sigaction action = { .sa_handler = handle_stop, .sa_flags = (int)SA_RESETHAND };
	int status;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	status = measure_all(&m, why);
	return status ? status : m.lost ? EX_LOST : 0;
}
