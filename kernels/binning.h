/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_BINNING_H
#define KERNELS_BINNING_H

#include <stddef.h>

/* Bin b rows of b x b squares: the mean of the good pixels of each.
 *
 *   sum[x]   = t[0][x] + t[1][x] + ... in order, NaN left out;   count[x] likewise
 *   then log2(b) times: sum[i] = sum[2i] + sum[2i + 1], count[i] likewise
 *   out[i]   = sum[i] / count[i]; 0 / 0 is NaN, of any bits
 *
 * out     mean                                       [width / b]
 * t       flattened pixels, NaN is bad               [b][width]
 * sum     scratch; may be out                        [width]
 * count   scratch                                    [width]
 * b       2 4 8 16 32
 *
 * Columns beyond width / b * b are left out. All float32, nothing fused: every implementation
 * gives the same bits. Any alignment. Cannot fail. */
typedef void bin_rows_fn(float *out, const float *restrict t, float *sum, float *restrict count,
                         size_t width, unsigned b);

struct binning_impl {
	const char *name;
	unsigned needs; /* enum cpu_flag */
	bin_rows_fn *fn;
};

extern const struct binning_impl binning_impls[];

/* The fastest implementation that needs nothing outside `cpu`. Never NULL. */
bin_rows_fn *binning_for(unsigned cpu);

bin_rows_fn bin_rows_scalar, bin_rows_avx2, bin_rows_avx512;

#endif
