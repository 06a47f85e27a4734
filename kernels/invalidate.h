/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_INVALIDATE_H
#define KERNELS_INVALIDATE_H

#include "kernels/layout.h"

#include <stdint.h>

/* Call pixels bad whose raw value is the one that a detector marks them with.
 *
 *   t[i] = NaN where raw[i] == value, else as it was      0 <= i < n
 *
 * raw     counts of the table's pixel type, machine byte order     [n], any alignment
 * value   beyond the type's maximum: no pixel has it
 * t       flattened pixels; bad ones become 0x7fc00000             [n]
 *
 * No overlap. Any n. Cannot fail. */
typedef void invalidate_fn(float *restrict t, const void *restrict raw, uint32_t value, size_t n);

struct invalidate_impl {
	const char *name;
	unsigned needs;                        /* enum cpu_flag */
	invalidate_fn *fn[PRODUCT_TYPE_COUNT]; /* float32: NULL, NaN marks its pixels */
};

extern const struct invalidate_impl invalidate_impls[];

/* The fastest implementation that needs nothing outside `cpu`. Never NULL. */
const struct invalidate_impl *invalidate_for(unsigned cpu);

invalidate_fn invalidate_uint8_scalar, invalidate_uint8_avx2, invalidate_uint8_avx512;
invalidate_fn invalidate_uint16_scalar, invalidate_uint16_avx2, invalidate_uint16_avx512;
invalidate_fn invalidate_uint32_scalar, invalidate_uint32_avx2, invalidate_uint32_avx512;

#endif
