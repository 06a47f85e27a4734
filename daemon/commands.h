/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_COMMANDS_H
#define DAEMON_COMMANDS_H

#include "config/config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What people tell a running daemon, from any thread. A command is checked and left for the
 * collector. What became of a dark, a flat, a black box is in the status; arm, stop, abort and
 * reset are answered by the collector itself. */

struct pipeline;

enum command_kind {
	COMMAND_DARK,   /* take the next frames for a dark, */
	COMMAND_FLAT,   /* for a flat */
	COMMAND_KEEP,   /* write the black box */
	COMMAND_CANCEL, /* give up the calibration that is being taken */
	COMMAND_ARM,    /* the next series may begin, and is like this */
	COMMAND_STOP,   /* end the running series in good order, or disarm */
	COMMAND_ABORT,  /* end it, and drop what is in no file yet */
	COMMAND_RESET,  /* forget the last series */
	COMMAND_COUNT
};

#define COMMAND_NAME_BYTES   65         /* series.name has at most 64 */
#define COMMAND_SERIES_BYTES 160        /* a series' folder */
#define COMMAND_PATIENCE_NS  200000000u /* for an answer of the collector */

struct command {
	enum command_kind kind;
	char by[64];     /* where it came from */
	uint64_t frames; /* of dark and flat; of arm, 0: as configured or announced */

	/* Of dark and flat. */
	bool combine_given;
	enum combine combine; /* else as configured */
	bool for_flat;        /* of dark: for the flats only */
	uint64_t timeout_ns;  /* without a frame; 0: as configured */

	/* Of arm. */
	char name[COMMAND_NAME_BYTES]; /* "": as configured */
	bool first_given;
	uint64_t first;
	bool force; /* though it looks as if it did not fit */

	/* Set by command_give(). */
	uint64_t series; /* of stop and abort: struct figures' series_begun of the one that is meant
	                  */
	uint64_t ticket; /* of those that are answered */
	uint64_t given_ns; /* CLOCK_MONOTONIC */
};

/* 0; -EBUSY: it does not fit the state; -EINVAL, -EFBIG (more frames than calibration.memory
 * holds), -ENOTSUP (no black box is configured), -EAGAIN (the collector waits for a disk: nothing
 * was done), -ESHUTDOWN. `why`: one sentence, what, which value, what to do. ret_series: the folder
 * of the series that stop or abort ends, or the name that is armed; "" for all others.
 *
 * Any thread but the collector. Waits up to 0.2 s for a command before it to be taken, and as long
 * for this one to be answered: stop is answered when its series is closed, where that is as quick.
 * After that a stop or abort is still carried out, as soon as the disk lets the collector go on, if
 * the series that was meant runs then. */
int command_give(struct pipeline *p, const struct command *c, char ret_series[COMMAND_SERIES_BYTES],
                 char why[400]);

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

#define COMMAND_ANSWERS 16 /* that are kept for whoever waits for them */

/* What became of a command. */
struct command_answer {
	uint64_t ticket; /* whose; 0: of none */
	int err;         /* negative errno, with why */
	char series[COMMAND_SERIES_BYTES];
	char why[400];
};

/* Between whoever commands and the collector. */
struct commands {
	_Atomic bool pending;
	_Atomic uint64_t frame_bytes; /* collector: of a frame unpacked; 0: none was seen */
	_Atomic uint64_t taken;       /* collector: frames of what is being taken */
	pthread_mutex_t lock;         /* of what follows */
	bool waiting;
	struct command command;
	uint64_t tickets;                               /* given so far */
	struct command_answer answers[COMMAND_ANSWERS]; /* [ticket % COMMAND_ANSWERS] */
	struct calibration_report report;               /* written by the collector */
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

/* What became of the command with this ticket. Collector. */
void commands_answer(struct commands *q, const struct command_answer *answer);

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
