/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/convert.h"

#include <immintrin.h>
#include <math.h>

static inline __mmask16 lanes_left(size_t n)
{
	return (__mmask16)(n < 16 ? (1u << n) - 1 : 0xffff);
}

/* 16 pixels of the window's integer range; lanes outside k count as nothing. */
static inline __m512i convert16(__m512 t, __mmask16 k, const struct window *w, uint64_t *clipped)
{
	__m512 low = _mm512_set1_ps(w->low), high = _mm512_set1_ps(w->high);
	__m512 last = _mm512_set1_ps(w->last);
	__m512 level = _mm512_mul_ps(_mm512_sub_ps(t, low), _mm512_set1_ps(w->scale));
	__mmask16 inside = _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(t, low, _CMP_GE_OQ), t, high,
	                                           _CMP_LE_OQ);
	__mmask16 bad;

	level = _mm512_min_ps(level, last); /* NaN in the first operand gives the second */
	if (__builtin_expect(inside == 0xffff, 1))
		return _mm512_cvtps_epi32(level);
	level = _mm512_max_ps(level, _mm512_setzero_ps());
	bad = _mm512_cmp_ps_mask(t, t, _CMP_UNORD_Q);
	level = _mm512_mask_add_ps(level, bad, last, _mm512_set1_ps(1));
	*clipped += (uint64_t)_mm_popcnt_u32(k & ~(unsigned)(inside | bad));
	return _mm512_cvtps_epi32(level);
}

uint64_t convert_uint8_avx512(void *restrict out, const float *restrict t, size_t n,
                              const struct window *w)
{
	uint64_t clipped = 0;

	for (size_t i = 0; i < n; i += 16) {
		__mmask16 k = lanes_left(n - i);
		__m512i v = convert16(_mm512_maskz_loadu_ps(k, t + i), k, w, &clipped);

		_mm_mask_storeu_epi8((uint8_t *)out + i, k, _mm512_cvtepi32_epi8(v));
	}
	return clipped;
}

uint64_t convert_uint16_avx512(void *restrict out, const float *restrict t, size_t n,
                               const struct window *w)
{
	uint64_t clipped = 0;

	for (size_t i = 0; i < n; i += 16) {
		__mmask16 k = lanes_left(n - i);
		__m512i v = convert16(_mm512_maskz_loadu_ps(k, t + i), k, w, &clipped);

		_mm256_mask_storeu_epi16((uint16_t *)out + i, k, _mm512_cvtepi32_epi16(v));
	}
	return clipped;
}

uint64_t convert_float32_avx512(void *restrict out, const float *restrict t, size_t n,
                                const struct window *w)
{
	__m512 bad = _mm512_set1_ps(w->bad_zero ? 0 : NAN);

	for (size_t i = 0; i < n; i += 16) {
		__mmask16 k = lanes_left(n - i);
		__m512 v = _mm512_maskz_loadu_ps(k, t + i);

		v = _mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), bad);
		_mm512_mask_storeu_ps((float *)out + i, k, v);
	}
	return 0;
}
