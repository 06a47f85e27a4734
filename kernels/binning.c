/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/binning.h"

#include "kernels/cpu.h"

#include <math.h>

static void add_rows(float *restrict sum, float *restrict count, const float *restrict t,
                     size_t width, size_t columns, unsigned b)
{
	for (size_t x = 0; x < columns; x++) {
		sum[x] = 0;
		count[x] = 0;
		for (unsigned y = 0; y < b; y++) {
			float v = t[y * width + x];

			sum[x] += isnan(v) ? 0 : v;
			count[x] += isnan(v) ? 0 : 1;
		}
	}
}

static void fold_pairs(float *v, size_t pairs)
{
	for (size_t i = 0; i < pairs; i++)
		v[i] = v[2 * i] + v[2 * i + 1];
}

void bin_rows_scalar(float *out, const float *restrict t, float *sum, float *restrict count,
                     size_t width, unsigned b)
{
	size_t columns = width / b * b;

	add_rows(sum, count, t, width, columns, b);
	for (; b > 1; b /= 2) {
		columns /= 2;
		fold_pairs(sum, columns);
		fold_pairs(count, columns);
	}
	for (size_t i = 0; i < columns; i++)
		out[i] = sum[i] / count[i];
}

bin_rows_fn *binning_for(unsigned cpu)
{
	const struct binning_impl *best = binning_impls;

	for (const struct binning_impl *i = binning_impls; i->name; i++)
		if (!(i->needs & ~cpu))
			best = i;
	return best->fn;
}

const struct binning_impl binning_impls[] = {
	{ "scalar", 0, bin_rows_scalar },
#ifdef __x86_64__
	{ "avx2", CPU_AVX2, bin_rows_avx2 },
	{ "avx512", CPU_AVX512, bin_rows_avx512 },
#endif
	{ 0 },
};
