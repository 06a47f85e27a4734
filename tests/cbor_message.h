/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CBOR_MESSAGE_H
#define TESTS_CBOR_MESSAGE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* CBOR put together item by item, right or wrong, for the tests of what reads it. */
struct cbor_writer {
	uint8_t data[4096];
	size_t size;
};

static inline void cbor_put(struct cbor_writer *w, const void *data, size_t size)
{
	if (size > sizeof w->data - w->size)
		abort();
	if (size)
		memcpy(w->data + w->size, data, size);
	w->size += size;
}

static inline void cbor_byte(struct cbor_writer *w, unsigned byte)
{
	uint8_t b = (uint8_t)byte;

	cbor_put(w, &b, 1);
}

/* The head of an item, in its shortest form. */
static inline void cbor_head(struct cbor_writer *w, unsigned major, uint64_t value)
{
	unsigned bytes = value < 24            ? 0
	                 : value <= UINT8_MAX  ? 1
	                 : value <= UINT16_MAX ? 2
	                 : value <= UINT32_MAX ? 4
	                                       : 8;
	unsigned info = bytes == 0   ? (unsigned)value
	                : bytes == 1 ? 24
	                : bytes == 2 ? 25
	                : bytes == 4 ? 26
	                             : 27;

	cbor_byte(w, major << 5 | info);
	while (bytes-- > 0)
		cbor_byte(w, (unsigned)(value >> 8 * bytes) & 0xff);
}

static inline void cbor_uint(struct cbor_writer *w, uint64_t value)
{
	cbor_head(w, 0, value);
}

/* -1 - value */
static inline void cbor_negative(struct cbor_writer *w, uint64_t value)
{
	cbor_head(w, 1, value);
}

static inline void cbor_bytes(struct cbor_writer *w, const void *data, size_t size)
{
	cbor_head(w, 2, size);
	cbor_put(w, data, size);
}

static inline void cbor_text(struct cbor_writer *w, const char *text)
{
	cbor_head(w, 3, strlen(text));
	cbor_put(w, text, strlen(text));
}

static inline void cbor_array(struct cbor_writer *w, uint64_t items)
{
	cbor_head(w, 4, items);
}

static inline void cbor_map(struct cbor_writer *w, uint64_t pairs)
{
	cbor_head(w, 5, pairs);
}

static inline void cbor_tag(struct cbor_writer *w, uint64_t tag)
{
	cbor_head(w, 6, tag);
}

static inline void cbor_null(struct cbor_writer *w)
{
	cbor_byte(w, 0xf6);
}

static inline void cbor_double(struct cbor_writer *w, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof bits);
	cbor_byte(w, 0xfb);
	for (unsigned byte = 8; byte-- > 0;)
		cbor_byte(w, (unsigned)(bits >> 8 * byte) & 0xff);
}

static inline void cbor_pair_uint(struct cbor_writer *w, const char *key, uint64_t value)
{
	cbor_text(w, key);
	cbor_uint(w, value);
}

static inline void cbor_pair_text(struct cbor_writer *w, const char *key, const char *text)
{
	cbor_text(w, key);
	cbor_text(w, text);
}

/* Tag 40, the shape and the tag of the elements; their bytes come next. */
static inline void cbor_grid(struct cbor_writer *w, uint64_t rows, uint64_t columns,
                             uint64_t elements)
{
	cbor_tag(w, 40);
	cbor_array(w, 2);
	cbor_array(w, 2);
	cbor_uint(w, rows);
	cbor_uint(w, columns);
	cbor_tag(w, elements);
}

static inline void cbor_compressed(struct cbor_writer *w, const char *algorithm, uint64_t element,
                                   const void *data, size_t size)
{
	cbor_tag(w, 56500);
	cbor_array(w, 3);
	cbor_text(w, algorithm);
	cbor_uint(w, element);
	cbor_bytes(w, data, size);
}

#endif
