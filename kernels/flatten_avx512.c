/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/flatten.h"

#include <immintrin.h>
#include <math.h>

/* uint32 minus the dark, in double, rounded once. */
static inline __m512 subtract_in_double(__m512i v, __m512 offset)
{
	__m512d low = _mm512_sub_pd(_mm512_cvtepu32_pd(_mm512_castsi512_si256(v)),
	                            _mm512_cvtps_pd(_mm512_castps512_ps256(offset)));
	__m512d high = _mm512_sub_pd(_mm512_cvtepu32_pd(_mm512_extracti32x8_epi32(v, 1)),
	                             _mm512_cvtps_pd(_mm512_extractf32x8_ps(offset, 1)));

	return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)),
	                          _mm512_cvtpd_ps(high), 1);
}

/* 16 counts minus the dark; lanes outside k are not read. */
static inline __m512 subtract(enum product_type type, __mmask16 k, const char *at, __m512 offset)
{
	__m512i v;

	if (type == PRODUCT_UINT32)
		return subtract_in_double(_mm512_maskz_loadu_epi32(k, at), offset);
	if (type == PRODUCT_FLOAT32) {
		__m512 counts = _mm512_maskz_loadu_ps(k, at);
		/* 0x99: quiet NaN, both infinities, signalling NaN */
		__mmask16 not_finite = _mm512_fpclass_ps_mask(counts, 0x99);

		return _mm512_mask_mov_ps(_mm512_sub_ps(counts, offset), not_finite,
		                          _mm512_set1_ps(NAN));
	}
	v = type == PRODUCT_UINT8 ? _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(k, at))
	                          : _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(k, at));
	return _mm512_sub_ps(_mm512_cvtepi32_ps(v), offset);
}

static inline void flatten16(enum product_type type, __mmask16 k, float *t, const char *at,
                             const float *offset, const float *gain)
{
	__m512 above = subtract(type, k, at, _mm512_maskz_loadu_ps(k, offset));

	_mm512_mask_storeu_ps(t, k, _mm512_mul_ps(above, _mm512_maskz_loadu_ps(k, gain)));
}

/* One body for all types: `type` is a constant where this is inlined. */
static inline __attribute__((always_inline)) void
flatten(enum product_type type, size_t pixel_bytes, float *restrict t, const char *restrict raw,
        const float *restrict offset, const float *restrict gain, size_t n)
{
	size_t i = 0;

	for (; i + 16 <= n; i += 16)
		flatten16(type, 0xffff, t + i, raw + i * pixel_bytes, offset + i, gain + i);
	if (i < n)
		flatten16(type, (__mmask16)((1u << (n - i)) - 1), t + i, raw + i * pixel_bytes,
		          offset + i, gain + i);
}

void flatten_uint8_avx512(float *restrict t, const void *restrict raw, const float *restrict offset,
                          const float *restrict gain, size_t n)
{
	flatten(PRODUCT_UINT8, 1, t, raw, offset, gain, n);
}

void flatten_uint16_avx512(float *restrict t, const void *restrict raw,
                           const float *restrict offset, const float *restrict gain, size_t n)
{
	flatten(PRODUCT_UINT16, 2, t, raw, offset, gain, n);
}

void flatten_uint32_avx512(float *restrict t, const void *restrict raw,
                           const float *restrict offset, const float *restrict gain, size_t n)
{
	flatten(PRODUCT_UINT32, 4, t, raw, offset, gain, n);
}

void flatten_float32_avx512(float *restrict t, const void *restrict raw,
                            const float *restrict offset, const float *restrict gain, size_t n)
{
	flatten(PRODUCT_FLOAT32, 4, t, raw, offset, gain, n);
}

void scale_avx512(float *t, float by, size_t n)
{
	__m512 factor = _mm512_set1_ps(by);
	size_t i = 0;

	for (; i + 16 <= n; i += 16)
		_mm512_storeu_ps(t + i, _mm512_mul_ps(_mm512_loadu_ps(t + i), factor));
	if (i < n) {
		__mmask16 k = (__mmask16)((1u << (n - i)) - 1);

		_mm512_mask_storeu_ps(t + i, k,
		                      _mm512_mul_ps(_mm512_maskz_loadu_ps(k, t + i), factor));
	}
}
