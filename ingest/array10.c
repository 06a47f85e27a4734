/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/array10.h"

#include "ingest/fields.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct decoder {
	struct header header;                    /* first: fields.h */
	uint64_t frame_limit;                    /* bytes */
	struct field_keys keys;                  /* the configuration's */
	uint32_t width, height;                  /* configured, 0: not */
	const struct pixel_format *pixel_format; /* NULL: the header's type counts */
};

/* What a pixel is on the wire, by the name that the configuration gives it. */
struct pixel_format {
	const char *name;
	enum pixel_type type;
	uint8_t bits; /* significant; 0: the type's */
	enum pixel_packing packing;
};

/* GenICam PFNC. Those that are not packed lie in 8 or 16 bits a pixel, value in the low bits. */
static const struct pixel_format genicam_formats[] = {
	{ "Mono8", PIXEL_UINT8, 8, PACKING_NONE },
	{ "Mono10", PIXEL_UINT16, 10, PACKING_NONE },
	{ "Mono12", PIXEL_UINT16, 12, PACKING_NONE },
	{ "Mono14", PIXEL_UINT16, 14, PACKING_NONE },
	{ "Mono16", PIXEL_UINT16, 16, PACKING_NONE },
	{ "Mono10p", PIXEL_UINT16, 10, PACKING_MONO10P },
	{ "Mono10Packed", PIXEL_UINT16, 10, PACKING_MONO10_PACKED },
	{ "Mono12p", PIXEL_UINT16, 12, PACKING_MONO12P },
	{ "Mono12Packed", PIXEL_UINT16, 12, PACKING_MONO12_PACKED },
	{ "Mono14p", PIXEL_UINT16, 14, PACKING_MONO14P },
	{ 0 },
};

static const struct pixel_format *format_find(const struct pixel_format *table, const char *name)
{
	for (; table->name; table++)
		if (strcmp(table->name, name) == 0)
			return table;
	return NULL;
}

static bool check_htype(const json_t *root, struct decoded *ret)
{
	const json_t *value = field_of(root, "htype");
	const char *name;

	if (!value)
		return true;
	if (json_array_size(value) == 1)
		value = json_array_get(value, 0);
	name = json_string_value(value);
	if (!name)
		return field_reject(ret, REJECT_HEADER, "htype is no string and no list of one");
	if (strncmp(name, "array-1.", 8) != 0 || !name[8] ||
	    strspn(name + 8, "0123456789") != strlen(name + 8))
		return field_reject(ret, REJECT_HEADER, "htype is %.40s, array-1.0 is expected",
		                    name);
	return true;
}

/* Clear *ret_good where `key` says 0 or false. */
static bool read_goodness(const json_t *object, const char *key, bool *ret_good,
                          struct decoded *ret)
{
	const json_t *value = field_of(object, key);
	bool good = true;

	if (value && !header_boolean(value, &good))
		return field_reject(ret, REJECT_HEADER, "%s is neither true, false, 1 nor 0", key);
	*ret_good = *ret_good && good;
	return true;
}

static bool read_attributes(const json_t *root, struct decoded *ret)
{
	const json_t *attributes = field_of(root, "image_attributes");
	uint64_t microseconds;
	bool good = true;

	if (!read_goodness(root, "is_good_frame", &good, ret) ||
	    !read_goodness(root, "image_is_complete", &good, ret) ||
	    !read_goodness(attributes, "is_good_frame", &good, ret) ||
	    !read_goodness(attributes, "image_is_complete", &good, ret))
		return false;
	if (!good)
		ret->frame.flags |= FRAME_INCOMPLETE;
	if (header_integer(field_of(attributes, "time_stamp"), &microseconds) &&
	    microseconds <= UINT64_MAX / 1000)
		ret->frame.timestamp_ns = microseconds * 1000;
	/* Of a stream that another openbeamd sends on. */
	(void)header_integer(field_of(root, "timestamp_ns"), &ret->frame.timestamp_ns);
	return true;
}

static bool read_endianness(const json_t *root, const char *key, int *big, struct decoded *ret)
{
	const json_t *value = field_of(root, key);
	const char *name = json_string_value(value);
	int this_big;

	if (!value)
		return true;
	if (!name)
		return field_reject(ret, REJECT_HEADER, "%s is no string", key);
	this_big = strcmp(name, "big") == 0;
	if (!this_big && strcmp(name, "little") != 0)
		return field_reject(ret, REJECT_ENCODING,
		                    "%s is \"%.40s\", little or big is expected", key, name);
	if (*big >= 0 && *big != this_big)
		return field_reject(ret, REJECT_ENCODING, "endianness and endianess contradict");
	*big = this_big;
	return true;
}

