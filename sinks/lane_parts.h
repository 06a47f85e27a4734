/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_LANE_PARTS_H
#define SINKS_LANE_PARTS_H

#include "sinks/lane.h"

/* Between the files that make a lane: lane.c places frames, lane_fate.c says what becomes of
 * them, lane_journal.c makes them durable. */

#define LANE_UNDURABLE_MAX 16384 /* frames without a record; bounds memory at any rate */

/* The reason of frames that an error keeps from the disk. */
enum dropped lane_reason_of(int error);

/* Drop every frame for a second, for that reason, then try again. */
void lane_wait(struct lane *l, enum dropped reason);

/* Drop every further frame of the series. */
void lane_stop(struct lane *l, enum dropped reason);

/* Say a sentence about a file: "sink 0 (tiff): <what>, <folder>/<name>". */
void lane_say_file(struct lane *l, enum sink_say level, const char *name, const char *what);

/* The frame and its members: how many there are, and back to the pool with them. */
uint64_t lane_members(const struct datafile_frame *f);
void lane_recycle(struct lane *l, struct datafile_frame *f);

/* Each is written. */
void lane_note_written(struct lane *l, const struct datafile_frame *f);

/* The frame's pixels are not needed any more. */
void lane_release(struct lane *l, struct datafile_frame *f);

/* Note in the ledger that a frame is lost. */
void lane_note_loss(struct lane *l, const struct loss *loss);

/* The end of a frame that is in no file, and of one that is. */
void lane_drop(struct lane *l, struct datafile_frame *f, enum dropped reason);
void lane_on_dropped(void *user, struct datafile_frame *f, enum dropped reason);

/* The file being filled takes no more frames. */
void lane_forget_current(struct lane *l, const struct datafile *d);

/* Where files report to, for lane_open(). */
struct datafile_events lane_events(struct lane *l);

/* Write to the journal what waits for it, when it is free and something is due. */
void lane_commit(struct lane *l, uint64_t now_ns);

#endif
