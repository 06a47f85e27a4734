/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_UNPACK_H
#define KERNELS_UNPACK_H

#include "kernels/layout.h"

/* Bring payload pixels into the machine's byte order, contiguous.
 *
 * out   pixels of product_of_layout()      [n], any alignment
 * raw   payload                            [raw_layout_bytes(l, n)], any alignment
 *
 * No overlap. Any n. Cannot fail. */
typedef void unpack_fn(void *restrict out, const void *restrict raw, size_t n);

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
unpack_fn swap16_scalar, swap16_avx2, swap16_avx512;
unpack_fn swap32_scalar, swap32_avx2, swap32_avx512;

#endif
