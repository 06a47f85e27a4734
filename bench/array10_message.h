/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_ARRAY10_MESSAGE_H
#define BENCH_ARRAY10_MESSAGE_H

#include "bench/faults.h"
#include "bench/header_keys.h"
#include "ingest/frame.h"

#include <stddef.h>
#include <stdint.h>

/* The header part of an array-1.0 message as a sender writes it, whole or damaged. The message is
 * made by array10_frame() of bench/encoder.h. */

#define ARRAY10_HEADER_MAX (256 + HEADER_KEYS_MAX) /* bytes */

struct array10_shape {
	uint32_t width, height; /* pixels */
	enum pixel_type type;
	bool big_endian;       /* `endianness` is written only then */
	uint64_t timestamp_ns; /* 0: none */
	const char *keys;      /* of one's own, as header_keys_add() writes them; NULL: none */
};

/* Write the header of one frame; no terminator, no newline. Returns its length in bytes. */
size_t array10_header(const struct array10_shape *s, uint64_t number,
                      char ret_header[ARRAY10_HEADER_MAX]);

/* The same, damaged so that no receiver may take the message for a frame. For
 * CORRUPT_LONG_PIXELS the header stays good: the caller sends more pixels than it says. */
size_t array10_damaged_header(const struct array10_shape *s, const struct shot *shot,
                              char ret_header[ARRAY10_HEADER_MAX]);

#endif
