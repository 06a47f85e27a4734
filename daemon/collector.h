/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_COLLECTOR_H
#define DAEMON_COLLECTOR_H

#include "daemon/applied.h"
#include "daemon/averaging.h"
#include "daemon/calibrated.h"
#include "daemon/calibrating.h"
#include "daemon/controlling.h"
#include "daemon/figures.h"
#include "daemon/slot_layout.h"
#include "daemon/idle.h"
#include "daemon/last_loss.h"
#include "daemon/flow.h"
#include "daemon/latency.h"
#include "daemon/log.h"
#include "daemon/sequence.h"
#include "daemon/series.h"
#include "daemon/stage.h"
#include "daemon/watching.h"
#include "sinks/sinks.h"

#define KNOWN_SERIES 16 /* series remembered by the sender's token */

struct pipeline;

/* The one thread that takes entries in order of arrival, decides what a series is, and hands
 * frames to the sinks. */
struct collector {
	struct stage stage;
	struct pipeline *pipeline;
	struct sinks *sinks;
	struct layout *layout;        /* current; NULL until a geometry is known */
	const struct planes *planes;  /* in use: the run's, those below, or none */
	struct planes *stream_planes; /* made of the stream, owned; NULL: none were */
	struct planes no_planes;
	uint32_t calibration_id; /* of those in use; 0: there is no calibration, or it does not fit
	                          */
	uint32_t installed_id;   /* of those that are used where they fit */
	uint32_t least_id;       /* frames reduced with an older one are reduced again */
	struct calibrated *unpushed; /* in use, but too much of the old is in flight for workers */
	struct planes *superseded;   /* of the generation that workers use, once it is gone */
	struct applied applied;
	struct calibrating calibrating;
	struct controlling controlling;
	struct watching watching;
	struct flow flow;
	struct latency latency;
	struct last_loss last_loss;
	uint64_t sampled_ns;   /* CLOCK_MONOTONIC: of its last sample, */
	uint64_t lost_ns;      /* and about when the last of */
	unsigned lost;         /* so many frames of this turn was lost */
	uint64_t series_begun; /* since start, of any kind */
	struct series series;
	struct series_rules rules; /* of samples */
	struct averaging averaging;
	struct totals totals;       /* of the series that runs or comes next */
	struct figures_board board; /* what people are told */
	uint64_t series_limit;      /* 0: none */
	uint64_t series_closed;
	int status;          /* worst of the series: 0 or 1 */
	bool begun;          /* the running series has its folder, */
	char name[128];      /* called so and a number */
	unsigned disk_depth; /* of collector_on_disk() */
	bool announced;      /* the log has said that the buffer cuts series.reorder */
	uint64_t began_ns;   /* CLOCK_MONOTONIC */
	struct watched_clock watched;
	uint64_t last_entry_ns; /* watched: of the last message, or of receivers at work */
	unsigned *held;         /* slots of each receiver that wait for their place */

	/* Frames of another geometry than the layout's, in a row and alike. */
	struct frame_shape odd_shape;
	uint64_t odd_count;
	struct ask {
		bool open;
		struct frame_shape shape;
		uint64_t number;
		bool number_known;
		bool starts;        /* a start message waits, */
		struct entry start; /* this one */
	} * asks;                   /* of each receiver, while the layout is being made */
	unsigned starts;            /* so many of them have a start message */
	bool laying_out;

	/* Histograms of the series [bins]. */
	uint64_t *raw_counts, *normalised_counts;
	struct histogram_tails raw_tails, normalised_tails;
	struct log_limit rejections, damaged;

	/* Which series the sender says it is. */
	struct lineage {
		uint64_t token;   /* of the open series; 0: not said */
		bool told;        /* a start message began it */
		uint64_t told_by; /* bit i: receiver i brought one */
		bool ending;      /* its end message came, frames are still waited for */
		struct old_series {
			uint64_t token, told_by;
		} old[KNOWN_SERIES]; /* closed ones [old_count % KNOWN_SERIES] */
		unsigned old_count, known_count;
	} lineage;
	struct detector *detector; /* of the last start message; NULL: none */
};

/* The exit status for an error of sinks_open(). */
int collector_status_of(int err);

/* Open sinks, series and, when the geometry is known, the layout. Main thread. 0, or negative
 * errno with `why` and the exit status. */
int collector_open(struct collector *k, struct pipeline *p, const struct sink_program *program,
                   char why[400], int *ret_status);

/* Accepts a zeroed or half-open one. The thread must have ended. */
void collector_close(struct collector *k);

/* The calibration in use; there is a layout. */
const struct calibrated *collector_calibrated(const struct collector *k);

/* A slot's frame as the sinks take it. */
struct sink_frame collector_frame(struct slot *s);

/* Say that what follows may wait for the disk (or no longer), so that the watchdog knows. Nests.
 * Collector. */
void collector_on_disk(struct collector *k, bool on_disk);

/* The thread's body; `argument` is the collector. */
void *collector_run(void *argument);

#endif
