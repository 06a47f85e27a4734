/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_WORKER_H
#define DAEMON_WORKER_H

#include "daemon/stage.h"
#include "ingest/frame.h"

#define HAND_MOST 64 /* frames */

struct calibrated;
struct layout;
struct pipeline;
struct slot;

/* One thread that makes products of frames, a hand at a time. */
struct worker {
	struct stage stage;
	struct pipeline *pipeline;
	unsigned index;
	unsigned turn; /* of the rings: which is looked at first; the worker's own */
	const void *pieces[HAND_MOST][PORTS_MAX]; /* of a hand, while it is reduced */
};

/* Reduce a frame once more, whose payload was left with it, with another calibration. Collector. */
void worker_reduce_again(const struct layout *l, const struct calibrated *c, struct slot *s);

/* The thread's body; `argument` is the worker. */
void *worker_run(void *argument);

#endif
