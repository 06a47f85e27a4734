/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/array10.h"

#include "ingest/header.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct decoder {
	struct header header;
	uint64_t frame_limit;                    /* bytes */
	uint32_t width, height;                  /* configured, 0: not */
	const struct pixel_format *pixel_format; /* NULL: the header's type counts */
};

/* What a pixel is on the wire, by the name that header or configuration give it. `taken` is
 * false where the name is known but not read by this version. */
struct pixel_format {
	const char *name;
	bool taken;
	enum pixel_type type;
	uint8_t bits; /* significant; 0: the type's */
	enum pixel_packing packing;
};

static const struct pixel_format header_types[] = {
	{ "uint8", true, PIXEL_UINT8, 0, PACKING_NONE },
	{ "uint16", true, PIXEL_UINT16, 0, PACKING_NONE },
	{ "uint32", true, PIXEL_UINT32, 0, PACKING_NONE },
	{ "float32", true, PIXEL_FLOAT32, 0, PACKING_NONE },
	{ .name = "uint64" },
	{ .name = "int8" },
	{ .name = "int16" },
	{ .name = "int32" },
	{ .name = "int64" },
	{ .name = "float16" },
	{ .name = "float64" },
	{ 0 },
};

/* GenICam PFNC. Those that are not packed lie in 8 or 16 bits a pixel, value in the low bits. */
static const struct pixel_format genicam_formats[] = {
	{ "Mono8", true, PIXEL_UINT8, 8, PACKING_NONE },
	{ "Mono10", true, PIXEL_UINT16, 10, PACKING_NONE },
	{ "Mono12", true, PIXEL_UINT16, 12, PACKING_NONE },
	{ "Mono14", true, PIXEL_UINT16, 14, PACKING_NONE },
	{ "Mono16", true, PIXEL_UINT16, 16, PACKING_NONE },
	{ "Mono10p", true, PIXEL_UINT16, 10, PACKING_MONO10P },
	{ "Mono10Packed", true, PIXEL_UINT16, 10, PACKING_MONO10_PACKED },
	{ "Mono12p", true, PIXEL_UINT16, 12, PACKING_MONO12P },
	{ "Mono12Packed", true, PIXEL_UINT16, 12, PACKING_MONO12_PACKED },
	{ "Mono14p", true, PIXEL_UINT16, 14, PACKING_MONO14P },
	{ 0 },
};

static const struct pixel_format *format_find(const struct pixel_format *table, const char *name)
{
	for (; table->name; table++)
		if (strcmp(table->name, name) == 0)
			return table;
	return NULL;
}

/* Reject the message. Always false, so that a step can end with it. */
__attribute__((format(printf, 3, 4))) static bool reject(struct decoded *ret, enum reject reason,
                                                         const char *format, ...)
{
	va_list arguments;

	ret->verdict = VERDICT_REJECTED;
	ret->reason = reason;
	va_start(arguments, format);
	vsnprintf(ret->why, sizeof ret->why, format, arguments);
	va_end(arguments);
	header_printable(ret->why);
	return false;
}

/* The value of a key; NULL where it is absent or null. */
static const json_t *value_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_null(value) ? NULL : value;
}

static bool read_number(const json_t *root, struct decoded *ret)
{
	const json_t *value = value_of(root, "frame");
	uint64_t number;

	if (!value)
		return reject(ret, REJECT_HEADER, "the header has no frame number (key frame)");
	if (!header_integer(value, &number))
		return reject(ret, REJECT_HEADER, "frame is no integer from 0 to 2^64 - 2");
	if (number == UINT64_MAX)
		return reject(ret, REJECT_HEADER, "frame is 2^64 - 1, which stands for none");
	ret->frame.number = number;
	ret->number_known = true;
	return true;
}

static bool check_htype(const json_t *root, struct decoded *ret)
{
	const json_t *value = value_of(root, "htype");
	const char *name;

	if (!value)
		return true;
	if (json_array_size(value) == 1)
		value = json_array_get(value, 0);
	name = json_string_value(value);
	if (!name)
		return reject(ret, REJECT_HEADER, "htype is no string and no list of one");
	if (strncmp(name, "array-1.", 8) != 0 || !name[8] ||
	    strspn(name + 8, "0123456789") != strlen(name + 8))
		return reject(ret, REJECT_HEADER, "htype is %.40s, array-1.0 is expected", name);
	return true;
}

/* Clear *ret_good where `key` says 0 or false. */
static bool read_goodness(const json_t *object, const char *key, bool *ret_good,
                          struct decoded *ret)
{
	const json_t *value = value_of(object, key);
	bool good = true;

	if (value && !header_boolean(value, &good))
		return reject(ret, REJECT_HEADER, "%s is neither true, false, 1 nor 0", key);
	*ret_good = *ret_good && good;
	return true;
}

