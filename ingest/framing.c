/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/framing.h"

#include "ingest/fields.h"

#include <stdlib.h>
#include <string.h>

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

uint8_t *framing_mask(const void *words, size_t pixels)
{
	uint8_t *mask = malloc(pixels ? pixels : 1);

	for (size_t i = 0; mask && i < pixels; i++) {
		uint32_t word;

		memcpy(&word, (const char *)words + i * sizeof word, sizeof word);
		mask[i] = word != 0;
	}
	return mask;
}

void framing_no_value(struct frame *f)
{
	if (f->type == PIXEL_FLOAT32 && f->stored != STORED_UINT64)
		return;
	f->has_no_value = true;
	f->no_value = f->stored ? -1 : (int64_t)(UINT64_MAX >> (64 - 8 * pixel_bytes(f->type)));
}
