/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/assembly.h"

#include <errno.h>
#include <stdlib.h>

#define GIVEN_COUNT (sizeof((struct assembly *)NULL)->given / sizeof(uint64_t))

/* Silence after which numbers that were given away may come again. */
#define FORGET_NS ((uint64_t)1000000000u)

unsigned assembly_open_most(uint64_t buffer_bytes, uint64_t frame_bytes)
{
	uint64_t most = buffer_bytes / 8 / (frame_bytes ? frame_bytes : 1);

	return most < 2 ? 2 : most > ASSEMBLY_OPEN_MAX ? ASSEMBLY_OPEN_MAX : (unsigned)most;
}

int assembly_open(struct assembly *a, uint64_t timeout_ns, uint64_t buffer_bytes)
{
	*a = (struct assembly){ .timeout_ns = timeout_ns, .buffer_bytes = buffer_bytes };
	a->open = calloc(ASSEMBLY_OPEN_MAX, sizeof *a->open);
	return a->open ? 0 : -ENOMEM;
}

void assembly_close(struct assembly *a)
{
	for (unsigned i = 0; a->open && i < ASSEMBLY_OPEN_MAX; i++)
		if (a->open[i].used)
			assembly_done(a, &a->open[i]);
	free(a->open);
	*a = (struct assembly){ 0 };
}

static struct gathered *find(struct assembly *a, uint64_t number)
{
	for (unsigned i = 0; a->count > 0 && i < ASSEMBLY_OPEN_MAX; i++)
		if (a->open[i].used && a->open[i].frame.number == number)
			return &a->open[i];
	return NULL;
}

static bool was_given(const struct assembly *a, uint64_t number)
{
	unsigned count = a->given_count < GIVEN_COUNT ? a->given_count : GIVEN_COUNT;

	for (unsigned i = 0; i < count; i++)
		if (a->given[i] == number)
			return true;
	return false;
}

static struct gathered *begin(struct assembly *a, const struct decoded *piece, uint64_t now_ns)
{
	struct gathered *g = a->open;

	while (g->used)
		g++;
	g->used = true;
	g->frame = piece->frame;
	g->frame.pixels = NULL;
	g->frame.bytes = 0;
	g->ports = piece->frame.ports.columns * piece->frame.ports.rows;
	g->there = 0;
	g->began_ns = now_ns;
	for (unsigned i = 0; i < g->ports; i++)
		zmq_msg_init(&g->parts[i]);
	if (a->count++ == 0 || piece->frame.number > a->newest)
		a->newest = piece->frame.number;
	return g;
}

static bool same_frame(const struct frame *a, const struct frame *b)
{
	return a->width == b->width && a->height == b->height && a->type == b->type &&
	       a->packing == b->packing && a->ports.columns == b->ports.columns &&
	       a->ports.rows == b->ports.rows;
}

enum assembly_answer assembly_add(struct assembly *a, const struct decoded *piece, zmq_msg_t *part,
                                  uint64_t now_ns)
{
	struct gathered *g = find(a, piece->frame.number);
	uint64_t bit = (uint64_t)1 << piece->port;

	if (now_ns - a->last_ns > FORGET_NS)
		a->given_count = 0;
	a->last_ns = now_ns;
	if (!g && was_given(a, piece->frame.number))
		return ASSEMBLY_LATE;
	if (g && !same_frame(&g->frame, &piece->frame))
		return ASSEMBLY_OTHER;
	if (g && g->there & bit)
		return ASSEMBLY_DUPLICATE;
	if (!g)
		g = begin(a, piece, now_ns);
	zmq_msg_move(&g->parts[piece->port], part);
	g->there |= bit;
	g->frame.flags |= piece->frame.flags;
	g->frame.ports.flipped |= piece->frame.ports.flipped;
	return ASSEMBLY_TAKEN;
}

static bool is_whole(const struct gathered *g)
{
	return g->there == UINT64_MAX >> (64 - g->ports);
}

static uint64_t frame_bytes(const struct frame *f)
{
	uint64_t bytes = 0;

	frame_plain_bytes(f, &bytes);
	return bytes;
}

static bool waits_no_longer(const struct assembly *a, const struct gathered *g, uint64_t now_ns)
{
	return now_ns - g->began_ns > a->timeout_ns ||
	       (a->newest > g->frame.number && a->newest - g->frame.number > ASSEMBLY_BEHIND) ||
	       a->count >= assembly_open_most(a->buffer_bytes, frame_bytes(&g->frame));
}

/* Whole ones first, of each kind the smallest number: so they leave in order. */
struct gathered *assembly_next(struct assembly *a, uint64_t now_ns, bool all)
{
	struct gathered *whole = NULL, *oldest = NULL;

	for (unsigned i = 0; a->count > 0 && i < ASSEMBLY_OPEN_MAX; i++) {
		struct gathered *g = &a->open[i];

		if (!g->used)
			continue;
		if (is_whole(g) && (!whole || g->frame.number < whole->frame.number))
			whole = g;
		if (!oldest || g->frame.number < oldest->frame.number)
			oldest = g;
	}
	if (whole)
		return whole;
	if (!oldest || (!all && !waits_no_longer(a, oldest, now_ns)))
		return NULL;
	oldest->frame.flags |= FRAME_INCOMPLETE;
	return oldest;
}

void assembly_done(struct assembly *a, struct gathered *g)
{
	a->given[a->given_count % GIVEN_COUNT] = g->frame.number;
	a->given_count++;
	/* Once the list is full, its length says no more than that. */
	if (a->given_count == 2 * GIVEN_COUNT)
		a->given_count = GIVEN_COUNT;
	for (unsigned i = 0; i < g->ports; i++)
		zmq_msg_close(&g->parts[i]);
	g->used = false;
	a->count--;
}

void assembly_restart(struct assembly *a)
{
	a->given_count = 0;
	a->newest = 0;
}
