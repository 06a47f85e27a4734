/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/dectris_v1.h"

#include "ingest/fields.h"
#include "ingest/framing.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_NS 20 /* of EIGER1's clock */

enum header_part { PART_HEADER, PART_CONFIG, PART_MASK_SHAPE = 4, PART_MASK };
enum image_part { PART_IMAGE, PART_SHAPE, PART_PIXELS, PART_TIMES, IMAGE_PARTS };

struct decoder {
	struct header header;   /* first: fields.h */
	uint64_t frame_limit;   /* bytes */
	struct field_keys keys; /* the configuration's */
	double count_time_s;    /* of the last detector configuration; 0: not said */
	uint8_t *mask;          /* of the last message, if it was a header */
};

/* Parse one part. NULL after rejecting the message. */
static const json_t *parse(struct decoder *d, const struct part *part, const char *name,
                           struct decoded *ret)
{
	const json_t *root = header_parse(&d->header, part->data, part->size);

	if (!root)
		field_reject(ret, REJECT_HEADER, "%s: %s", name, d->header.why);
	return root;
}

static bool begins_with(const char *text, const char *start)
{
	return text && strncmp(text, start, strlen(start)) == 0;
}

static bool check_htype(const json_t *root, const char *expected, struct decoded *ret)
{
	const char *htype = field_text(root, "htype");

	if (begins_with(htype, expected))
		return true;
	return field_reject(ret, REJECT_HEADER, "htype is %.40s, %s1.0 is expected",
	                    htype ? htype : "no string", expected);
}

static bool read_series(const json_t *root, struct decoded *ret)
{
	ret->frame.series = field_token_of(field_of(root, "series"));
	if (ret->frame.series)
		return true;
	return field_reject(ret, REJECT_HEADER, "series is neither a number nor a string");
}

/* ---- the header ---- */

/* Parts that header_detail announces, 0 for a detail that is not known. */
static unsigned parts_of_detail(const char *detail)
{
	if (!detail || strcmp(detail, "none") == 0)
		return 1;
	return strcmp(detail, "basic") == 0 ? 2 : strcmp(detail, "all") == 0 ? 8 : 0;
}

/* Each trigger makes nimages of them, where triggers come from outside one by one only one. */
static uint64_t announced(const json_t *config)
{
	uint64_t images = 0, triggers = 1, all;
	const char *mode = field_text(config, "trigger_mode");

	header_integer(field_of(config, "ntrigger"), &triggers);
	if (mode && strlen(mode) == 4 && mode[3] == 'e')
		return triggers;
	header_integer(field_of(config, "nimages"), &images);
	return __builtin_mul_overflow(images, triggers, &all) ? 0 : all;
}

static void read_type_of_depth(const json_t *config, struct detector *ret)
{
	uint64_t bits = 0;

	header_integer(field_of(config, "bit_depth_image"), &bits);
	ret->type_known = bits == 8 || bits == 16 || bits == 32;
	ret->type = bits == 8 ? PIXEL_UINT8 : bits == 16 ? PIXEL_UINT16 : PIXEL_UINT32;
}

static void read_saturation(const json_t *config, struct detector *ret)
{
	uint64_t cutoff;

	if (header_integer(field_of(config, "saturation_value"), &ret->saturation))
		return;
	if (header_integer(field_of(config, "countrate_correction_count_cutoff"), &cutoff) &&
	    cutoff > 0 && cutoff < UINT32_MAX)
		ret->saturation = cutoff + 1;
}

static void read_side(const json_t *config, const char *key, uint32_t *ret)
{
	uint64_t side;

	if (header_integer(field_of(config, key), &side) && side <= UINT32_MAX)
		*ret = (uint32_t)side;
}

static void read_config(struct decoder *d, const json_t *config, struct decoded *ret)
{
	struct detector *detector = &ret->detector;
	const char *description = field_text(config, "description");

	ret->announced = announced(config);
	read_side(config, "x_pixels_in_detector", &detector->width);
	read_side(config, "y_pixels_in_detector", &detector->height);
	read_type_of_depth(config, detector);
	read_saturation(config, detector);
	detector->exposure_s = fmax(0, field_real(config, "count_time", 0));
	detector->period_s = fmax(0, field_real(config, "frame_time", 0));
	snprintf(detector->description, sizeof detector->description, "%s",
	         description ? description : "");
	header_printable(detector->description);
	d->count_time_s = detector->exposure_s;
}

/* What is wrong with the mask costs the mask, not the series. */
__attribute__((format(printf, 2, 3))) static void do_without_mask(struct decoded *ret,
                                                                  const char *format, ...)
{
	size_t used = (size_t)snprintf(ret->why, sizeof ret->why, "no pixel mask is used: ");
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(ret->why + used, sizeof ret->why - used, format, arguments);
	va_end(arguments);
	header_printable(ret->why);
}

