/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_CBOR_WRITER_H
#define BENCH_CBOR_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CBOR (RFC 8949) into memory that grows: definite lengths, shortest heads. Without memory
 * everything further is left out and `failed` is set. */
struct cbor_writer {
	uint8_t *at; /* malloc'd; the user's once written */
	size_t size, room;
	bool failed;
};

/* Have room for so many bytes more. */
void cbor_reserve(struct cbor_writer *w, size_t bytes);

void cbor_uint(struct cbor_writer *w, uint64_t value);
void cbor_array(struct cbor_writer *w, uint64_t count);
void cbor_map(struct cbor_writer *w, uint64_t pairs);
void cbor_tag(struct cbor_writer *w, uint64_t tag);
void cbor_text(struct cbor_writer *w, const char *text);
void cbor_bytes(struct cbor_writer *w, const void *data, size_t bytes);
void cbor_bool(struct cbor_writer *w, bool value);
void cbor_double(struct cbor_writer *w, double value);

#endif
