/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/dectris_v2.h"

#include "ingest/cbor_reader.h"
#include "ingest/fields.h"
#include "ingest/framing.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TAG_ROW_MAJOR    40
#define TAG_COLUMN_MAJOR 1040
#define TAG_COMPRESSED   56500
#define TAGS_MAX         8 /* around one value */

struct decoder {
	uint64_t frame_limit;   /* bytes */
	uint32_t width, height; /* configured, 0: not */
	char channel[256];      /* "": the first */
	bool has_error_value;   /* of the last start message */
	int64_t error_value;
	uint8_t *mask; /* of the last message, if it was a start */
	void *scratch;
	struct decompress decompress;
};

/* A text in the message; data NULL: not there. */
struct text {
	const char *data;
	size_t size;
};

/* A two-dimensional typed array in the message; data NULL: not there. */
struct grid {
	uint32_t rows, columns;
	uint64_t tag; /* of the typed array */
	enum codec codec;
	uint8_t element; /* bytes, with bitshuffle */
	const uint8_t *data;
	size_t size;
};

/* What the map says, as far as anybody here asks. */
struct message_fields {
	struct text type, unique_id, description, dtype, date, channel;
	bool has_series, has_image, has_error_value, alpha, flat_data;
	uint64_t series_id, image_id, images, saturation;
	uint64_t size_x, size_y;
	int64_t error_value;
	uint64_t ticks, hz;
	double count_time_s, frame_time_s;
	struct grid data, mask;
	char mask_why[100]; /* the mask is no array that is taken; "": nothing is wrong */
	bool any_data;      /* some channel was there */
};

/* One message being read. */
struct reading {
	struct decoder *d;
	struct cbor_reader r;
	struct message_fields f;
	struct decoded *ret;
};

/* ---- values ---- */

static bool reject_cbor(struct reading *g)
{
	return field_reject(g->ret, REJECT_HEADER, "%s",
	                    g->r.why ? g->r.why : "the CBOR is damaged");
}

/* The next item behind whatever tags it has. */
static bool next_untagged(struct reading *g, struct cbor_item *ret)
{
	for (unsigned tags = 0; tags <= TAGS_MAX; tags++) {
		if (!cbor_next(&g->r, ret))
			return false;
		if (ret->kind != CBOR_TAG)
			return true;
	}
	g->r.why = "the CBOR has too many tags around one value";
	return false;
}

static bool read_uint(struct reading *g, uint64_t *ret, bool *ret_there)
{
	struct cbor_item item;

	if (!next_untagged(g, &item))
		return false;
	if (item.kind == CBOR_UINT) {
		*ret = item.value;
		if (ret_there)
			*ret_there = true;
	}
	return cbor_skip_rest(&g->r, &item);
}

static bool read_int(struct reading *g, int64_t *ret, bool *ret_there)
{
	struct cbor_item item;

	if (!next_untagged(g, &item))
		return false;
	if ((item.kind == CBOR_UINT || item.kind == CBOR_NEGATIVE) && item.value <= INT64_MAX) {
		*ret = item.kind == CBOR_UINT ? (int64_t)item.value : -1 - (int64_t)item.value;
		*ret_there = true;
	}
	return cbor_skip_rest(&g->r, &item);
}

static bool read_seconds(struct reading *g, double *ret)
{
	struct cbor_item item;

	if (!next_untagged(g, &item))
		return false;
	if (item.kind == CBOR_REAL && item.real > 0 && isfinite(item.real))
		*ret = item.real;
	if (item.kind == CBOR_UINT)
		*ret = (double)item.value;
	return cbor_skip_rest(&g->r, &item);
}

static bool read_text(struct reading *g, struct text *ret)
{
	struct cbor_item item;

	if (!next_untagged(g, &item))
		return false;
	if (item.kind == CBOR_TEXT && !item.endless)
		*ret = (struct text){ (const char *)item.data, item.value };
	return cbor_skip_rest(&g->r, &item);
}

/* [ticks, hz] */
static bool read_rational(struct reading *g, uint64_t *ret_ticks, uint64_t *ret_hz)
{
	struct cbor_item item, ticks, hz;

	if (!next_untagged(g, &item))
		return false;
	if (item.kind != CBOR_ARRAY || item.endless || item.value != 2)
		return cbor_skip_rest(&g->r, &item);
	if (!next_untagged(g, &ticks) || !cbor_skip_rest(&g->r, &ticks) || !next_untagged(g, &hz) ||
	    !cbor_skip_rest(&g->r, &hz))
		return false;
	if (ticks.kind == CBOR_UINT && hz.kind == CBOR_UINT && hz.value > 0) {
		*ret_ticks = ticks.value;
		*ret_hz = hz.value;
	}
	return true;
}

