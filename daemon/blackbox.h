/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_BLACKBOX_H
#define DAEMON_BLACKBOX_H

#include "daemon/commands.h"
#include "daemon/idle.h"
#include "daemon/keeping.h"
#include "daemon/slot_layout.h"
#include "daemon/stage.h"

#include <pthread.h>

/* The black box: the payloads of the last blackbox.before of frames, as they came. When something
 * happens they, and those of blackbox.after, are written as a raw series with a ledger of its own,
 * by a thread of its own and with a ring of its own: the measurement does not wait for it.
 *
 *   collector ──recent──▶ (something happens) ──queue──▶ keep ──io_uring──▶ <name>-event-<number>/
 *
 * What waits for the disk counts against blackbox.memory like what is held; when that is full,
 * frames of the event are not kept, and its ledger says so (dropped, overload). */

struct pipeline;

struct blackbox {
	struct stage stage;
	struct pipeline *pipeline;
	bool configured;
	struct config_sink sink;
	char directory[4096];

	/* The collector's. */
	struct kept_list recent;
	uint64_t
		until_ns; /* CLOCK_REALTIME: frames up to then are of the event; 0: there is none */
	uint64_t most_ns; /* it is not prolonged beyond */
	uint64_t newest_ns;
	bool again; /* something happened while the event before is on its way to the disk: */
	char again_why[240];

	struct bell bell; /* rung by the collector and by completions */

	pthread_mutex_t lock; /* of what follows; held for a few instructions */
	struct kept_list queue;
	bool event, over, stop; /* one is open; the collector adds nothing more to it; end */
	char why[240];

	pthread_mutex_t
		report_lock; /* of the report: people's, for whom the collector never waits */
	struct blackbox_report report;
};

/* Whether the configuration asks for one. */
bool blackbox_wanted(const struct config *c);

/* Whether it is written on that occasion: "alarm", "loss" or "command". */
bool blackbox_is_kept_on(const struct config *c, const char *occasion);

/* 0, or negative errno with `why` and the exit status: the directory cannot be written. */
int blackbox_open(struct blackbox *b, struct pipeline *p, char why[400], int *ret_status);

/* Accepts a zeroed or half-open one. The thread must have ended. */
void blackbox_close(struct blackbox *b);

/* The thread's body. It ends after blackbox_stop(), when everything is written. */
void *blackbox_run(void *argument);
void blackbox_stop(struct blackbox *b);

/* Whether the thread has ended, or was never started. */
bool blackbox_ended(struct blackbox *b);

/* ---- collector ---- */

/* A frame was placed: hold it, or add it to the event. */
void blackbox_place(struct blackbox *b, const struct slot *s, uint64_t series);

/* Something happened: `kind` is "alarm", "loss" or "command", `why` one sentence. False when it is
 * not configured to be kept. An event that is open is prolonged; one that is still being written
 * is followed by another. */
bool blackbox_trigger(struct blackbox *b, const char *kind, const char *why, uint64_t now_ns);

/* End an event that is over; now_ns: CLOCK_REALTIME. */
void blackbox_tick(struct blackbox *b, uint64_t now_ns);

/* The last frame was placed: write what is to be written, and blackbox_stop(). */
void blackbox_finish(struct blackbox *b);

#endif
