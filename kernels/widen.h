/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_WIDEN_H
#define KERNELS_WIDEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What pixels can be in a message that become float32 before anything is made of them. */
enum stored_type {
	STORED_PLAIN, /* nothing of the kind: the pass reads them as they are */
	STORED_INT8,
	STORED_INT16,
	STORED_INT32,
	STORED_INT64,
	STORED_UINT64,
	STORED_FLOAT16,
	STORED_FLOAT64,
	STORED_TYPE_COUNT
};

/* Bytes of one; 0 for STORED_PLAIN. */
unsigned stored_bytes(enum stored_type t);

#define WIDEN_NO_VALUE INT64_MIN /* where every pixel has a value */

/* To float32, which is exact for integers up to 2^24 and to nearest even beyond.
 *
 *   out[i] = raw[i], NaN where an integer is no_value (STORED_UINT64: as an int64_t)
 *
 * raw        of the type, not STORED_PLAIN, any alignment      [n]
 * no_value   beyond the type: no pixel has it
 * out        any alignment                                     [n]
 *
 * In place: types of 4 bytes and more may begin where out does, smaller ones may be the last n of
 * out's memory. Any n. Cannot fail. One implementation, of loops that the compiler
 * vectorises. */
void widen(void *out, const void *raw, enum stored_type type, bool big_endian, int64_t no_value,
           size_t n);

#endif
