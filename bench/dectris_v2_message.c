/* SPDX-License-Identifier: Apache-2.0 */
/* DECTRIS stream V2: one CBOR map in one part, keys in the order of recorded messages. */
#include "bench/encoder.h"

#include "bench/cbor_writer.h"
#include "bench/compress.h"
#include "bench/prng.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TAG_DATE       0
#define TAG_ARRAY      40 /* row-major */
#define TAG_UINT32     70 /* little endian */
#define TAG_BINARY128  83 /* a typed array that no detector sends */
#define TAG_COMPRESSED 56500
#define TAG_SELF       55799
#define SELF_BYTES     3 /* of that tag, before the map */
#define TICKS_PER_S    50000000
#define HEAD_ROOM      1024 /* bytes beside the pixels of an image message */

/* 26 characters, as an ULID has. */
static void unique_id(const struct outgoing *o, char ret[27])
{
	snprintf(ret, 27, "01PENBEAM%017" PRIu64, o->id % UINT64_C(100000000000000000));
}

static void put_date(struct cbor_writer *w, const struct outgoing *o)
{
	time_t now = (time_t)(o->started_ns / 1000000000);
	unsigned ms = (unsigned)(o->started_ns / 1000000 % 1000);
	struct tm at = { 0 };
	char second[24], date[40];

	gmtime_r(&now, &at);
	strftime(second, sizeof second, "%Y-%m-%dT%H:%M:%S", &at);
	snprintf(date, sizeof date, "%s.%03u+00:00", second, ms);
	cbor_tag(w, TAG_DATE);
	cbor_text(w, date);
}

/* The keys that every message begins with. */
static void put_beginning(struct cbor_writer *w, const struct outgoing *o, const char *type,
                          unsigned further_keys)
{
	char id[27];

	unique_id(o, id);
	cbor_tag(w, TAG_SELF);
	cbor_map(w, 3 + further_keys);
	cbor_text(w, "type");
	cbor_text(w, type);
	cbor_text(w, "series_id");
	cbor_uint(w, o->id);
	cbor_text(w, "series_unique_id");
	cbor_text(w, id);
}

/* The message is the draft's only part. */
static int finish(struct cbor_writer *w, struct draft *d)
{
	if (w->failed) {
		free(w->at);
		return -ENOMEM;
	}
	draft_body(d, w->at, w->size, true);
	return 0;
}

static void put_compressed(struct cbor_writer *w, const char *algorithm, unsigned element_bytes,
                           const void *data, size_t bytes)
{
	cbor_tag(w, TAG_COMPRESSED);
	cbor_array(w, 3);
	cbor_text(w, algorithm);
	cbor_uint(w, element_bytes);
	cbor_bytes(w, data, bytes);
}

/* ---- start ---- */

static int put_mask(struct cbor_writer *w, const struct outgoing *o)
{
	size_t pixels = (size_t)o->width * o->height, bytes = pixels * sizeof(uint32_t);
	size_t room = compress_bslz4_bound(bytes, sizeof(uint32_t), 0), packed_bytes = 0;
	void *packed = malloc(room);
	uint32_t *mask = NULL;
	int err = packed ? outgoing_mask(o, &mask) : -ENOMEM;

	if (!err)
		err = compress_bslz4(mask, bytes, sizeof(uint32_t), 0, packed, room, &packed_bytes);
	if (!err) {
		cbor_text(w, "pixel_mask");
		cbor_map(w, 1);
		cbor_text(w, o->channel);
		cbor_tag(w, TAG_ARRAY);
		cbor_array(w, 2);
		cbor_array(w, 2);
		cbor_uint(w, o->height);
		cbor_uint(w, o->width);
		cbor_tag(w, TAG_UINT32);
		put_compressed(w, "bslz4", sizeof(uint32_t), packed, packed_bytes);
	}
	free(mask);
	free(packed);
	return err;
}

static void put_geometry(struct cbor_writer *w, const struct outgoing *o)
{
	cbor_text(w, "arm_date");
	put_date(w, o);
	cbor_text(w, "beam_center_x");
	cbor_double(w, o->width / 2.0);
	cbor_text(w, "beam_center_y");
	cbor_double(w, o->height / 2.0);
	cbor_text(w, "channels");
	cbor_array(w, 1);
	cbor_text(w, o->channel);
	cbor_text(w, "count_time");
	cbor_double(w, (double)outgoing_exposure_ns(o) * 1e-9);
	cbor_text(w, "detector_description");
	cbor_text(w, "openbeam-send");
	cbor_text(w, "frame_time");
	cbor_double(w, (double)o->period_ns * 1e-9);
	cbor_text(w, "image_dtype");
	cbor_text(w, pixel_name(o->type));
	cbor_text(w, "image_size_x");
	cbor_uint(w, o->width);
	cbor_text(w, "image_size_y");
	cbor_uint(w, o->height);
	cbor_text(w, "number_of_images");
	cbor_uint(w, outgoing_announced(o));
}