static bool read_encoding(const json_t *root, struct decoded *ret)
{
	const json_t *value = field_of(root, "encoding");
	int big = -1;

	if (value && !json_is_string(value))
		return field_reject(ret, REJECT_HEADER, "encoding is no string");
	if (value && json_string_length(value) > 0)
		return field_reject(ret, REJECT_ENCODING, "encoding is \"%.40s\", none is expected",
		                    json_string_value(value));
	if (!read_endianness(root, "endianness", &big, ret) ||
	    !read_endianness(root, "endianess", &big, ret))
		return false;
	ret->frame.big_endian = big > 0;
	return true;
}

static bool read_type(const struct decoder *d, const json_t *root, struct decoded *ret)
{
	const struct pixel_format *format = d->pixel_format;

	if (!format)
		return field_type(field_text(root, "type"), false, ret);
	ret->frame.type = format->type;
	ret->frame.bits = format->bits;
	ret->frame.packing = format->packing;
	/* The order of their bytes is the format's own. */
	if (format->packing != PACKING_NONE)
		ret->frame.big_endian = false;
	return true;
}

static bool read_shape(const json_t *root, struct decoded *ret)
{
	const json_t *value = field_of(root, "shape");

	if (!json_is_array(value))
		return field_reject(ret, REJECT_HEADER, "the header has no shape (key shape)");
	if (json_array_size(value) != 2)
		return field_reject(ret, REJECT_SHAPE,
		                    "shape has %zu dimensions, [height, width] is expected",
		                    json_array_size(value));
	if (!field_lengths(value, &ret->frame.height, &ret->frame.width))
		return field_reject(ret, REJECT_SHAPE,
		                    "shape is not two integers from 1 to 2^32 - 1");
	return true;
}

static bool is_2x2(uint32_t width, uint32_t height)
{
	return width == 2 && height == 2;
}

/* A stand-in for a frame that the sender left out; see array10.h. */
static bool is_dummy(const struct decoder *d, const struct frame *f, size_t blob_bytes)
{
	return is_2x2(f->width, f->height) && blob_bytes == 8 && !is_2x2(d->width, d->height);
}

bool array10_pixel_format(const char *name, struct frame *ret)
{
	const struct pixel_format *format = format_find(genicam_formats, name);

	if (!format)
		return false;
	ret->type = format->type;
	ret->packing = format->packing;
	ret->bits = format->bits;
	return true;
}

int array10_open(struct decoder **ret, const struct config_ingest *c, char why[160])
{
	bool automatic = strcmp(c->pixel_format, "auto") == 0;
	const struct pixel_format *format = format_find(genicam_formats, c->pixel_format);
	struct decoder *d;

	if (!automatic && !format) {
		snprintf(why, 160,
		         "ingest.pixel_format: %.20s is not known; auto, Mono8, Mono16 and Mono10, "
		         "Mono12, Mono14, also packed, such as Mono12p, are taken",
		         c->pixel_format);
		return -EINVAL;
	}
	d = field_decoder_open(sizeof *d, "array-1.0", why);
	if (!d)
		return -ENOMEM;
	d->frame_limit = c->frame_limit;
	d->keys = field_keys_of(c);
	d->width = c->width;
	d->height = c->height;
	d->pixel_format = automatic ? NULL : format;
	*ret = d;
	return 0;
}

void array10_decode(struct decoder *d, const struct message *m, struct decoded *ret)
{
	const struct part *header = &m->parts[0], *blob = &m->parts[1];
	const json_t *root = NULL;

	*ret = (struct decoded){ .verdict = VERDICT_REJECTED };
	if (m->part_count > 0)
		root = header_parse(&d->header, header->data, header->size);
	if (root)
		field_number(root, "frame", ret);
	if (m->part_count != 2) {
		field_reject(ret, REJECT_PARTS, "the message has %u parts, array-1.0 has 2",
		             m->part_count);
		return;
	}
	if (!root) {
		field_reject(ret, REJECT_HEADER, "%s", d->header.why);
		return;
	}
	if (!ret->number_known || !check_htype(root, ret) || !read_attributes(root, ret) ||
	    !read_encoding(root, ret) || !read_shape(root, ret))
		return;
	if (is_dummy(d, &ret->frame, blob->size)) {
		ret->verdict = VERDICT_DUMMY;
		return;
	}
	if (!read_type(d, root, ret) || !field_size(d->frame_limit, blob->size, ret))
		return;
	field_keys_read(root, &d->keys, &ret->frame);
	ret->frame.pixels = blob->data;
	ret->pixel_part = 1;
	ret->verdict = VERDICT_FRAME;
}

void array10_close(struct decoder *d)
{
	field_decoder_close(d);
}
