/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_FLOAT_KEY_H
#define KERNELS_FLOAT_KEY_H

#include <stdint.h>
#include <string.h>

/* Integers of the same order as floats: -inf first, -0 before 0, inf last. */
static inline uint32_t key_of_float(float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof bits);
	return bits ^ ((uint32_t)((int32_t)bits >> 31) | 0x80000000u);
}

static inline float float_of_key(uint32_t key)
{
	uint32_t bits = key ^ (key & 0x80000000u ? 0x80000000u : UINT32_MAX);
	float v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

#endif
