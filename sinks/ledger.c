/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/ledger.h"

static const char *const states[FRAME_STATE_COUNT] = { "written", "dropped", "missing" };

static const char *const dropped_names[DROPPED_COUNT] = { "overload", "decode",  "write",
	                                                  "no_space", "aborted", "crash" };

static const char *const missing_names[MISSING_COUNT] = { "never", "rejected",
	                                                  "overload_at_sender" };

const char *frame_state_name(enum frame_state s)
{
	return (unsigned)s < FRAME_STATE_COUNT ? states[s] : "";
}

const char *frame_reason_name(enum frame_state s, unsigned reason)
{
	if (s == FRAME_DROPPED && reason < DROPPED_COUNT)
		return dropped_names[reason];
	if (s == FRAME_MISSING && reason < MISSING_COUNT)
		return missing_names[reason];
	return "";
}
