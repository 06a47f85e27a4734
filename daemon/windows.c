/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/windows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COUNTED (WINDOWS_SPANS + 2) /* all struct counted of a struct windows */

/* What has counts, in no order that matters. */
static struct counted *counted_at(struct windows *w, unsigned i)
{
	if (i < WINDOWS_SPANS - 1)
		return &w->closed[i];
	return i == WINDOWS_SPANS - 1 ? &w->running : i == WINDOWS_SPANS ? &w->second : &w->series;
}

int windows_open(struct windows *w, uint32_t room)
{
	*w = (struct windows){ .room = room };
	w->frame = calloc(room ? room : 1, sizeof *w->frame);
	if (!w->frame)
		return -ENOMEM;
	for (unsigned i = 0; i < COUNTED; i++) {
		struct counted *c = counted_at(w, i);

		c->counts = calloc(room ? room : 1, sizeof *c->counts);
		if (!c->counts)
			return -ENOMEM;
	}
	return 0;
}

void windows_close(struct windows *w)
{
	for (unsigned i = 0; i < COUNTED; i++)
		free(counted_at(w, i)->counts);
	free(w->frame);
	*w = (struct windows){ 0 };
}

static void clear(struct counted *c, uint32_t bins)
{
	if (c->frames == 0)
		return;
	c->frames = 0;
	c->tails = (struct histogram_tails){ 0 };
	memset(c->counts, 0, bins * sizeof *c->counts);
}

void windows_begin(struct windows *w, const struct bins *bins, bool whole)
{
	for (unsigned i = 0; i < COUNTED; i++)
		clear(counted_at(w, i), w->bins.bins);
	w->bins = *bins;
	if (w->bins.bins > w->room)
		w->bins.bins = 0;
	w->whole = whole;
	w->next = 0;
}

void windows_add(struct windows *w, const uint32_t *counts, const struct histogram_tails *tails)
{
	uint64_t *sums = w->running.counts;

	if (w->bins.bins == 0)
		return;
	for (uint32_t i = 0; i < w->bins.bins; i++)
		sums[i] += counts[i];
	w->running.tails.below += tails->below;
	w->running.tails.above += tails->above;
	w->running.tails.nan += tails->nan;
	w->running.frames++;
	memcpy(w->frame, counts, w->bins.bins * sizeof *w->frame);
	w->frame_tails = *tails;
}

static void add(struct counted *sum, const struct counted *c, uint32_t bins)
{
	if (c->frames == 0)
		return;
	for (uint32_t i = 0; i < bins; i++)
		sum->counts[i] += c->counts[i];
	sum->tails.below += c->tails.below;
	sum->tails.above += c->tails.above;
	sum->tails.nan += c->tails.nan;
	sum->frames += c->frames;
}

static void subtract(struct counted *sum, const struct counted *c, uint32_t bins)
{
	if (c->frames == 0)
		return;
	for (uint32_t i = 0; i < bins; i++)
		sum->counts[i] -= c->counts[i];
	sum->tails.below -= c->tails.below;
	sum->tails.above -= c->tails.above;
	sum->tails.nan -= c->tails.nan;
	sum->frames -= c->frames;
}

void windows_next_span(struct windows *w)
{
	struct counted oldest = w->closed[w->next];

	add(&w->series, &w->running, w->bins.bins);
	add(&w->second, &w->running, w->bins.bins);
	subtract(&w->second, &oldest, w->bins.bins);
	w->closed[w->next] = w->running;
	clear(&oldest, w->bins.bins);
	w->running = oldest;
	w->next = (w->next + 1) % (WINDOWS_SPANS - 1);
}

static void show_frame(const struct windows *w, struct quality_histogram *ret)
{
	bool any = w->running.frames + w->series.frames > 0;

	ret->frames = any;
	ret->tails = any ? w->frame_tails : (struct histogram_tails){ 0 };
	for (uint32_t i = 0; i < w->bins.bins; i++)
		ret->counts[i] = any ? w->frame[i] : 0;
}

static void show_sum(const struct windows *w, const struct counted *sum,
                     struct quality_histogram *ret)
{
	struct counted both = { sum->frames, sum->tails, ret->counts };

	memcpy(ret->counts, sum->counts, w->bins.bins * sizeof *ret->counts);
	add(&both, &w->running, w->bins.bins);
	ret->frames = both.frames;
	ret->tails = both.tails;
}

void windows_show(const struct windows *w, enum quality_window which, struct quality_histogram *ret)
{
	ret->bins = w->bins;
	if (which == WINDOW_FRAME)
		show_frame(w, ret);
	else
		show_sum(w, which == WINDOW_SECOND ? &w->second : &w->series, ret);
	percentiles_of_series(ret->percentiles, &ret->bins, ret->counts, &ret->tails, w->whole);
}
