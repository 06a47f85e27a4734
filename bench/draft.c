/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/draft.h"

#include "bench/prng.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void draft_init(struct draft *d)
{
	d->count = 0;
	d->has_body = d->body_owned = false;
	d->owned_count = 0;
	d->used = 0;
}

void draft_done(struct draft *d)
{
	if (d->has_body && d->body_owned)
		free((void *)(uintptr_t)d->parts[d->body].data);
	for (unsigned i = 0; i < d->owned_count; i++)
		free(d->owned[i]);
	draft_init(d);
}

static void append(struct draft *d, const void *data, size_t bytes)
{
	assert(d->count < DRAFT_PARTS_MAX);
	d->parts[d->count++] = (struct wire_part){ data, bytes };
}

void draft_text(struct draft *d, const char *format, ...)
{
	size_t room = sizeof d->text - d->used, bytes;
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(d->text + d->used, room, format, arguments);
	va_end(arguments);
	bytes = n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
	append(d, d->text + d->used, bytes);
	d->used += bytes;
}

void draft_bytes(struct draft *d, const void *data, size_t bytes)
{
	assert(bytes <= sizeof d->text - d->used);
	memcpy(d->text + d->used, data, bytes);
	append(d, d->text + d->used, bytes);
	d->used += bytes;
}

void draft_own(struct draft *d, void *data, size_t bytes)
{
	append(d, data, bytes);
	d->owned[d->owned_count++] = data;
}

void draft_body(struct draft *d, void *data, size_t bytes, bool owned)
{
	assert(!d->has_body);
	d->has_body = true;
	d->body_owned = owned;
	d->body = d->count;
	append(d, data, bytes);
}

static void fill_with_noise(char *header, size_t size, uint64_t random)
{
	for (size_t i = 0; i < size; i++)
		header[i] = (char)(prng_next(&random) >> 56);
	header[0] |= (char)0x80; /* neither a bracket nor white space */
}

/* A header may end with a newline: without it and nothing else it would still be whole. */
void draft_damage(struct draft *d, const struct shot *shot)
{
	if (shot_is(shot, CORRUPT_CUT_HEADER))
		d->parts[0].size = 1 + (size_t)(shot->random % (d->parts[0].size - 2));
	if (shot_is(shot, CORRUPT_BRACKET))
		d->text[0] = '[';
	if (shot_is(shot, CORRUPT_NOISE))
		fill_with_noise(d->text, d->parts[0].size, shot->random);
}

int draft_message(struct draft *d, struct wire *w, struct wire_message *ret)
{
	enum wire_body whose = !d->has_body ? WIRE_COPIED : d->body_owned ? WIRE_OWNED : WIRE_STAYS;
	int err = wire_message_init(w, ret, d->parts, d->count,
	                            d->has_body ? d->body : d->count - 1, whose);

	if (!err)
		d->body_owned = false;
	return err;
}
