/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/cbor_walk.h"

#include <cbor.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define TAG_SELF_DESCRIBED 55799

enum head_kind {
	HEAD_SCALAR,
	HEAD_BYTES,
	HEAD_TEXT,
	HEAD_ARRAY,
	HEAD_MAP,
	HEAD_TAG,
	HEAD_BREAK,
};

/* What libcbor found next: for strings of known length with their bytes. */
struct head {
	enum head_kind kind;
	bool endless;          /* a string, array or map that a break ends */
	uint64_t count;        /* of the elements or pairs; the tag */
	const uint8_t *string; /* [string_bytes] */
	size_t string_bytes;
	size_t size; /* bytes of all that */
};

/* An array, map or string of pieces whose end was not seen yet. */
struct level {
	enum head_kind kind;
	bool endless;
	uint64_t due; /* items to come; of an endless one: items that came */
};

struct walk {
	unsigned depth;
	struct level levels[CBOR_WALK_DEPTH_MAX];
	bool tagged; /* the item of a tag is to come */
};

static void see_bytes(void *user, cbor_data string, size_t bytes)
{
	*(struct head *)user =
		(struct head){ .kind = HEAD_BYTES, .string = string, .string_bytes = bytes };
}

static void see_text(void *user, cbor_data string, size_t bytes)
{
	*(struct head *)user =
		(struct head){ .kind = HEAD_TEXT, .string = string, .string_bytes = bytes };
}

static void see_endless_bytes(void *user)
{
	*(struct head *)user = (struct head){ .kind = HEAD_BYTES, .endless = true };
}

static void see_endless_text(void *user)
{
	*(struct head *)user = (struct head){ .kind = HEAD_TEXT, .endless = true };
}

static void see_array(void *user, size_t count)
{
	*(struct head *)user = (struct head){ .kind = HEAD_ARRAY, .count = count };
}

static void see_endless_array(void *user)
{
	*(struct head *)user = (struct head){ .kind = HEAD_ARRAY, .endless = true };
}

static void see_map(void *user, size_t count)
{
	*(struct head *)user = (struct head){ .kind = HEAD_MAP, .count = count };
}

static void see_endless_map(void *user)
{
	*(struct head *)user = (struct head){ .kind = HEAD_MAP, .endless = true };
}

static void see_tag(void *user, uint64_t tag)
{
	*(struct head *)user = (struct head){ .kind = HEAD_TAG, .count = tag };
}

static void see_break(void *user)
{
	*(struct head *)user = (struct head){ .kind = HEAD_BREAK };
}

static int read_head(const uint8_t *data, size_t size, struct head *ret, char *why)
{
	struct cbor_callbacks see = cbor_empty_callbacks; /* the others leave a scalar */
	struct head head = { .kind = HEAD_SCALAR };
	struct cbor_decoder_result result;

	see.byte_string = see_bytes;
	see.byte_string_start = see_endless_bytes;
	see.string = see_text;
	see.string_start = see_endless_text;
	see.array_start = see_array;
	see.indef_array_start = see_endless_array;
	see.map_start = see_map;
	see.indef_map_start = see_endless_map;
	see.tag = see_tag;
	see.indef_break = see_break;
	result = cbor_stream_decode(data, size, &see, &head);
	if (result.status == CBOR_DECODER_NEDATA) {
		snprintf(why, CBOR_WALK_WHY, "it ends inside a CBOR data item");
		return -EINVAL;
	}
	if (result.status != CBOR_DECODER_FINISHED || result.read == 0) {
		snprintf(why, CBOR_WALK_WHY, "byte 0x%02x begins no CBOR data item", data[0]);
		return -EINVAL;
	}
	head.size = result.read;
	*ret = head;
	return 0;
}

/* An item is complete, and with it the arrays and maps that it was the last of. */
static void end_item(struct walk *w)
{
	while (w->depth > 0) {
		struct level *level = &w->levels[w->depth - 1];

		if (level->endless) {
			level->due++;
			return;
		}
		if (--level->due > 0)
			return;
		w->depth--;
	}
}

static int end_level(struct walk *w, char *why)
{
	const struct level *level = w->depth > 0 ? &w->levels[w->depth - 1] : NULL;

	if (!level || !level->endless || w->tagged ||
	    (level->kind == HEAD_MAP && level->due % 2 != 0)) {
		snprintf(why, CBOR_WALK_WHY, "a CBOR break has nothing to end");
		return -EINVAL;
	}
	w->depth--;
	end_item(w);
	return 0;
}

