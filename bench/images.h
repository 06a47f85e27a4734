/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_IMAGES_H
#define BENCH_IMAGES_H

#include <stddef.h>
#include <stdint.h>

/* Frames in memory to measure on, with the planes that normalise them. Different frames, 265 MB at
 * full size: outside the caches. Huge pages where the kernel gives them, as a driver's buffers. */

enum image_kind {
	IMAGES_PHANTOM,   /* a sample in the beam */
	IMAGES_DARK,      /* no beam */
	IMAGES_NOISE,     /* uniform over 16 bits */
	IMAGES_SATURATED, /* the top of the range everywhere */
	IMAGES_KIND_COUNT
};

#define IMAGES_COUNT 24

struct images {
	uint32_t width, height;
	uint16_t *frames;     /* [IMAGES_COUNT][height][width] */
	float *offset, *gain; /* of the phantom's dark and flat [height][width] */
};

/* "phantom", "dark", "noise", "saturated". */
const char *images_name(enum image_kind kind);

/* 0 or -ENOMEM. */
int images_open(struct images *i, enum image_kind kind, uint32_t width, uint32_t height);

/* Fill the frames anew. 0 or -ENOMEM. */
int images_fill(struct images *i, enum image_kind kind);

/* Accepts a zeroed or half-opened one. */
void images_close(struct images *i);

/* Frame number n, round and round. */
static inline const uint16_t *images_frame(const struct images *i, uint64_t n)
{
	return i->frames + (size_t)(n % IMAGES_COUNT) * i->width * i->height;
}

#endif
