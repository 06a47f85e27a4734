/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/flatten.h"

#include <float.h>
#include <immintrin.h>
#include <math.h>

static inline __m256 scale(__m256 counts, const float *offset, const float *gain)
{
	return _mm256_mul_ps(_mm256_sub_ps(counts, _mm256_loadu_ps(offset)), _mm256_loadu_ps(gain));
}

void flatten_uint8_avx2(float *restrict t, const void *restrict raw, const float *restrict offset,
                        const float *restrict gain, size_t n)
{
	const char *at = raw;
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		__m256i v = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(at + i)));

		_mm256_storeu_ps(t + i, scale(_mm256_cvtepi32_ps(v), offset + i, gain + i));
	}
	flatten_uint8_scalar(t + i, at + i, offset + i, gain + i, n - i);
}

void flatten_uint16_avx2(float *restrict t, const void *restrict raw, const float *restrict offset,
                         const float *restrict gain, size_t n)
{
	const char *at = raw;
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		__m128i packed = _mm_loadu_si128((const __m128i *)(at + 2 * i));
		__m256 v = _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(packed));

		_mm256_storeu_ps(t + i, scale(v, offset + i, gain + i));
	}
	flatten_uint16_scalar(t + i, at + 2 * i, offset + i, gain + i, n - i);
}

/* AVX2 converts signed integers only; both steps here are exact. */
static inline __m256d uint32_to_double(__m128i v)
{
	__m128i around_zero = _mm_xor_si128(v, _mm_set1_epi32((int)0x80000000));

	return _mm256_add_pd(_mm256_cvtepi32_pd(around_zero), _mm256_set1_pd(2147483648.0));
}

void flatten_uint32_avx2(float *restrict t, const void *restrict raw, const float *restrict offset,
                         const float *restrict gain, size_t n)
{
	const char *at = raw;
	size_t i = 0;

	for (; i + 4 <= n; i += 4) {
		__m256d v = uint32_to_double(_mm_loadu_si128((const __m128i *)(at + 4 * i)));
		__m256d d = _mm256_cvtps_pd(_mm_loadu_ps(offset + i));
		__m128 above = _mm256_cvtpd_ps(_mm256_sub_pd(v, d));

		_mm_storeu_ps(t + i, _mm_mul_ps(above, _mm_loadu_ps(gain + i)));
	}
	flatten_uint32_scalar(t + i, at + 4 * i, offset + i, gain + i, n - i);
}

void flatten_float32_avx2(float *restrict t, const void *restrict raw, const float *restrict offset,
                          const float *restrict gain, size_t n)
{
	const char *at = raw;
	const __m256 sign = _mm256_set1_ps(-0.0f);
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		__m256 v = _mm256_loadu_ps((const float *)(const void *)(at + 4 * i));
		__m256 finite = _mm256_cmp_ps(_mm256_andnot_ps(sign, v), _mm256_set1_ps(FLT_MAX),
		                              _CMP_LE_OQ);
		__m256 scaled = scale(v, offset + i, gain + i);

		_mm256_storeu_ps(t + i, _mm256_blendv_ps(_mm256_set1_ps(NAN), scaled, finite));
	}
	flatten_float32_scalar(t + i, at + 4 * i, offset + i, gain + i, n - i);
}

void scale_avx2(float *t, float by, size_t n)
{
	__m256 factor = _mm256_set1_ps(by);
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
		_mm256_storeu_ps(t + i, _mm256_mul_ps(_mm256_loadu_ps(t + i), factor));
	scale_scalar(t + i, by, n - i);
}
