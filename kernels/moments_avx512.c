/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/moments.h"

#include <immintrin.h>
#include <math.h>

struct lanes {
	__m512 sum, squares, min, max;
	uint32_t good;
};

/* 16 pixels; k: the lanes that are there. */
static inline void add16(struct lanes *l, __mmask16 k, __m512 t, __m512 shift)
{
	__mmask16 good = _mm512_mask_cmp_ps_mask(k, t, t, _CMP_ORD_Q);
	__m512 d = _mm512_maskz_sub_ps(good, t, shift);

	l->sum = _mm512_add_ps(l->sum, d);
	l->squares = _mm512_fmadd_ps(d, d, l->squares);
	l->min = _mm512_mask_min_ps(l->min, good, t, l->min);
	l->max = _mm512_mask_max_ps(l->max, good, t, l->max);
	l->good += (uint32_t)_mm_popcnt_u32(good);
}

/* Lanes folded 8-4-2-1. */
static inline float fold(__m512 v)
{
	__m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
	__m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
	__m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));

	return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

void moments_block_avx512(struct block_sums *ret, const float *t, size_t n, float shift)
{
	__m512 from = _mm512_set1_ps(shift);
	struct lanes l = { .min = _mm512_set1_ps(INFINITY), .max = _mm512_set1_ps(-INFINITY) };
	size_t i = 0;

	for (; i + 16 <= n; i += 16)
		add16(&l, 0xffff, _mm512_loadu_ps(t + i), from);
	if (i < n) {
		__mmask16 k = (__mmask16)((1u << (n - i)) - 1);

		add16(&l, k, _mm512_maskz_loadu_ps(k, t + i), from);
	}
	*ret = (struct block_sums){
		.sum = fold(l.sum),
		.squares = fold(l.squares),
		.min = _mm512_reduce_min_ps(l.min),
		.max = _mm512_reduce_max_ps(l.max),
		.good = l.good,
	};
}
