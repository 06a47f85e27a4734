/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_FLATTEN_H
#define KERNELS_FLATTEN_H

#include "kernels/layout.h"

/* Subtract the dark and scale by the inverse flat.
 *
 *   t[i] = ((float)raw[i] - offset[i]) * gain[i]      0 <= i < n
 *
 * raw     counts of the table's pixel type, machine byte order     [n], any alignment
 * offset  mean dark level, counts                                  [n]
 * gain    1 / (flat - dark), or 1; NaN marks a bad pixel           [n]
 * t       transmission, dimensionless, or counts above dark; NaN
 *         where the pixel is bad                                   [n]
 *
 * uint32: raw - offset is formed in double, then rounded to float. float32: a raw value that is
 * not finite is bad in this frame. Every rounding is to nearest even and nothing is fused: every
 * implementation returns the same bits, except that any quiet NaN may stand for a bad pixel.
 * No overlap. Any n. Cannot fail. */
typedef void flatten_fn(float *restrict t, const void *restrict raw, const float *restrict offset,
                        const float *restrict gain, size_t n);

/* Scale by the inverse of the dose, in place.
 *
 *   t[i] = t[i] * scale      0 <= i < n
 *
 * Any n, any alignment of t. Every implementation returns the same bits. Cannot fail. */
typedef void scale_fn(float *t, float scale, size_t n);

struct flatten_impl {
	const char *name;
	unsigned needs; /* enum cpu_flag */
	flatten_fn *fn[PRODUCT_TYPE_COUNT];
	scale_fn *scale;
};

extern const struct flatten_impl flatten_impls[];

/* The fastest implementation that needs nothing outside `cpu`. Never NULL. */
const struct flatten_impl *flatten_for(unsigned cpu);

flatten_fn flatten_uint8_scalar, flatten_uint8_avx2, flatten_uint8_avx512;
flatten_fn flatten_uint16_scalar, flatten_uint16_avx2, flatten_uint16_avx512;
flatten_fn flatten_uint32_scalar, flatten_uint32_avx2, flatten_uint32_avx512;
flatten_fn flatten_float32_scalar, flatten_float32_avx2, flatten_float32_avx512;
scale_fn scale_scalar, scale_avx2, scale_avx512;

#endif
