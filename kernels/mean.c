/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/mean.h"

#include <math.h>
#include <string.h>

size_t mean_sum_bytes(enum product_type type)
{
	return type == PRODUCT_UINT8 || type == PRODUCT_UINT16 ? 4 : 8;
}

static void add_uint8(uint32_t *restrict sums, const uint8_t *restrict pixels, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sums[i] += pixels[i];
}

static void add_uint16(uint32_t *restrict sums, const uint16_t *restrict pixels, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sums[i] += pixels[i];
}

static void add_uint32(uint64_t *restrict sums, const uint32_t *restrict pixels, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sums[i] += pixels[i];
}

static void add_float32(double *restrict sums, const float *restrict pixels, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sums[i] += pixels[i];
}

void mean_add(void *restrict sums, const void *restrict pixels, enum product_type type, size_t n,
              bool begin)
{
	if (begin)
		memset(sums, 0, n * mean_sum_bytes(type));
	switch (type) {
	case PRODUCT_UINT8:
		add_uint8(sums, pixels, n);
		break;
	case PRODUCT_UINT16:
		add_uint16(sums, pixels, n);
		break;
	case PRODUCT_UINT32:
		add_uint32(sums, pixels, n);
		break;
	default:
		add_float32(sums, pixels, n);
	}
}

/* A sum that no sum reaches: 65536 frames of 65535, or of 2^32 - 1, stay below. */
#define SPOILT32 UINT32_MAX
#define SPOILT64 UINT64_MAX

#define ADD_MARKED(name, sum_type, pixel_type, spoilt)                                             \
	static void name(sum_type *restrict sums, const pixel_type *restrict pixels,               \
	                 uint32_t no_value, size_t n)                                              \
	{                                                                                          \
		for (size_t i = 0; i < n; i++)                                                     \
			sums[i] = sums[i] == (spoilt) || pixels[i] == no_value                     \
			                  ? (spoilt)                                               \
			                  : sums[i] + pixels[i];                                   \
	}

ADD_MARKED(add_marked_uint8, uint32_t, uint8_t, SPOILT32)
ADD_MARKED(add_marked_uint16, uint32_t, uint16_t, SPOILT32)
ADD_MARKED(add_marked_uint32, uint64_t, uint32_t, SPOILT64)

void mean_add_marked(void *restrict sums, const void *restrict pixels, enum product_type type,
                     uint32_t no_value, size_t n, bool begin)
{
	if (begin)
		memset(sums, 0, n * mean_sum_bytes(type));
	if (type == PRODUCT_UINT8)
		add_marked_uint8(sums, pixels, no_value, n);
	else if (type == PRODUCT_UINT16)
		add_marked_uint16(sums, pixels, no_value, n);
	else
		add_marked_uint32(sums, pixels, no_value, n);
}

void mean_spoil(void *sums, enum product_type type, size_t n)
{
	memset(sums, 0xff, n * mean_sum_bytes(type)); /* SPOILT32, SPOILT64 */
}

static inline double sum_at(const void *sums, enum product_type type, size_t i)
{
	if (mean_sum_bytes(type) == 4) {
		uint32_t sum = ((const uint32_t *)sums)[i];

		return sum == SPOILT32 ? (double)NAN : (double)sum;
	}
	if (type == PRODUCT_UINT32) {
		uint64_t sum = ((const uint64_t *)sums)[i];

		return sum == SPOILT64 ? (double)NAN : (double)sum;
	}
	return ((const double *)sums)[i];
}

void mean_flatten(float *restrict t, const void *restrict sums, enum product_type type,
                  uint32_t frames, const float *restrict offset, const float *restrict gain,
                  size_t n)
{
	for (size_t i = 0; i < n; i++) {
		double sum = sum_at(sums, type, i);
		double above = sum / frames - (offset ? (double)offset[i] : 0);

		t[i] = isfinite(sum) ? (float)above * (gain ? gain[i] : 1) : NAN;
	}
}
