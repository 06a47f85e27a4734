/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/convert.h"

#include "kernels/cpu.h"

#include <math.h>

static inline long convert_pixel(float t, const struct window *w, uint64_t *clipped)
{
	float level = (t - w->low) * w->scale;

	if (isnan(t))
		return (long)w->last + 1;
	if (t < w->low || t > w->high) {
		(*clipped)++;
		return t < w->low ? 0 : (long)w->last;
	}
	return lrintf(level < w->last ? level : w->last);
}

bool window_init(struct window *w, enum product_type type, float low, float high, bool bad_zero)
{
	float last = type == PRODUCT_UINT8 ? UINT8_MAX - 1 : UINT16_MAX - 1;

	*w = (struct window){
		.low = low,
		.high = high,
		.scale = (float)((double)last / ((double)high - (double)low)),
		.last = last,
		.bad_zero = bad_zero,
	};
	return type == PRODUCT_FLOAT32 || type == PRODUCT_UINT32 ||
	       (low < high && isfinite(low) && isfinite(high) && isnormal(w->scale));
}

uint64_t convert_uint8_scalar(void *restrict out, const float *restrict t, size_t n,
                              const struct window *w)
{
	uint8_t *levels = out;
	uint64_t clipped = 0;

	for (size_t i = 0; i < n; i++)
		levels[i] = (uint8_t)convert_pixel(t[i], w, &clipped);
	return clipped;
}

uint64_t convert_uint16_scalar(void *restrict out, const float *restrict t, size_t n,
                               const struct window *w)
{
	uint16_t *levels = out;
	uint64_t clipped = 0;

	for (size_t i = 0; i < n; i++)
		levels[i] = (uint16_t)convert_pixel(t[i], w, &clipped);
	return clipped;
}

uint64_t convert_float32_scalar(void *restrict out, const float *restrict t, size_t n,
                                const struct window *w)
{
	float *pixels = out;
	float bad = w->bad_zero ? 0 : NAN;

	for (size_t i = 0; i < n; i++)
		pixels[i] = isnan(t[i]) ? bad : t[i];
	return 0;
}

const struct convert_impl *convert_for(unsigned cpu)
{
	const struct convert_impl *best = convert_impls;

	for (const struct convert_impl *i = convert_impls; i->name; i++)
		if (!(i->needs & ~cpu))
			best = i;
	return best;
}

const struct convert_impl convert_impls[] = {
	{ "scalar",
	  0,
	  { convert_uint8_scalar, convert_uint16_scalar, NULL, convert_float32_scalar } },
#ifdef __x86_64__
	{ "avx2",
	  CPU_AVX2,
	  { convert_uint8_avx2, convert_uint16_avx2, NULL, convert_float32_avx2 } },
	{ "avx512",
	  CPU_AVX512,
	  { convert_uint8_avx512, convert_uint16_avx512, NULL, convert_float32_avx512 } },
#endif
	{ 0 },
};
