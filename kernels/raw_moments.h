/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_RAW_MOMENTS_H
#define KERNELS_RAW_MOMENTS_H

#include "kernels/layout.h"
#include "kernels/moments.h"

#include <stdint.h>

/* Exact sums over the good raw pixels of a frame, added to tile by tile: exact in any order.
 * Start from { .min = UINT32_MAX }. */
struct raw_sums {
	uint64_t good;
	uint64_t saturated;
	uint64_t sum;
	uint64_t squares_low, squares_high; /* sum of squares = low + 2^32 high */
	uint32_t min, max;                  /* mean nothing while good is 0 */
};

/* Add the good pixels of a tile.
 *
 * raw         counts, machine byte order          [n], any alignment
 * t           flattened; a pixel is good where it is not NaN   [n]
 * saturation  counts; what is equal or more is saturated; a value of the type
 *
 * Any n below 2^31. Every implementation adds the same. Cannot fail. */
typedef void raw_sums_fn(struct raw_sums *sums, const void *restrict raw, const float *restrict t,
                         uint32_t saturation, size_t n);

/* Float payloads: make NaN of what is bad, so that moments.h can run on the rest.
 *
 *   out[i] = t[i] is NaN ? NaN : raw[i]           [n]
 *
 * Returns how many good ones are equal to `saturation` or more. */
typedef uint64_t raw_screen_fn(float *restrict out, const void *restrict raw,
                               const float *restrict t, float saturation, size_t n);

struct raw_moments_impl {
	const char *name;
	unsigned needs;                     /* enum cpu_flag */
	raw_sums_fn *sums[PRODUCT_FLOAT32]; /* uint8, uint16, uint32 */
	raw_screen_fn *screen;
};

extern const struct raw_moments_impl raw_moments_impls[];

/* The fastest implementation that needs nothing outside `cpu`. Never NULL. */
const struct raw_moments_impl *raw_moments_for(unsigned cpu);

/* What the sums say: mean = sum / good, std from the exact integer
 * good * squares - sum^2, rounded once. All NaN when nothing is good. */
void raw_moments_finish(const struct raw_sums *sums, struct moments *ret);

raw_sums_fn raw_sums_uint8_scalar, raw_sums_uint8_avx2, raw_sums_uint8_avx512;
raw_sums_fn raw_sums_uint16_scalar, raw_sums_uint16_avx2, raw_sums_uint16_avx512;
raw_sums_fn raw_sums_uint32_scalar, raw_sums_uint32_avx2, raw_sums_uint32_avx512;
raw_screen_fn raw_screen_scalar, raw_screen_avx2, raw_screen_avx512;

#endif
