/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/odin_live.h"

#include "ingest/fields.h"
#include "ingest/framing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct decoder {
	struct header header;   /* first: fields.h */
	uint64_t frame_limit;   /* bytes */
	struct field_keys keys; /* the configuration's */
	char dataset[256];      /* ours; "": the first that is taken */
};

/* A length as text of digits. */
static bool read_length(const json_t *value, uint32_t *ret)
{
	const char *text = json_string_value(value);
	uint64_t length = 0;

	if (!text || !text[0] || strlen(text) > 10 || strspn(text, "0123456789") != strlen(text))
		return false;
	for (; *text; text++)
		length = length * 10 + (uint64_t)(*text - '0');
	if (length == 0 || length > UINT32_MAX)
		return false;
	*ret = (uint32_t)length;
	return true;
}

static bool read_shape(const json_t *shape, struct decoded *ret)
{
	size_t dimensions = json_array_size(shape);
	uint32_t leading = 1;

	if ((dimensions != 2 && dimensions != 3) ||
	    (dimensions == 3 &&
	     (!read_length(json_array_get(shape, 0), &leading) || leading != 1)) ||
	    !read_length(json_array_get(shape, dimensions - 2), &ret->frame.height) ||
	    !read_length(json_array_get(shape, dimensions - 1), &ret->frame.width))
		return field_reject(ret, REJECT_SHAPE,
		                    "shape is not [\"height\", \"width\"] of numbers as texts");
	return true;
}

static bool read_compression(const char *name, struct decoded *ret)
{
	if (!name || strcasecmp(name, "none") == 0)
		return true;
	if (strcasecmp(name, "LZ4") == 0)
		ret->frame.codec = CODEC_LZ4;
	else if (strcasecmp(name, "BSLZ4") == 0)
		ret->frame.codec = CODEC_BSLZ4;
	else
		return field_reject(ret, REJECT_ENCODING,
		                    "compression is \"%.40s\"; none, LZ4 or BSLZ4 is expected",
		                    name);
	ret->frame.codec_element = frame_element_bytes(&ret->frame);
	return true;
}

static bool read_pixels(const struct decoder *d, const json_t *root, size_t bytes,
                        struct decoded *ret)
{
	const char *type = field_text(root, "dtype");
	uint64_t size;

	if (!read_shape(field_of(root, "shape"), ret) ||
	    !field_type(type && strcmp(type, "float") == 0 ? "float32" : type, true, ret) ||
	    !read_compression(field_text(root, "compression"), ret))
		return false;
	if (header_integer(field_of(root, "dsize"), &size) && size != bytes)
		return field_reject(ret, REJECT_LENGTH,
		                    "the pixels have %zu bytes, dsize says %llu", bytes,
		                    (unsigned long long)size);
	return field_size(d->frame_limit, bytes, ret);
}

void odin_live_decode(struct decoder *d, const struct message *m, struct decoded *ret)
{
	const struct part *pixels = &m->parts[1];
	const json_t *root = NULL;
	const char *dataset;

	*ret = (struct decoded){ .verdict = VERDICT_REJECTED };
	if (m->part_count > 0)
		root = header_parse(&d->header, m->parts[0].data, m->parts[0].size);
	if (root)
		field_number(root, "frame_num", ret);
	if (m->part_count != 2) {
		field_reject(ret, REJECT_PARTS, "the message has %u parts, 2 are expected",
		             m->part_count);
		return;
	}
	if (!root) {
		field_reject(ret, REJECT_HEADER, "%s", d->header.why);
		return;
	}
	dataset = field_text(root, "dataset");
	dataset = dataset ? dataset : "data";
	/* Names that are longer than is kept are told apart by what is kept. */
	if (d->dataset[0] && strncmp(d->dataset, dataset, sizeof d->dataset - 1) != 0) {
		ret->verdict = VERDICT_NOTHING;
		return;
	}
	if (!ret->number_known || !read_pixels(d, root, pixels->size, ret) ||
	    !framing_check(pixels->data, ret))
		return;
	if (!d->dataset[0])
		snprintf(d->dataset, sizeof d->dataset, "%s", dataset);
	field_keys_read(root, &d->keys, &ret->frame);
	ret->frame.pixels = pixels->data;
	ret->pixel_part = 1;
	ret->verdict = VERDICT_FRAME;
}

int odin_live_open(struct decoder **ret, const struct config_ingest *c, char why[160])
{
	struct decoder *d = field_decoder_open(sizeof *d, "odin-live", why);

	if (!d)
		return -ENOMEM;
	d->frame_limit = c->frame_limit;
	d->keys = field_keys_of(c);
	snprintf(d->dataset, sizeof d->dataset, "%s", c->channel);
	*ret = d;
	return 0;
}

void odin_live_close(struct decoder *d)
{
	field_decoder_close(d);
}
