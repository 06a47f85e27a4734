/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_WIDEN_H
#define KERNELS_WIDEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Signed integers to float32, exact up to 2^24 and to nearest even beyond.
 *
 *   out[i] = raw[i], NaN where raw[i] == no_value
 *
 * raw        integers of 1, 2 or 4 bytes, any alignment      [n]
 * no_value   beyond the type: no pixel has it
 * out        any alignment                                   [n]
 *
 * raw may be the last n integers of out's memory. Any n. Cannot fail. One implementation: the
 * compiler vectorises it. */
void widen_signed(void *out, const void *raw, unsigned bytes, bool big_endian, int64_t no_value,
                  size_t n);

#define WIDEN_NO_VALUE INT64_MIN /* where every pixel has a value */

#endif
