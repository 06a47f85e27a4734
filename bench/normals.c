/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/normals.h"

#include "bench/prng.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define PLACES ((size_t)1 << 18) /* 1 MiB: stays in the level-2 cache beside a row */

int normals_open(struct normals *ret, uint64_t seed, uint32_t width)
{
	size_t count = (PLACES + width + 1) & ~(size_t)1;
	float *at = malloc(count * sizeof *at);
	uint64_t state = seed;

	if (!at)
		return -ENOMEM;
	for (size_t i = 0; i < count; i += 2) { /* Box and Muller, 1958 */
		double radius = sqrt(-2.0 * log(1.0 - prng_unit(&state)));
		double angle = 2.0 * M_PI * prng_unit(&state);

		at[i] = (float)(radius * cos(angle));
		at[i + 1] = (float)(radius * sin(angle));
	}
	*ret = (struct normals){ at, PLACES };
	return 0;
}

void normals_close(struct normals *n)
{
	free(n->at);
	*n = (struct normals){ 0 };
}

const float *normals_row(const struct normals *n, uint64_t stream, uint32_t y)
{
	uint64_t state = prng_stream(stream, y);

	return n->at + prng_below(&state, n->places);
}
