/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/bsread.h"

#include "ingest/fields.h"
#include "ingest/framing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_BYTES 4 /* in front of an lz4 value */
#define TOO_LARGE  "it is larger than 64 KiB"

/* What the data header says of the channel that is taken. */
struct channel {
	unsigned index, count; /* which of how many */
	struct decoded pixels; /* frame: shape, type, order, codec; or a verdict of its own */
	bool sized;            /* lz4: 4 bytes of size come first */
};

struct decoder {
	struct header header;
	uint64_t frame_limit; /* bytes */
	char name[256];       /* of the channel; "": the first that has two dimensions */
	char *known;          /* the data header that `channel` is of, as sent [known_bytes] */
	size_t known_bytes;
	enum codec known_codec;
	struct channel channel;
	char *plain; /* of a compressed data header [HEADER_BYTES_MAX] */
	void *scratch;
	struct decompress decompress;
};

/* ---- the data header ---- */

/* "none", "bitshuffle_lz4", "lz4"; NULL is none. False: another one. */
static bool read_codec(const char *name, enum codec *ret)
{
	if (!name || !name[0] || strcmp(name, "none") == 0)
		*ret = CODEC_NONE;
	else if (strcmp(name, "bitshuffle_lz4") == 0)
		*ret = CODEC_BSLZ4;
	else if (strcmp(name, "lz4") == 0)
		*ret = CODEC_LZ4;
	else
		return false;
	return true;
}

static void read_channel(const json_t *object, struct channel *ret)
{
	struct decoded *pixels = &ret->pixels;
	struct frame *f = &pixels->frame;
	const char *type = field_text(object, "type"), *order = field_text(object, "encoding");
	const char *compression = field_text(object, "compression");

	*pixels = (struct decoded){ .verdict = VERDICT_FRAME };
	f->big_endian = order && strcmp(order, "big") == 0;
	if (!field_lengths(field_of(object, "shape"), &f->width, &f->height)) {
		field_reject(pixels, REJECT_SHAPE, "the channel's shape is not [width, height]");
		return;
	}
	if (!field_type(type ? type : "float64", true, pixels))
		return;
	if (order && !f->big_endian && strcmp(order, "little") != 0) {
		field_reject(pixels, REJECT_ENCODING,
		             "the channel's encoding is \"%.40s\", little or big is expected",
		             order);
		return;
	}
	if (!read_codec(compression, &f->codec)) {
		field_reject(
			pixels, REJECT_ENCODING,
			"the channel's compression is \"%.40s\"; none, bitshuffle_lz4 or lz4 is "
			"expected",
			compression);
		return;
	}
	ret->sized = f->codec == CODEC_LZ4;
	f->codec_element = frame_element_bytes(f);
}

static bool is_taken(const struct decoder *d, const json_t *object)
{
	const char *name = field_text(object, "name");

	if (d->name[0])
		return name && strcmp(name, d->name) == 0;
	return json_array_size(field_of(object, "shape")) == 2;
}

static void read_channels(const struct decoder *d, const json_t *channels, struct channel *ret)
{
	size_t count = json_array_size(channels);

	for (size_t i = 0; i < count; i++) {
		const json_t *object = json_array_get(channels, i);

		if (!is_taken(d, object))
			continue;
		ret->index = (unsigned)i;
		read_channel(object, ret);
		return;
	}
	ret->pixels = (struct decoded){ .verdict = VERDICT_REJECTED };
	if (d->name[0])
		field_reject(&ret->pixels, REJECT_SHAPE,
		             "no channel is called %.60s (%zu are there)", d->name, count);
	else
		field_reject(&ret->pixels, REJECT_SHAPE,
		             "none of %zu channels has two dimensions; "
		             "ingest.channel names one",
		             count);
}

/* lz4 has the size in front. Libraries differ in its order, whatever the channels are. */
static const char *expand_sized(struct decoder *d, const struct part *part, uint64_t *ret_plain)
{
	const char *why = TOO_LARGE;
	uint32_t size;

	if (part->size < SIZE_BYTES)
		return "it has no size in front";
	memcpy(&size, part->data, sizeof size);
	for (unsigned order = 0; order < 2; order++, size = __builtin_bswap32(size)) {
		if (size > HEADER_BYTES_MAX)
			continue;
		why = decompress(&d->decompress, CODEC_LZ4, 1, d->plain, size,
		                 (const char *)part->data + SIZE_BYTES, part->size - SIZE_BYTES);
		*ret_plain = size;
		if (!why)
			break;
	}
	return why;
}