int dectris_v2_start(const struct outgoing *o, struct draft *d)
{
	bool masked = o->detail == DETAIL_ALL;
	struct cbor_writer w = { 0 };
	int err = 0;

	put_beginning(&w, o, "start", 15 + masked);
	put_geometry(&w, o);
	cbor_text(&w, "pixel_mask_enabled");
	cbor_bool(&w, false);
	if (masked)
		err = put_mask(&w, o);
	cbor_text(&w, "saturation_value");
	cbor_uint(&w, (UINT64_C(1) << 8 * pixel_bytes(o->type)) - 2);
	cbor_text(&w, "series_date");
	put_date(&w, o);
	cbor_text(&w, "user_data");
	cbor_text(&w, "");
	if (err) {
		free(w.at);
		return err;
	}
	return finish(&w, d);
}

/* ---- image ---- */

static unsigned array_tag(const struct outgoing *o, const struct shot *shot)
{
	static const unsigned tags[PIXEL_TYPE_COUNT][2] = {
		{ 64, 64 }, { 69, 65 }, { 70, 66 }, { 85, 81 }
	};

	return shot_is(shot, CORRUPT_UNKNOWN_TYPE) ? TAG_BINARY128 : tags[o->type][o->big_endian];
}

static void put_time(struct cbor_writer *w, const char *key, uint64_t ns)
{
	cbor_text(w, key);
	cbor_array(w, 2);
	cbor_uint(w, ns / (1000000000 / TICKS_PER_S));
	cbor_uint(w, TICKS_PER_S);
}

static void put_pixels(struct cbor_writer *w, const struct outgoing *o, const struct shot *shot,
                       const struct cargo *p)
{
	unsigned element = o->compression == COMPRESSION_LZ4 ? 0 : pixel_bytes(o->type);
	bool shapeless = shot_is(shot, CORRUPT_NO_SHAPE);

	cbor_text(w, "data");
	cbor_map(w, 1);
	cbor_text(w, o->channel);
	cbor_tag(w, TAG_ARRAY);
	cbor_array(w, 2);
	cbor_array(w, shapeless ? 0 : 2);
	if (!shapeless) {
		cbor_uint(w, o->height);
		cbor_uint(w, o->width);
	}
	cbor_tag(w, array_tag(o, shot));
	if (o->compression == COMPRESSION_NONE)
		cbor_bytes(w, p->data, p->bytes);
	else
		put_compressed(w, compression_name(o->compression), element, p->data, p->bytes);
}

/* What draft_damage() does to JSON, in the bytes between the tag and the number. */
static void damage(struct cbor_writer *w, const struct shot *shot, size_t head_bytes)
{
	uint64_t random = shot->random;

	if (w->failed)
		return;
	if (shot_is(shot, CORRUPT_CUT_HEADER))
		w->size = 1 + (size_t)(random % (head_bytes - 1));
	if (shot_is(shot, CORRUPT_BRACKET)) /* a map becomes an array */
		w->at[SELF_BYTES] = (uint8_t)(0x80 | (w->at[SELF_BYTES] & 0x1f));
	if (shot_is(shot, CORRUPT_NOISE)) {
		for (size_t i = 0; i < head_bytes; i++)
			w->at[i] = (uint8_t)(prng_next(&random) >> 56);
		w->at[0] = 0xff; /* ends nothing: no CBOR begins so */
	}
}

int dectris_v2_frame(const struct outgoing *o, const struct shot *shot, unsigned port,
                     const struct cargo *p, struct draft *d)
{
	uint64_t start = outgoing_time_ns(o, shot->index), real = outgoing_exposure_ns(o);
	struct cbor_writer w = { 0 };
	size_t head_bytes;
	int err;

	(void)port;
	cbor_reserve(&w, HEAD_ROOM + p->bytes);
	put_beginning(&w, o, "image", 6);
	cbor_text(&w, shot_is(shot, CORRUPT_NO_NUMBER) ? "image_i_" : "image_id");
	head_bytes = w.size;
	cbor_uint(&w, shot->number);
	put_time(&w, "real_time", real);
	cbor_text(&w, "series_date");
	put_date(&w, o);
	put_time(&w, "start_time", start);
	put_time(&w, "stop_time", start + real);
	put_pixels(&w, o, shot, p);
	damage(&w, shot, head_bytes);
	err = finish(&w, d);
	if (!err && p->owned)
		free(p->data);
	return err;
}

int dectris_v2_end(const struct outgoing *o, struct draft *d)
{
	struct cbor_writer w = { 0 };

	put_beginning(&w, o, "end", 0);
	return finish(&w, d);
}
