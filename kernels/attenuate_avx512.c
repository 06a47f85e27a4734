/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attenuate.h"

#include <immintrin.h>
#include <math.h>

static inline __mmask16 lanes_left(size_t n)
{
	return (__mmask16)(n < 16 ? (1u << n) - 1 : 0xffff);
}

static inline __m512 attenuate16(__m512 t)
{
	static const float terms[ATTENUATE_TERMS] = ATTENUATE_POLYNOMIAL;
	const __m512i half = _mm512_set1_epi32(ATTENUATE_SQRT_HALF);
	__mmask16 positive = _mm512_cmp_ps_mask(t, _mm512_setzero_ps(), _CMP_GT_OQ);
	__mmask16 tiny = _mm512_cmp_ps_mask(t, _mm512_set1_ps(ATTENUATE_TINY), _CMP_LT_OQ);
	__mmask16 infinite = _mm512_cmp_ps_mask(t, _mm512_set1_ps(INFINITY), _CMP_EQ_OQ);
	__m512 scaled = _mm512_mask_mul_ps(t, tiny, t, _mm512_set1_ps(0x1p23f));
	__m512i bits = _mm512_sub_epi32(_mm512_castps_si512(scaled), half);
	__m512 exponent = _mm512_cvtepi32_ps(_mm512_srai_epi32(bits, 23));
	__m512 sum = _mm512_set1_ps(terms[0]), f, square;

	exponent = _mm512_mask_add_ps(exponent, tiny, exponent, _mm512_set1_ps(-23));
	bits = _mm512_add_epi32(_mm512_and_si512(bits, _mm512_set1_epi32(0x7fffff)), half);
	f = _mm512_sub_ps(_mm512_castsi512_ps(bits), _mm512_set1_ps(1));
	for (unsigned i = 1; i < ATTENUATE_TERMS; i++)
		sum = _mm512_fmadd_ps(sum, f, _mm512_set1_ps(terms[i]));
	square = _mm512_mul_ps(f, f);
	sum = _mm512_mul_ps(_mm512_mul_ps(f, square), sum);
	sum = _mm512_fmadd_ps(exponent, _mm512_set1_ps(ATTENUATE_LN2_LOW), sum);
	sum = _mm512_fmadd_ps(_mm512_set1_ps(-0.5f), square, sum);
	sum = _mm512_fmadd_ps(exponent, _mm512_set1_ps(ATTENUATE_LN2_HIGH), _mm512_add_ps(f, sum));
	sum = _mm512_sub_ps(_mm512_setzero_ps(), sum);
	sum = _mm512_mask_mov_ps(sum, infinite, _mm512_set1_ps(-INFINITY));
	return _mm512_mask_mov_ps(_mm512_set1_ps(NAN), positive, sum);
}

void attenuate_avx512(float *a, const float *t, size_t n)
{
	for (size_t i = 0; i < n; i += 16) {
		__mmask16 k = lanes_left(n - i);

		_mm512_mask_storeu_ps(a + i, k, attenuate16(_mm512_maskz_loadu_ps(k, t + i)));
	}
}

void attenuable_avx512(float *t, size_t n)
{
	const __m512 bad = _mm512_set1_ps(NAN);

	for (size_t i = 0; i < n; i += 16) {
		__mmask16 k = lanes_left(n - i);
		__m512 v = _mm512_maskz_loadu_ps(k, t + i);
		__mmask16 positive = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_GT_OQ);

		_mm512_mask_storeu_ps(t + i, k & (__mmask16)~positive, bad);
	}
}
