/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/stock.h"

#include "bench/compress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZSTD_LEVEL 1 /* detectors have no time for more */

static int fail(struct stock *s, int err)
{
	if (err == -EINVAL)
		snprintf(s->why, sizeof s->why,
		         "frames of %zu bytes cannot be compressed so: use a smaller --size or "
		         "another --compression",
		         s->pattern->frame_bytes);
	else
		snprintf(s->why, sizeof s->why,
		         "no memory for compressed frames: use a smaller --size");
	return err;
}

static size_t bound(const struct stock *s)
{
	size_t bytes = s->pattern->frame_bytes;
	unsigned element = pixel_bytes(s->pattern->options.type);

	switch (s->framing) {
	case FRAMING_LZ4_BLOCK:
		return compress_lz4_block_bound(bytes);
	case FRAMING_LZ4_HDF5:
		return compress_lz4_hdf5_bound(bytes, 0);
	case FRAMING_LZ4_BSREAD:
		return compress_lz4_bsread_bound(bytes);
	case FRAMING_BSLZ4:
		return compress_bslz4_bound(bytes, element, 0);
	case FRAMING_BSZSTD:
		return compress_bszstd_bound(bytes, element, 0);
	case FRAMING_NONE:
	case FRAMING_PLAIN:
		break;
	}
	return 0;
}

/* Into the scratch. */
static int compress(struct stock *s, const void *pixels, size_t *ret_bytes)
{
	const struct pattern_options *o = &s->pattern->options;
	size_t bytes = s->pattern->frame_bytes, room = s->scratch_bytes;
	unsigned element = pixel_bytes(o->type);

	switch (s->framing) {
	case FRAMING_LZ4_BLOCK:
		return compress_lz4_block(pixels, bytes, s->scratch, room, ret_bytes);
	case FRAMING_LZ4_HDF5:
		return compress_lz4_hdf5(pixels, bytes, 0, s->scratch, room, ret_bytes);
	case FRAMING_LZ4_BSREAD:
		return compress_lz4_bsread(pixels, bytes, o->big_endian, s->scratch, room,
		                           ret_bytes);
	case FRAMING_BSLZ4:
		return compress_bslz4(pixels, bytes, element, 0, s->scratch, room, ret_bytes);
	case FRAMING_BSZSTD:
		return compress_bszstd(pixels, bytes, element, 0, ZSTD_LEVEL, s->scratch, room,
		                       ret_bytes);
	case FRAMING_NONE:
	case FRAMING_PLAIN:
		break;
	}
	return -EINVAL;
}

/* Pass on what became of taking pixels. */
static int taken(struct stock *s, int err)
{
	if (err)
		snprintf(s->why, sizeof s->why, "%s", s->pattern->why);
	return err;
}

/* Pixels compressed anew, malloc'd; they are released. */
static int make_of(struct stock *s, const struct pattern_pixels *pixels, struct stocked *ret)
{
	size_t bytes = 0;
	void *copy;
	int err = compress(s, pixels->data, &bytes);

	if (pixels->owned)
		free(pixels->data);
	copy = err ? NULL : malloc(bytes);
	if (!copy)
		return fail(s, err ? err : -ENOMEM);
	memcpy(copy, s->scratch, bytes);
	*ret = (struct stocked){ copy, bytes };
	return 0;
}

/* The frame at a place. */
static int make(struct stock *s, uint64_t place, struct stocked *ret)
{
	struct pattern_pixels pixels;
	int err = taken(s, pattern_take_place(s->pattern, place, &pixels));

	return err ? err : make_of(s, &pixels, ret);
}

/* A frame like no other: compressed when it is taken. */
static int take_altered(struct stock *s, uint64_t number, uint64_t index,
                        struct pattern_pixels *ret, size_t *ret_bytes)
{
	struct pattern_pixels pixels;
	struct stocked frame;
	int err = taken(s, pattern_take(s->pattern, number, index, &pixels));

