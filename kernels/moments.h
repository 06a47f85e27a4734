/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_MOMENTS_H
#define KERNELS_MOMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of good pixels; all NaN when there is none. */
struct moments {
	double min, max, mean, std; /* std: population, as numpy.std */
};

/* Moments of float32 pixels, the same bits on every instruction set and for every tile.
 *
 * Pixels are taken in blocks of 1024 counted from the start of the frame. Within a block:
 * deviations from a shift, summed in float32 in 16 lanes by (index % 16), squares with fmaf(),
 * the lanes folded 8-4-2-1. Blocks are added in order in double:
 *
 *   sum     += S1 + n (shift - origin)
 *   squares += S2 + 2 (shift - origin) S1 + n (shift - origin)^2
 *
 * so that mean = origin + sum / good and var = squares / good - (sum / good)^2. While fewer
 * pixels are known to be good than a block has, its shift is its own mean, from deviations from
 * its first good pixel; the first such shift is the origin. Each time the good pixels have doubled
 * the shift becomes the mean so far. Shifts are rounded to about a thousandth of the spread. So a
 * shift is never farther from the frame's mean than the frame's own spread makes harmless: neither
 * the float sums nor the last subtraction cancel. The standard deviation is good to 1e-6 of
 * itself, the mean to 1e-6 of itself or of the standard deviation, for deviations between 1e-15
 * and 1e15. */
#define MOMENTS_BLOCK 1024
#define MOMENTS_LANES 16

struct block_sums {
	float sum, squares; /* of deviations from the shift */
	float min, max;     /* +inf and -inf when nothing is good */
	uint32_t good;
};

/* Sum one block: n <= MOMENTS_BLOCK pixels of t, any alignment; NaN is left out. Cannot fail. */
typedef void moments_block_fn(struct block_sums *ret, const float *t, size_t n, float shift);

struct moments_impl {
	const char *name;
	unsigned needs; /* enum cpu_flag */
	moments_block_fn *fn;
};

extern const struct moments_impl moments_impls[];

/* The fastest implementation that needs nothing outside `cpu`. Never NULL. */
moments_block_fn *moments_for(unsigned cpu);

/* The moments of one frame while its tiles come in. */
struct moments_run {
	double origin, sum, squares;
	uint64_t good, renewal; /* renewal: good pixels at which the shift is renewed */
	float shift, min, max;
	uint32_t held;              /* pixels of an unfinished block */
	float block[MOMENTS_BLOCK]; /* they */
};

/* Begin a frame. */
void moments_begin(struct moments_run *m);

/* The next n pixels of the frame. */
void moments_add(struct moments_run *m, moments_block_fn *fn, const float *t, size_t n);

/* For who sums blocks without moments_block_fn: whether the next block's shift is its own mean, so
 * that its pixels are needed twice. Once it is not, it is not for the rest of the frame. */
bool moments_are_few(const struct moments_run *m);

/* Fold the lanes of a block 8-4-2-1. */
float moments_fold(const float lanes[MOMENTS_LANES]);

/* Add the block whose deviations are from m->shift; no block may be held, nor the moments few. */
void moments_add_sums(struct moments_run *m, const struct block_sums *b);

/* End the frame. Infinite pixels count: the mean is then what numpy says, the std NaN. */
void moments_finish(struct moments_run *m, moments_block_fn *fn, struct moments *ret);

moments_block_fn moments_block_scalar, moments_block_avx2, moments_block_avx512;

#endif
