/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_NORMALS_H
#define BENCH_NORMALS_H

#include <stddef.h>
#include <stdint.h>

/* A table of standard normal numbers that rows of noise are cut from at random places: drawing
 * them anew for each pixel would take longer than all the rest of an exposure. */
struct normals {
	float *at;
	size_t places; /* a row may start at 0 .. places - 1 */
};

/* Rows of up to `width` numbers. 0 or -ENOMEM. */
int normals_open(struct normals *ret, uint64_t seed, uint32_t width);

/* Accepts a zeroed one. */
void normals_close(struct normals *n);

/* The numbers of row `y` of the plane that `stream` names [width]. */
const float *normals_row(const struct normals *n, uint64_t stream, uint32_t y);

#endif
