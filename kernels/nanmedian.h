/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_NANMEDIAN_H
#define KERNELS_NANMEDIAN_H

#include <stddef.h>

/* The median of the values that are numbers, in double, as numpy.nanmedian of them as float64: of
 * an even number the mean of the two in the middle. NaN when there is none.
 *
 * values   any order, infinite ones count   [n], n below 2^32
 *
 * Four passes, no memory. Cannot fail. Any thread. */
double nanmedian(const float *values, size_t n);

/* Of |value - centre|, rounded to float32 each: with centre the median, what robust deviations are
 * made of. Overwrites the values. */
double nanmedian_deviation(float *values, double centre, size_t n);

#endif
