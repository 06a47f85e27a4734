/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_LEDGER_H
#define SINKS_LEDGER_H

#include "ingest/frame.h"

#include <stdint.h>

/* Every frame number of a series ends in exactly one state, with a reason unless written. */
enum frame_state { FRAME_WRITTEN, FRAME_DROPPED, FRAME_MISSING, FRAME_STATE_COUNT };

enum dropped {
	DROPPED_OVERLOAD, /* no spare slot, overload: drop */
	DROPPED_DECODE,
	DROPPED_WRITE,    /* a write or sync of its file failed */
	DROPPED_NO_SPACE, /* ENOSPC, EDQUOT, EROFS */
	DROPPED_ABORTED,
	DROPPED_CRASH, /* put there by recovery */
	DROPPED_COUNT
};

enum missing {
	MISSING_NEVER,    /* no message bore its number */
	MISSING_REJECTED, /* only unusable messages did */
	MISSING_OVERLOAD_AT_SENDER,
	MISSING_COUNT
};

/* "written", "dropped", "missing". */
const char *frame_state_name(enum frame_state s);

/* The reason of a state as it is printed; "" for written. */
const char *frame_reason_name(enum frame_state s, unsigned reason);

/* The flags of a frame as tables have them: "incomplete|beam-dip", "" for none; and back: what is
 * no flag counts for nothing. */
#define FRAME_FLAGS_BYTES 64

void frame_flags_text(uint32_t flags, char ret[FRAME_FLAGS_BYTES]);
uint32_t frame_flags_of(const char *text);

/* The counts of one series; the names of status' `frames`. At any moment
 *   expected = written + sum(dropped) + sum(missing) + pending. */
struct totals {
	uint64_t expected, received, written, durable, pending, flagged;
	uint64_t dropped[DROPPED_COUNT];
	uint64_t missing[MISSING_COUNT];
	uint64_t rejected[REJECT_COUNT];
	uint64_t duplicate;
	uint64_t dummies; /* metadata-only messages */
};

#endif
