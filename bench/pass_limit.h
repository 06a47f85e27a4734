/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PASS_LIMIT_H
#define BENCH_PASS_LIMIT_H

#include "bench/images.h"
#include "daemon/samples.h"
#include "kernels/reduce.h"

#include <stdbool.h>

/* The whole pass over frames in memory: transmission, moments and histograms of raw (4096 bins) and
 * normalised (256 bins) pixels, 2 x 2 binning to uint16, checksum. */
struct pass_limit {
	struct images images; /* uint16 */
	unsigned threads;     /* at most */
	enum raw_layout layout;
	unsigned frame_count;
	size_t frame_bytes; /* from one to the next */
	unsigned char
		*payloads;    /* of another layout than uint16 [frame_count][frame_bytes]; NULL */
	float *offset, *gain; /* for its counts; NULL: the images' */
	struct pass_member *members; /* one thread's outputs and scratch [threads] */
	struct reduce_plan plan;     /* of the last measurement */
};

/* Prepare phantom frames of width x height for at most `threads` threads. 0 or -ENOMEM. */
int pass_limit_open(struct pass_limit *p, uint32_t width, uint32_t height, unsigned threads);

/* Accepts a zeroed or half-opened one. */
void pass_limit_close(struct pass_limit *p);

/* Other images. 0 or -ENOMEM. */
int pass_limit_images(struct pass_limit *p, enum image_kind kind);

/* The same pixels as payloads of another layout; of narrower ones the high bits. 0 or -ENOMEM. */
int pass_limit_layout(struct pass_limit *p, enum raw_layout layout);

struct pass_load {
	unsigned cpu;       /* enum cpu_flag: what kernels may use */
	unsigned threads;   /* at most those of pass_limit_open() */
	bool raw_histogram; /* too */
};

struct pass_figures {
	struct samples frames_per_s;    /* over all threads */
	struct samples cpu_s_per_frame; /* other programs on the same cores do not change it much */
};

/* Run the pass `runs` times for about `seconds` each. False when it cannot be run. */
bool pass_limit_measure(struct pass_limit *p, const struct pass_load *load, unsigned runs,
                        double seconds, struct pass_figures *ret);

/* CPU time of the live picture of a frame (kernels/reduce_picture.h), straight after its pass, in
 * ms. False when it cannot be made. */
bool pass_limit_picture(struct pass_limit *p, const struct pass_load *load, unsigned runs,
                        struct samples *ret_ms);

#endif
