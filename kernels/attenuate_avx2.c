/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attenuate.h"

#include <immintrin.h>
#include <math.h>

static inline __m256 attenuate8(__m256 t)
{
	static const float terms[ATTENUATE_TERMS] = ATTENUATE_POLYNOMIAL;
	const __m256i half = _mm256_set1_epi32(ATTENUATE_SQRT_HALF);
	const __m256 infinity = _mm256_set1_ps(INFINITY);
	__m256 positive = _mm256_cmp_ps(t, _mm256_setzero_ps(), _CMP_GT_OQ);
	__m256 tiny = _mm256_cmp_ps(t, _mm256_set1_ps(ATTENUATE_TINY), _CMP_LT_OQ);
	__m256 infinite = _mm256_cmp_ps(t, infinity, _CMP_EQ_OQ);
	__m256 scaled = _mm256_blendv_ps(t, _mm256_mul_ps(t, _mm256_set1_ps(0x1p23f)), tiny);
	__m256i bits = _mm256_sub_epi32(_mm256_castps_si256(scaled), half);
	__m256 exponent = _mm256_cvtepi32_ps(_mm256_srai_epi32(bits, 23));
	__m256 sum = _mm256_set1_ps(terms[0]), f, square;

	exponent = _mm256_add_ps(exponent, _mm256_and_ps(tiny, _mm256_set1_ps(-23)));
	bits = _mm256_add_epi32(_mm256_and_si256(bits, _mm256_set1_epi32(0x7fffff)), half);
	f = _mm256_sub_ps(_mm256_castsi256_ps(bits), _mm256_set1_ps(1));
	for (unsigned i = 1; i < ATTENUATE_TERMS; i++)
		sum = _mm256_fmadd_ps(sum, f, _mm256_set1_ps(terms[i]));
	square = _mm256_mul_ps(f, f);
	sum = _mm256_mul_ps(_mm256_mul_ps(f, square), sum);
	sum = _mm256_fmadd_ps(exponent, _mm256_set1_ps(ATTENUATE_LN2_LOW), sum);
	sum = _mm256_fmadd_ps(_mm256_set1_ps(-0.5f), square, sum);
	sum = _mm256_fmadd_ps(exponent, _mm256_set1_ps(ATTENUATE_LN2_HIGH), _mm256_add_ps(f, sum));
	sum = _mm256_sub_ps(_mm256_setzero_ps(), sum);
	sum = _mm256_blendv_ps(sum, _mm256_sub_ps(_mm256_setzero_ps(), infinity), infinite);
	return _mm256_blendv_ps(_mm256_set1_ps(NAN), sum, positive);
}

void attenuate_avx2(float *a, const float *t, size_t n)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
		_mm256_storeu_ps(a + i, attenuate8(_mm256_loadu_ps(t + i)));
	attenuate_scalar(a + i, t + i, n - i);
}

void attenuable_avx2(float *t, size_t n)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		__m256 v = _mm256_loadu_ps(t + i);
		__m256 positive = _mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_GT_OQ);

		_mm256_storeu_ps(t + i, _mm256_blendv_ps(_mm256_set1_ps(NAN), v, positive));
	}
	attenuable_scalar(t + i, n - i);
}
