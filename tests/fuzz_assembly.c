/* SPDX-License-Identifier: Apache-2.0 */
/* Input: one byte of time-out and buffer, then steps of one byte and what it needs:
 *
 *   0..4  a piece: i8 distance of its number from the last one, u8 port, u8 geometry
 *   5     a piece of any number: u64, u8 port, u8 geometry
 *   6     time goes on: u16, in 1/10 ms
 *   7     the series ends and another begins
 *
 * done as the receiver does it. A model beside it knows which pieces are there and which numbers
 * were given away. */
#include "ingest/assembly.h"
#include "tests/fuzz_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORGET_NS 1000000000u /* silence after which a number may come again */
#define BROKEN(condition)                                                                          \
	do {                                                                                       \
		if (condition) {                                                                   \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct place {
	bool open;
	uint64_t number, there, began_ns;
	bool given; /* given_number was, and nothing else with this place since */
	uint64_t given_number;
};

struct world {
	struct assembly a;
	struct place places[ASSEMBLY_OPEN_MAX];
	unsigned open;
	uint64_t newest; /* of the whole ones that were given since the last end or silence */
	uint64_t now_ns, last_ns, number;
};

static long messages; /* that are not closed */

static void freed(void *data, void *hint)
{
	(void)hint;
	free(data);
	messages--;
}

static uint64_t take(struct fuzz_reader *r, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes && r->at < r->end; i++)
		value |= (uint64_t)*r->at++ << 8 * i;
	return value;
}

/* Why a frame may leave without all its pieces, when nothing else wants its place. */
static bool waited_enough(const struct world *w, const struct place *p)
{
	return w->now_ns - p->began_ns > w->a.timeout_ns || w->open >= w->a.most ||
	       (w->newest > p->number && w->newest - p->number > ASSEMBLY_BEHIND);
}

static void check_given(struct world *w, struct gathered *g, bool forced)
{
	struct place *p = &w->places[g->frame.number % ASSEMBLY_OPEN_MAX];
	bool whole = g->there == UINT64_MAX >> (64 - g->ports);

	BROKEN(!g->used || !p->open || p->number != g->frame.number || p->there != g->there);
	BROKEN(g->there == 0);
	BROKEN(!whole && !(g->frame.flags & FRAME_INCOMPLETE));
	BROKEN(!whole && !forced && !waited_enough(w, p));
	for (unsigned i = 0; i < g->ports; i++)
		BROKEN((zmq_msg_size(&g->parts[i]) > 0) != (g->there >> i & 1));
	BROKEN(p->given && p->given_number == p->number);
	if (whole && p->number > w->newest)
		w->newest = p->number;
	p->given = true;
	p->given_number = p->number;
	p->open = false;
	w->open--;
}

static void give(struct world *w, struct gathered *g, bool forced)
{
	check_given(w, g, forced);
	assembly_done(&w->a, g);
	BROKEN(w->a.count != w->open);
}

static void give_all(struct world *w, bool all)
{
	struct gathered *g;

	while ((g = assembly_next(&w->a, w->now_ns, all)))
		give(w, g, all);
	BROKEN(w->a.whole != 0);
	BROKEN(all && w->open > 0);
	BROKEN(w->open > 0 && w->open >= w->a.most);
}

static void forget(struct world *w)
{
	for (unsigned i = 0; i < ASSEMBLY_OPEN_MAX; i++)
		w->places[i].given = false;
	w->newest = 0;
}

static void restart(struct world *w)
{
	give_all(w, true);
	assembly_restart(&w->a);
	forget(w);
}

static struct decoded make_piece(uint64_t number, unsigned port, unsigned geometry)
{
	static const uint8_t grids[][2] = { { 2, 1 }, { 1, 1 }, { 4, 2 }, { 8, 8 } };
	const uint8_t *grid = grids[geometry & 3];
	uint32_t side = 1u << (geometry >> 2 & 15);

	return (struct decoded){
		.verdict = VERDICT_PIECE,
		.port = port % (grid[0] * grid[1]),
		.frame = { .number = number,
		           .width = side * grid[0],
		           .height = grid[1],
		           .type = geometry & 64 ? PIXEL_UINT32 : PIXEL_UINT16,
		           .flags = geometry & 128 ? FRAME_INCOMPLETE : 0,
		           .ports = { .columns = grid[0], .rows = grid[1] } },
	};
}

static void check_answer(struct world *w, const struct decoded *d, enum assembly_answer answer)
{
	struct place *p = &w->places[d->frame.number % ASSEMBLY_OPEN_MAX];
	uint64_t bit = (uint64_t)1 << d->port;
	bool late = !p->open && p->given && p->given_number == d->frame.number;

	BROKEN(p->open && p->number != d->frame.number);
	BROKEN(late != (answer == ASSEMBLY_LATE));
	BROKEN(answer == ASSEMBLY_OTHER && !p->open);
	if (p->open && answer != ASSEMBLY_OTHER)
		BROKEN(((p->there & bit) != 0) != (answer == ASSEMBLY_DUPLICATE));
	if (answer != ASSEMBLY_TAKEN)
		return;
	if (!p->open) {
		p->open = true;
		p->number = d->frame.number;
		p->there = 0;
		p->began_ns = w->now_ns;
		w->open++;
	}
	p->there |= bit;
}

static void add(struct world *w, uint64_t number, unsigned port, unsigned geometry)
{
	struct decoded d = make_piece(number, port, geometry);
	struct gathered *other;
	enum assembly_answer answer;
	zmq_msg_t part;
	void *pixels = malloc(1);

	if (!pixels || zmq_msg_init_data(&part, pixels, 1, freed, NULL) != 0)
		abort();
	messages++;
	give_all(w, false);
	other = assembly_in_the_way(&w->a, number);
	if (other) {
		other->frame.flags |= FRAME_INCOMPLETE;
		give(w, other, true);
	}
	if (w->now_ns - w->last_ns > FORGET_NS)
		forget(w);
	w->last_ns = w->now_ns;
	answer = assembly_add(&w->a, &d, &part, w->now_ns);
	check_answer(w, &d, answer);
	zmq_msg_close(&part);
	BROKEN(w->a.count != w->open);
	give_all(w, false);
}

static void step(struct world *w, struct fuzz_reader *r)
{
	unsigned kind = (unsigned)take(r, 1) & 7, port, geometry;

	if (kind == 6) {
		w->now_ns += take(r, 2) * 100000u;
		give_all(w, false);
		return;
	}
	if (kind == 7) {
		restart(w);
		return;
	}
	if (kind == 5)
		w->number = take(r, 8);
	else
		w->number += (uint64_t)(int64_t)(int8_t)take(r, 1);
	if (w->number == UINT64_MAX) /* no decoder lets it pass */
		w->number = 0;
	port = (unsigned)take(r, 1);
	geometry = (unsigned)take(r, 1);
	add(w, w->number, port, geometry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct fuzz_reader r;
	unsigned choices = fuzz_begin(&r, data, size);

	w = (struct world){ .now_ns = 5000000000u };
	if (assembly_open(&w.a, (uint64_t)1000000u << (choices & 15),
	                  (uint64_t)4096 << (choices >> 4)) != 0)
		abort();
	for (unsigned i = 0; i < 4096 && r.at < r.end; i++)
		step(&w, &r);
	if (choices & 1)
		give_all(&w, true);
	assembly_close(&w.a);
	BROKEN(messages != 0);
	return 0;
}
