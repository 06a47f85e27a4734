/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_FIGURES_H
#define DAEMON_FIGURES_H

#include "daemon/snapshot.h"
#include "sinks/sinks.h"

#include <stdbool.h>
#include <stdint.h>

/* What the collector tells people, as one snapshot: its figures agree with each other, so that
 * expected = written + dropped + missing + pending holds in each. Whole words throughout. */

struct collector;

struct figures {
	struct totals series; /* of the running series; else of the last, until the next begins */
	struct totals ever;   /* since start, outside series too; none ever goes down: of frames
	                         whose sync failed `written` counts the first fate. Expected and
	                         pending are 0 */
	uint64_t running;     /* a series has its folder, and is not closed */
	uint64_t armed;  /* none runs; its start message came, or an arm command waits for it */
	uint64_t ending; /* enum ending: the running series is being stopped or aborted */
	uint64_t series_begun, series_closed; /* of any kind; of samples */
	struct {
		uint64_t waiting; /* an arm command waits for its series: */
		uint64_t frames;  /* 0: not given */
		uint64_t first_given, first;
		char name[72];
	} request;
	uint64_t held, busy;        /* slots that wait for their place, that are being written */
	uint64_t slots, slot_bytes; /* there are so many, each so large; 0: no geometry is known */
	double buffer_peak;         /* flow_peak_ratio() of the running or the last series */
	double saturation;          /* raw value, infinite where there is none or it is not known */
	struct sink_figures sinks;  /* since start */
};

/* Where the running or the last series is. */
struct series_place {
	uint64_t number;
	char name[128];  /* without the number */
	char path[4096]; /* "" before the first, and where no folder could be made */
};

/* The boards, and what the collector keeps for them. */
struct figures_board {
	struct totals last, ended; /* of the last series, of all that were closed */
	bool any;                  /* there was one */
	uint64_t written_most;     /* as struct figures' ever.written */
	_Alignas(64) _Atomic uint64_t figures[SNAPSHOT_WORDS(struct figures)];
	_Alignas(64) _Atomic uint64_t place[SNAPSHOT_WORDS(struct series_place)];
};

/* Renew the figures. Collector; never waits. */
void figures_publish(struct collector *k);

/* A series has its folder. Collector. */
void figures_series_begins(struct collector *k);

/* The series is closed and k->totals are final; they are set back to zero. Collector. */
void figures_series_ends(struct collector *k);

/* The last series is nobody's business any more. Collector. */
void figures_forget(struct collector *k);

/* Any thread. */
void figures_get(struct figures_board *b, struct figures *ret);
void figures_place(struct figures_board *b, struct series_place *ret);

/* The folder of a series: the last part of its path. */
const char *figures_folder(const char *path);

/* Sums over reasons. */
uint64_t totals_dropped(const struct totals *t);
uint64_t totals_missing(const struct totals *t);
uint64_t totals_rejected(const struct totals *t);

#endif
