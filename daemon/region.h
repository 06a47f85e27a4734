/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_REGION_H
#define DAEMON_REGION_H

#include "config/config.h"

/* The part of a frame that is kept, in pixels. */
struct region {
	uint32_t left, top, width, height;
};

/* What reduce.roi means in a frame of width x height. 0, or -EINVAL with `why` when the region
 * leaves the frame. */
int region_of(const struct config_reduce *c, uint32_t width, uint32_t height, struct region *ret,
              char why[320]);

/* Cut it out of an image of `width` pixels a row, in place. */
void region_crop(const struct region *r, float *pixels, uint32_t width);

#endif
