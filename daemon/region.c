/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/region.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int region_of(const struct config_reduce *c, uint32_t width, uint32_t height, struct region *ret,
              char why[320])
{
	struct region r = { c->roi_x, c->roi_y, c->roi_width, c->roi_height };
	bool inside = r.left < width && r.top < height && r.width <= width - r.left &&
	              r.height <= height - r.top;

	if (!inside) {
		snprintf(why, 320,
		         "reduce.roi x %u y %u width %u height %u leaves the frame, which is %u x "
		         "%u "
		         "pixels: set x and y below it, and x + width and y + height within it",
		         r.left, r.top, r.width, r.height, width, height);
		return -EINVAL;
	}
	if (r.width == 0)
		r.width = width - r.left;
	if (r.height == 0)
		r.height = height - r.top;
	*ret = r;
	return 0;
}

void region_crop(const struct region *r, float *pixels, uint32_t width)
{
	for (size_t y = 0; y < r->height; y++)
		memmove(pixels + y * r->width, pixels + (r->top + y) * width + r->left,
		        r->width * sizeof *pixels);
}
