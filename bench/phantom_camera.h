/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PHANTOM_CAMERA_H
#define BENCH_PHANTOM_CAMERA_H

#include "bench/normals.h"
#include "bench/phantom.h"

/* The camera of the phantom: what it shows without light and in the open beam. */
struct camera {
	float *dark;  /* mean dark level, counts [height][width] */
	float *light; /* open beam above the dark, counts; 0: dead [height][width] */
	float full;   /* full scale, counts */
	float counts_per_photon;
	float read_variance; /* counts squared */
	struct phantom_defect *defects;
	size_t defect_count;
};

/* 0 or -ENOMEM. */
int camera_open(struct camera *ret, const struct phantom_options *o, const struct normals *n);

/* Accepts a zeroed or half-opened one. */
void camera_close(struct camera *c);

#endif