static bool text_is(const struct text *t, const char *text)
{
	return t->data && t->size == strlen(text) && memcmp(t->data, text, t->size) == 0;
}

/* ---- arrays ---- */

static bool expect(struct reading *g, bool fits, enum reject reason, const char *sentence)
{
	return fits || field_reject(g->ret, reason, "%s", sentence);
}

/* One item that is not damaged. */
static bool next(struct reading *g, struct cbor_item *ret)
{
	return cbor_next(&g->r, ret) || reject_cbor(g);
}

static bool is_array_of(const struct cbor_item *item, uint64_t count)
{
	return item->kind == CBOR_ARRAY && !item->endless && item->value == count;
}

static bool read_side(struct reading *g, uint32_t *ret)
{
	struct cbor_item item;

	if (!next(g, &item) ||
	    !expect(g, item.kind == CBOR_UINT && item.value > 0 && item.value <= UINT32_MAX,
	            REJECT_SHAPE, "an array's sides are no integers from 1 to 2^32 - 1"))
		return false;
	*ret = (uint32_t)item.value;
	return true;
}

/* ["bslz4", element size, bytes], whose tag was read. */
static bool read_compressed(struct reading *g, struct grid *ret)
{
	struct cbor_item item, modifier, bytes;

	if (!next(g, &item) || !expect(g, is_array_of(&item, 3), REJECT_HEADER,
	                               "tag 56500 has no array of 3 behind it"))
		return false;
	if (!next(g, &item))
		return false;
	if (!expect(g, item.kind == CBOR_TEXT && !item.endless, REJECT_HEADER,
	            "the compression has no name"))
		return false;
	if (cbor_is(&item, "bslz4"))
		ret->codec = CODEC_BSLZ4;
	else if (cbor_is(&item, "bszstd"))
		ret->codec = CODEC_BSZSTD;
	else if (cbor_is(&item, "lz4"))
		ret->codec = CODEC_LZ4_BLOCKS;
	else
		return field_reject(g->ret, REJECT_ENCODING,
		                    "the compression is \"%.*s\"; bslz4, bszstd or lz4 is taken",
		                    item.value < 40 ? (int)item.value : 40,
		                    (const char *)item.data);
	if (!next(g, &modifier) || !next(g, &bytes))
		return false;
	if (!expect(g, modifier.kind == CBOR_UINT && bytes.kind == CBOR_BYTES && !bytes.endless,
	            REJECT_HEADER, "tag 56500 is not [text, integer, bytes]"))
		return false;
	ret->element = modifier.value <= UINT8_MAX ? (uint8_t)modifier.value : 0;
	ret->data = bytes.data;
	ret->size = bytes.value;
	return true;
}

/* A multi-dimensional array whose first item was read. */
static bool read_grid(struct reading *g, const struct cbor_item *first, struct grid *ret)
{
	struct cbor_item item;

	if (!expect(g, first->kind != CBOR_TAG || first->value != TAG_COLUMN_MAJOR, REJECT_SHAPE,
	            "an array is column-major (tag 1040), row-major is taken") ||
	    !expect(g, first->kind == CBOR_TAG && first->value == TAG_ROW_MAJOR, REJECT_HEADER,
	            "an array has no tag 40"))
		return false;
	if (!next(g, &item) ||
	    !expect(g, is_array_of(&item, 2), REJECT_HEADER, "tag 40 has no array of 2 behind it"))
		return false;
	if (!next(g, &item) ||
	    !expect(g, item.kind == CBOR_ARRAY, REJECT_HEADER, "an array has no shape") ||
	    !expect(g, is_array_of(&item, 2), REJECT_SHAPE, "an array has not two dimensions"))
		return false;
	if (!read_side(g, &ret->rows) || !read_side(g, &ret->columns) || !next(g, &item) ||
	    !expect(g, item.kind == CBOR_TAG, REJECT_HEADER, "an array has no type"))
		return false;
	ret->tag = item.value;
	if (!next(g, &item))
		return false;
	if (item.kind == CBOR_TAG && item.value == TAG_COMPRESSED)
		return read_compressed(g, ret);
	if (!expect(g, item.kind == CBOR_BYTES && !item.endless, REJECT_HEADER,
	            "an array's elements are no bytes"))
		return false;
	ret->data = item.data;
	ret->size = item.value;
	return true;
}

