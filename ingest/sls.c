/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/sls.h"

#include "ingest/fields.h"
#include "ingest/framing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX 8192 /* of a header that is mended; the vendor's has 1000 at most */
#define TICK_NS  100

struct decoder {
	struct header header;   /* first: fields.h */
	uint64_t frame_limit;   /* bytes */
	struct field_keys keys; /* the configuration's */
	char text[TEXT_MAX];
};

/* ---- headers that are no JSON ---- */

/* The value behind "key": in text, or NULL. */
static char *value_of(char *text, const char *key)
{
	char *at = strstr(text, key);

	if (!at)
		return NULL;
	at += strlen(key);
	return at + strspn(at, ": ");
}

/* progress: inf, -nan and the like become 0. */
static void mend_progress(char *text)
{
	char *at = value_of(text, "\"progress\"");

	if (!at)
		return;
	if (*at == '-')
		*at++ = ' ';
	if (*at < 'a' || *at > 'z')
		return;
	*at++ = '0';
	for (; *at >= 'a' && *at <= 'z'; at++)
		*at = ' ';
}

/* A path with back slashes is printed as it is. */
static void mend_name(char *text)
{
	char *at = value_of(text, "\"fname\"");

	for (; at && *at && *at != ','; at++)
		if (*at == '\\' || (unsigned char)*at < ' ' || (unsigned char)*at > '~')
			*at = '/';
}

static const json_t *parse(struct decoder *d, const struct part *part)
{
	const json_t *root = header_parse(&d->header, part->data, part->size);

	if (root || part->size == 0 || part->size >= TEXT_MAX)
		return root;
	memcpy(d->text, part->data, part->size);
	d->text[part->size] = '\0';
	if (strlen(d->text) != part->size)
		return NULL;
	mend_progress(d->text);
	mend_name(d->text);
	return header_parse(&d->header, d->text, part->size);
}

/* ---- fields ---- */

static bool read_number(const json_t *root, struct decoded *ret)
{
	const char *key = field_of(root, "frameNumber") ? "frameNumber" : "acqIndex";

	return field_number(root, key, ret);
}

static bool read_bits(const json_t *root, struct decoded *ret)
{
	static const struct {
		uint64_t bits;
		enum pixel_type type;
		enum pixel_packing packing;
	} rows[] = {
		{ 4, PIXEL_UINT8, PACKING_NIBBLES },   { 8, PIXEL_UINT8, PACKING_NONE },
		{ 12, PIXEL_UINT16, PACKING_MONO12P }, { 16, PIXEL_UINT16, PACKING_NONE },
		{ 32, PIXEL_UINT32, PACKING_NONE },
	};
	uint64_t bits;

	if (!header_integer(field_of(root, "bitmode"), &bits))
		return field_reject(ret, REJECT_HEADER, "the header has no bitmode");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].bits == bits) {
			ret->frame.type = rows[i].type;
			ret->frame.packing = rows[i].packing;
			ret->frame.bits = bits < 16 ? (uint8_t)bits : 0;
			if (bits >= 16)
				framing_no_value(&ret->frame);
			return true;
		}
	return field_reject(ret, REJECT_TYPE, "bitmode is %llu; 4, 8, 12, 16 or 32 is taken",
	                    (unsigned long long)bits);
}

static bool read_flag(const json_t *root, const char *key, bool fallback, bool *ret_flag,
                      struct decoded *ret)
{
	const json_t *value = field_of(root, key);

	*ret_flag = fallback;
	if (!value || header_boolean(value, ret_flag))
		return true;
	return field_reject(ret, REJECT_HEADER, "%s is neither 1 nor 0", key);
}

/* Where the port belongs, and how large its piece is. */
static bool read_place(const json_t *root, uint32_t *ret_width, uint32_t *ret_height,
                       struct decoded *ret)
{
	struct port_grid *grid = &ret->frame.ports;
	uint32_t columns, rows;
	uint64_t row, column;

	if (!field_lengths(field_of(root, "shape"), ret_width, ret_height))
		return field_reject(ret, REJECT_SHAPE,
		                    "shape is not two integers from 1 to 2^32 - 1");
	if (!field_lengths(field_of(root, "detshape"), &columns, &rows) || columns > PORTS_MAX ||
	    rows > PORTS_MAX || columns * rows > PORTS_MAX)
		return field_reject(ret, REJECT_SHAPE,
		                    "detshape is not [ports in x, ports in y], %d "
		                    "in all at most",
		                    PORTS_MAX);
	if (!header_integer(field_of(root, "row"), &row) ||
	    !header_integer(field_of(root, "column"), &column))
		return field_reject(ret, REJECT_HEADER, "the header has no row and column");
	if (row >= rows || column >= columns)
		return field_reject(ret, REJECT_SHAPE,
		                    "row %llu, column %llu is outside the detector "
		                    "of %u x %u ports",
		                    (unsigned long long)row, (unsigned long long)column, columns,
		                    rows);
	if (*ret_width > UINT32_MAX / columns || *ret_height > UINT32_MAX / rows)
		return field_reject(ret, REJECT_SHAPE,
		                    "the ports make a frame wider than 2^32 - 1");
	*grid = (struct port_grid){ .columns = (uint8_t)columns, .rows = (uint8_t)rows };
	ret->port = (unsigned)(row * columns + column);
	ret->frame.width = *ret_width * columns;
	ret->frame.height = *ret_height * rows;
	return true;
}

