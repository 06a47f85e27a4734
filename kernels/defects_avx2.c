/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/defects.h"

#include <immintrin.h>
#include <math.h>

struct extremes {
	__m256 most, least;
};

/* Comparisons with NaN keep what was there: the second operand. */
static inline void add_neighbours(struct extremes *e, const float *v)
{
	__m256 here = _mm256_loadu_ps(v);

	e->most = _mm256_max_ps(here, e->most);
	e->least = _mm256_min_ps(here, e->least);
}

static inline uint64_t bits_of(__m256 mask)
{
	return (unsigned)_mm256_movemask_ps(mask);
}

/* 8 pixels. */
static inline void find8(uint64_t *hot, uint64_t *dead, unsigned shift, const float *above,
                         const float *here, const float *below, __m256 margin)
{
	struct extremes e = { _mm256_set1_ps(-INFINITY), _mm256_set1_ps(INFINITY) };
	__m256 t = _mm256_loadu_ps(here);

	add_neighbours(&e, above - 1);
	add_neighbours(&e, above);
	add_neighbours(&e, above + 1);
	add_neighbours(&e, here - 1);
	add_neighbours(&e, here + 1);
	add_neighbours(&e, below - 1);
	add_neighbours(&e, below);
	add_neighbours(&e, below + 1);
	*hot |= bits_of(_mm256_cmp_ps(t, _mm256_add_ps(e.most, margin), _CMP_GT_OQ)) << shift;
	*dead |= bits_of(_mm256_cmp_ps(t, _mm256_sub_ps(e.least, margin), _CMP_LT_OQ)) << shift;
}

bool find_defects_avx2(uint64_t *restrict hot, uint64_t *restrict dead, const float *above,
                       const float *here, const float *below, float margin, size_t n)
{
	__m256 by = _mm256_set1_ps(margin);
	uint64_t any = 0;
	size_t i = 0, g = 0;

	for (; i + 64 <= n; g++) {
		uint64_t hots = 0, deads = 0;

		for (unsigned j = 0; j < 64; j += 8, i += 8)
			find8(&hots, &deads, j, above + i, here + i, below + i, by);
		hot[g] = hots;
		dead[g] = deads;
		any |= hots | deads;
	}
	return find_defects_scalar(hot + g, dead + g, above + i, here + i, below + i, margin,
	                           n - i) ||
	       any != 0;
}
