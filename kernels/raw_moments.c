/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/raw_moments.h"

#include "kernels/cpu.h"

#include <math.h>
#include <string.h>

static inline void add_pixel(struct raw_sums *sums, uint32_t v, uint32_t saturation)
{
	uint64_t square = (uint64_t)v * v;

	sums->good++;
	sums->saturated += v >= saturation;
	sums->sum += v;
	sums->squares_low += (uint32_t)square;
	sums->squares_high += square >> 32;
	sums->min = v < sums->min ? v : sums->min;
	sums->max = v > sums->max ? v : sums->max;
}

void raw_sums_uint8_scalar(struct raw_sums *sums, const void *restrict raw, const float *restrict t,
                           uint32_t saturation, size_t n)
{
	const uint8_t *counts = raw;

	for (size_t i = 0; i < n; i++)
		if (!isnan(t[i]))
			add_pixel(sums, counts[i], saturation);
}

void raw_sums_uint16_scalar(struct raw_sums *sums, const void *restrict raw,
                            const float *restrict t, uint32_t saturation, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t v;

		memcpy(&v, (const char *)raw + 2 * i, sizeof v);
		if (!isnan(t[i]))
			add_pixel(sums, v, saturation);
	}
}

void raw_sums_uint32_scalar(struct raw_sums *sums, const void *restrict raw,
                            const float *restrict t, uint32_t saturation, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t v;

		memcpy(&v, (const char *)raw + 4 * i, sizeof v);
		if (!isnan(t[i]))
			add_pixel(sums, v, saturation);
	}
}

uint64_t raw_screen_scalar(float *restrict out, const void *restrict raw, const float *restrict t,
                           float saturation, size_t n)
{
	uint64_t saturated = 0;

	for (size_t i = 0; i < n; i++) {
		float v;

		memcpy(&v, (const char *)raw + 4 * i, sizeof v);
		out[i] = isnan(t[i]) ? NAN : v;
		saturated += out[i] >= saturation;
	}
	return saturated;
}

const struct raw_moments_impl *raw_moments_for(unsigned cpu)
{
	const struct raw_moments_impl *best = raw_moments_impls;

	for (const struct raw_moments_impl *i = raw_moments_impls; i->name; i++)
		if (!(i->needs & ~cpu))
			best = i;
	return best;
}

void raw_moments_finish(const struct raw_sums *sums, struct moments *ret)
{
	unsigned __int128 squares =
		((unsigned __int128)sums->squares_high << 32) + sums->squares_low;
	double good = (double)sums->good;

	if (sums->good == 0) {
		*ret = (struct moments){ NAN, NAN, NAN, NAN };
		return;
	}
	/* Below 2^128 for fewer than 2^32 pixels. */
	squares = squares * sums->good - (unsigned __int128)sums->sum * sums->sum;
	*ret = (struct moments){
		.min = sums->min,
		.max = sums->max,
		.mean = (double)sums->sum / good,
		.std = sqrt((double)squares) / good,
	};
}

const struct raw_moments_impl raw_moments_impls[] = {
	{ "scalar",
	  0,
	  { raw_sums_uint8_scalar, raw_sums_uint16_scalar, raw_sums_uint32_scalar },
	  raw_screen_scalar },
#ifdef __x86_64__
	{ "avx2",
	  CPU_AVX2,
	  { raw_sums_uint8_avx2, raw_sums_uint16_avx2, raw_sums_uint32_avx2 },
	  raw_screen_avx2 },
	{ "avx512",
	  CPU_AVX512,
	  { raw_sums_uint8_avx512, raw_sums_uint16_avx512, raw_sums_uint32_avx512 },
	  raw_screen_avx512 },
#endif
	{ 0 },
};
