/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/binning.h"

#include <immintrin.h>
#include <math.h>

/* Columns [x, columns) one at a time, as the reference does. */
static inline void add_rest(float *restrict sum, float *restrict count, const float *restrict t,
                            size_t width, size_t x, size_t columns, unsigned b)
{
	for (; x < columns; x++) {
		float s = 0, c = 0;

		for (unsigned y = 0; y < b; y++) {
			float v = t[y * width + x];

			s += isnan(v) ? 0 : v;
			c += isnan(v) ? 0 : 1;
		}
		sum[x] = s;
		count[x] = c;
	}
}

static inline void add_rows(float *restrict sum, float *restrict count, const float *restrict t,
                            size_t width, size_t columns, unsigned b)
{
	const __m256 one = _mm256_set1_ps(1);
	size_t x = 0;

	for (; x + 8 <= columns; x += 8) {
		__m256 s = _mm256_setzero_ps(), c = _mm256_setzero_ps();

		for (unsigned y = 0; y < b; y++) {
			__m256 v = _mm256_loadu_ps(t + y * width + x);
			__m256 good = _mm256_cmp_ps(v, v, _CMP_ORD_Q);

			s = _mm256_add_ps(s, _mm256_and_ps(v, good));
			c = _mm256_add_ps(c, _mm256_and_ps(one, good));
		}
		_mm256_storeu_ps(sum + x, s);
		_mm256_storeu_ps(count + x, c);
	}
	add_rest(sum, count, t, width, x, columns, b);
}

/* In place: what is written lies at or before what is read next. */
static inline void fold_pairs(float *v, size_t pairs)
{
	size_t i = 0;

	for (; i + 8 <= pairs; i += 8) {
		__m256 a = _mm256_loadu_ps(v + 2 * i), b = _mm256_loadu_ps(v + 2 * i + 8);
		/* within 128 bits: a0+a1 a2+a3 b0+b1 b2+b3 | a4+a5 ... */
		__m256d sums = _mm256_castps_pd(_mm256_hadd_ps(a, b));

		_mm256_storeu_ps(v + i, _mm256_castpd_ps(_mm256_permute4x64_pd(sums, 0xd8)));
	}
	for (; i < pairs; i++)
		v[i] = v[2 * i] + v[2 * i + 1];
}

void bin_rows_avx2(float *out, const float *restrict t, float *sum, float *restrict count,
                   size_t width, unsigned b)
{
	size_t columns = width / b * b, i = 0;

	add_rows(sum, count, t, width, columns, b);
	for (; b > 1; b /= 2) {
		columns /= 2;
		fold_pairs(sum, columns);
		fold_pairs(count, columns);
	}
	for (; i + 8 <= columns; i += 8)
		_mm256_storeu_ps(out + i, _mm256_div_ps(_mm256_loadu_ps(sum + i),
		                                        _mm256_loadu_ps(count + i)));
	for (; i < columns; i++)
		out[i] = sum[i] / count[i];
}
