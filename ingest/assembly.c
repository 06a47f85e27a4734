/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/assembly.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Silence after which numbers that were given away may come again. */
#define FORGET_NS ((uint64_t)1000000000u)

/* How often it is looked for frames that wait too long. */
#define CHECK_NS ((uint64_t)1000000u)

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

static struct gathered *place_of(const struct assembly *a, uint64_t number)
{
	return &a->open[number % ASSEMBLY_OPEN_MAX];
}

static bool is_whole(const struct gathered *g)
{
	return g->there == UINT64_MAX >> (64 - g->ports);
}

static bool same_frame(const struct frame *a, const struct frame *b)
{
	return a->width == b->width && a->height == b->height && a->type == b->type &&
	       a->packing == b->packing && a->ports.columns == b->ports.columns &&
	       a->ports.rows == b->ports.rows;
}

static uint64_t frame_bytes(const struct frame *f)
{
	uint64_t bytes = 0;

	frame_plain_bytes(f, &bytes);
	return bytes;
}

static void begin(struct assembly *a, struct gathered *g, const struct decoded *piece,
                  uint64_t now_ns)
{
	g->used = true;
	g->frame = piece->frame;
	g->frame.pixels = NULL;
	g->frame.bytes = 0;
	g->ports = piece->frame.ports.columns * piece->frame.ports.rows;
	g->there = 0;
	g->began_ns = now_ns;
	for (unsigned i = 0; i < g->ports; i++)
		zmq_msg_init(&g->parts[i]);
	a->count++;
	a->most = assembly_open_most(a->buffer_bytes, frame_bytes(&g->frame));
	/* So far back: numbers begin again, or the newest was no good one. */
	if (a->newest > g->frame.number && a->newest - g->frame.number > ASSEMBLY_OPEN_MAX)
		a->newest = g->frame.number;
}

enum assembly_answer assembly_add(struct assembly *a, const struct decoded *piece, zmq_msg_t *part,
                                  uint64_t now_ns)
{
	uint64_t number = piece->frame.number, bit = (uint64_t)1 << piece->port;
	struct gathered *g = place_of(a, number);

	if (now_ns - a->last_ns > FORGET_NS)
		assembly_restart(a);
	a->last_ns = now_ns;
	if (g->used && g->frame.number != number)
		return ASSEMBLY_LATE; /* its place was not made free */
	if (!g->used && a->given[number % ASSEMBLY_OPEN_MAX] == number + 1)
		return ASSEMBLY_LATE;
	if (g->used && !same_frame(&g->frame, &piece->frame))
		return ASSEMBLY_OTHER;
	if (g->used && g->there & bit)
		return ASSEMBLY_DUPLICATE;
	if (!g->used)
		begin(a, g, piece, now_ns);
	zmq_msg_move(&g->parts[piece->port], part);
	g->there |= bit;
	if (!g->frame.has_rotation) {
		g->frame.has_rotation = piece->frame.has_rotation;
		g->frame.rotation = piece->frame.rotation;
	}
	if (g->frame.role == ROLE_UNSAID)
		g->frame.role = piece->frame.role;
	g->frame.flags |= piece->frame.flags;
	g->frame.ports.flipped |= piece->frame.ports.flipped;
	a->whole += is_whole(g);
	return ASSEMBLY_TAKEN;
}

struct gathered *assembly_in_the_way(const struct assembly *a, uint64_t number)
{
	struct gathered *g = place_of(a, number);

	return g->used && g->frame.number != number ? g : NULL;
}

static bool waits_no_longer(const struct assembly *a, const struct gathered *g, uint64_t now_ns)
{
	return now_ns - g->began_ns > a->timeout_ns ||
	       (a->newest > g->frame.number && a->newest - g->frame.number > ASSEMBLY_BEHIND &&
	        a->newest - g->frame.number < ASSEMBLY_OPEN_MAX) ||
	       a->count >= a->most;
}

/* The smallest number of those in use, of the whole ones or of all. */
static struct gathered *smallest(const struct assembly *a, bool whole)
{
	struct gathered *found = NULL;

	for (unsigned i = 0; i < ASSEMBLY_OPEN_MAX; i++) {
		struct gathered *g = &a->open[i];

		if (g->used && (!whole || is_whole(g)) &&
		    (!found || g->frame.number < found->frame.number))
			found = g;
	}
	return found;
}

/* A burst brings many frames in no time; numbers that began anew are far from those before. */
static bool is_time_to_check(const struct assembly *a, uint64_t now_ns)
{
	return now_ns - a->checked_ns >= CHECK_NS || a->count >= a->most ||
	       a->newest - a->checked_newest > ASSEMBLY_BEHIND;
}

/* Whole ones first, of each kind the smallest number: so they leave in order. */
struct gathered *assembly_next(struct assembly *a, uint64_t now_ns, bool all)
{
	struct gathered *oldest;

	if (a->whole > 0)
		return smallest(a, true);
	if (a->count == 0)
		return NULL;
	if (!all && !is_time_to_check(a, now_ns))
		return NULL;
	oldest = smallest(a, false);
	if (!all && !waits_no_longer(a, oldest, now_ns)) {
		a->checked_ns = now_ns;
		a->checked_newest = a->newest;
		return NULL;
	}
	oldest->frame.flags |= FRAME_INCOMPLETE;
	return oldest;
}

void assembly_done(struct assembly *a, struct gathered *g)
{
	uint64_t number = g->frame.number;

	a->given[number % ASSEMBLY_OPEN_MAX] = number + 1;
	/* Neither a count that begins anew nor one wild number makes all that follows late. */
	if (is_whole(g) && (number > a->newest || a->newest - number > ASSEMBLY_BEHIND))
		a->newest = number;
	for (unsigned i = 0; i < g->ports; i++)
		zmq_msg_close(&g->parts[i]);
	a->whole -= is_whole(g);
	g->used = false;
	a->count--;
}

void assembly_restart(struct assembly *a)
{
	memset(a->given, 0, sizeof a->given);
	a->newest = 0;
}
