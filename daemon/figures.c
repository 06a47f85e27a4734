/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/figures.h"
#include "daemon/collector.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(struct figures) % sizeof(uint64_t) == 0, "whole words");
_Static_assert(sizeof(struct series_place) % sizeof(uint64_t) == 0, "whole words");
_Static_assert(sizeof(struct totals) ==
                       (8 + DROPPED_COUNT + MISSING_COUNT + REJECT_COUNT) * sizeof(uint64_t),
               "add() has all of them");

static uint64_t sum(const uint64_t *counts, unsigned kinds)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < kinds; i++)
		total += counts[i];
	return total;
}

uint64_t totals_dropped(const struct totals *t)
{
	return sum(t->dropped, DROPPED_COUNT);
}

uint64_t totals_missing(const struct totals *t)
{
	return sum(t->missing, MISSING_COUNT);
}

uint64_t totals_rejected(const struct totals *t)
{
	return sum(t->rejected, REJECT_COUNT);
}

static void add_each(uint64_t *to, const uint64_t *counts, unsigned kinds)
{
	for (unsigned i = 0; i < kinds; i++)
		to[i] += counts[i];
}

static void add(struct totals *to, const struct totals *t)
{
	to->received += t->received;
	to->written += t->written;
	to->durable += t->durable;
	to->flagged += t->flagged;
	to->duplicate += t->duplicate;
	to->dummies += t->dummies;
	add_each(to->dropped, t->dropped, DROPPED_COUNT);
	add_each(to->missing, t->missing, MISSING_COUNT);
	add_each(to->rejected, t->rejected, REJECT_COUNT);
}

/* As the ledger would have it now. */
static void account(struct totals *t, uint64_t expected)
{
	uint64_t decided = t->written + totals_dropped(t) + totals_missing(t);

	t->expected = expected;
	t->pending = expected > decided ? expected - decided : 0;
}

static struct totals of_series(const struct collector *k)
{
	struct totals t = k->totals;

	if (!k->begun && k->board.any)
		return k->board.last;
	account(&t, k->series.state == SERIES_OPEN ? series_expected(&k->series) : 0);
	return t;
}

static struct totals since_start(struct collector *k)
{
	struct figures_board *b = &k->board;
	struct totals t = b->ended;

	add(&t, &k->totals);
	b->written_most = t.written > b->written_most ? t.written : b->written_most;
	t.written = b->written_most;
	return t;
}

void figures_publish(struct collector *k)
{
	bool open = k->series.state == SERIES_OPEN, running = open && k->begun;
	const struct arming *a = &k->controlling.next;
	struct figures f = { .series = of_series(k),
		             .ever = since_start(k),
		             .running = running,
		             .armed = !running && (open || a->waiting),
		             .ending = k->controlling.ending,
		             .series_begun = k->series_begun,
		             .series_closed = k->series_closed,
		             .request = { .waiting = a->waiting,
		                          .frames = a->frames,
		                          .first_given = a->first_given,
		                          .first = a->first },
		             .held = k->series.held,
		             .busy = sinks_busy(k->sinks),
		             .saturation = INFINITY };

	snprintf(f.request.name, sizeof f.request.name, "%s", a->name);
	if (k->layout) {
		f.slots = k->layout->slot_count;
		f.slot_bytes = k->layout->budget.slot_bytes;
		f.saturation = layout_saturation(k->layout);
		f.buffer_peak = flow_peak_ratio(k);
	}
	sinks_figures(k->sinks, &f.sinks);
	snapshot_put(k->board.figures, &f, sizeof f);
}

void figures_series_begins(struct collector *k)
{
	struct series_place place = { .number = sinks_series_number(k->sinks) };

	snprintf(place.name, sizeof place.name, "%s", k->name);
	snprintf(place.path, sizeof place.path, "%s", sinks_series_path(k->sinks));
	snapshot_put(k->board.place, &place, sizeof place);
	figures_publish(k);
}

void figures_series_ends(struct collector *k)
{
	struct figures_board *b = &k->board;

	b->last = k->totals;
	b->any = true;
	add(&b->ended, &k->totals);
	k->totals = (struct totals){ 0 };
}

void figures_forget(struct collector *k)
{
	const struct series_place nowhere = { 0 };

	k->board.any = false;
	snapshot_put(k->board.place, &nowhere, sizeof nowhere);
	figures_publish(k);
}

void figures_get(struct figures_board *b, struct figures *ret)
{
	snapshot_get(b->figures, ret, sizeof *ret);
}

void figures_place(struct figures_board *b, struct series_place *ret)
{
	snapshot_get(b->place, ret, sizeof *ret);
}

const char *figures_folder(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}
