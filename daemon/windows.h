/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_WINDOWS_H
#define DAEMON_WINDOWS_H

#include "daemon/quality.h"

/* The histograms of one kind of pixels: of the last frame, the last second and the series. The last
 * second is the ten last spans of 100 ms, the one that runs included. */

#define WINDOWS_SPANS   10
#define WINDOWS_SPAN_NS ((uint64_t)100 * 1000000)

struct counted {
	uint64_t frames;
	struct histogram_tails tails;
	uint64_t *counts; /* [room] */
};

struct windows {
	uint32_t room; /* bins at most */
	struct bins bins;
	bool whole;      /* percentiles.h */
	uint32_t *frame; /* counts of the last frame [room] */
	struct histogram_tails frame_tails;
	struct counted running;                   /* the span that runs, */
	struct counted closed[WINDOWS_SPANS - 1]; /* and those before it, a ring, */
	unsigned next;                            /* the oldest of them */
	struct counted second, series;            /* sums; without the one that runs */
};

/* 0 or -ENOMEM. */
int windows_open(struct windows *w, uint32_t room);

/* Accepts a zeroed or half-open one. */
void windows_close(struct windows *w);

/* Forget everything; from here on there are these bins, at most room. */
void windows_begin(struct windows *w, const struct bins *bins, bool whole);

/* Add a frame [bins]. */
void windows_add(struct windows *w, const uint32_t *counts, const struct histogram_tails *tails);

/* The next span begins. */
void windows_next_span(struct windows *w);

/* Write a window, percentiles included; counts of *ret are the caller's [room]. */
void windows_show(const struct windows *w, enum quality_window which,
                  struct quality_histogram *ret);

#endif