/* ---- maps ---- */

struct walk {
	uint64_t left;
	bool endless;
};

/* The next key. False at the end, or when the CBOR is damaged: then r.why. */
static bool walk_next(struct reading *g, struct walk *w, struct cbor_item *ret)
{
	if (!w->endless && w->left-- == 0)
		return false;
	return cbor_next(&g->r, ret) && !(w->endless && ret->kind == CBOR_BREAK);
}

/* {channel: array}: ours, or the first. False after rejecting the message. */
static bool read_channels(struct reading *g, struct grid *ret, struct text *ret_name)
{
	struct cbor_item item, key;
	struct walk w;

	if (!cbor_next(&g->r, &item))
		return reject_cbor(g);
	if (item.kind != CBOR_MAP) {
		g->f.flat_data |= item.kind == CBOR_BYTES;
		return cbor_skip_rest(&g->r, &item) || reject_cbor(g);
	}
	w = (struct walk){ item.value, item.endless };
	while (walk_next(g, &w, &key)) {
		bool named = key.kind == CBOR_TEXT && !key.endless;
		bool ours = named && (g->d->channel[0] ? cbor_is(&key, g->d->channel) : !ret->data);

		g->f.any_data = true;
		if (!cbor_skip_rest(&g->r, &key) || !cbor_next(&g->r, &item))
			return reject_cbor(g);
		if (!ours) {
			if (!cbor_skip_rest(&g->r, &item))
				return reject_cbor(g);
			continue;
		}
		*ret = (struct grid){ 0 };
		if (!read_grid(g, &item, ret))
			return false;
		*ret_name = (struct text){ (const char *)key.data, key.value };
	}
	return !g->r.why || reject_cbor(g);
}

/* The mask's channels. One that cannot be read is passed over, with mask_why. False with r.why. */
static bool read_mask_channels(struct reading *g)
{
	struct cbor_reader begin = g->r, behind;
	struct text name;

	if (!cbor_skip(&g->r))
		return false;
	behind = g->r;
	g->r = begin;
	if (!read_channels(g, &g->f.mask, &name)) {
		snprintf(g->f.mask_why, sizeof g->f.mask_why, "%.99s", g->ret->why);
		g->f.mask = (struct grid){ 0 };
		g->ret->why[0] = '\0';
	}
	g->r = behind;
	return true;
}

/* One value of the message's map. False with r.why, or after rejecting the message. */
static bool read_value(struct reading *g, const struct cbor_item *key)
{
	struct message_fields *f = &g->f;

	if (cbor_is(key, "type"))
		return read_text(g, &f->type);
	if (cbor_is(key, "series_id"))
		return read_uint(g, &f->series_id, &f->has_series);
	if (cbor_is(key, "series_unique_id"))
		return read_text(g, &f->unique_id);
	if (cbor_is(key, "image_id"))
		return read_uint(g, &f->image_id, &f->has_image);
	if (cbor_is(key, "data"))
		return read_channels(g, &f->data, &f->channel);
	if (cbor_is(key, "series_date"))
		return read_text(g, &f->date);
	if (cbor_is(key, "start_time"))
		return read_rational(g, &f->ticks, &f->hz);
	if (cbor_is(key, "number_of_images"))
		return read_uint(g, &f->images, NULL);
	if (cbor_is(key, "image_size_x"))
		return read_uint(g, &f->size_x, NULL);
	if (cbor_is(key, "image_size_y"))
		return read_uint(g, &f->size_y, NULL);
	if (cbor_is(key, "image_dtype"))
		return read_text(g, &f->dtype);
	if (cbor_is(key, "saturation_value"))
		return read_uint(g, &f->saturation, NULL);
	if (cbor_is(key, "error_value"))
		return read_int(g, &f->error_value, &f->has_error_value);
	if (cbor_is(key, "count_time"))
		return read_seconds(g, &f->count_time_s);
	if (cbor_is(key, "frame_time"))
		return read_seconds(g, &f->frame_time_s);
	if (cbor_is(key, "detector_description"))
		return read_text(g, &f->description);
	if (cbor_is(key, "pixel_mask"))
		return read_mask_channels(g);
	if (cbor_is(key, "series_number") || cbor_is(key, "image_number"))
		f->alpha = true;
	return cbor_skip(&g->r);
}

