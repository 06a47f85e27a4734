/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/stins.h"

#include "ingest/fields.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct decoder {
	struct header header;   /* first: fields.h */
	uint64_t frame_limit;   /* bytes */
	struct field_keys keys; /* the configuration's */
};

static void decode_image(const struct decoder *d, const json_t *root, const struct message *m,
                         struct decoded *ret)
{
	const char *compression = field_text(root, "compression");

	if (!field_number(root, "frame", ret))
		return;
	if (m->part_count != 2 && m->part_count != 3) {
		field_reject(ret, REJECT_PARTS,
		             "the image has %u parts, 2, and extras or none, are "
		             "expected",
		             m->part_count);
		return;
	}
	if (compression && strcmp(compression, "none") != 0) {
		field_reject(ret, REJECT_ENCODING, "compression is \"%.40s\", none is expected",
		             compression);
		return;
	}
	if (!field_lengths(field_of(root, "shape"), &ret->frame.height, &ret->frame.width)) {
		field_reject(ret, REJECT_SHAPE, "shape is not two integers from 1 to 2^32 - 1");
		return;
	}
	if (!field_type(field_text(root, "type"), true, ret) ||
	    !field_size(d->frame_limit, m->parts[1].size, ret))
		return;
	field_keys_read(root, &d->keys, &ret->frame);
	ret->frame.pixels = m->parts[1].data;
	ret->pixel_part = 1;
	ret->verdict = VERDICT_FRAME;
}

void stins_decode(struct decoder *d, const struct message *m, struct decoded *ret)
{
	const json_t *root = NULL;
	const char *htype;

	*ret = (struct decoded){ .verdict = VERDICT_REJECTED };
	if (m->part_count == 0) {
		field_reject(ret, REJECT_PARTS, "the message has no parts");
		return;
	}
	root = header_parse(&d->header, m->parts[0].data, m->parts[0].size);
	htype = field_text(root, "htype");
	if (!root)
		field_reject(ret, REJECT_HEADER, "%s", d->header.why);
	else if (htype && strcmp(htype, "image") == 0)
		decode_image(d, root, m, ret);
	else if (htype && strcmp(htype, "header") == 0)
		ret->verdict = VERDICT_START;
	else if (htype && strcmp(htype, "series_end") == 0)
		ret->verdict = VERDICT_END;
	else
		field_reject(ret, REJECT_HEADER,
		             "htype is %.40s; header, image or series_end is "
		             "expected",
		             htype ? htype : "no string");
}

int stins_open(struct decoder **ret, const struct config_ingest *c, char why[160])
{
	struct decoder *d = field_decoder_open(sizeof *d, "stins", why);

	if (!d)
		return -ENOMEM;
	d->frame_limit = c->frame_limit;
	d->keys = field_keys_of(c);
	*ret = d;
	return 0;
}

void stins_close(struct decoder *d)
{
	field_decoder_close(d);
}
