/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/cbor_reader.h"

#include <cbor.h>
#include <string.h>

/* ---- libcbor's callbacks: each fills the item ---- */

static void give(void *item, enum cbor_kind kind, uint64_t value)
{
	*(struct cbor_item *)item = (struct cbor_item){ .kind = kind, .value = value };
}

static void give_endless(void *item, enum cbor_kind kind)
{
	*(struct cbor_item *)item = (struct cbor_item){ .kind = kind, .endless = true };
}

static void on_uint8(void *item, uint8_t value)
{
	give(item, CBOR_UINT, value);
}

static void on_uint16(void *item, uint16_t value)
{
	give(item, CBOR_UINT, value);
}

static void on_uint32(void *item, uint32_t value)
{
	give(item, CBOR_UINT, value);
}

static void on_uint64(void *item, uint64_t value)
{
	give(item, CBOR_UINT, value);
}

static void on_negint8(void *item, uint8_t value)
{
	give(item, CBOR_NEGATIVE, value);
}

static void on_negint16(void *item, uint16_t value)
{
	give(item, CBOR_NEGATIVE, value);
}

static void on_negint32(void *item, uint32_t value)
{
	give(item, CBOR_NEGATIVE, value);
}

static void on_negint64(void *item, uint64_t value)
{
	give(item, CBOR_NEGATIVE, value);
}

static void on_bytes(void *item, cbor_data data, size_t size)
{
	give(item, CBOR_BYTES, size);
	((struct cbor_item *)item)->data = data;
}

static void on_text(void *item, cbor_data data, size_t size)
{
	give(item, CBOR_TEXT, size);
	((struct cbor_item *)item)->data = data;
}

static void on_bytes_start(void *item)
{
	give_endless(item, CBOR_BYTES);
}

static void on_text_start(void *item)
{
	give_endless(item, CBOR_TEXT);
}

static void on_array(void *item, size_t count)
{
	give(item, CBOR_ARRAY, count);
}

static void on_array_start(void *item)
{
	give_endless(item, CBOR_ARRAY);
}

static void on_map(void *item, size_t count)
{
	give(item, CBOR_MAP, count);
}

static void on_map_start(void *item)
{
	give_endless(item, CBOR_MAP);
}

static void on_tag(void *item, uint64_t value)
{
	give(item, CBOR_TAG, value);
}

static void on_float(void *item, float value)
{
	give(item, CBOR_REAL, 0);
	((struct cbor_item *)item)->real = value;
}

static void on_double(void *item, double value)
{
	give(item, CBOR_REAL, 0);
	((struct cbor_item *)item)->real = value;
}

static void on_boolean(void *item, bool value)
{
	give(item, CBOR_BOOLEAN, value);
}

static void on_nothing(void *item)
{
	give(item, CBOR_NOTHING, 0);
}

static void on_break(void *item)
{
	give(item, CBOR_BREAK, 0);
}

static const struct cbor_callbacks callbacks = {
	.uint8 = on_uint8,
	.uint16 = on_uint16,
	.uint32 = on_uint32,
	.uint64 = on_uint64,
	.negint8 = on_negint8,
	.negint16 = on_negint16,
	.negint32 = on_negint32,
	.negint64 = on_negint64,
	.byte_string_start = on_bytes_start,
	.byte_string = on_bytes,
	.string = on_text,
	.string_start = on_text_start,
	.indef_array_start = on_array_start,
	.array_start = on_array,
	.indef_map_start = on_map_start,
	.map_start = on_map,
	.tag = on_tag,
	.float2 = on_float,
	.float4 = on_float,
	.float8 = on_double,
	.undefined = on_nothing,
	.null = on_nothing,
	.boolean = on_boolean,
	.indef_break = on_break,
};

void cbor_begin(struct cbor_reader *r, const void *data, size_t size)
{
	*r = (struct cbor_reader){ .at = data };
	r->end = size ? r->at + size : r->at;
}

static bool fail(struct cbor_reader *r, const char *why)
{
	if (!r->why)
		r->why = why;
	return false;
}

bool cbor_next(struct cbor_reader *r, struct cbor_item *ret)
{
	struct cbor_decoder_result result;

	if (r->why)
		return false;
	if (r->at == r->end)
		return fail(r, "the CBOR ends inside a data item");
	ret->kind = CBOR_KIND_COUNT;
	result = cbor_stream_decode(r->at, (size_t)(r->end - r->at), &callbacks, ret);
	if (result.status == CBOR_DECODER_NEDATA)
		return fail(r, "the CBOR ends inside a data item");
	if (result.status != CBOR_DECODER_FINISHED || ret->kind == CBOR_KIND_COUNT ||
	    result.read == 0)
		return fail(r, "a byte begins no CBOR data item");
	r->at += result.read;
	return true;
}

/* A container that is being skipped. */
struct open_item {
	uint64_t left; /* items */
	bool endless, chunks, map;
};

/* What `item` has behind it. False when nothing. */
static bool opens(const struct cbor_item *item, struct open_item *ret)
{
	bool string = item->kind == CBOR_BYTES || item->kind == CBOR_TEXT;

	*ret = (struct open_item){ .endless = item->endless,
		                   .chunks = string,
		                   .map = item->kind == CBOR_MAP };
	switch (item->kind) {
	case CBOR_BYTES:
	case CBOR_TEXT:
		return item->endless;
	case CBOR_TAG:
		ret->left = 1;
		return true;
	case CBOR_ARRAY:
	case CBOR_MAP:
		ret->left = item->value;
		return item->endless || item->value > 0;
	default:
		return false;
	}
}

bool cbor_skip_rest(struct cbor_reader *r, const struct cbor_item *item)
{
	struct open_item stack[CBOR_DEPTH_MAX];
	unsigned depth = 0;
	struct cbor_item next;

	if (item->kind == CBOR_BREAK)
		return fail(r, "the CBOR has a break where none can be");
	if (!opens(item, &stack[0]))
		return true;
	/* A map's pairs are two items each; more pairs than bytes cannot be there. */
	for (depth = 1; depth > 0;) {
		struct open_item *top = &stack[depth - 1];
		struct open_item inner;

		if (top->map && !top->endless) {
			if (top->left > (uint64_t)(r->end - r->at))
				return fail(r, "the CBOR ends inside a data item");
			top->left *= 2;
			top->map = false;
		}
		if (!top->endless && top->left == 0) {
			depth--;
			continue;
		}
		if (!cbor_next(r, &next))
			return false;
		if (next.kind == CBOR_BREAK) {
			if (!top->endless)
				return fail(r, "the CBOR has a break where none can be");
			depth--;
			continue;
		}
		if (top->chunks &&
		    ((next.kind != CBOR_BYTES && next.kind != CBOR_TEXT) || next.endless))
			return fail(r, "a CBOR string has a piece that is no string");
		top->left -= !top->endless;
		if (!opens(&next, &inner))
			continue;
		if (depth == CBOR_DEPTH_MAX)
			return fail(r, "the CBOR nests deeper than 32 levels");
		stack[depth++] = inner;
	}
	return true;
}

bool cbor_skip(struct cbor_reader *r)
{
	struct cbor_item item;

	return cbor_next(r, &item) && cbor_skip_rest(r, &item);
}

bool cbor_is(const struct cbor_item *item, const char *text)
{
	return item->kind == CBOR_TEXT && !item->endless && item->value == strlen(text) &&
	       memcmp(item->data, text, item->value) == 0;
}
