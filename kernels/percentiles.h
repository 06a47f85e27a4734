/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_PERCENTILES_H
#define KERNELS_PERCENTILES_H

#include "kernels/histogram.h"

#include <stdbool.h>
#include <stdint.h>

/* Percentiles 0.1, 1, 50, 99 and 99.9 of pixels, from their histogram.
 *
 * Of n pixels (not a number left out) the p-th percentile is the one of rank max(1, ceil(n (p /
 * 100))) in rising order, in double, as numpy.percentile(..., method="inverted_cdf") takes it. In
 * the bin that holds that rank, with `before` pixels below the bin and `count` in it,
 *
 *   whole bins    its lower edge: the pixel itself, where a bin is one count wide
 *   otherwise     low + width * (bin + (rank - before - 0.5) / count), in double
 *
 * -inf, inf: the pixel is below or above the histogram. NaN: there is none. */
#define PERCENTILES 5

extern const double percentile_ranks[PERCENTILES]; /* 0.1, 1, 50, 99, 99.9 */

/* counts [b->bins]; whole: pixels are integers and bins at most one count wide. Cannot fail. Any
 * thread. About a nanosecond a bin. */
void percentiles(float ret[PERCENTILES], const struct bins *b, const uint32_t *counts,
                 const struct histogram_tails *tails, bool whole);

/* The same for the counts of a series. */
void percentiles_of_series(float ret[PERCENTILES], const struct bins *b, const uint64_t *counts,
                           const struct histogram_tails *tails, bool whole);

#endif
