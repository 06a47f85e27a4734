/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/moments.h"

#include <immintrin.h>
#include <math.h>

#define STEP 16 /* lanes, in two registers */

struct lanes {
	__m256 sum[2], squares[2], min, max;
	__m256i good; /* counts */
};

static inline void add8(struct lanes *l, unsigned half, __m256 t, __m256 shift)
{
	__m256 ordered = _mm256_cmp_ps(t, t, _CMP_ORD_Q);
	__m256 d = _mm256_and_ps(_mm256_sub_ps(t, shift), ordered);

	l->sum[half] = _mm256_add_ps(l->sum[half], d);
	l->squares[half] = _mm256_fmadd_ps(d, d, l->squares[half]);
	l->min = _mm256_min_ps(t, l->min); /* NaN in the first operand gives the second */
	l->max = _mm256_max_ps(t, l->max);
	l->good = _mm256_sub_epi32(l->good, _mm256_castps_si256(ordered));
}

static inline __m128 halves(__m256 v, __m128 (*op)(__m128, __m128))
{
	__m128 four = op(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
	__m128 two = op(four, _mm_movehl_ps(four, four));

	return op(two, _mm_movehdup_ps(two));
}

static inline __m128 add(__m128 a, __m128 b)
{
	return _mm_add_ps(a, b);
}

static inline __m128 lesser(__m128 a, __m128 b)
{
	return _mm_min_ps(a, b);
}

static inline __m128 greater(__m128 a, __m128 b)
{
	return _mm_max_ps(a, b);
}

static inline uint32_t sum_counts(__m256i v)
{
	__m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
	__m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));

	return (uint32_t)(_mm_extract_epi32(two, 0) + _mm_extract_epi32(two, 1));
}

/* The last n < 16 pixels, the rest of the lanes NaN. */
static inline void add_rest(struct lanes *l, const float *t, size_t n, __m256 shift)
{
	float padded[STEP];

	for (size_t i = 0; i < STEP; i++)
		padded[i] = i < n ? t[i] : NAN;
	add8(l, 0, _mm256_loadu_ps(padded), shift);
	add8(l, 1, _mm256_loadu_ps(padded + 8), shift);
}

void moments_block_avx2(struct block_sums *ret, const float *t, size_t n, float shift)
{
	__m256 from = _mm256_set1_ps(shift);
	struct lanes l = { .min = _mm256_set1_ps(INFINITY), .max = _mm256_set1_ps(-INFINITY) };
	size_t i = 0;

	for (; i + STEP <= n; i += STEP) {
		add8(&l, 0, _mm256_loadu_ps(t + i), from);
		add8(&l, 1, _mm256_loadu_ps(t + i + 8), from);
	}
	if (i < n)
		add_rest(&l, t + i, n - i, from);
	*ret = (struct block_sums){
		.sum = _mm_cvtss_f32(halves(_mm256_add_ps(l.sum[0], l.sum[1]), add)),
		.squares = _mm_cvtss_f32(halves(_mm256_add_ps(l.squares[0], l.squares[1]), add)),
		.min = _mm_cvtss_f32(halves(l.min, lesser)),
		.max = _mm_cvtss_f32(halves(l.max, greater)),
		.good = sum_counts(l.good),
	};
}
