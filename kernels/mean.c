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

static inline double sum_at(const void *sums, enum product_type type, size_t i)
{
	if (mean_sum_bytes(type) == 4)
		return ((const uint32_t *)sums)[i];
	return type == PRODUCT_UINT32 ? (double)((const uint64_t *)sums)[i]
	                              : ((const double *)sums)[i];
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