static bool read_attributes(const json_t *root, struct decoded *ret)
{
	const json_t *attributes = value_of(root, "image_attributes");
	uint64_t microseconds;
	bool good = true;

	if (!read_goodness(root, "is_good_frame", &good, ret) ||
	    !read_goodness(root, "image_is_complete", &good, ret) ||
	    !read_goodness(attributes, "is_good_frame", &good, ret) ||
	    !read_goodness(attributes, "image_is_complete", &good, ret))
		return false;
	if (!good)
		ret->frame.flags |= FRAME_INCOMPLETE;
	if (header_integer(value_of(attributes, "time_stamp"), &microseconds) &&
	    microseconds <= UINT64_MAX / 1000)
		ret->frame.timestamp_ns = microseconds * 1000;
	return true;
}

static bool read_endianness(const json_t *root, const char *key, int *big, struct decoded *ret)
{
	const json_t *value = value_of(root, key);
	const char *name = json_string_value(value);
	int this_big;

	if (!value)
		return true;
	if (!name)
		return reject(ret, REJECT_HEADER, "%s is no string", key);
	this_big = strcmp(name, "big") == 0;
	if (!this_big && strcmp(name, "little") != 0)
		return reject(ret, REJECT_ENCODING, "%s is \"%.40s\", little or big is expected",
		              key, name);
	if (*big >= 0 && *big != this_big)
		return reject(ret, REJECT_ENCODING, "endianness and endianess contradict");
	*big = this_big;
	return true;
}

static bool read_encoding(const json_t *root, struct decoded *ret)
{
	const json_t *value = value_of(root, "encoding");
	int big = -1;

	if (value && !json_is_string(value))
		return reject(ret, REJECT_HEADER, "encoding is no string");
	if (value && json_string_length(value) > 0)
		return reject(ret, REJECT_ENCODING, "encoding is \"%.40s\", none is expected",
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
	const json_t *value = value_of(root, "type");
	const char *name = json_string_value(value);

	if (!format) {
		if (!name)
			return reject(ret, REJECT_HEADER,
			              "the header has no pixel type (key type)");
		format = format_find(header_types, name);
		if (!format || !format->taken)
			return reject(
				ret, REJECT_TYPE,
				"type is \"%.40s\", uint8, uint16, uint32 or float32 is taken",
				name);
	}
	ret->frame.type = format->type;
	ret->frame.bits = format->bits;
	ret->frame.packing = format->packing;
	/* The order of their bytes is the format's own. */
	if (format->packing != PACKING_NONE)
		ret->frame.big_endian = false;
	return true;
}

static bool read_length(const json_t *value, uint32_t *ret)
{
	uint64_t length;

	if (!header_integer(value, &length) || length == 0 || length > UINT32_MAX)
		return false;
	*ret = (uint32_t)length;
	return true;
}

static bool read_shape(const json_t *root, struct decoded *ret)
{
	const json_t *value = value_of(root, "shape");

	if (!json_is_array(value))
		return reject(ret, REJECT_HEADER, "the header has no shape (key shape)");
	if (json_array_size(value) != 2)
		return reject(ret, REJECT_SHAPE,
		              "shape has %zu dimensions, [height, width] is expected",
		              json_array_size(value));
	if (!read_length(json_array_get(value, 0), &ret->frame.height) ||
	    !read_length(json_array_get(value, 1), &ret->frame.width))
		return reject(ret, REJECT_SHAPE, "shape is not two integers from 1 to 2^32 - 1");
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

/* Check the size of the pixels against shape, limit and blob. */
static bool check_length(const struct decoder *d, struct decoded *ret, size_t blob_bytes)
{
	struct frame *f = &ret->frame;
	const char *name = wire_name(f->type, f->packing);
	uint64_t bytes;

	if (!wire_bytes(f->width, f->height, f->type, f->packing, &bytes) || bytes > d->frame_limit)
		return reject(ret, REJECT_SHAPE,
		              "shape [%u, %u] of %s is more than ingest.frame_limit, %llu bytes",
		              f->height, f->width, name, (unsigned long long)d->frame_limit);
	if (bytes != blob_bytes)
		return reject(ret, REJECT_LENGTH,
		              "the pixels have %zu bytes, shape [%u, %u] of %s has %llu",
		              blob_bytes, f->height, f->width, name, (unsigned long long)bytes);
	f->bytes = blob_bytes;
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
	d = calloc(1, sizeof *d);
	if (!d || header_open(&d->header, HEADER_ARENA) != 0) {
		free(d);
		snprintf(why, 160, "no memory for the decoder of array-1.0");
		return -ENOMEM;
	}
	d->frame_limit = c->frame_limit;
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
		read_number(root, ret);
	if (m->part_count != 2) {
		reject(ret, REJECT_PARTS, "the message has %u parts, array-1.0 has 2",
		       m->part_count);
		return;
	}
	if (!root) {
		reject(ret, REJECT_HEADER, "%s", d->header.why);
		return;
	}
	if (!ret->number_known || !check_htype(root, ret) || !read_attributes(root, ret) ||
	    !read_encoding(root, ret) || !read_shape(root, ret))
		return;
	if (is_dummy(d, &ret->frame, blob->size)) {
		ret->verdict = VERDICT_DUMMY;
		return;
	}
	if (!read_type(d, root, ret) || !check_length(d, ret, blob->size))
		return;
	ret->frame.pixels = blob->data;
	ret->verdict = VERDICT_FRAME;
}

void array10_close(struct decoder *d)
{
	if (!d)
		return;
	header_close(&d->header);
	free(d);
}
