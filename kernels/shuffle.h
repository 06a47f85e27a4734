/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_SHUFFLE_H
#define KERNELS_SHUFFLE_H

#include <stddef.h>

/* Bitshuffle's transpose of one block (HDF5 filter 32008; kernels/unshuffle.h undoes it).
 *
 *   bit i of byte j of row r  =  bit r % 8 of byte r / 8 of element 8j + i
 *
 * in    little-endian elements of 1, 2 or 4 bytes                      [n]
 * out   8 rows for each byte of an element; row 0 is the lowest bit    [8 * element bytes][n / 8]
 *
 * n a multiple of 8, any alignment. No overlap. Cannot fail. */
typedef void shuffle_fn(void *restrict out, const void *restrict in, size_t n);

struct shuffle_impl {
	const char *name;
	unsigned needs;    /* enum cpu_flag */
	shuffle_fn *fn[3]; /* elements of 1, 2 and 4 bytes */
};

extern const struct shuffle_impl shuffle_impls[];

/* The fastest implementation that needs nothing outside `cpu`. Never NULL. */
const struct shuffle_impl *shuffle_for(unsigned cpu);

/* The scalar one for the elements from 8 * `column` on only; out, in and n are the whole block's:
 * what variants leave over. */
void shuffle_columns(void *restrict out, const void *restrict in, size_t elem_bytes, size_t n,
                     size_t column);

shuffle_fn shuffle8_scalar, shuffle8_avx2, shuffle8_avx512;
shuffle_fn shuffle16_scalar, shuffle16_avx2, shuffle16_avx512;
shuffle_fn shuffle32_scalar, shuffle32_avx2, shuffle32_avx512;

#endif
