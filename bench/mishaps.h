/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_MISHAPS_H
#define BENCH_MISHAPS_H

#include "bench/phantom.h"

#include <stdbool.h>

/* What befalls the camera and the beam in the middle of a stream: the frames are well sent, their
 * pixels tell of it. */

/* So many from the frame with this number on; count 0: never. */
struct mishap_span {
	uint64_t first, count;
};

struct mishap_options {
	uint64_t step; /* from one frame number to the next, at least 1 */
	uint64_t seed;
	struct mishap_span dip;      /* frames in which the beam has only */
	double dip_share;            /* this share of its usual strength */
	struct mishap_span saturate; /* frames that are exposed */
	double exposure;             /* so many times as long */
	struct mishap_span freeze;   /* frames with the pixels of the one before them all */
	struct mishap_span new_hot, new_dead; /* pixels, not frames: that fail from then on */
};

/* Whether there are any. */
bool mishap_options_any(const struct mishap_options *o);

/* What is known of the pictures. Borrowed by mishaps_open(), but for the pointers: until
 * mishaps_close(). */
struct mishap_camera {
	size_t pixels;
	enum pixel_type type;
	float full;        /* counts, the highest there are */
	bool lit;          /* there is light that a dip or an exposure changes */
	const float *dark; /* level without light, counts [pixels]; NULL: 0, and no defects */
	const struct phantom_defect *defects;
	size_t defect_count;
};

/* A pixel that fails. */
struct mishap_pixel {
	size_t at;
	float value; /* counts: added by a hot one, shown by a dead one */
};

struct mishaps {
	struct mishap_options options;
	struct mishap_camera camera;
	struct mishap_pixel *hot, *dead;
	size_t hot_count, dead_count; /* fewer than asked for where too few pixels are good */
};

/* 0 or -ENOMEM. */
int mishaps_open(struct mishaps *m, const struct mishap_options *o, const struct mishap_camera *c);

/* Accepts a zeroed one. */
void mishaps_close(struct mishaps *m);

/* Move on to the frame whose pixels are shown in place of those of this number, the index-th: it
 * itself unless the camera is frozen. */
void mishaps_thaw(const struct mishaps *m, uint64_t *number, uint64_t *index);

/* Whether something else is amiss in that frame. */
bool mishaps_touch(const struct mishaps *m, uint64_t number);

/* Do it.
 *
 * pixels   of the camera's type, native byte order [camera.pixels]
 *
 * Light above the dark is multiplied, and clipped as the camera does. Cannot fail. */
void mishaps_apply(const struct mishaps *m, uint64_t number, void *pixels);

#endif
