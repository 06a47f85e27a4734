/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_UNSHUFFLE_H
#define KERNELS_UNSHUFFLE_H

#include <stddef.h>

/* Undo bitshuffle's transpose of one block (HDF5 filter 32008; kernels/shuffle.h does it).
 *
 *   bit r % 8 of byte r / 8 of element 8j + i  =  bit i of byte j of row r
 *
 * in    8 rows for each byte of an element; row 0 is the lowest bit    [8 * element bytes][n / 8]
 * out   little-endian elements of 1, 2 or 4 bytes                      [n]
 *
 * n a multiple of 8, any alignment. No overlap. Cannot fail. */
typedef void unshuffle_fn(void *restrict out, const void *restrict in, size_t n);

struct unshuffle_impl {
	const char *name;
	unsigned needs;      /* enum cpu_flag */
	unshuffle_fn *fn[3]; /* elements of 1, 2 and 4 bytes */
};

extern const struct unshuffle_impl unshuffle_impls[];

/* The fastest implementation that needs nothing outside `cpu`. Never NULL. */
const struct unshuffle_impl *unshuffle_for(unsigned cpu);

/* The scalar one for the elements from 8 * `column` on only; out, in and n are the whole block's:
 * what variants leave over. */
void unshuffle_columns(void *restrict out, const void *restrict in, size_t elem_bytes, size_t n,
                       size_t column);

unshuffle_fn unshuffle8_scalar, unshuffle8_avx2, unshuffle8_avx512, unshuffle8_avx512icl;
unshuffle_fn unshuffle16_scalar, unshuffle16_avx2, unshuffle16_avx512, unshuffle16_avx512icl;
unshuffle_fn unshuffle32_scalar, unshuffle32_avx2, unshuffle32_avx512, unshuffle32_avx512icl;

#endif
