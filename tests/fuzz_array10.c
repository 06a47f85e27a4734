/* SPDX-License-Identifier: Apache-2.0 */
/* Input: one byte of choices, two bytes of blob length (little-endian), the header.
 *
 *   bits 0..1 of the choices   parts: 2, 2, 1, 5
 *   bits 2..3                  pixel_format: auto, Mono8, Mono10p, Mono16
 *   bits 4..5                  configured frame: none, 2 x 2, 3 x 2, none
 *   bit 6                      a good frame of 3 x 2 comes first */
#include "ingest/array10.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char good[] = "{\"frame\":1,\"type\":\"uint8\",\"shape\":[2,3]}";

static struct decoder *open_decoder(unsigned choices)
{
	static char formats[][8] = { "auto", "Mono8", "Mono10p", "Mono16" };
	static const uint32_t widths[] = { 0, 2, 3, 0 };
	unsigned shape = choices >> 4 & 3;
	struct config_ingest c = {
		.pixel_format = formats[choices >> 2 & 3],
		.width = widths[shape],
		.height = widths[shape] ? 2 : 0,
		.frame_limit = 65535,
	};
	struct decoder *d = NULL;
	char why[160];

	if (array10_open(&d, &c, why) != 0)
		abort();
	return d;
}

/* Abort when the verdict breaks the contract of ingest/protocol.h. */
static void check(const struct decoded *d, const uint8_t *blob, size_t blob_bytes)
{
	const struct frame *f = &d->frame;
	uint64_t bytes = 0;

	if (d->verdict == VERDICT_REJECTED) {
		if (d->reason > REJECT_ENCODING || !d->why[0] ||
		    !memchr(d->why, '\0', sizeof d->why))
			abort();
		for (const char *s = d->why; *s; s++)
			if (*s < ' ' || *s > '~')
				abort();
		return;
	}
	if (!d->number_known || f->number == UINT64_MAX)
		abort();
	if (d->verdict == VERDICT_DUMMY)
		return;
	if (d->verdict != VERDICT_FRAME || f->pixels != blob || f->bytes != blob_bytes ||
	    !wire_bytes(f->width, f->height, f->type, f->packing, &bytes) || f->bytes != bytes)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned part_counts[] = { 2, 2, 1, 5 };
	static uint8_t blob[65536];
	static struct decoder *decoders[64];
	struct message m = { .part_count = 2, .parts = { { good, sizeof good - 1 }, { blob, 6 } } };
	struct decoder **d;
	struct decoded ret;
	size_t blob_bytes;

	if (size < 3)
		return 0;
	d = &decoders[data[0] & 63];
	if (data[0] & 64) {
		array10_close(*d);
		*d = NULL;
	}
	if (!*d)
		*d = open_decoder(data[0]);
	if (data[0] & 64)
		array10_decode(*d, &m, &ret);
	blob_bytes = data[1] | (size_t)data[2] << 8;
	m.part_count = part_counts[data[0] & 3];
	m.parts[0] = (struct part){ data + 3, size - 3 };
	m.parts[1] = (struct part){ blob, blob_bytes };
	array10_decode(*d, &m, &ret);
	check(&ret, blob, blob_bytes);
	return 0;
}