static const char *expand_shuffled(struct decoder *d, const struct part *part, uint64_t *ret_plain)
{
	const char *why;

	if (!decompress_announced(CODEC_BSLZ4, 1, part->data, part->size, ret_plain, &why))
		return why;
	return *ret_plain > HEADER_BYTES_MAX ? TOO_LARGE
	                                     : decompress(&d->decompress, CODEC_BSLZ4, 1, d->plain,
	                                                  *ret_plain, part->data, part->size);
}

/* The text of the data header. False after rejecting the message. */
static bool expand_header(struct decoder *d, enum codec codec, const struct part *part,
                          struct part *ret_text, struct decoded *ret)
{
	uint64_t plain = 0;
	const char *why;

	if (codec == CODEC_NONE) {
		*ret_text = *part;
		return true;
	}
	why = codec == CODEC_LZ4 ? expand_sized(d, part, &plain) : expand_shuffled(d, part, &plain);
	if (why)
		return field_reject(ret, REJECT_HEADER, "the data header: %s", why);
	*ret_text = (struct part){ d->plain, plain };
	return true;
}

static bool is_known(const struct decoder *d, enum codec codec, const struct part *part)
{
	return d->known && codec == d->known_codec && part->size == d->known_bytes &&
	       memcmp(part->data, d->known, part->size) == 0;
}

static bool remember(struct decoder *d, enum codec codec, const struct part *part,
                     struct decoded *ret)
{
	char *known = realloc(d->known, part->size);

	if (!known)
		return field_reject(ret, REJECT_HEADER, "no memory for a data header of %zu bytes",
		                    part->size);
	memcpy(known, part->data, part->size);
	d->known = known;
	d->known_bytes = part->size;
	d->known_codec = codec;
	return true;
}

/* Bring d->channel up to date with the data header. */
static bool read_data_header(struct decoder *d, enum codec codec, const struct part *part,
                             struct decoded *ret)
{
	struct channel channel = { 0 };
	const json_t *root, *channels;
	const char *htype;
	struct part text = { 0 };

	if (part->size > 0 && is_known(d, codec, part))
		return true;
	if (!expand_header(d, codec, part, &text, ret))
		return false;
	root = header_parse(&d->header, text.data, text.size);
	if (!root)
		return field_reject(ret, REJECT_HEADER, "the data header: %s", d->header.why);
	htype = field_text(root, "htype");
	if (!htype || strncmp(htype, "bsr_d-1.", 8) != 0)
		return field_reject(ret, REJECT_HEADER,
		                    "the data header's htype is %.40s, bsr_d-1.1 "
		                    "is expected",
		                    htype ? htype : "no string");
	channels = field_of(root, "channels");
	if (!json_is_array(channels))
		return field_reject(ret, REJECT_HEADER, "the data header has no channels");
	channel.count = (unsigned)json_array_size(channels);
	read_channels(d, channels, &channel);
	if (!remember(d, codec, part, ret))
		return false;
	d->channel = channel;
	return true;
}

/* ---- the message ---- */

static void read_time(const json_t *root, struct frame *f)
{
	const json_t *stamp = field_of(root, "global_timestamp");
	uint64_t seconds, ns = 0, all;

	if (!header_integer(field_of(stamp, "sec"), &seconds) &&
	    !header_integer(field_of(stamp, "epoch"), &seconds))
		return;
	header_integer(field_of(stamp, "ns"), &ns);
	if (!__builtin_mul_overflow(seconds, UINT64_C(1000000000), &all) &&
	    !__builtin_add_overflow(all, ns, &all))
		f->timestamp_ns = all;
}

static bool read_main_header(struct decoder *d, const struct part *part, enum codec *ret_codec,
                             struct decoded *ret)
{
	const json_t *root = header_parse(&d->header, part->data, part->size);
	const char *htype = field_text(root, "htype");

	if (!root)
		return field_reject(ret, REJECT_HEADER, "%s", d->header.why);
	if (!htype || strncmp(htype, "bsr_m-1.", 8) != 0)
		return field_reject(ret, REJECT_HEADER, "htype is %.40s, bsr_m-1.1 is expected",
		                    htype ? htype : "no string");
	if (!field_number(root, "pulse_id", ret))
		return false;
	if (!read_codec(field_text(root, "dh_compression"), ret_codec))
		return field_reject(ret, REJECT_ENCODING,
		                    "dh_compression is \"%.40s\"; none, "
		                    "bitshuffle_lz4 or lz4 is expected",
		                    field_text(root, "dh_compression"));
	read_time(root, &ret->frame);
	return true;
}

