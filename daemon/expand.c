/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/expand.h"
#include "kernels/widen.h"

#include <string.h>

#define LINE 64u

static size_t round_up(size_t bytes)
{
	return (bytes + LINE - 1) / LINE * LINE;
}

/* A worker's memory, from layout.decompress_from in its scratch on: the decompressor, its scratch,
 * the frames. */
static size_t head_bytes(void)
{
	return round_up(sizeof(struct decompress)) + round_up(decompress_scratch_bytes());
}

static struct decompress *decompress_of(const struct layout *l, void *scratch)
{
	return (struct decompress *)(void *)((char *)scratch + l->decompress_from);
}

bool expand_needed(const struct frame_shape *s)
{
	return s->compressed || s->stored != STORED_PLAIN;
}

size_t expand_bytes(const struct layout *l, unsigned frames)
{
	return head_bytes() + frames * round_up(l->expanded_bytes);
}

void expand_init(const struct layout *l, void *scratch, unsigned cpu)
{
	struct decompress *d = decompress_of(l, scratch);

	decompress_init(d, (char *)d + round_up(sizeof *d), cpu);
}

static bool damaged(struct slot *s, const char *why)
{
	s->why = why;
	s->lost = DROPPED_DECODE;
	return false;
}

/* Decompress `plain` bytes to `out`. */
static bool decompress_to(const struct decompress *d, struct slot *s, void *out, size_t plain)
{
	const struct frame *f = &s->frame;
	const char *why = decompress(d, f->codec, f->codec_element, out, plain, s->raw, f->bytes);

	return !why || damaged(s, why);
}

const void *expand(const struct layout *l, void *scratch, unsigned frame, struct slot *s)
{
	struct decompress *d = decompress_of(l, scratch);
	char *out = (char *)d + head_bytes() + frame * round_up(l->expanded_bytes);
	const struct frame *f = &s->frame;
	size_t pixels = (size_t)f->width * f->height, bytes = stored_bytes(f->stored);
	const void *from = s->raw;

	if (f->codec == CODEC_NONE && !f->stored)
		return s->raw;
	if (!f->stored)
		return decompress_to(d, s, out, l->expanded_bytes) ? out : NULL;
	if (f->codec != CODEC_NONE) {
		/* Where widening them in place does not write over what is still to be read. */
		char *at = bytes < sizeof(float) ? out + pixels * (sizeof(float) - bytes) : out;

		if (!decompress_to(d, s, at, pixels * bytes))
			return NULL;
		from = at;
	}
	widen(out, from, f->stored, f->big_endian, f->has_no_value ? f->no_value : WIDEN_NO_VALUE,
	      pixels);
	return out;
}
