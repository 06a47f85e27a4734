/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SOAK_RUN_H
#define BENCH_SOAK_RUN_H

#include "bench/slope.h"
#include "bench/ledger_check.h"
#include "bench/trial.h"

/* One daemon that takes one series after another without a pause, is looked at from outside all
 * the while, and whose finished series are read back and removed. Before them comes one series as
 * fast as it is taken: the buffer is full once, and the heap as large as it gets. */

struct soak_plan {
	const struct trial *trial; /* opened, with everything on: the daemon is asked over HTTP */
	double rate_hz;            /* of the sender */
	uint64_t frames;           /* of each series */
	unsigned series;           /* at that rate */
	double every_s;            /* between samples, whole seconds */
};

enum soak_quantity {
	SOAK_RATE,        /* usable frames a second, between two looks */
	SOAK_MEMORY,      /* resident, bytes */
	SOAK_DESCRIPTORS, /* open ones */
	SOAK_THREADS,
	SOAK_LATENCY, /* 99th percentile of last byte received to handed to the sink, between
	                 two looks, ms */
	SOAK_QUANTITIES
};

struct soak_figures {
	struct slope_samples samples[SOAK_QUANTITIES]; /* times from the first frame on */
	struct ledger_found ledger;                    /* of all series, the first one too */
	unsigned series;                               /* finished and read back */
	unsigned incomplete;                           /* of them, by their manifest */
	unsigned unanswered;                           /* looks that the daemon did not answer */
	double seconds;                                /* from the first frame until it ended */
	uint64_t sender_late;                          /* messages over a period late */
};

/* Run. Losses are no error. 0, or an exit status of sysexits with why. */
int soak_run(const struct soak_plan *p, struct soak_figures *ret, char why[512]);

#endif
