/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_UNPACK_H
#define KERNELS_UNPACK_H

#include "kernels/layout.h"

/* Bring payload pixels into the machine's byte order, one by one in whole words.
 *
 * out     pixels of product_of_layout()      [n], any alignment
 * raw     payload from pixel 0               [raw_layout_bytes(l, first + n)], any alignment
 * first   the pixel to begin with, wherever in a byte it lies
 *
 * No overlap. Any first and n. Reads nothing beyond the byte that the last pixel ends in. Cannot
 * fail. */
typedef void unpack_fn(void *restrict out, const void *restrict raw, size_t first, size_t n);

struct unpack_impl {
	const char *name;
	unsigned needs; /* enum cpu_flag */
	unpack_fn *fn[RAW_LAYOUT_COUNT];
};

/* In rising order of speed, ended by a row with name NULL; so are all tables of kernels. */
extern const struct unpack_impl unpack_impls[];

/* The fastest implementation that needs nothing outside `cpu`. Never NULL. */
const struct unpack_impl *unpack_for(unsigned cpu);

/* Variants. Copies are memcpy() everywhere: nothing is faster. */
unpack_fn copy8, copy16, copy32;
unpack_fn nibbles_scalar;
unpack_fn swap16_scalar, swap16_avx2, swap16_avx512;
unpack_fn swap32_scalar, swap32_avx2, swap32_avx512;
unpack_fn mono10p_scalar, mono10p_avx2, mono10p_avx512, mono10p_avx512icl;
unpack_fn mono10packed_scalar, mono10packed_avx2, mono10packed_avx512, mono10packed_avx512icl;
unpack_fn mono12p_scalar, mono12p_avx2, mono12p_avx512, mono12p_avx512icl;
unpack_fn mono12packed_scalar, mono12packed_avx2, mono12packed_avx512, mono12packed_avx512icl;
unpack_fn mono14p_scalar, mono14p_avx2, mono14p_avx512, mono14p_avx512icl;

#endif
