/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_COMMANDS_H
#define DAEMON_COMMANDS_H

#include "config/config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What people tell a running daemon, from any thread. A command is checked and left for the
 * collector; what became of it is in the status. */

struct pipeline;

enum command_kind {
	COMMAND_DARK,   /* take the next frames for a dark, */
	COMMAND_FLAT,   /* for a flat */
	COMMAND_KEEP,   /* write the black box */
	COMMAND_CANCEL, /* give up the calibration that is being taken */
	COMMAND_COUNT
};

struct command {
	enum command_kind kind;
	uint64_t frames; /* of dark and flat */
	bool combine_given;
	enum combine combine; /* else as configured */
	bool for_flat;        /* of dark: for the flats only */
	uint64_t timeout_ns;  /* of dark and flat, without a frame; 0: as configured */
};

/* 0; -EBUSY: a calibration is being taken, or the black box written; -EINVAL, -EFBIG (more frames
 * than calibration.memory holds), -ENOTSUP (no black box is configured), -ESHUTDOWN. `why`: one
 * sentence, what, which value, what to do. Any thread but the collector; waits up to 0.2 s for a
 * command before it to be taken. */
int command_give(struct pipeline *p, const struct command *c, char why[400]);

/* ---- what is known of the calibration ---- */

enum calibration_state {
	CALIBRATION_IDLE,
	CALIBRATION_COLLECTING, /* frames are being taken */
	CALIBRATION_MAKING,     /* the image is being made of them */
};

/* The last dark or flat that was asked for. */
struct calibration_report {
	enum calibration_state state;
	uint64_t asked;    /* how many were asked for since start: this is number `asked` */
	bool done, failed; /* the last one; neither while it is being taken */
	const char *role;  /* "dark", "flat", "flat_dark"; "" before the first */
	uint64_t wanted, taken, left_out;
	uint64_t dead, hot, noisy; /* pixels found */
	uint32_t id;               /* of the calibration in use; 0: none */
	char path[4352];           /* of the image made */
	char text[400]; /* "dark of 48 frames, 2 left out (17, 31): ..." or why it failed */
};
void calibration_report(struct pipeline *p, struct calibration_report *ret);

/* Between whoever commands and the collector. */
struct commands {
	_Atomic bool pending;
	_Atomic uint64_t frame_bytes; /* collector: of a frame unpacked; 0: none was seen */
	_Atomic uint64_t taken;       /* collector: frames of what is being taken */
	pthread_mutex_t lock;         /* of what follows */
	bool waiting;
	struct command command;
	struct calibration_report report; /* written by the collector */
};

int commands_open(struct commands *c);
void commands_close(struct commands *c);

/* Whether there is one. Collector. */
static inline bool commands_wait(const struct commands *q)
{
	/* relaxed: whoever sent a frame after the answer has passed this on with the frame. */
	return atomic_load_explicit(&q->pending, memory_order_relaxed);
}

/* The next command. Collector. */
bool commands_take(struct commands *q, struct command *ret);

/* ---- and of the black box ---- */

struct blackbox_report {
	bool configured, writing;
	uint64_t frames, bytes; /* held now */
	double seconds;         /* from the oldest to the newest */
	uint64_t written;       /* series since start */
	char path[4096];        /* of the last */
	char text[400];         /* why it was written, or what went wrong */
};
void blackbox_report(struct pipeline *p, struct blackbox_report *ret);

#endif
