/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_PIPELINE_H
#define DAEMON_PIPELINE_H

#include "config/config.h"
#include "daemon/blackbox.h"
#include "daemon/calibrated.h"
#include "daemon/calibrator.h"
#include "daemon/commands.h"
#include "daemon/disks.h"
#include "daemon/collector.h"
#include "daemon/keeping.h"
#include "daemon/slot_layout.h"
#include "daemon/planes.h"
#include "daemon/receiver.h"
#include "daemon/worker.h"

#include <stdatomic.h>

/* The threads and what they share.
 *
 *   receivers (rx0..) ══ sequence ring ══▶ workers (work0..) ══▶ collector (sink)
 *        ▲ spare slots ─────────────────────────────────────────────────┘
 *
 * Shutting down follows the data: receivers end first, then the collector has taken everything
 * they published, then the workers end. */

enum phase {
	PHASE_RUN,
	PHASE_DRAIN, /* take what has arrived, finish the series, end */
	PHASE_END,   /* take nothing more from the sockets, finish the series, end */
	PHASE_ABORT, /* drop what is not in a file yet, end */
};

struct pictures;
struct quality;

struct pipeline {
	const struct config *config;
	const struct planes *planes;
	unsigned cpu; /* enum cpu_flag */
	unsigned receiver_count, worker_count;
	struct receiver *receivers; /* [receiver_count] */
	struct worker *workers;     /* [worker_count] */
	struct collector collector;
	struct generations generations; /* of the calibration */
	struct keeping keeping;         /* payloads that outlive their reduction */
	struct disks *disks;            /* the space left */
	struct quality *quality;        /* NULL before it is open */
	struct pictures *pictures;      /* NULL: nobody can look */
	struct commands commands;
	struct calibrator calibrator;
	struct blackbox blackbox;
	uint64_t reserved_bytes; /* of the heap, for messages; the collector's */
	struct gate work;        /* workers sleep here */
	struct bell collect;     /* the collector sleeps here; the sinks' completions ring it too */

	_Alignas(64) _Atomic int phase; /* enum phase; only ever rises */
	_Atomic bool pause;             /* collector: receivers shall stop where they are */
	_Atomic bool collected;         /* collector: everything is taken, workers may end */
	struct layout *_Atomic layout;  /* collector: NULL until a geometry is known */
	_Atomic uint64_t known_series[KNOWN_SERIES]; /* collector: laid out for, by the sender's
	                                                token; 0: unused */

	_Atomic bool failed; /* a stage cannot go on; `failure` was written before */
	_Atomic bool failing;
	char failure[320];
	int failure_status; /* of the process */
};

struct pipeline_options {
	uint64_t series_limit;       /* end after so many closed series; 0: none */
	struct sink_program program; /* for the manifest; texts are borrowed */
	const struct feed *feed;     /* instead of the first endpoint's socket; NULL: none */
};

/* Make everything that does not depend on the geometry (and the layout too, when it is known),
 * attach the sockets, open the sinks. 0, or negative errno with `why` and the exit status. */
int pipeline_open(struct pipeline *p, const struct config *c, const struct planes *planes,
                  unsigned cpu, const struct pipeline_options *options, char why[400],
                  int *ret_status);

/* Start the threads. 0 or negative errno. */
int pipeline_start(struct pipeline *p);

/* Go to a later phase and wake everybody. Any thread, also more than once. */
void pipeline_phase(struct pipeline *p, enum phase phase);

/* A stage cannot go on: say why once, and end the run. Any thread. */
void pipeline_fail(struct pipeline *p, int status, const char *why);

/* True once the collector has ended, and the black box is written. */
bool pipeline_ended(struct pipeline *p);

/* Join the threads. False when one does not end within timeout_ms. */
bool pipeline_join(struct pipeline *p, unsigned timeout_ms);

/* Accepts a half-open one. Threads must have ended. */
void pipeline_close(struct pipeline *p);

/* Where a directory that may be left empty is: that of the first sink with files, else here. */
const char *pipeline_directory(const struct config *c, const char *given);

/* How many receivers the endpoints have: one each, or one for all ports of a detector. */
unsigned pipeline_receivers(const struct config *c);

/* How many workers daemon.workers means here. */
unsigned pipeline_workers(const struct config *c);

/* What is kept on purpose at most: frames of a dark or flat and what is made of them, and the black
 * box. Bytes. */
uint64_t pipeline_kept_bytes(const struct config *c);

/* The memory that the daemon may use, in bytes: the buffer and a quarter for what the allocator
 * leaves between messages, calibration, detectors' pixel masks, what is kept on purpose, the
 * monitor's pictures and answers, and a margin for the program itself. */
uint64_t pipeline_ceiling(const struct config *c, const struct planes *planes);

#endif