/* Arrangements that row and column do not tell. */
static bool refuse_others(const json_t *root, struct decoded *ret)
{
	const json_t *roi = field_of(root, "rx_roi");
	uint64_t low;
	bool quad;

	if (!read_flag(root, "quad", false, &quad, ret))
		return false;
	if (quad)
		return field_reject(ret, REJECT_SHAPE, "quad is 1: that arrangement is not taken");
	if (ret->frame.ports.columns * ret->frame.ports.rows > 1 && json_array_size(roi) > 0 &&
	    header_integer(json_array_get(roi, 0), &low))
		return field_reject(ret, REJECT_SHAPE,
		                    "rx_roi cuts a detector of several ports: that "
		                    "is not taken");
	return true;
}

static bool read_flags(const json_t *root, struct decoded *ret)
{
	bool complete, flipped;
	uint64_t ticks;

	if (!read_flag(root, "completeImage", true, &complete, ret) ||
	    !read_flag(root, "flipRows", false, &flipped, ret))
		return false;
	ret->frame.flags = complete ? 0 : FRAME_INCOMPLETE;
	ret->frame.ports.flipped = (uint64_t)flipped << ret->port;
	if (header_integer(field_of(root, "timestamp"), &ticks) &&
	    __builtin_mul_overflow(ticks, TICK_NS, &ret->frame.timestamp_ns))
		ret->frame.timestamp_ns = 0;
	return true;
}

/* The piece is as long as its own shape says, the frame not longer than allowed. */
static bool check_sizes(const struct decoder *d, uint32_t width, uint32_t height, size_t bytes,
                        struct decoded *ret)
{
	const struct frame *f = &ret->frame;
	uint64_t piece, all;

	if (!wire_bytes(f->width, f->height, f->type, f->packing, &all) || all > d->frame_limit)
		return field_reject(ret, REJECT_SHAPE,
		                    "%u rows of %u %s are more than "
		                    "ingest.frame_limit, %llu bytes",
		                    f->height, f->width, wire_name(f->type, f->packing),
		                    (unsigned long long)d->frame_limit);
	if (!wire_bytes(width, height, f->type, f->packing, &piece) || piece != bytes)
		return field_reject(ret, REJECT_LENGTH,
		                    "the port's pixels have %zu bytes, shape [%u, "
		                    "%u] of %s has %llu",
		                    bytes, width, height, wire_name(f->type, f->packing),
		                    (unsigned long long)piece);
	return true;
}

static void decode_piece(const struct decoder *d, const json_t *root, const struct part *pixels,
                         struct decoded *ret)
{
	uint32_t width, height;

	if (!read_bits(root, ret) || !read_place(root, &width, &height, ret) ||
	    !refuse_others(root, ret) || !read_flags(root, ret) ||
	    !check_sizes(d, width, height, pixels->size, ret))
		return;
	field_keys_read(root, &d->keys, &ret->frame);
	ret->frame.pixels = pixels->data;
	ret->frame.bytes = pixels->size;
	ret->pixel_part = 1;
	ret->verdict = VERDICT_PIECE;
}

void sls_decode(struct decoder *d, const struct message *m, struct decoded *ret)
{
	const json_t *root = NULL;
	bool data = true;

	*ret = (struct decoded){ .verdict = VERDICT_REJECTED };
	if (m->part_count > 0)
		root = parse(d, &m->parts[0]);
	if (root && !read_flag(root, "data", true, &data, ret))
		return;
	if (root && data)
		read_number(root, ret);
	if (m->part_count != (data ? 2 : 1)) {
		field_reject(ret, REJECT_PARTS, "the message has %u parts, %d are expected",
		             m->part_count, data ? 2 : 1);
		return;
	}
	if (!root) {
		field_reject(ret, REJECT_HEADER, "%s", d->header.why);
		return;
	}
	if (!data)
		ret->verdict = VERDICT_END;
	else if (ret->number_known)
		decode_piece(d, root, &m->parts[1], ret);
}

int sls_open(struct decoder **ret, const struct config_ingest *c, char why[160])
{
	struct decoder *d = field_decoder_open(sizeof *d, "sls", why);

	if (!d)
		return -ENOMEM;
	d->frame_limit = c->frame_limit;
	d->keys = field_keys_of(c);
	*ret = d;
	return 0;
}

void sls_close(struct decoder *d)
{
	field_decoder_close(d);
}
