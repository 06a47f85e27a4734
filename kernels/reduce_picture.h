/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_REDUCE_PICTURE_H
#define KERNELS_REDUCE_PICTURE_H

#include "kernels/reduce.h"

/* A small picture of a frame, for people: every step-th pixel of every step-th row, so that each of
 * its values is one of the detector's. Marks say what lies in the step x step pixels that a pixel
 * of the picture stands for; blocks at the right and lower edge may be smaller. */

#define PICTURE_PIXELS_MAX ((size_t)320 << 10) /* 640 x 480 comes whole */

enum picture_mark {
	PICTURE_SATURATED = 1 << 0, /* at least one good pixel of the block is */
	PICTURE_BAD = 1 << 1,       /* at least one pixel of the block is */
};

struct picture_grid {
	uint32_t step, width, height; /* of the picture: width = ceil(the frame's / step) */
};

struct picture_grid picture_grid_of(uint32_t width, uint32_t height, uint32_t step);

/* That of the smallest step with at most PICTURE_PIXELS_MAX pixels. Any size but 0. */
struct picture_grid picture_grid_for(uint32_t width, uint32_t height);

/* What a raw pixel of the picture is: uint8 and uint16 as they came, uint32 rounded to float32. */
enum product_type picture_raw_type(enum raw_layout l);

/* The pixels that are bad in every frame of the plan.
 *
 * ret_marks   PICTURE_BAD or 0   [grid.height][grid.width]
 *
 * Returns how many pixels of the frame they are. Reads the whole gain plane. */
uint64_t picture_known_bad(const struct reduce_plan *p, const struct picture_grid *g,
                           uint8_t *ret_marks);

/* One frame, straight after reduce_hand(). */
struct picture_job {
	struct picture_grid grid;
	const struct reduce_job *frame; /* its payload, ports and result are read */
	const uint8_t *known_marks;     /* of picture_known_bad(), and what it returned */
	uint64_t known_bad;
	void *raw;         /* of picture_raw_type()   [grid.height][grid.width] */
	float *normalised; /* as moments and histogram have them, bad ones NaN   likewise */
	uint8_t *marks;    /* enum picture_mark   likewise */
};

/* Make the picture. Rows that it does not show are read only where the frame has saturated pixels,
 * or more bad ones than the plan knows of. Scratch as for reduce_hand(). Cannot fail. */
void reduce_picture(const struct reduce_plan *p, void *scratch, const struct picture_job *job);

/* The picture of an image of the payload's size.
 *
 * image   [payload's height][p->payload_width]
 * ret     [grid.height][grid.width] */
void picture_of_image(const struct reduce_plan *p, const struct picture_grid *g, const float *image,
                      float *ret);

#endif
