/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PHANTOM_H
#define BENCH_PHANTOM_H

#include "ingest/frame.h"

/* A radiograph: a few rods and beads in a capillary turn in front of a scintillator camera.
 *
 *   counts = dark + light * beam(frame, y) * T(frame, y, x) + noise       clipped, rounded
 *   T      = exp(-sum over bodies of opacity * chord / diameter)          Beer-Lambert
 *
 * light   beam profile, stripes of the monochromator, texture, dust and scratches of the
 *         scintillator, gain of each pixel
 * dark    offset, columns, a gradient, hot pixels
 * noise   photon noise of light * beam * T and read noise
 * beam    1 within 1.2 %, drifting over one turn
 *
 * Dead pixels are stuck at one value without noise, a few others saturate in the open beam, and
 * each exposure has a few pixels saturated by stray radiation. The same options give the same
 * frames; dark and flat of the same seed belong to the sample. */

struct phantom_options {
	uint32_t width, height; /* pixels, at least 1 */
	enum pixel_type type;   /* float32 counts are not rounded */
	unsigned bits;          /* full scale is 2^bits - 1 counts, 1 <= bits <= 24 */
	unsigned turn;          /* frames per turn, at least 1: the scene repeats after it */
	uint64_t seed;
};

enum phantom_kind { PHANTOM_SAMPLE, PHANTOM_FLAT, PHANTOM_DARK };

enum phantom_defect_kind { DEFECT_DEAD, DEFECT_HOT, DEFECT_SATURATED };

struct phantom_defect {
	enum phantom_defect_kind kind;
	size_t at;   /* y * width + x */
	float value; /* counts: stuck at (dead), dark level (hot), light (saturated) */
};

struct phantom;

/* 0 or -ENOMEM. */
int phantom_open(struct phantom **ret, const struct phantom_options *o);

/* Accepts NULL. */
void phantom_close(struct phantom *p);

/* Render one exposure in native byte order.
 *
 * index        exposure; sample and drift repeat every `turn`, noise does not
 * ret_pixels   [height][width] of options.type
 *
 * One call at a time. Cannot fail. */
void phantom_frame(struct phantom *p, enum phantom_kind kind, uint64_t index, void *ret_pixels);

/* Mean of `frames` exposures spread over one turn, so that the drift cancels.
 *
 * frames     1 to 256
 * ret_mean   counts [height][width] */
void phantom_mean(struct phantom *p, enum phantom_kind kind, unsigned frames, float *ret_mean);

/* The transmission of the sample alone, without noise or drift, for one row.
 *
 * ret_t   dimensionless, 0 < T <= 1   [width] */
void phantom_transmission(struct phantom *p, uint64_t index, uint32_t y, float *ret_t);

/* The defective pixels, in no order. Owned by the phantom. */
const struct phantom_defect *phantom_defects(const struct phantom *p, size_t *ret_count);

/* The mean level without light, counts [height][width]. Owned by the phantom. */
const float *phantom_dark(const struct phantom *p);

#endif
