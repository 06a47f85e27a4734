/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_CALIBRATION_MAKE_H
#define DAEMON_CALIBRATION_MAKE_H

#include "config/config.h"
#include "kernels/layout.h"
#include "sinks/calibration_file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A dark or a flat, made of raw frames that are in memory. Takes the calling thread, about a second
 * for 50 frames of 2560 x 2160 pixels, a few for their median; has no thread of its own.
 *
 * Frames. The mean of each over its pixels with a value; the median of the means and their median
 * absolute deviation (MAD, as it is). Left out is a frame farther than 5 MAD from that median,
 * where the MAD counts as at least 1e-6 of the median, for roundings are no reason, and of a count;
 * and one without any value.
 *
 * Pixels, over the frames that remain, as kernels/combine.h: mean or median, and variance. One
 * without a value in one of them has none in the image (NaN) and is PIXEL_DEAD. In a dark
 *
 *   PIXEL_HOT     level > median + hot * max(1.4826 MAD, 1 count)      medians over the image
 *   PIXEL_NOISY   std > noisy * max(median std, 1 count)               std over the frames
 *
 * in a flat, with the response being flat - dark,
 *
 *   PIXEL_DEAD    response < dead * median response
 *
 * A factor of 0 finds none. */

#define CALIBRATION_DEVIATIONS 5

struct calibration_frames {
	unsigned count;          /* 1 to COMBINE_FRAMES_MAX */
	const uint64_t *numbers; /* [count] */
	uint32_t width, height;  /* pixels */
	enum product_type type;

	/* Unpack rows of a frame [rows][width]. Where a piece of the frame is not there, pixels are
	 * no_value, of float32 NaN. Each row is asked for twice. */
	void (*rows)(void *user, unsigned frame, uint32_t row, uint32_t rows, void *ret);
	void *user;
	bool has_no_value; /* integer pixels of that raw value have none */
	uint32_t no_value;
};

struct calibration_wish {
	bool flat; /* else a dark */
	enum combine combine;
	double hot, noisy, dead;  /* as in config.calibration */
	double saturation;        /* raw value; infinite: none */
	const float *dark;        /* of a flat: what is below it, counts; NULL: 0 [height][width] */
	const float *flat_in_use; /* of a dark: to be darker than, NULL: none [height][width] */
};

struct calibration_made {
	float *image, *variance; /* counts, counts squared [height][width]; owned */
	uint8_t *found;          /* enum pixel_flag [height][width]; owned */
	uint32_t width, height;
	unsigned used;                         /* frames in it, */
	uint64_t first, last;                  /* their numbers */
	struct calibration_left_out *left_out; /* [left_out_count], in the frames' order; owned */
	unsigned left_out_count;
	double level; /* median of the image, counts */
	double noise; /* median of the standard deviations over the frames, counts */
	uint64_t hot, noisy, dead;
	char why[400]; /* after an error: one sentence */
};

/* 0; -ENOMEM; or -EINVAL with why[], for what must not be put to use:
 *   fewer than half of the frames remain
 *   no pixel has a value in all of them
 *   a flat whose median is at the saturation
 *   a flat that is no brighter than the dark, or a dark as bright as the flat in use: the median of
 *   their difference is not above max(1 count, 2 median std / sqrt(frames)); for float32, whose
 *   counts may be of any scale, not above 2 median std / sqrt(frames)
 * On failure *ret holds only why[]. */
int calibration_make(struct calibration_made *ret, const struct calibration_frames *frames,
                     const struct calibration_wish *wish);

/* Accepts a zeroed one. */
void calibration_made_done(struct calibration_made *m);

/* The most it allocates at once beside the frames, the result included. */
size_t calibration_make_bytes(const struct calibration_frames *frames);

#endif
