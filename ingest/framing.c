/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/framing.h"

#include "ingest/fields.h"

bool framing_check(const void *pixels, struct decoded *ret)
{
	const struct frame *f = &ret->frame;
	uint64_t announced, plain = 0;
	const char *why;

	if (f->codec == CODEC_NONE || f->codec == CODEC_LZ4)
		return true;
	if (!decompress_announced(f->codec, f->codec_element, pixels, f->bytes, &announced, &why))
		return field_reject(ret, REJECT_LENGTH, "%s: %s", codec_name(f->codec), why);
	frame_plain_bytes(f, &plain);
	if (announced != plain)
		return field_reject(ret, REJECT_LENGTH,
		                    "the %s data announce %llu bytes, the frame has %llu",
		                    codec_name(f->codec), (unsigned long long)announced,
		                    (unsigned long long)plain);
	return true;
}

void framing_no_value(struct frame *f)
{
	if (f->type == PIXEL_FLOAT32)
		return;
	f->has_no_value = true;
	f->no_value = (int64_t)(UINT64_MAX >> (64 - 8 * pixel_bytes(f->type)));
}
