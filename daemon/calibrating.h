/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_CALIBRATING_H
#define DAEMON_CALIBRATING_H

#include "daemon/calibrated.h"
#include "daemon/calibrator.h"
#include "daemon/commands.h"
#include "daemon/slot_layout.h"
#include "daemon/log.h"
#include "sinks/sinks.h"

#include <stdint.h>

/* Taking dark and flat from the stream, as the collector sees it: which frames are of one, and when
 * what was made of them is put to use.
 *
 *   idle ──command, sequence, key──▶ collecting ──N frames──▶ making ──▶ in use, or refused
 *
 * A command that comes while a series runs takes its next frames: they stay in that series, marked
 * in its ledger, and the series goes on with the old calibration until the new one is there.
 * Between two series it takes a series of its own, <name>-dark, which ends with the last frame
 * wanted.
 *
 * Frames behind a dark or flat of the sequence or of the key in the headers are not placed before
 * it is in use: those that were reduced meanwhile are reduced again. */

struct collector;
struct slot;

/* Where a series' frames came from. */
enum purpose { PURPOSE_SAMPLE, PURPOSE_DARK, PURPOSE_FLAT, PURPOSE_FLAT_DARK };

/* "sample", "dark", ... */
const char *purpose_name(enum purpose p);

/* Images that were made of frames. */
struct image_list {
	struct owned_image *at; /* [count] */
	unsigned count;
};

struct calibrating {
	enum calibration_state state;
	enum calibration_role role;
	enum combine combine;
	bool by_sequence, by_key;
	uint64_t wanted;   /* frames; 0: until frames of another kind come */
	uint64_t accepted; /* of the series of its own, with pixels */
	bool own_series;   /* the running series is its own */
	bool unkept;       /* one of its frames had no payload any more */
	bool full;         /* calibration.memory holds no more of its frames */
	struct kept_list frames;
	uint64_t damaged;     /* frames that the sender calls so */
	uint64_t progress_ns; /* CLOCK_MONOTONIC: of its last frame */
	uint64_t timeout_ns;
	unsigned next_in_sequence;
	struct calibration_job job;
	uint32_t last_id;
	struct image_list replaced; /* planes of frames in flight may name them */
	struct image_list refused;  /* the planes in use may, until the end of the run */
	bool has_next_first; /* the sequence's next series goes on where the last one ended: */
	uint64_t next_first; /* with this number */
	bool after_own;      /* the last series was a dark or flat, ended by its number of frames */
	enum purpose purpose; /* of the running series */

	struct log_limit kept_old; /* frames that could not be reduced again */
};

/* 0 or -ENOMEM. The sequence of the configuration is then due. */
int calibrating_open(struct collector *k);
void calibrating_close(struct collector *k);

/* Renew what people see of it. */
void calibrating_report(struct collector *k);

/* Take commands, watch the time, put to use what is made. Once a turn; now_ns: CLOCK_MONOTONIC. */
void calibrating_poll(struct collector *k, uint64_t now_ns);

/* Every frame in flight has the planes in use: free images that only others name. */
void calibrating_let_go(struct collector *k);

/* A frame was accepted, with pixels: true when the series of its own has all its frames, and is to
 * be finished. */
bool calibrating_has_all(struct collector *k);

/* A series is about to begin: how its numbers are judged. One of a dark or flat has as many frames
 * as are wanted, and series.first is not about it. */
void calibrating_rules(struct collector *k);

/* Its first frame is there: what it is for. */
void calibrating_purpose(struct collector *k);

/* The frame is placed: take it, when it is of a dark or flat; reduce it again, when its calibration
 * is too old. Before it goes to the sinks. */
void calibrating_place(struct collector *k, struct slot *s);

/* The series is over: its last frame was placed. */
void calibrating_series_ended(struct collector *k);

/* A frame comes while no series runs: whether it may begin one at once. */
void calibrating_settle(struct collector *k, uint64_t number);

/* Give up what is being taken. */
void calibrating_give_up(struct collector *k, const char *why);

/* The last frame was placed: wait for what is being made, unless the run is aborted, and give up
 * what is being taken. */
void calibrating_finish(struct collector *k);

#endif
