/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/defects.h"

#include "kernels/cpu.h"

#include <math.h>

/* Comparisons with NaN keep what was there. */
static inline void add_neighbour(float *most, float *least, float v)
{
	*most = v > *most ? v : *most;
	*least = v < *least ? v : *least;
}

/* At most 64 pixels. */
static void find64(uint64_t *ret_hot, uint64_t *ret_dead, const float *above, const float *here,
                   const float *below, float margin, size_t n)
{
	uint64_t hot = 0, dead = 0;

	for (size_t i = 0; i < n; i++) {
		const float *rows[3] = { above + i, here + i, below + i };
		float most = -INFINITY, least = INFINITY;

		for (unsigned y = 0; y < 3; y++)
			for (int x = -1; x <= 1; x++)
				if (y != 1 || x != 0)
					add_neighbour(&most, &least, rows[y][x]);
		hot |= (uint64_t)(here[i] > most + margin) << i;
		dead |= (uint64_t)(here[i] < least - margin) << i;
	}
	*ret_hot = hot;
	*ret_dead = dead;
}

bool find_defects_scalar(uint64_t *restrict hot, uint64_t *restrict dead, const float *above,
                         const float *here, const float *below, float margin, size_t n)
{
	uint64_t any = 0;

	for (size_t i = 0, g = 0; i < n; i += 64, g++) {
		find64(&hot[g], &dead[g], above + i, here + i, below + i, margin,
		       n - i < 64 ? n - i : 64);
		any |= hot[g] | dead[g];
	}
	return any != 0;
}

find_defects_fn *defects_for(unsigned cpu)
{
	const struct defects_impl *best = defects_impls;

	for (const struct defects_impl *i = defects_impls; i->name; i++)
		if (!(i->needs & ~cpu))
			best = i;
	return best->fn;
}

const struct defects_impl defects_impls[] = {
	{ "scalar", 0, find_defects_scalar },
#ifdef __x86_64__
	{ "avx2", CPU_AVX2, find_defects_avx2 },
	{ "avx512", CPU_AVX512, find_defects_avx512 },
#endif
	{ 0 },
};
