/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/binning.h"

#include <immintrin.h>

#define BIN_MOST 32

static inline __mmask16 lanes_left(size_t n)
{
	return (__mmask16)(n < 16 ? (1u << n) - 1 : 0xffff);
}

/* Columns in `left` of the 16 from number x on. */
static inline __mmask16 columns_at(size_t left, size_t x)
{
	return left > x ? lanes_left(left - x) : 0;
}

/* Sums of neighbours, until 16 are left of 16 b. */
static inline __m512 fold_pairs(__m512 *v, unsigned b)
{
	const __m512i even =
		_mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
	const __m512i odd =
		_mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);

	for (; b > 1; b /= 2)
		for (unsigned i = 0; i < b / 2; i++)
			v[i] = _mm512_add_ps(_mm512_permutex2var_ps(v[2 * i], even, v[2 * i + 1]),
			                     _mm512_permutex2var_ps(v[2 * i], odd, v[2 * i + 1]));
	return v[0];
}

/* Sixteen means when some of the pixels are bad. `left`: columns that are there. */
static __m512 bin_some(const float *t, size_t width, size_t left, unsigned b)
{
	const __m512 one = _mm512_set1_ps(1);
	__m512 sum[BIN_MOST], count[BIN_MOST];

	for (unsigned i = 0; i < b; i++) {
		__mmask16 k = columns_at(left, 16 * i);

		sum[i] = count[i] = _mm512_setzero_ps();
		for (unsigned y = 0; y < b; y++) {
			__m512 v = _mm512_maskz_loadu_ps(k, t + y * width + 16 * i);
			__mmask16 good = _mm512_cmp_ps_mask(v, v, _CMP_ORD_Q);

			sum[i] = _mm512_mask_add_ps(sum[i], good, sum[i], v);
			count[i] = _mm512_mask_add_ps(count[i], good, count[i], one);
		}
	}
	return _mm512_div_ps(fold_pairs(sum, b), fold_pairs(count, b));
}

/* Sixteen means when all are good: their sum is divided by a power of two. Not a number if not, or
 * if infinite ones cancel. Adding zero makes +0 of -0, as summing from zero does. */
static inline __attribute__((always_inline)) __m512 bin_all(const float *t, size_t width,
                                                            size_t left, unsigned b)
{
	__m512 sum[BIN_MOST];

	for (unsigned i = 0; i < b; i++) {
		__mmask16 k = columns_at(left, 16 * i);

		sum[i] = _mm512_maskz_loadu_ps(k, t + 16 * i);
		for (unsigned y = 1; y < b; y++)
			sum[i] = _mm512_add_ps(sum[i],
			                       _mm512_maskz_loadu_ps(k, t + y * width + 16 * i));
	}
	return _mm512_fmadd_ps(fold_pairs(sum, b), _mm512_set1_ps(1.0f / (float)(b * b)),
	                       _mm512_setzero_ps());
}

static inline __attribute__((always_inline)) void bin_rows(float *out, const float *restrict t,
                                                           size_t width, unsigned b)
{
	size_t columns = width / b * b, step = (size_t)16 * b;
	size_t x = 0;

	for (; x + step <= columns; x += step) {
		__m512 mean = bin_all(t + x, width, step, b);

		if (__builtin_expect(_mm512_cmp_ps_mask(mean, mean, _CMP_UNORD_Q), 0))
			mean = bin_some(t + x, width, step, b);
		_mm512_storeu_ps(out + x / b, mean);
	}
	if (x < columns)
		_mm512_mask_storeu_ps(out + x / b, lanes_left((columns - x) / b),
		                      bin_some(t + x, width, columns - x, b));
}

void bin_rows_avx512(float *out, const float *restrict t, float *sum, float *restrict count,
                     size_t width, unsigned b)
{
	(void)sum;
	(void)count;
	switch (b) {
	case 2:
		bin_rows(out, t, width, 2);
		break;
	case 4:
		bin_rows(out, t, width, 4);
		break;
	case 8:
		bin_rows(out, t, width, 8);
		break;
	default:
		bin_rows(out, t, width, b);
	}
}
