/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PASS_LIMIT_H
#define BENCH_PASS_LIMIT_H

#include "bench/samples.h"
#include "kernels/reduce.h"

#include <stdbool.h>

/* The whole pass over phantom frames in memory, on all cores at once: transmission, moments and
 * histograms of raw (4096 bins) and normalised (256 bins) pixels, 2 x 2 binning to uint16,
 * checksum. */
struct pass_limit {
	struct reduce_plan plan;
	unsigned threads;
	unsigned frame_count;
	uint16_t *frames; /* [frame_count][height][width] */
	float *offset, *gain;
	struct pass_member *members; /* one thread's outputs and scratch [threads] */
};

/* Prepare frames of width x height for `threads` threads. 0 or -ENOMEM. */
int pass_limit_open(struct pass_limit *p, uint32_t width, uint32_t height, unsigned threads);

/* Accepts a zeroed or half-opened one. */
void pass_limit_close(struct pass_limit *p);

struct pass_figures {
	struct samples frames_per_s;    /* over all threads */
	struct samples cpu_s_per_frame; /* other programs on the same cores do not change it much */
};

/* Run the pass with the kernels that `cpu` (enum cpu_flag) allows, `runs` times for about
 * `seconds` each. False when it cannot be run. */
bool pass_limit_measure(struct pass_limit *p, unsigned cpu, unsigned runs, double seconds,
                        struct pass_figures *ret);

#endif
