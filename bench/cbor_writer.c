/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/cbor_writer.h"

#include <stdlib.h>
#include <string.h>

enum major {
	MAJOR_UINT = 0 << 5,
	MAJOR_BYTES = 2 << 5,
	MAJOR_TEXT = 3 << 5,
	MAJOR_ARRAY = 4 << 5,
	MAJOR_MAP = 5 << 5,
	MAJOR_TAG = 6 << 5,
	MAJOR_SIMPLE = 7 << 5
};

#define SIMPLE_FALSE  20
#define SIMPLE_DOUBLE 27

void cbor_reserve(struct cbor_writer *w, size_t bytes)
{
	size_t room = w->size + bytes;
	uint8_t *at;

	if (w->failed || room <= w->room)
		return;
	room = room < 2 * w->room ? 2 * w->room : room;
	at = realloc(w->at, room);
	w->failed = !at;
	if (!at)
		return;
	w->at = at;
	w->room = room;
}

static void put(struct cbor_writer *w, const void *data, size_t bytes)
{
	cbor_reserve(w, bytes);
	if (w->failed || bytes == 0)
		return;
	memcpy(w->at + w->size, data, bytes);
	w->size += bytes;
}

static void put_big_endian(struct cbor_writer *w, uint8_t first, uint64_t value, unsigned bytes)
{
	uint8_t head[9] = { first };

	for (unsigned i = 0; i < bytes; i++)
		head[1 + i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
	put(w, head, 1 + bytes);
}

static void put_head(struct cbor_writer *w, enum major major, uint64_t value)
{
	uint8_t first = (uint8_t)major;

	if (value < 24)
		put_big_endian(w, (uint8_t)(first + value), 0, 0);
	else if (value <= UINT8_MAX)
		put_big_endian(w, (uint8_t)(first + 24), value, 1);
	else if (value <= UINT16_MAX)
		put_big_endian(w, (uint8_t)(first + 25), value, 2);
	else if (value <= UINT32_MAX)
		put_big_endian(w, (uint8_t)(first + 26), value, 4);
	else
		put_big_endian(w, (uint8_t)(first + 27), value, 8);
}

void cbor_uint(struct cbor_writer *w, uint64_t value)
{
	put_head(w, MAJOR_UINT, value);
}

void cbor_array(struct cbor_writer *w, uint64_t count)
{
	put_head(w, MAJOR_ARRAY, count);
}

void cbor_map(struct cbor_writer *w, uint64_t pairs)
{
	put_head(w, MAJOR_MAP, pairs);
}

void cbor_tag(struct cbor_writer *w, uint64_t tag)
{
	put_head(w, MAJOR_TAG, tag);
}

void cbor_text(struct cbor_writer *w, const char *text)
{
	put_head(w, MAJOR_TEXT, strlen(text));
	put(w, text, strlen(text));
}

void cbor_bytes(struct cbor_writer *w, const void *data, size_t bytes)
{
	put_head(w, MAJOR_BYTES, bytes);
	put(w, data, bytes);
}

void cbor_bool(struct cbor_writer *w, bool value)
{
	put_head(w, MAJOR_SIMPLE, value ? SIMPLE_FALSE + 1 : SIMPLE_FALSE);
}

void cbor_double(struct cbor_writer *w, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof bits);
	put_big_endian(w, MAJOR_SIMPLE | SIMPLE_DOUBLE, bits, sizeof bits);
}
