/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HOST_TRIAL_H
#define DAEMON_HOST_TRIAL_H

#include "daemon/host_parts.h"

/* What a few seconds of the real thing take. Main thread, INT and TERM blocked: one that is pending
 * ends a trial early. */

/* Payloads to try with, like those that are configured. */
struct trial_frames {
	struct frame frame; /* of all; pixels are those of the first */
	unsigned count;
	unsigned char *payloads; /* [count][frame.bytes] */
};

/* 0 or -ENOMEM, -EFBIG. */
int trial_frames_open(struct trial_frames *t, const struct frame_shape *shape);

/* Accepts a zeroed one. */
void trial_frames_close(struct trial_frames *t);

struct trial_figures {
	double fed;             /* frames that went through the data path, */
	double frames, seconds; /* those that were written, synced and closed in so long */
	double cpu_s;           /* of the whole program, in all */
	double bytes;           /* written */
	double waits_share;     /* of all cores that we did not want while frames were fed: we
	                           waited for something else */
	double others_cores;    /* that other programs used meanwhile */
};

/* Feed frames to a daemon's rings, workers, collector and sinks as fast as they are taken. Series
 * go to scratch folders in the configured directories, which are removed; with `to_null` nothing
 * but their ledger does.
 *
 * seconds     to feed for
 * most_bytes  that may be written
 *
 * 0, or an exit status with why. */
int trial_path(const struct check *k, const struct trial_frames *frames, bool to_null,
               double seconds, double most_bytes, struct trial_figures *ret, char why[400]);

struct trial_wire {
	double frames_per_s; /* over one connection */
	double cpu_s;        /* of a frame: the receiver's, */
	double sender_cpu_s; /* the sender's */
};

/* Receive frames of another process over one connection within this host. 0, or negative errno
 * with why. */
int trial_receive(const struct check *k, const struct trial_frames *frames, double seconds,
                  struct trial_wire *ret, char why[400]);

/* The signal that asks to stop, 0: none. */
int trial_stopped(void);

#endif
