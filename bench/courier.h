/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_COURIER_H
#define BENCH_COURIER_H

#include "bench/progress.h"
#include "bench/send_options.h"
#include "bench/wire.h"

#include <signal.h>

/* What sending anything takes beside the messages: waiting for the receiver, the right time, room
 * in the queue, delivery. One thread. */

#define COURIER_STOPPED 1 /* beside negative errno */

/* The progress in one line. waited_s: for how long the present message has waited, 0 for no time
 * worth telling. */
typedef void courier_line_fn(void *user, double waited_s, char ret_line[160]);

struct courier {
	const struct send_options *options;
	struct wire *wire;                 /* open */
	const volatile sig_atomic_t *stop; /* set by a signal handler */
	courier_line_fn *line;
	void *user; /* of line */

	/* Filled from courier_begin() on. */
	struct progress progress;
	uint64_t started_ns; /* CLOCK_REALTIME, when somebody was there to send to */
	uint64_t begin_ns;   /* the same, CLOCK_MONOTONIC */
	uint64_t start_ns;   /* when slot 0 is due, CLOCK_MONOTONIC */
	uint64_t step_ns;    /* when the message in work began */
	uint64_t late;       /* messages more than one period behind their time */
	uint64_t late_max_ns;
	uint64_t elapsed_ns; /* from begin_ns to the delivery of the last message */
	bool delivered;      /* nothing was left in the queues */
	bool gave_up;        /* the linger time was over, or the patience after a stop */
	char why[512];       /* after an error: one sentence */
};

/* Wait for the receivers: push for ever, a publisher as long as asked, and then begin. */
void courier_begin(struct courier *c);

/* Wait for the time of a slot, counted in periods of the rate from 0; begins a message. */
void courier_pace(struct courier *c, uint64_t slot);

/* Wait once, for the time asked; what follows is as much later. */
void courier_stall(struct courier *c);

/* Queue a message on an end, waiting as long as it takes. 0; COURIER_STOPPED; or negative errno
 * with why[]. The message remains to be given up. */
int courier_push(struct courier *c, unsigned end, struct wire_message *m);

/* Show the progress if it is due. */
void courier_tell(struct courier *c, uint64_t now_ns);

/* Wait until all was delivered, as long as asked. */
void courier_finish(struct courier *c);

#endif