/* Some detectors have none to give: no shape, no type, and a part of no bytes. */
static void read_mask(struct decoder *d, const struct message *m, struct decoded *ret)
{
	const struct part *shape = &m->parts[PART_MASK_SHAPE], *part = &m->parts[PART_MASK];
	const json_t *root = header_parse(&d->header, shape->data, shape->size);
	struct detector *detector = &ret->detector;
	uint32_t width, height;
	uint64_t bytes;

	if (part->size == 0)
		return;
	if (!begins_with(field_text(root, "htype"), "dpixelmask-") ||
	    !field_lengths(field_of(root, "shape"), &width, &height) || !field_text(root, "type") ||
	    strcmp(field_text(root, "type"), "uint32") != 0) {
		do_without_mask(ret, "its header is not one of uint32 pixels");
		return;
	}
	if (!wire_bytes(width, height, PIXEL_UINT32, PACKING_NONE, &bytes) || bytes != part->size) {
		do_without_mask(ret, "it has %zu bytes, %u x %u uint32 are expected", part->size,
		                width, height);
		return;
	}
	if ((detector->width && detector->width != width) ||
	    (detector->height && detector->height != height)) {
		do_without_mask(ret, "it is %u x %u, the detector %u x %u", width, height,
		                detector->width, detector->height);
		return;
	}
	detector->width = width;
	detector->height = height;
	d->mask = framing_mask(part->data, part->size / sizeof(uint32_t));
	detector->mask = d->mask;
	if (!d->mask)
		do_without_mask(ret, "there is no memory for it");
}

static void decode_header(struct decoder *d, const json_t *root, const struct message *m,
                          struct decoded *ret)
{
	unsigned parts = parts_of_detail(field_text(root, "header_detail"));

	if (!read_series(root, ret))
		return;
	if (parts == 0) {
		field_reject(ret, REJECT_HEADER,
		             "header_detail is %.20s; all, basic or none is "
		             "expected",
		             field_text(root, "header_detail"));
		return;
	}
	if (m->part_count != parts && m->part_count != parts + 1) {
		field_reject(ret, REJECT_PARTS,
		             "the header has %u parts, %u, and an appendix or "
		             "none, are expected",
		             m->part_count, parts);
		return;
	}
	d->count_time_s = 0;
	if (parts > 1) {
		root = parse(d, &m->parts[PART_CONFIG], "the detector configuration", ret);
		if (!root)
			return;
		read_config(d, root, ret);
	}
	if (parts == 8)
		read_mask(d, m, ret);
	ret->verdict = VERDICT_START;
}

/* ---- images ---- */

/* The bits that "bs16" and the like name, with *text moved behind them. 0: none are named. */
static unsigned bitshuffled_bits(const char **text)
{
	static const struct {
		const char *name;
		unsigned bits;
	} rows[] = { { "bs8", 8 }, { "bs16", 16 }, { "bs32", 32 } };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (begins_with(*text, rows[i].name)) {
			*text += strlen(rows[i].name);
			return rows[i].bits;
		}
	return 0;
}

/* [bs<BIT>][[-]lz4][<|>] */
static bool read_encoding(const char *encoding, struct decoded *ret)
{
	struct frame *f = &ret->frame;
	const char *rest = encoding;
	unsigned bits = bitshuffled_bits(&rest);
	bool lz4;

	rest += bits && rest[0] == '-';
	lz4 = begins_with(rest, "lz4");
	rest += lz4 ? 3 : 0;
	if ((bits && !lz4) || (strcmp(rest, "<") != 0 && strcmp(rest, ">") != 0 && rest[0]))
		return field_reject(ret, REJECT_ENCODING,
		                    "encoding is \"%.40s\"; <, lz4<, bs8-lz4<, "
		                    "bs16-lz4< or bs32-lz4< is expected",
		                    encoding);
	f->codec = bits ? CODEC_BSLZ4 : lz4 ? CODEC_LZ4 : CODEC_NONE;
	f->codec_element = (uint8_t)(bits / 8);
	f->big_endian = rest[0] == '>';
	if (bits && f->codec_element != pixel_bytes(f->type))
		return field_reject(ret, REJECT_ENCODING,
		                    "encoding \"%.40s\" does not fit pixels of %s", encoding,
		                    pixel_name(f->type));
	return true;
}

static bool read_shape(struct decoder *d, const struct part *part, const struct part *pixels,
                       struct decoded *ret)
{
	const json_t *root = parse(d, part, "the image's second part", ret);
	uint64_t size;