/* Read the whole map. False after rejecting the message. */
static bool read_map(struct reading *g)
{
	struct cbor_item item, key;
	struct walk w;

	if (!next_untagged(g, &item))
		return reject_cbor(g);
	if (item.kind != CBOR_MAP)
		return field_reject(g->ret, REJECT_HEADER, "the message is no CBOR map");
	w = (struct walk){ item.value, item.endless };
	while (walk_next(g, &w, &key)) {
		/* A key that is no text is nobody's here. */
		bool read = cbor_skip_rest(&g->r, &key) && read_value(g, &key);

		if (!read)
			return g->ret->why[0] ? false : reject_cbor(g);
	}
	if (g->r.why)
		return reject_cbor(g);
	if (g->r.at != g->r.end)
		return field_reject(g->ret, REJECT_LENGTH, "%zu bytes are left behind the message",
		                    (size_t)(g->r.end - g->r.at));
	return true;
}

/* ---- the messages ---- */

static void read_token(struct reading *g)
{
	const struct message_fields *f = &g->f;

	if (f->unique_id.size > 0)
		g->ret->frame.series = field_token(f->unique_id.data, f->unique_id.size);
	else if (f->has_series)
		g->ret->frame.series = field_token(&f->series_id, sizeof f->series_id);
}

/* RFC 3339, to nanoseconds since 1970. 0: it is none. */
static uint64_t date_ns(const struct text *t)
{
	char text[48] = "";
	struct tm date = { 0 };
	const char *rest;
	double fraction = 0;
	int hours = 0, minutes = 0;
	time_t seconds;

	if (!t->data || t->size >= sizeof text)
		return 0;
	memcpy(text, t->data, t->size);
	rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &date);
	if (!rest)
		return 0;
	if (*rest == '.') {
		char *end;

		fraction = strtod(rest, &end);
		rest = end;
	}
	if (*rest == '+' || *rest == '-') {
		if (sscanf(rest + 1, "%2d:%2d", &hours, &minutes) != 2)
			return 0;
		if (*rest == '-') {
			hours = -hours;
			minutes = -minutes;
		}
	}
	seconds = timegm(&date) - hours * 3600 - minutes * 60;
	if (seconds < 0 || seconds > INT64_C(9000000000) || !(fraction >= 0 && fraction < 1))
		return 0;
	return (uint64_t)seconds * 1000000000u + (uint64_t)(fraction * 1e9 + 0.5);
}

static void read_time(const struct message_fields *f, struct frame *frame)
{
	long double ns;

	if (f->hz == 0)
		return;
	ns = (long double)f->ticks * 1e9L / (long double)f->hz + (long double)date_ns(&f->date);
	if (ns < (long double)UINT64_MAX)
		frame->timestamp_ns = (uint64_t)ns;
}

/* Tags 64 to 86 (RFC 8746), as far as they are taken. */
struct typed_row {
	uint64_t tag;
	enum pixel_type type;
	enum stored_type stored;
	bool big_endian;
};

static const struct typed_row typed_rows[] = {
	{ 64, PIXEL_UINT8, STORED_PLAIN, false },     { 65, PIXEL_UINT16, STORED_PLAIN, true },
	{ 66, PIXEL_UINT32, STORED_PLAIN, true },     { 67, PIXEL_FLOAT32, STORED_UINT64, true },
	{ 68, PIXEL_UINT8, STORED_PLAIN, false },     { 69, PIXEL_UINT16, STORED_PLAIN, false },
	{ 70, PIXEL_UINT32, STORED_PLAIN, false },    { 71, PIXEL_FLOAT32, STORED_UINT64, false },
	{ 72, PIXEL_FLOAT32, STORED_INT8, false },    { 73, PIXEL_FLOAT32, STORED_INT16, true },
	{ 74, PIXEL_FLOAT32, STORED_INT32, true },    { 75, PIXEL_FLOAT32, STORED_INT64, true },
	{ 77, PIXEL_FLOAT32, STORED_INT16, false },   { 78, PIXEL_FLOAT32, STORED_INT32, false },
	{ 79, PIXEL_FLOAT32, STORED_INT64, false },   { 80, PIXEL_FLOAT32, STORED_FLOAT16, true },
	{ 81, PIXEL_FLOAT32, STORED_PLAIN, true },    { 82, PIXEL_FLOAT32, STORED_FLOAT64, true },
	{ 84, PIXEL_FLOAT32, STORED_FLOAT16, false }, { 85, PIXEL_FLOAT32, STORED_PLAIN, false },
	{ 86, PIXEL_FLOAT32, STORED_FLOAT64, false }, { 0 },
};

