/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_CBOR_READER_H
#define INGEST_CBOR_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CBOR (RFC 8949) off the wire, item by item, with libcbor's streaming decoder: nothing is
 * allocated, texts and bytes stay where they are, lengths are held against what is there. */

#define CBOR_DEPTH_MAX 32 /* arrays, maps and tags inside each other; more is refused */

enum cbor_kind {
	CBOR_UINT,
	CBOR_NEGATIVE, /* -1 - value */
	CBOR_BYTES,
	CBOR_TEXT,
	CBOR_ARRAY, /* value items follow, */
	CBOR_MAP,   /* value pairs follow; without end: until CBOR_BREAK */
	CBOR_TAG,   /* number value of the item that follows */
	CBOR_REAL,
	CBOR_BOOLEAN,
	CBOR_NOTHING, /* null, undefined */
	CBOR_BREAK,
	CBOR_KIND_COUNT
};

struct cbor_item {
	enum cbor_kind kind;
	bool endless; /* of indefinite length: bytes and texts come in chunks until CBOR_BREAK */
	uint64_t value;
	double real;
	const uint8_t *data; /* CBOR_BYTES, CBOR_TEXT [value]; not 0-ended */
};

struct cbor_reader {
	const uint8_t *at, *end;
	const char *why; /* after an error: what is wrong; static text */
};

void cbor_begin(struct cbor_reader *r, const void *data, size_t size);

/* The next item head, or text or bytes whole. False at the end or when it is damaged: why. */
bool cbor_next(struct cbor_reader *r, struct cbor_item *ret);

/* Skip whatever follows `item`, which was just read, of it. False with why. */
bool cbor_skip_rest(struct cbor_reader *r, const struct cbor_item *item);

/* Read and skip one whole item. */
bool cbor_skip(struct cbor_reader *r);

/* Whether a text item is `text`. */
bool cbor_is(const struct cbor_item *item, const char *text);

#endif