	if (!root || !check_htype(root, "dimage_d-", ret))
		return false;
	if (!field_lengths(field_of(root, "shape"), &ret->frame.width, &ret->frame.height))
		return field_reject(ret, REJECT_SHAPE,
		                    "shape is not two integers from 1 to 2^32 - 1");
	if (!field_type(field_text(root, "type"), false, ret))
		return false;
	if (!field_text(root, "encoding"))
		return field_reject(ret, REJECT_HEADER, "the image has no encoding");
	if (!read_encoding(field_text(root, "encoding"), ret))
		return false;
	if (!header_integer(field_of(root, "size"), &size))
		return field_reject(ret, REJECT_HEADER, "the image has no size");
	if (size != pixels->size)
		return field_reject(ret, REJECT_LENGTH, "the pixels have %zu bytes, size says %llu",
		                    pixels->size, (unsigned long long)size);
	return true;
}

/* real_time is what count_time was, in the clock's ticks; in an external gate it is anything. */
static uint64_t tick_ns(const struct decoder *d, const json_t *times)
{
	double ticks_s = field_real(times, "real_time", 0) * TICK_NS * 1e-9;

	return ticks_s > d->count_time_s / 2 && ticks_s < d->count_time_s * 2 ? TICK_NS : 1;
}

static bool read_times(struct decoder *d, const struct part *part, struct decoded *ret)
{
	const json_t *root = parse(d, part, "the image's fourth part", ret);
	uint64_t start;

	if (!root || !check_htype(root, "dconfig-", ret))
		return false;
	if (header_integer(field_of(root, "start_time"), &start) &&
	    __builtin_mul_overflow(start, tick_ns(d, root), &ret->frame.timestamp_ns))
		ret->frame.timestamp_ns = 0;
	return true;
}

/* Whatever a user has the detector send along: with any luck JSON. */
static void read_appendix(struct decoder *d, const struct part *part, struct frame *ret)
{
	if (field_keys_any(&d->keys))
		field_keys_read(header_parse(&d->header, part->data, part->size), &d->keys, ret);
}

static void decode_image(struct decoder *d, const json_t *root, const struct message *m,
                         struct decoded *ret)
{
	const struct part *pixels = &m->parts[PART_PIXELS];

	if (!field_number(root, "frame", ret) || !read_series(root, ret))
		return;
	if (m->part_count != IMAGE_PARTS && m->part_count != IMAGE_PARTS + 1) {
		field_reject(ret, REJECT_PARTS,
		             "the image has %u parts, 4, and an appendix or none, "
		             "are expected",
		             m->part_count);
		return;
	}
	if (!read_shape(d, &m->parts[PART_SHAPE], pixels, ret) ||
	    !read_times(d, &m->parts[PART_TIMES], ret) ||
	    !field_size(d->frame_limit, pixels->size, ret) || !framing_check(pixels->data, ret))
		return;
	if (m->part_count > IMAGE_PARTS)
		read_appendix(d, &m->parts[IMAGE_PARTS], &ret->frame);
	framing_no_value(&ret->frame);
	ret->frame.pixels = pixels->data;
	ret->pixel_part = PART_PIXELS;
	ret->verdict = VERDICT_FRAME;
}

static void decode_end(const json_t *root, const struct message *m, struct decoded *ret)
{
	if (m->part_count > 2)
		field_reject(ret, REJECT_PARTS, "the end of series has %u parts, 1 is expected",
		             m->part_count);
	else if (read_series(root, ret))
		ret->verdict = VERDICT_END;
}

void dectris_v1_decode(struct decoder *d, const struct message *m, struct decoded *ret)
{
	const json_t *root;
	const char *htype;

	*ret = (struct decoded){ .verdict = VERDICT_REJECTED };
	if (d->mask) {
		free(d->mask);
		d->mask = NULL;
	}
	if (m->part_count == 0) {
		field_reject(ret, REJECT_PARTS, "the message has no parts");
		return;
	}
	root = parse(d, &m->parts[0], "the first part", ret);
	if (!root)
		return;
	htype = field_text(root, "htype");
	if (begins_with(htype, "dimage-"))
		decode_image(d, root, m, ret);
	else if (begins_with(htype, "dheader-"))
		decode_header(d, root, m, ret);
	else if (begins_with(htype, "dseries_end"))
		decode_end(root, m, ret);
	else
		field_reject(ret, REJECT_HEADER,
		             "htype is %.40s; dheader-, dimage- or dseries_end- "
		             "is expected: parts of an image that was cut off?",
		             htype ? htype : "no string");
}

int dectris_v1_open(struct decoder **ret, const struct config_ingest *c, char why[160])
{
	struct decoder *d = field_decoder_open(sizeof *d, "dectris-v1", why);

	if (!d)
		return -ENOMEM;
	d->frame_limit = c->frame_limit;
	d->keys = field_keys_of(c);
	*ret = d;
	return 0;
}

void dectris_v1_close(struct decoder *d)
{
	if (d)
		free(d->mask);
	field_decoder_close(d);
}
