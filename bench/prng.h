/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PRNG_H
#define BENCH_PRNG_H

#include <stdint.h>

/* Reproducible random numbers: splitmix64 (Steele, Lea and Flood, "Fast splittable
 * pseudorandom number generators", 2014). Any 64-bit state is a good seed. */

/* Next 64 random bits. */
static inline uint64_t prng_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* A state of its own for each (seed, stream), so that parts of a scene do not share numbers. */
static inline uint64_t prng_stream(uint64_t seed, uint64_t stream)
{
	uint64_t state = seed ^ (stream * UINT64_C(0xd1342543de82ef95));

	return prng_next(&state);
}

/* Uniform in [0, 1). */
static inline double prng_unit(uint64_t *state)
{
	return (double)(prng_next(state) >> 11) * 0x1p-53;
}

/* Uniform in [0, n), n > 0. The bias of the remainder is below n / 2^64. */
static inline uint64_t prng_below(uint64_t *state, uint64_t n)
{
	return prng_next(state) % n;
}

#endif
