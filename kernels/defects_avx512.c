/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/defects.h"

#include <immintrin.h>
#include <math.h>

/* 16 columns of the three rows. A comparison with NaN keeps the second operand. */
struct columns {
	__m512 here;
	__m512 most2, least2; /* of the pixels above and below, */
	__m512 most3, least3; /* and here */
};

struct rows {
	const float *above, *here, *below;
	size_t n;
};

static inline struct columns columns_of(__mmask16 k, const float *above, const float *here,
                                        const float *below)
{
	__m512 none = _mm512_set1_ps(NAN);
	__m512 a = _mm512_mask_loadu_ps(none, k, above), b = _mm512_mask_loadu_ps(none, k, below);
	struct columns c = { .here = _mm512_mask_loadu_ps(none, k, here) };

	c.most2 = _mm512_max_ps(a, _mm512_max_ps(b, _mm512_set1_ps(-INFINITY)));
	c.least2 = _mm512_min_ps(a, _mm512_min_ps(b, _mm512_set1_ps(INFINITY)));
	c.most3 = _mm512_max_ps(c.here, c.most2);
	c.least3 = _mm512_min_ps(c.here, c.least2);
	return c;
}

/* From column i on, as far as the rows reach. */
static inline struct columns columns_at(const struct rows *r, size_t i)
{
	size_t left = i <= r->n ? r->n + 1 - i : 0;
	__mmask16 k = (__mmask16)(left < 16 ? (1u << left) - 1 : 0xffff);

	return columns_of(k, r->above + i, r->here + i, r->below + i);
}

static inline __m512 from_left(__m512 left, __m512 here)
{
	return _mm512_castsi512_ps(
		_mm512_alignr_epi32(_mm512_castps_si512(here), _mm512_castps_si512(left), 15));
}

static inline __m512 from_right(__m512 here, __m512 right)
{
	return _mm512_castsi512_ps(
		_mm512_alignr_epi32(_mm512_castps_si512(right), _mm512_castps_si512(here), 1));
}

static inline void find16(uint64_t *hot, uint64_t *dead, unsigned shift, const struct columns *left,
                          const struct columns *here, const struct columns *right, __m512 margin)
{
	__m512 most = _mm512_max_ps(from_left(left->most3, here->most3),
	                            from_right(here->most3, right->most3));
	__m512 least = _mm512_min_ps(from_left(left->least3, here->least3),
	                             from_right(here->least3, right->least3));
	__m512 above = _mm512_add_ps(_mm512_max_ps(most, here->most2), margin);
	__m512 below = _mm512_sub_ps(_mm512_min_ps(least, here->least2), margin);

	*hot |= (uint64_t)_mm512_cmp_ps_mask(here->here, above, _CMP_GT_OQ) << shift;
	*dead |= (uint64_t)_mm512_cmp_ps_mask(here->here, below, _CMP_LT_OQ) << shift;
}

bool find_defects_avx512(uint64_t *restrict hot, uint64_t *restrict dead, const float *above,
                         const float *here, const float *below, float margin, size_t n)
{
	const struct rows r = { above, here, below, n };
	__m512 by = _mm512_set1_ps(margin);
	struct columns left = columns_of(0x8000, above - 16, here - 16, below - 16);
	struct columns at = columns_at(&r, 0);
	uint64_t any = 0;

	for (size_t i = 0, g = 0; i < n; i += 64, g++) {
		uint64_t hots = 0, deads = 0,
			 there = n - i < 64 ? (UINT64_C(1) << (n - i)) - 1 : UINT64_MAX;

		for (unsigned j = 0; j < 64; j += 16) {
			struct columns right = columns_at(&r, i + j + 16);

			find16(&hots, &deads, j, &left, &at, &right, by);
			left = at;
			at = right;
		}
		hot[g] = hots & there;
		dead[g] = deads & there;
		any |= hot[g] | dead[g];
	}
	return any != 0;
}
