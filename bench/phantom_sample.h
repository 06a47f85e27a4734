/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PHANTOM_SAMPLE_H
#define BENCH_PHANTOM_SAMPLE_H

#include <stdint.h>

/* The sample of the phantom: rods and beads in a capillary, turning about the vertical axis in
 * the middle of the image, seen in parallel light. */

#define SAMPLE_RODS  5
#define SAMPLE_BEADS 6

/* Lengths are pixels, angles radians. A body of radius r at distance d from its axis takes away
 * opacity * sqrt(1 - (d / r)^2), the chord as a share of the diameter. */
struct sample_rod {
	double orbit, phase, radius, opacity;
	double top, bottom;   /* first row, row after the last */
	uint32_t left, right; /* columns it covers now, right excluded */
	float *shadow;        /* T of the rod alone [width]; valid in [left, right) */
};

struct sample_bead {
	double orbit, phase, radius, opacity, height;
	double centre; /* column of the centre now */
};

struct sample {
	uint32_t width, height;
	struct sample_rod rods[SAMPLE_RODS]; /* the first is the capillary */
	struct sample_bead beads[SAMPLE_BEADS];
	unsigned covering; /* rods whose product is in `columns`, one bit each */
	float *columns;    /* product of the covering rods [width] */
};

/* 0 or -ENOMEM. */
int sample_open(struct sample *ret, uint32_t width, uint32_t height, uint64_t seed);

/* Accepts a zeroed or half-opened one. */
void sample_close(struct sample *s);

/* Turn the sample to `angle` radians. */
void sample_turn(struct sample *s, double angle);

/* Transmission of row y at the present angle. ret_t: 0 < T <= 1 [width] */
void sample_row(struct sample *s, uint32_t y, float *ret_t);

#endif