static bool take_grid(const struct grid *grid, struct decoded *ret)
{
	struct frame *f = &ret->frame;
	const struct typed_row *row = typed_rows;

	while (row->tag && row->tag != grid->tag)
		row++;
	if (!row->tag)
		return field_reject(ret, REJECT_TYPE,
		                    "pixels are a typed array of tag %llu; integers of 8 to 64 "
		                    "bits and floats of 16 to 64 are taken",
		                    (unsigned long long)grid->tag);
	f->width = grid->columns;
	f->height = grid->rows;
	f->type = row->type;
	f->stored = row->stored;
	f->big_endian = row->big_endian;
	f->codec = grid->codec;
	f->codec_element = grid->element;
	f->pixels = grid->data;
	return true;
}

static bool is_dummy(const struct decoder *d, const struct frame *f)
{
	return f->width == 2 && f->height == 2 && !(d->width == 2 && d->height == 2);
}

static void explain_no_data(struct reading *g)
{
	if (g->f.flat_data)
		field_reject(g->ret, REJECT_ENCODING,
		             "data is a byte string: Jungfraujoch's format of 2023 is not taken");
	else if (g->f.any_data && g->d->channel[0])
		field_reject(g->ret, REJECT_SHAPE, "the image has no channel called %.60s",
		             g->d->channel);
	else
		field_reject(g->ret, REJECT_HEADER, "the image has no data");
}

static bool has_integers(const struct frame *f)
{
	return f->stored ? f->stored != STORED_FLOAT16 && f->stored != STORED_FLOAT64
	                 : f->type != PIXEL_FLOAT32;
}

static void decode_image(struct reading *g)
{
	const struct decoder *d = g->d;
	struct decoded *ret = g->ret;
	struct frame *f = &ret->frame;

	if (!g->f.has_image || g->f.image_id == UINT64_MAX) {
		field_reject(ret, REJECT_HEADER, "the image has no image_id below 2^64 - 1");
		return;
	}
	f->number = g->f.image_id;
	ret->number_known = true;
	read_token(g);
	read_time(&g->f, f);
	if (!g->f.data.data) {
		explain_no_data(g);
		return;
	}
	if (!take_grid(&g->f.data, ret))
		return;
	if (is_dummy(d, f)) {
		f->pixels = NULL;
		ret->verdict = VERDICT_DUMMY;
		return;
	}
	if (!field_size(d->frame_limit, g->f.data.size, ret) || !framing_check(f->pixels, ret))
		return;
	framing_no_value(f);
	if (d->has_error_value && has_integers(f)) {
		f->has_no_value = true;
		f->no_value = d->error_value;
	}
	ret->verdict = VERDICT_FRAME;
}

/* The mask in memory of ours. NULL, or why not. */
static const char *expand_mask(struct decoder *d, const struct grid *grid)
{
	uint64_t bytes;
	void *words = NULL;
	const char *why = NULL;

	if (grid->tag != 70)
		return "its elements are not of 32 bits (tag 70)";
	if (!wire_bytes(grid->columns, grid->rows, PIXEL_UINT32, PACKING_NONE, &bytes) ||
	    bytes / sizeof(uint32_t) > d->frame_limit)
		return "it is larger than a frame can be";
	if (grid->codec == CODEC_NONE && bytes != grid->size)
		return "it has not as many bytes as its shape says";
	if (grid->codec != CODEC_NONE) {
		uint64_t plain;

		if (!decompress_announced(grid->codec, grid->element, grid->data, grid->size,
		                          &plain, &why))
			return why;
		if (plain != bytes)
			return "it has not as many bytes as its shape says";
		words = malloc(bytes);
		why = words ? decompress(&d->decompress, grid->codec, grid->element, words, bytes,
		                         grid->data, grid->size)
		            : "there is no memory for it";
	}
	if (!why) {
		d->mask = framing_mask(words ? words : grid->data, bytes / sizeof(uint32_t));
		why = d->mask ? NULL : "there is no memory for it";
	}
	free(words);
	return why;
}

/* NULL, or why the mask in the message cannot be used. */
static const char *take_mask(struct reading *g)
{
	const struct grid *grid = &g->f.mask;
	const struct detector *detector = &g->ret->detector;

	if (g->f.mask_why[0])
		return g->f.mask_why;
	if ((detector->width && detector->width != grid->columns) ||
	    (detector->height && detector->height != grid->rows))
		return "it is of another size than the image";
	return expand_mask(g->d, grid);
}