/* left: bytes behind the head. Every item needs at least one. */
static int begin_level(struct walk *w, const struct head *head, size_t left, char *why)
{
	uint64_t most = head->kind == HEAD_MAP ? left / 2 : left;

	if (head->count > most) {
		snprintf(why, CBOR_WALK_WHY, "a CBOR %s promises %" PRIu64 " elements in %zu bytes",
		         head->kind == HEAD_MAP ? "map" : "array", head->count, left);
		return -EINVAL;
	}
	if (w->depth == CBOR_WALK_DEPTH_MAX) {
		snprintf(why, CBOR_WALK_WHY, "its CBOR is nested deeper than %d",
		         CBOR_WALK_DEPTH_MAX);
		return -EINVAL;
	}
	w->levels[w->depth++] = (struct level){ .kind = head->kind,
		                                .endless = head->endless,
		                                .due = head->endless            ? 0
		                                       : head->kind == HEAD_MAP ? 2 * head->count
		                                                                : head->count };
	return 0;
}

/* Whether the head may stand here: in a string of pieces only pieces of known length may. */
static bool fits(const struct walk *w, const struct head *head)
{
	const struct level *level = w->depth > 0 ? &w->levels[w->depth - 1] : NULL;

	if (!level || level->kind == HEAD_ARRAY || level->kind == HEAD_MAP)
		return true;
	return head->kind == level->kind && !head->endless;
}

static int take_head(struct walk *w, const struct head *head, size_t left, char *why)
{
	if (head->kind == HEAD_BREAK)
		return end_level(w, why);
	if (!fits(w, head)) {
		snprintf(why, CBOR_WALK_WHY, "a CBOR string has a piece that is no string");
		return -EINVAL;
	}
	w->tagged = head->kind == HEAD_TAG;
	if (w->tagged)
		return 0;
	if (head->endless || ((head->kind == HEAD_ARRAY || head->kind == HEAD_MAP) && head->count))
		return begin_level(w, head, left, why);
	end_item(w);
	return 0;
}

int cbor_walk_item(const uint8_t *data, size_t size, size_t *ret_bytes, char why[CBOR_WALK_WHY])
{
	struct walk w = { 0 };
	size_t at = 0;

	do {
		struct head head;
		int err = read_head(data + at, size - at, &head, why);

		if (!err) {
			at += head.size;
			err = take_head(&w, &head, size - at, why);
		}
		if (err)
			return err;
	} while (w.depth > 0 || w.tagged);
	*ret_bytes = at;
	return 0;
}

int cbor_strings_begin(struct cbor_strings *s, const uint8_t *data, size_t size,
                       char why[CBOR_WALK_WHY])
{
	struct head head;
	size_t at;
	int err = read_head(data, size, &head, why);

	if (err)
		return err;
	at = head.size;
	if (head.kind == HEAD_TAG && head.count == TAG_SELF_DESCRIBED) {
		err = read_head(data + at, size - at, &head, why);
		if (err)
			return err;
		at += head.size;
	}
	if (head.kind != HEAD_ARRAY) {
		snprintf(why, CBOR_WALK_WHY, "a data item is not an array of byte strings");
		return -EINVAL;
	}
	if (head.count > size - at) {
		snprintf(why, CBOR_WALK_WHY,
		         "a CBOR array promises %" PRIu64 " elements in %zu bytes", head.count,
		         size - at);
		return -EINVAL;
	}
	*s = (struct cbor_strings){ data, size, at, head.endless, head.count };
	return 0;
}

int cbor_strings_next(struct cbor_strings *s, const uint8_t **ret_string, size_t *ret_bytes,
                      char why[CBOR_WALK_WHY])
{
	struct head head;
	int err;

	if (!s->endless && s->due == 0)
		return 0;
	err = read_head(s->data + s->at, s->size - s->at, &head, why);
	if (err)
		return err;
	if (head.kind == HEAD_BREAK && s->endless) {
		s->at += head.size;
		return 0;
	}
	if ((head.kind != HEAD_BYTES && head.kind != HEAD_TEXT) || head.endless) {
		snprintf(why, CBOR_WALK_WHY,
		         "an array has an element that is not a string of known length");
		return -EINVAL;
	}
	s->at += head.size;
	s->due -= s->endless ? 0 : 1;
	*ret_string = head.string;
	*ret_bytes = head.string_bytes;
	return 1;
}
