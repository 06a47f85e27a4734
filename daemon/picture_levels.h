/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_PICTURE_LEVELS_H
#define DAEMON_PICTURE_LEVELS_H

#include "daemon/pictures.h"

/* Between which values a picture is shown when nobody says. */
struct picture_levels {
	float low, high; /* low < high */
};

/* Working memory of picture_levels_find(). */
struct picture_counts {
	uint32_t coarse[65536], low[65536], high[65536];
};

#define LEVELS_OF                                                                                  \
	((size_t)128 << 10) /* pixels at most: every 3rd, 5th, ... of a larger picture             \
	                     */

/* The percentiles 0.1 and 99.9 of a product's finite pixels that are good in the frame (of all
 * finite ones, where none is good): pixels n / 1000 from the smallest and from the largest of n,
 * counted from 0, rounded down. 0 and 1 without any; of equal values, high is 1 more, or the next
 * float. The product is there. */
void picture_levels_find(const struct picture *p, enum picture_product product,
                         struct picture_counts *counts, struct picture_levels *ret);

#endif