/* What is wrong with the mask costs the mask, not the series. */
static void read_mask(struct reading *g)
{
	const struct grid *grid = &g->f.mask;
	struct detector *detector = &g->ret->detector;
	const char *why;

	if (grid->size == 0 && !g->f.mask_why[0])
		return;
	why = take_mask(g);
	if (why) {
		snprintf(g->ret->why, sizeof g->ret->why, "no pixel mask is used: %s", why);
		return;
	}
	detector->width = grid->columns;
	detector->height = grid->rows;
	detector->mask = g->d->mask;
}

static void read_dtype(const struct text *t, struct detector *ret)
{
	for (enum pixel_type type = 0; type < PIXEL_TYPE_COUNT; type++)
		if (text_is(t, pixel_name(type))) {
			ret->type_known = true;
			ret->type = type;
		}
}

static void decode_start(struct reading *g)
{
	const struct message_fields *f = &g->f;
	struct detector *detector = &g->ret->detector;

	read_token(g);
	g->ret->announced = f->images;
	detector->width = f->size_x <= UINT32_MAX ? (uint32_t)f->size_x : 0;
	detector->height = f->size_y <= UINT32_MAX ? (uint32_t)f->size_y : 0;
	read_dtype(&f->dtype, detector);
	detector->saturation = f->saturation;
	detector->exposure_s = f->count_time_s;
	detector->period_s = f->frame_time_s;
	if (f->description.data)
		snprintf(detector->description, sizeof detector->description, "%.*s",
		         f->description.size < sizeof detector->description
		                 ? (int)f->description.size
		                 : (int)sizeof detector->description,
		         f->description.data);
	header_printable(detector->description);
	read_mask(g);
	g->d->has_error_value = f->has_error_value;
	g->d->error_value = f->error_value;
	g->ret->verdict = VERDICT_START;
}

static void decode_map(struct reading *g)
{
	const struct text *type = &g->f.type;

	if (g->f.alpha) {
		field_reject(g->ret, REJECT_HEADER,
		             "series_number: this is the alpha format of 2021 or a fork of it; the "
		             "released one (series_id, image_id) is taken: update the detector");
		return;
	}
	if (!type->data) {
		field_reject(g->ret, REJECT_HEADER, "the message has no type");
		return;
	}
	if (text_is(type, "image"))
		decode_image(g);
	else if (text_is(type, "start"))
		decode_start(g);
	else if (text_is(type, "end")) {
		read_token(g);
		g->ret->verdict = VERDICT_END;
	} else
		g->ret->verdict = VERDICT_NOTHING;
}

void dectris_v2_decode(struct decoder *d, const struct message *m, struct decoded *ret)
{
	struct reading g = { .d = d, .ret = ret };

	*ret = (struct decoded){ .verdict = VERDICT_REJECTED };
	if (d->mask) {
		free(d->mask);
		d->mask = NULL;
	}
	if (m->part_count != 1) {
		field_reject(ret, REJECT_PARTS, "the message has %u parts, 1 is expected",
		             m->part_count);
		return;
	}
	cbor_begin(&g.r, m->parts[0].data, m->parts[0].size);
	if (read_map(&g))
		decode_map(&g);
	if (ret->verdict == VERDICT_REJECTED && g.f.has_image && g.f.image_id != UINT64_MAX) {
		ret->frame = (struct frame){ .number = g.f.image_id, .series = ret->frame.series };
		ret->number_known = true;
	}
}

int dectris_v2_open(struct decoder **ret, const struct config_ingest *c, char why[160])
{
	struct decoder *d = calloc(1, sizeof *d);

	snprintf(why, 160, "no memory for the decoder of dectris-v2");
	if (!d)
		return -ENOMEM;
	d->scratch = aligned_alloc(64, decompress_scratch_bytes());
	if (!d->scratch) {
		free(d);
		return -ENOMEM;
	}
	decompress_init(&d->decompress, d->scratch, 0); /* masks only: scalar will do */
	d->frame_limit = c->frame_limit;
	d->width = c->width;
	d->height = c->height;
	snprintf(d->channel, sizeof d->channel, "%s", c->channel);
	*ret = d;
	return 0;
}

void dectris_v2_close(struct decoder *d)
{
	if (!d)
		return;
	free(d->mask);
	free(d->scratch);
	free(d);
}
