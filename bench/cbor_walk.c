/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/cbor_walk.h"

#include "ingest/cbor_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define TAG_SELF_DESCRIBED 55799

/* An array, map or string of pieces whose end was not seen yet. */
struct level {
	enum cbor_kind kind;
	bool endless;
	uint64_t due; /* items to come; of an endless one: items that came */
};

struct walk {
	unsigned depth;
	struct level levels[CBOR_WALK_DEPTH_MAX];
	bool tagged; /* the item of a tag is to come */
};

static bool is_string(const struct cbor_item *item)
{
	return item->kind == CBOR_BYTES || item->kind == CBOR_TEXT;
}

static bool is_container(const struct cbor_item *item)
{
	return item->kind == CBOR_ARRAY || item->kind == CBOR_MAP;
}

/* 0, or -EINVAL with why. */
static int read_item(struct cbor_reader *r, struct cbor_item *ret, char *why)
{
	if (cbor_next(r, ret))
		return 0;
	if (r->at < r->end)
		snprintf(why, CBOR_WALK_WHY, "%s (0x%02x)", r->why, r->at[0]);
	else
		snprintf(why, CBOR_WALK_WHY, "%s", r->why);
	return -EINVAL;
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
	    (level->kind == CBOR_MAP && level->due % 2 != 0)) {
		snprintf(why, CBOR_WALK_WHY, "a CBOR break has nothing to end");
		return -EINVAL;
	}
	w->depth--;
	end_item(w);
	return 0;
}

/* left: bytes behind its head. Every item needs at least one. */
static int begin_level(struct walk *w, const struct cbor_item *item, size_t left, char *why)
{
	uint64_t most = item->kind == CBOR_MAP ? left / 2 : left;

	if (item->value > most) {
		snprintf(why, CBOR_WALK_WHY, "a CBOR %s promises %" PRIu64 " elements in %zu bytes",
		         item->kind == CBOR_MAP ? "map" : "array", item->value, left);
		return -EINVAL;
	}
	if (w->depth == CBOR_WALK_DEPTH_MAX) {
		snprintf(why, CBOR_WALK_WHY, "its CBOR is nested deeper than %d",
		         CBOR_WALK_DEPTH_MAX);
		return -EINVAL;
	}
	w->levels[w->depth++] = (struct level){ .kind = item->kind,
		                                .endless = item->endless,
		                                .due = item->endless            ? 0
		                                       : item->kind == CBOR_MAP ? 2 * item->value
		                                                                : item->value };
	return 0;
}

/* Whether the item may stand here: in a string of pieces only pieces of known length may. */
static bool fits(const struct walk *w, const struct cbor_item *item)
{
	const struct level *level = w->depth > 0 ? &w->levels[w->depth - 1] : NULL;

	if (!level || (level->kind != CBOR_BYTES && level->kind != CBOR_TEXT))
		return true;
	return item->kind == level->kind && !item->endless;
}

static int take_item(struct walk *w, const struct cbor_item *item, size_t left, char *why)
{
	if (item->kind == CBOR_BREAK)
		return end_level(w, why);
	if (!fits(w, item)) {
		snprintf(why, CBOR_WALK_WHY, "a CBOR string has a piece that is no string");
		return -EINVAL;
	}
	w->tagged = item->kind == CBOR_TAG;
	if (w->tagged)
		return 0;
	if (item->endless || (is_container(item) && item->value))
		return begin_level(w, item, left, why);
	end_item(w);
	return 0;
}

int cbor_walk_item(const uint8_t *data, size_t size, size_t *ret_bytes, char why[CBOR_WALK_WHY])
{
	struct walk w = { 0 };
	struct cbor_reader r;
	int err;

	cbor_begin(&r, data, size);
	do {
		struct cbor_item item;

		err = read_item(&r, &item, why);
		if (!err)
			err = take_item(&w, &item, (size_t)(r.end - r.at), why);
		if (err)
			return err;
	} while (w.depth > 0 || w.tagged);
	*ret_bytes = (size_t)(r.at - data);
	return 0;
}

int cbor_strings_begin(struct cbor_strings *s, const uint8_t *data, size_t size,
                       char why[CBOR_WALK_WHY])
{
	struct cbor_item item;
	struct cbor_reader r;
	size_t left;
	int err;

	cbor_begin(&r, data, size);
	err = read_item(&r, &item, why);
	if (!err && item.kind == CBOR_TAG && item.value == TAG_SELF_DESCRIBED)
		err = read_item(&r, &item, why);
	if (err)
		return err;
	if (item.kind != CBOR_ARRAY) {
		snprintf(why, CBOR_WALK_WHY, "a data item is not an array of byte strings");
		return -EINVAL;
	}
	left = (size_t)(r.end - r.at);
	if (item.value > left) {
		snprintf(why, CBOR_WALK_WHY,
		         "a CBOR array promises %" PRIu64 " elements in %zu bytes", item.value,
		         left);
		return -EINVAL;
	}
	*s = (struct cbor_strings){ r, item.endless, item.value };
	return 0;
}

int cbor_strings_next(struct cbor_strings *s, const uint8_t **ret_string, size_t *ret_bytes,
                      char why[CBOR_WALK_WHY])
{
	struct cbor_item item;
	int err;

	if (!s->endless && s->due == 0)
		return 0;
	err = read_item(&s->reader, &item, why);
	if (err)
		return err;
	if (item.kind == CBOR_BREAK && s->endless)
		return 0;
	if (!is_string(&item) || item.endless) {
		snprintf(why, CBOR_WALK_WHY,
		         "an array has an element that is not a string of known length");
		return -EINVAL;
	}
	s->due -= s->endless ? 0 : 1;
	*ret_string = item.data;
	*ret_bytes = item.value;
	return 1;
}
