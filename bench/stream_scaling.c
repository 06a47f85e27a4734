/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/stream_bench.h"

#include "kernels/cpu.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <sysexits.h>

#define TIMEOUT 120.0

/* Numbers of cores to try: every one with --full, else 1, 2, 4, ... and all. */
static unsigned next_count(const struct stream_bench *b, unsigned n)
{
	unsigned next = b->options->full ? n + 1 : 2 * n;

	return n < b->cores && next > b->cores ? b->cores : next;
}

/* The first `n` cores of those this process may use; 0: beyond what a plan can say. */
static unsigned long long first_cores(unsigned n)
{
	unsigned long long cores = 0;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set))
		return 0;
	for (unsigned i = 0; i < 64 && n; i++)
		if (CPU_ISSET(i, &set)) {
			cores |= 1ull << i;
			n--;
		}
	return n ? 0 : cores;
}

/* `one`: the rate of one core, which so many are compared with. */
static void add_scaling(struct stream_bench *b, const char *what, unsigned n,
                        const struct samples *rate, double one, uint64_t lost)
{
	double relative = one > 0 ? samples_median(rate) / one : 1;
	char name[64], note[64];

	snprintf(name, sizeof name, "scaling-%s-%u", what, n);
	snprintf(note, sizeof note, "%.2f times one core", relative);
	b->failed = b->failed || lost;
	results_add(b->results, &(struct result){ .name = name,
	                                          .unit = "frames/s",
	                                          .samples = rate,
	                                          .limit = one > 0 ? n * one : 0,
	                                          .counts_lost = lost > 0,
	                                          .lost = lost,
	                                          .note = note,
	                                          .more = json_pack("{s:i, s:f}", "cores", (int)n,
	                                                            "relative", relative) });
}

static int scale_pass(struct stream_bench *b, char why[512])
{
	double one = 0, seconds = b->options->full ? 1.5 : 0.3;

	for (unsigned n = 1; n <= b->cores; n = next_count(b, n)) {
		const struct pass_load load = { cpu_detect(), n, true };
		struct pass_figures figures;

		if (!pass_limit_measure(&b->meter.pass, &load, 3, seconds, &figures)) {
			snprintf(why, 512, "no memory for the pass");
			return EX_OSERR;
		}
		if (n == 1)
			one = samples_median(&figures.frames_per_s);
		add_scaling(b, "pass", n, &figures.frames_per_s, one, 0);
	}
	return 0;
}

/* Runs on the first n cores; those on all were made before. */
static int run_on(struct stream_bench *b, unsigned n, struct samples *ret_rate, uint64_t *ret_lost,
                  char why[512])
{
	unsigned runs = b->options->full ? 3 : 2;
	double expected = samples_median(&b->found.rate) * n / b->cores;
	uint64_t frames = stream_frames(b, expected, b->options->full ? 4.0 : 1.5);
	struct trial_figures *f = calloc(1, sizeof *f);
	int status = f ? 0 : EX_OSERR;

	b->trial.plan.cpus = first_cores(n);
	for (unsigned i = 0; i < runs && !status; i++) {
		status = trial_run(&b->trial, frames, TIMEOUT, f, why);
		if (!status) {
			samples_add(ret_rate, f->fps);
			*ret_lost += f->lost + f->wrong;
		}
	}
	b->trial.plan.cpus = 0;
	free(f);
	return status;
}

static int scale_stream(struct stream_bench *b, char why[512])
{
	double one = 0;

	for (unsigned n = 1; n <= b->cores; n = next_count(b, n)) {
		struct samples rate = { 0 };
		uint64_t lost = 0;
		int status = 0;

		if (n < b->cores && (n > 64 || !stream_has_time(b, 9.0)))
			continue;
		if (n == b->cores)
			rate = b->found.rate;
		else
			status = run_on(b, n, &rate, &lost, why);
		if (status)
			return status;
		if (n == 1)
			one = samples_median(&rate);
		add_scaling(b, "stream", n, &rate, one, lost);
	}
	return 0;
}

int stream_scaling(struct stream_bench *b, char why[512])
{
	const struct stream_kind reference = { TRIAL_TCP, "null", 1, b->options->width,
		                               b->options->height };
	int status = stream_use(b, &reference, why);

	if (!status)
		status = scale_pass(b, why);
	return status ? status : scale_stream(b, why);
}
