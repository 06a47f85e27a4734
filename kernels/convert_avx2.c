/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/convert.h"

#include <immintrin.h>
#include <math.h>

/* 8 pixels of the window's integer range. */
static inline __m256i convert8(__m256 t, const struct window *w, uint64_t *clipped)
{
	__m256 low = _mm256_set1_ps(w->low), last = _mm256_set1_ps(w->last);
	__m256 below = _mm256_cmp_ps(t, low, _CMP_LT_OQ);
	__m256 above = _mm256_cmp_ps(t, _mm256_set1_ps(w->high), _CMP_GT_OQ);
	__m256 bad = _mm256_cmp_ps(t, t, _CMP_UNORD_Q);
	__m256 level = _mm256_mul_ps(_mm256_sub_ps(t, low), _mm256_set1_ps(w->scale));
	int outside = _mm256_movemask_ps(_mm256_or_ps(below, above));

	level = _mm256_min_ps(level, last); /* NaN in the first operand gives the second */
	level = _mm256_andnot_ps(below, level);
	level = _mm256_add_ps(level, _mm256_and_ps(bad, _mm256_set1_ps(1)));
	*clipped += (uint64_t)_mm_popcnt_u32((unsigned)outside);
	return _mm256_cvtps_epi32(level);
}

static inline __m128i pack16(__m256i v)
{
	return _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

uint64_t convert_uint8_avx2(void *restrict out, const float *restrict t, size_t n,
                            const struct window *w)
{
	uint8_t *levels = out;
	uint64_t clipped = 0;
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		__m128i v = pack16(convert8(_mm256_loadu_ps(t + i), w, &clipped));

		_mm_storel_epi64((__m128i *)(levels + i), _mm_packus_epi16(v, v));
	}
	return clipped + convert_uint8_scalar(levels + i, t + i, n - i, w);
}

uint64_t convert_uint16_avx2(void *restrict out, const float *restrict t, size_t n,
                             const struct window *w)
{
	uint16_t *levels = out;
	uint64_t clipped = 0;
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
		_mm_storeu_si128((__m128i *)(levels + i),
		                 pack16(convert8(_mm256_loadu_ps(t + i), w, &clipped)));
	return clipped + convert_uint16_scalar(levels + i, t + i, n - i, w);
}

uint64_t convert_float32_avx2(void *restrict out, const float *restrict t, size_t n,
                              const struct window *w)
{
	float *pixels = out;
	__m256 bad = _mm256_set1_ps(w->bad_zero ? 0 : NAN);
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		__m256 v = _mm256_loadu_ps(t + i);

		_mm256_storeu_ps(pixels + i,
		                 _mm256_blendv_ps(v, bad, _mm256_cmp_ps(v, v, _CMP_UNORD_Q)));
	}
	return convert_float32_scalar(pixels + i, t + i, n - i, w);
}
