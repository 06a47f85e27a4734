/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_COEFFICIENTS_H
#define KERNELS_COEFFICIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Make the planes that flattening reads from the calibration images.
 *
 *   offset[i] = D[i]                  0 without a dark
 *   gain[i]   = 1 / (F[i] - D'[i])    in double, rounded once; 1 unless `scale`
 *   gain[i]   = NaN                   where the pixel is bad
 *
 * D' is the flat's own dark, or D without one. A pixel is bad where D, D' or F is not finite, a
 * mask says so (non-zero), or, with `scale`, F - D' <= 0 or the gain is not finite or subnormal.
 *
 * dark, flat, flat_dark, mask   counts; NULL for none (flat is needed with scale)   [n]
 * offset, gain                  written                                            [n]
 *
 * Returns the number of bad pixels. Cannot fail. Set-up time, not per frame. */
uint64_t coefficients(float *restrict offset, float *restrict gain, const float *dark,
                      const float *flat, const float *flat_dark, const float *mask, bool scale,
                      size_t n);

#endif
