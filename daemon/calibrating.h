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
	char misfit[320]; /* why calibrating_choose() did not take the installed one, */
	char told[320];   /* and what of that was said */
	struct owned_image *old_images; /* that planes may still name [old_count] */
	unsigned old_count;
	bool has_next_first; /* the sequence's next series goes on where the last one ended: */
	uint64_t next_first; /* with this number */
	bool after_own;      /* the last series was a dark or flat, ended by its number of frames */
	enum purpose purpose; /* of the running series */

	/* Of the running series: what its frames were normalised with. */
	struct sink_calibration *listed; /* their paths are owned, too [listed_count] */
	unsigned listed_count;
	struct log_limit kept_old; /* frames that could not be reduced again */
};

/* 0 or -ENOMEM. The sequence of the configuration is then due. */
int calibrating_open(struct collector *k);
void calibrating_close(struct collector *k);

/* Take commands, watch the time, put to use what is made. Once a turn; now_ns: CLOCK_MONOTONIC. */
void calibrating_poll(struct collector *k, uint64_t now_ns);

/* A frame was accepted, with pixels: true when the series of its own has all its frames, and is to
 * be finished. */
bool calibrating_has_all(struct collector *k);

/* A series is about to begin: how its numbers are judged. One of a dark or flat has as many frames
 * as are wanted, and series.first is not about it. */
void calibrating_rules(struct collector *k);

/* Its first frame is there: what it is for. */
void calibrating_purpose(struct collector *k);

/* A series begins to be written: list the calibration in use. */
void calibrating_list(struct collector *k);

/* The frame is placed: take it, when it is of a dark or flat; reduce it again, when its calibration
 * is too old. Before it goes to the sinks. */
void calibrating_place(struct collector *k, struct slot *s);

/* The series is over: its last frame was placed. */
void calibrating_series_ended(struct collector *k);

/* The planes for frames of this shape: those that are installed, or, where they do not fit shape or
 * detector, none. Images of the configuration whose size is another refuse the frames instead:
 * layout_plan(). */
const struct planes *calibrating_choose(struct collector *k, const struct frame_shape *shape);

/* The id of chosen planes. */
uint32_t calibrating_id(const struct collector *k, const struct planes *planes);

/* They were changed from `before`: say so where it matters. */
void calibrating_tell_choice(struct collector *k, const struct planes *before);

/* The detector says something else of itself: change to the planes that fit. No series runs. */
void calibrating_refit(struct collector *k);

/* A frame comes while no series runs: whether it may begin one at once. */
void calibrating_settle(struct collector *k, uint64_t number);

/* The series' list is handed over: images that are gone have no pixels there. */
void calibrating_settle_list(struct collector *k);

/* Say so where a calibration that comes into use leaves the open beam without a good pixel. */
void calibrating_warn_of_beam(const struct calibrated *c);

/* Every frame is home and the layout goes: so do calibrations that no frame has seen. */
void calibrating_forget_generations(struct collector *k);

/* Give up what is being taken. */
void calibrating_give_up(struct collector *k, const char *why);

/* The last frame was placed: wait for what is being made, unless the run is aborted, and give up
 * what is being taken. */
void calibrating_finish(struct collector *k);

#endif
