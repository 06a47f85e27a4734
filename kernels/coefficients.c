/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/coefficients.h"

#include <math.h>

/* 1 / (F - D), or NaN where that is no use. */
static float scale_of(float flat, float dark)
{
	double open = (double)flat - (double)dark;
	float gain = (float)(1.0 / open);

	/* isnormal: neither zero, subnormal, infinite nor NaN. */
	return open > 0 && isnormal(gain) ? gain : NAN;
}

static bool is_good(const float *image, size_t i)
{
	return !image || isfinite(image[i]);
}

uint64_t coefficients(float *restrict offset, float *restrict gain, const float *dark,
                      const float *flat, const float *flat_dark, const float *mask, bool scale,
                      size_t n)
{
	uint64_t bad = 0;

	for (size_t i = 0; i < n; i++) {
		float level = dark ? dark[i] : 0.0f;
		float below = flat_dark ? flat_dark[i] : level;
		bool usable = is_good(dark, i) && is_good(flat, i) && is_good(flat_dark, i) &&
		              !(mask && mask[i] != 0.0f);
		float g = scale ? scale_of(flat[i], below) : 1.0f;

		offset[i] = level;
		gain[i] = usable ? g : NAN;
		bad += isnan(gain[i]) != 0;
	}
	return bad;
}
