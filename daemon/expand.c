/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/expand.h"
#include "kernels/widen.h"

#include <string.h>

#define LINE 64u

static size_t round_up(size_t bytes)
{
	return (bytes + LINE - 1) / LINE * LINE;
}

/* A worker's memory, from layout.decompress_from in its scratch on. */
struct memory {
	struct decompress decompress;
};

static size_t head_bytes(void)
{
	return round_up(sizeof(struct memory)) + round_up(decompress_scratch_bytes());
}

static struct memory *memory_of(const struct layout *l, void *scratch)
{
	return (struct memory *)(void *)((char *)scratch + l->decompress_from);
}

bool expand_needed(const struct frame_shape *s)
{
	return s->compressed || s->stored != SIGNED_NONE;
}

size_t expand_bytes(const struct layout *l, unsigned frames)
{
	return head_bytes() + frames * round_up(l->expanded_bytes);
}

void expand_init(const struct layout *l, void *scratch, unsigned cpu)
{
	struct memory *m = memory_of(l, scratch);

	decompress_init(&m->decompress, (char *)m + round_up(sizeof *m), cpu);
}

static bool damaged(struct slot *s, const char *why)
{
	s->why = why;
	s->lost = DROPPED_DECODE;
	return false;
}

static unsigned stored_bytes(const struct frame *f)
{
	static const unsigned bytes[SIGNED_TYPE_COUNT] = {
		[SIGNED_INT8] = 1, [SIGNED_INT16] = 2, [SIGNED_INT32] = 4
	};

	return bytes[f->stored];
}

/* Decompress `plain` bytes to `out`. */
static bool decompress_to(const struct memory *m, struct slot *s, void *out, size_t plain)
{
	const struct frame *f = &s->frame;
	const char *why = decompress(&m->decompress, f->codec, f->codec_element, out, plain, s->raw,
	                             f->bytes);

	return !why || damaged(s, why);
}

const void *expand(const struct layout *l, void *scratch, unsigned frame, struct slot *s)
{
	struct memory *m = memory_of(l, scratch);
	char *out = (char *)m + head_bytes() + frame * round_up(l->expanded_bytes);
	const struct frame *f = &s->frame;
	size_t pixels = (size_t)f->width * f->height;
	unsigned bytes = stored_bytes(f);
	const void *from = s->raw;

	if (f->codec == CODEC_NONE && !f->stored)
		return s->raw;
	if (!f->stored)
		return decompress_to(m, s, out, l->expanded_bytes) ? out : NULL;
	if (f->codec != CODEC_NONE) {
		char *tail = out + pixels * (sizeof(float) - bytes);

		if (!decompress_to(m, s, tail, pixels * bytes))
			return NULL;
		from = tail;
	}
	widen_signed(out, from, bytes, f->big_endian,
	             f->has_no_value ? f->no_value : WIDEN_NO_VALUE, pixels);
	return out;
}
