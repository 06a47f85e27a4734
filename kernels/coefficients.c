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

uint64_t coefficients(float *restrict offset, float *restrict gain, const float *dark,
                      const float *flat, const float *mask, bool scale, size_t n)
{
	uint64_t bad = 0;

	for (size_t i = 0; i < n; i++) {
		float level = dark ? dark[i] : 0.0f;
		bool usable = isfinite(level) && !(flat && !isfinite(flat[i])) &&
		              !(mask && mask[i] != 0.0f);
		float g = scale ? scale_of(flat[i], level) : 1.0f;

		offset[i] = level;
		gain[i] = usable ? g : NAN;
		bad += isnan(gain[i]) != 0;
	}
	return bad;
}