	if (!err)
		err = make_of(s, &pixels, &frame);
	if (err)
		return err;
	*ret = (struct pattern_pixels){ frame.data, true };
	*ret_bytes = frame.bytes;
	return 0;
}

/* Keep it if there is room. */
static bool keep(struct stock *s, uint64_t place, const struct stocked *frame)
{
	if (frame->bytes > s->room)
		return false;
	s->room -= frame->bytes;
	s->at[place] = *frame;
	return true;
}

/* Pages that are too many for memory, and the counter's 4096 frames, are made when taken. */
static int prepare(struct stock *s, uint64_t frames)
{
	const struct pattern *p = s->pattern;
	uint64_t count = s->places;
	int err = 0;

	if (p->options.kind == PATTERN_COUNTER || p->prepared == 0)
		return 0;
	if (p->options.kind != PATTERN_NOISE && frames && frames < count)
		count = frames;
	for (uint64_t place = 0; place < count && !err; place++) {
		struct stocked frame;

		err = make(s, place, &frame);
		if (!err && !keep(s, place, &frame)) {
			free(frame.data);
			break;
		}
	}
	return err;
}

int stock_open(struct stock *s, struct pattern *pattern, enum framing framing,
               uint64_t memory_limit, uint64_t frames)
{
	int err = 0;

	*s = (struct stock){ .pattern = pattern, .framing = framing, .room = memory_limit };
	if (framing == FRAMING_PLAIN)
		return 0;
	s->places = pattern_places(pattern);
	s->at = calloc(s->places, sizeof *s->at);
	s->scratch_bytes = bound(s);
	s->scratch = malloc(s->scratch_bytes);
	if (s->scratch_bytes == 0)
		err = fail(s, -EINVAL);
	else if (!s->at || !s->scratch)
		err = fail(s, -ENOMEM);
	if (!err)
		err = prepare(s, frames);
	if (err)
		stock_close(s);
	return err;
}

void stock_close(struct stock *s)
{
	for (uint64_t i = 0; s->at && i < s->places; i++)
		free(s->at[i].data);
	free(s->at);
	free(s->scratch);
	s->at = NULL;
	s->scratch = NULL;
}

int stock_take(struct stock *s, uint64_t number, uint64_t index, struct pattern_pixels *ret,
               size_t *ret_bytes)
{
	uint64_t place = pattern_place(s->pattern, number, index);
	struct stocked frame;
	bool kept = true;
	int err;

	if (s->framing == FRAMING_PLAIN) {
		err = taken(s, pattern_take(s->pattern, number, index, ret));
		if (!err)
			*ret_bytes = s->pattern->frame_bytes;
		return err;
	}
	if (pattern_is_altered(s->pattern, number))
		return take_altered(s, number, index, ret, ret_bytes);
	frame = s->at[place];
	if (!frame.data) {
		err = make(s, place, &frame);
		if (err)
			return err;
		kept = keep(s, place, &frame);
	}
	*ret = (struct pattern_pixels){ frame.data, !kept };
	*ret_bytes = frame.bytes;
	return 0;
}

static void add_to(uint8_t *at, unsigned bytes, bool big_endian, uint64_t extra)
{
	for (unsigned i = 0; i < bytes && extra; i++) {
		uint8_t *digit = at + (big_endian ? bytes - 1 - i : i);

		extra += *digit;
		*digit = (uint8_t)extra;
		extra >>= 8;
	}
}

void stock_overstate(const struct stock *s, void *data, size_t bytes, uint64_t extra)
{
	switch (s->framing) {
	case FRAMING_LZ4_BSREAD:
		if (bytes >= 4)
			add_to(data, 4, s->pattern->options.big_endian, extra);
		return;
	case FRAMING_LZ4_HDF5:
	case FRAMING_BSLZ4:
	case FRAMING_BSZSTD:
		if (bytes >= 8)
			add_to(data, 8, true, extra);
		return;
	case FRAMING_LZ4_BLOCK:
	case FRAMING_NONE:
	case FRAMING_PLAIN:
		return;
	}
}
