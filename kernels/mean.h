/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_MEAN_H
#define KERNELS_MEAN_H

#include "kernels/layout.h"

#include <stdbool.h>
#include <stdint.h>

/* The mean of several frames, before they are normalised: raw counts are summed exactly, divided
 * once, normalised once. */

/* Bytes of the sum of one pixel: uint32 for pixels of 8 and 16 bits, which up to 65536 frames
 * cannot overflow, uint64 for uint32, double for float32. */
size_t mean_sum_bytes(enum product_type type);

/* Add a frame to the sums, or begin them with it.
 *
 * sums     of mean_sum_bytes() each, aligned to them     [n]
 * pixels   of the type, machine byte order               [n], aligned to their type
 *
 * Integers are exact in any order; float32 is summed in double in the order of the calls. One
 * implementation: memory decides its speed, and the compiler vectorises it. Cannot fail. */
void mean_add(void *restrict sums, const void *restrict pixels, enum product_type type, size_t n,
              bool begin);

/* The same where a raw value says that a pixel has none: its mean is then bad, whatever the other
 * frames have. Not for float32. */
void mean_add_marked(void *restrict sums, const void *restrict pixels, enum product_type type,
                     uint32_t no_value, size_t n, bool begin);

/* Spoil the sums of n pixels: their mean is bad, whatever the frames have. With
 * mean_add_marked() for all other frames, and not for float32. */
void mean_spoil(void *sums, enum product_type type, size_t n);

/* Normalise the mean.
 *
 *   t[i] = (float)(sums[i] / frames - offset[i]) * gain[i]      up to the rounding in double
 *
 * within 2 ulp of the real value; bad where mean_add_marked() says so, and for float32 where the
 * sum is not finite.
 *
 * sums     as above                                         [n]
 * frames   how many are in them
 * offset, gain, t   as flatten.h; offset NULL: 0, gain NULL: 1   [n]
 *
 * Cannot fail. */
void mean_flatten(float *restrict t, const void *restrict sums, enum product_type type,
                  uint32_t frames, const float *restrict offset, const float *restrict gain,
                  size_t n);

#endif
