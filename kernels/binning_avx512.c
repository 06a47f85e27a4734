/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/binning.h"

#include <immintrin.h>

static inline __mmask16 lanes_left(size_t n)
{
	return (__mmask16)(n < 16 ? (1u << n) - 1 : 0xffff);
}

static inline void add_rows(float *restrict sum, float *restrict count, const float *restrict t,
                            size_t width, size_t columns, unsigned b)
{
	const __m512 one = _mm512_set1_ps(1);

	for (size_t x = 0; x < columns; x += 16) {
		__mmask16 k = lanes_left(columns - x);
		__m512 s = _mm512_setzero_ps(), c = _mm512_setzero_ps();

		for (unsigned y = 0; y < b; y++) {
			__m512 v = _mm512_maskz_loadu_ps(k, t + y * width + x);
			__mmask16 good = _mm512_cmp_ps_mask(v, v, _CMP_ORD_Q);

			s = _mm512_mask_add_ps(s, good, s, v);
			c = _mm512_mask_add_ps(c, good, c, one);
		}
		_mm512_mask_storeu_ps(sum + x, k, s);
		_mm512_mask_storeu_ps(count + x, k, c);
	}
}

/* In place: what is written lies at or before what is read next. */
static inline void fold_pairs(float *v, size_t pairs)
{
	const __m512i even =
		_mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
	const __m512i odd =
		_mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);

	for (size_t i = 0; i < pairs; i += 16) {
		size_t left = 2 * (pairs - i);
		__m512 a = _mm512_maskz_loadu_ps(lanes_left(left), v + 2 * i);
		__m512 b = _mm512_maskz_loadu_ps(left > 16 ? lanes_left(left - 16) : 0,
		                                 v + 2 * i + 16);

		_mm512_mask_storeu_ps(v + i, lanes_left(pairs - i),
		                      _mm512_add_ps(_mm512_permutex2var_ps(a, even, b),
		                                    _mm512_permutex2var_ps(a, odd, b)));
	}
}

void bin_rows_avx512(float *out, const float *restrict t, float *sum, float *restrict count,
                     size_t width, unsigned b)
{
	size_t columns = width / b * b;

	add_rows(sum, count, t, width, columns, b);
	for (; b > 1; b /= 2) {
		columns /= 2;
		fold_pairs(sum, columns);
		fold_pairs(count, columns);
	}
	for (size_t i = 0; i < columns; i += 16) {
		__mmask16 k = lanes_left(columns - i);
		__m512 s = _mm512_maskz_loadu_ps(k, sum + i);
		__m512 c = _mm512_maskz_loadu_ps(k, count + i);

		_mm512_mask_storeu_ps(out + i, k, _mm512_div_ps(s, c));
	}
}
