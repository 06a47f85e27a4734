/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_CBOR_WALK_H
#define BENCH_CBOR_WALK_H

#include "ingest/cbor_reader.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CBOR (RFC 8949) looked at where it lies: nothing is built, nothing is allocated, and a length
 * is believed only when its bytes are there. */

#define CBOR_WALK_DEPTH_MAX 32 /* arrays and maps inside each other; more is refused */
#define CBOR_WALK_WHY       160

/* The bytes of the data item at the start of data: well formed, with all that it contains.
 * 0, or -EINVAL with what is wrong in why. */
int cbor_walk_item(const uint8_t *data, size_t size, size_t *ret_bytes, char why[CBOR_WALK_WHY]);

/* An array of byte or text strings being read, string by string. */
struct cbor_strings {
	struct cbor_reader reader; /* at the next string or, at the end, behind the array */
	bool endless;              /* ended by a break */
	uint64_t due;              /* strings to come, unless endless */
};

/* Begin to read the array at the start of data, behind a self-described CBOR tag or not.
 * 0, or -EINVAL with why. */
int cbor_strings_begin(struct cbor_strings *s, const uint8_t *data, size_t size,
                       char why[CBOR_WALK_WHY]);

/* The next string, in data. 1: there is one; 0: the array ended, where s->reader is; -EINVAL with
 * why: no array of strings of known length. */
int cbor_strings_next(struct cbor_strings *s, const uint8_t **ret_string, size_t *ret_bytes,
                      char why[CBOR_WALK_WHY]);

#endif