/* The size in front of an lz4 value, which is then passed over. */
static bool skip_size(struct frame *f, const struct part *value, struct decoded *ret)
{
	uint32_t size;
	uint64_t plain = 0;

	if (value->size <= SIZE_BYTES)
		return field_reject(ret, REJECT_LENGTH, "the lz4 value has %zu bytes", value->size);
	memcpy(&size, value->data, sizeof size);
	size = f->big_endian ? __builtin_bswap32(size) : size;
	frame_plain_bytes(f, &plain);
	if (size != plain)
		return field_reject(ret, REJECT_LENGTH,
		                    "the lz4 value announces %u bytes, the channel "
		                    "has %llu",
		                    size, (unsigned long long)plain);
	f->pixels = (const char *)value->data + SIZE_BYTES;
	f->bytes = value->size - SIZE_BYTES;
	return true;
}

static void take_value(const struct decoder *d, const struct part *value, struct decoded *ret)
{
	uint64_t timestamp_ns = ret->frame.timestamp_ns, number = ret->frame.number;
	const struct channel *c = &d->channel;

	ret->frame = c->pixels.frame;
	ret->frame.number = number;
	ret->frame.timestamp_ns = timestamp_ns;
	if (c->pixels.verdict == VERDICT_REJECTED) {
		field_reject(ret, c->pixels.reason, "%s", c->pixels.why);
		return;
	}
	if (value->size == 0) {
		ret->verdict = VERDICT_DUMMY;
		return;
	}
	if (!field_size(d->frame_limit, value->size, ret))
		return;
	ret->frame.pixels = value->data;
	if (c->sized && !skip_size(&ret->frame, value, ret))
		return;
	if (!framing_check(value->data, ret))
		return;
	ret->pixel_part = 2 + 2 * c->index;
	ret->verdict = VERDICT_FRAME;
}

void bsread_decode(struct decoder *d, const struct message *m, struct decoded *ret)
{
	enum codec codec = CODEC_NONE;
	unsigned all, value;

	*ret = (struct decoded){ .verdict = VERDICT_REJECTED };
	if (m->part_count < 2) {
		field_reject(ret, REJECT_PARTS, "the message has %u parts, bsread has 2 headers",
		             m->part_count);
		return;
	}
	if (!read_main_header(d, &m->parts[0], &codec, ret) ||
	    !read_data_header(d, codec, &m->parts[1], ret))
		return;
	all = 2 + 2 * d->channel.count;
	value = 2 + 2 * d->channel.index;
	if (m->part_count != all && (m->part_count != all - 1 || d->channel.count == 0)) {
		field_reject(ret, REJECT_PARTS, "the message has %u parts, %u channels have %u",
		             m->part_count, d->channel.count, all);
		return;
	}
	if (value >= MESSAGE_PARTS_MAX) {
		field_reject(ret, REJECT_PARTS, "the channel is number %u, the first %d are kept",
		             d->channel.index, (MESSAGE_PARTS_MAX - 2) / 2);
		return;
	}
	take_value(d, &m->parts[value], ret);
}

int bsread_open(struct decoder **ret, const struct config_ingest *c, char why[160])
{
	struct decoder *d = calloc(1, sizeof *d);

	snprintf(why, 160, "no memory for the decoder of bsread");
	if (!d)
		return -ENOMEM;
	d->frame_limit = c->frame_limit;
	snprintf(d->name, sizeof d->name, "%s", c->channel);
	d->plain = malloc(HEADER_BYTES_MAX);
	d->scratch = aligned_alloc(64, decompress_scratch_bytes());
	if (!d->plain || !d->scratch || header_open(&d->header, HEADER_ARENA) != 0) {
		bsread_close(d);
		return -ENOMEM;
	}
	decompress_init(&d->decompress, d->scratch, 0); /* a header now and then: scalar will do */
	*ret = d;
	return 0;
}

void bsread_close(struct decoder *d)
{
	if (!d)
		return;
	header_close(&d->header);
	free(d->known);
	free(d->plain);
	free(d->scratch);
	free(d);
}
