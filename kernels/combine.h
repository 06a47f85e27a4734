/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_COMBINE_H
#define KERNELS_COMBINE_H

#include "kernels/layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Many frames made into one image, pixel by pixel, a run of pixels at a time.
 *
 *   mean      sum x / N                        integers: from the exact sum, in double
 *   variance  (N sum x^2 - (sum x)^2) / N^2    of the population, as numpy.var. Integers: from the
 *                                              exact difference, in double; float32: the mean of
 *                                              (x - mean)^2, both in double in frame order
 *   median    the middle one in rising order, the mean of the two middle ones for an even N,
 *             as numpy.median
 *
 * each rounded to float32 at the end. A pixel that has no value in one of the frames has none in
 * the image: NaN.
 *
 * One implementation: it has only integers and doubles in a fixed order, and the compiler makes
 * vectors of it, so the bits are the same on every instruction set and for every run of pixels. */
#define COMBINE_FRAMES_MAX 65535

struct combine_stack {
	const void *const *frames; /* [count], each [n] pixels, machine byte order, aligned to
	                              their type */
	unsigned count;            /* 1 to COMBINE_FRAMES_MAX */
	enum product_type type;
	bool has_no_value; /* integer pixels of raw value no_value have none; of float32 those have
	                      none that are not finite */
	uint32_t no_value;
};

/* mean, variance   [n], counts and counts squared; mean NULL: not wanted
 *
 * Cannot fail. Any thread. About a nanosecond a pixel and frame. */
void combine_moments(float *restrict mean, float *restrict variance, const struct combine_stack *s,
                     size_t n);

/* median   [n], counts. Takes log2(spread of a pixel's values) rounds of about half a nanosecond a
 * pixel and frame: 7 ns for 600 counts. */
void combine_median(float *restrict median, const struct combine_stack *s, size_t n);

/* The sum of a frame's pixels, added to run by run. Zeroed at first.
 *
 * Integers are exact in any order. float32: each call adds in double in 16 lanes by (index % 16),
 * folds them 8-4-2-1 and adds that, so that whoever adds whole rows gets the same bits always. */
struct frame_sum {
	uint64_t good; /* pixels with a value */
	uint64_t whole;
	double real;
};

/* s: as above, with one frame; n pixels of it. Cannot fail. Any thread. */
void frame_sum_add(struct frame_sum *sum, const void *pixels, const struct combine_stack *s,
                   size_t n);

/* NaN when no pixel has a value. */
double frame_sum_mean(const struct frame_sum *sum, enum product_type type);

#endif
