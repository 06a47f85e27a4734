/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/flatten.h"

#include "kernels/cpu.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

void flatten_uint8_scalar(float *restrict t, const void *restrict raw, const float *restrict offset,
                          const float *restrict gain, size_t n)
{
	const uint8_t *counts = raw;

	for (size_t i = 0; i < n; i++)
		t[i] = ((float)counts[i] - offset[i]) * gain[i];
}

void flatten_uint16_scalar(float *restrict t, const void *restrict raw,
                           const float *restrict offset, const float *restrict gain, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t v;

		memcpy(&v, (const char *)raw + 2 * i, sizeof v);
		t[i] = ((float)v - offset[i]) * gain[i];
	}
}

void flatten_uint32_scalar(float *restrict t, const void *restrict raw,
                           const float *restrict offset, const float *restrict gain, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t v;

		memcpy(&v, (const char *)raw + 4 * i, sizeof v);
		t[i] = (float)((double)v - (double)offset[i]) * gain[i];
	}
}

void flatten_float32_scalar(float *restrict t, const void *restrict raw,
                            const float *restrict offset, const float *restrict gain, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		float v;

		memcpy(&v, (const char *)raw + 4 * i, sizeof v);
		t[i] = isfinite(v) ? (v - offset[i]) * gain[i] : NAN;
	}
}

void scale_scalar(float *t, float scale, size_t n)
{
	for (size_t i = 0; i < n; i++)
		t[i] *= scale;
}

const struct flatten_impl *flatten_for(unsigned cpu)
{
	const struct flatten_impl *best = flatten_impls;

	for (const struct flatten_impl *i = flatten_impls; i->name; i++)
		if (!(i->needs & ~cpu))
			best = i;
	return best;
}

const struct flatten_impl flatten_impls[] = {
	{ "scalar",
	  0,
	  { flatten_uint8_scalar, flatten_uint16_scalar, flatten_uint32_scalar,
	    flatten_float32_scalar },
	  scale_scalar },
#ifdef __x86_64__
	{ "avx2",
	  CPU_AVX2,
	  { flatten_uint8_avx2, flatten_uint16_avx2, flatten_uint32_avx2, flatten_float32_avx2 },
	  scale_avx2 },
	{ "avx512",
	  CPU_AVX512,
	  { flatten_uint8_avx512, flatten_uint16_avx512, flatten_uint32_avx512,
	    flatten_float32_avx512 },
	  scale_avx512 },
#endif
	{ 0 },
};
