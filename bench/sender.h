/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SENDER_H
#define BENCH_SENDER_H

#include "bench/pattern.h"
#include "bench/progress.h"
#include "bench/send_options.h"
#include "bench/send_report.h"
#include "bench/wire.h"

#include <signal.h>

/* Carries out a plan: takes each step at its time, makes the message, waits for room, records
 * what was done. */
struct sender {
	const struct send_options *options;
	struct pattern *pattern;           /* open */
	struct wire *wire;                 /* open */
	const volatile sig_atomic_t *stop; /* set by a signal handler */
	struct send_report *report;

	/* Filled by sender_run(). */
	struct progress progress;
	uint64_t start_ns; /* when slot 0 is due, CLOCK_MONOTONIC */
	uint64_t newest;   /* 1 + the highest index that was come to */
	uint64_t step_ns;  /* when the step in work began */
	bool gave_up;      /* the linger time was over, or the patience after a stop */
	char why[512];     /* after an error: one sentence */
};

/* Send the whole plan and wait until it was delivered. A stop ends both early: numbers that
 * were due and not sent are in the report as unsent.
 *
 * 0, also when stopped; -EIO, -ENOMEM or another negative errno with why[]. The report is valid
 * in any case. One thread. */
int sender_run(struct sender *s);

#endif
