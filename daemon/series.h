/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SERIES_H
#define DAEMON_SERIES_H

#include "sinks/ledger.h"

#include <stdbool.h>
#include <stdint.h>

/* What a series is: which numbers belong to it, in which order they are placed, and in which
 * state each of them ends. Pure bookkeeping: no thread, no clock, no file; the collector owns
 * one and feeds it in the order of arrival.
 *
 *   idle ──begin──▶ open ──finish──▶ closed ──settle──▶ idle
 *
 * A number is placed (handed to the sinks) as soon as every number before it is decided. A gap
 * is decided `missing` once the newest number is more than `reorder` steps beyond it, when the
 * series ends, or when the buffer cannot hold what waits behind it (series_force). */

struct series_rules {
	bool first_given;   /* by the configuration, or the protocol counts from 0, */
	bool first_assumed; /* the latter: who joins late may see only larger numbers */
	uint64_t first;     /* with first_given */
	uint64_t frames;    /* of each series; 0: not known */
	bool frames_given;  /* and what a sender announces does not count */
	uint64_t step;      /* of the sender's counter, >= 1 */
	uint64_t reorder;   /* how many steps out of order a number may come, >= 1 */
	uint64_t max_gap;   /* steps; a larger jump must be confirmed */
};

/* Where decisions go; called from inside the functions below, numbers rising. */
struct series_output {
	void *user;
	/* The frame's place is next: hand it to the sinks. `held` is what series_frame() got. */
	void (*place)(void *user, uint64_t number, void *held);
	/* The number is lost for good. */
	void (*lose)(void *user, uint64_t number, enum frame_state state, unsigned reason);
};

enum series_answer {
	SERIES_ACCEPTED,  /* it is part of the series; place() or lose() will name it, once */
	SERIES_DUPLICATE, /* this number was already there */
	SERIES_REJECTED,  /* series.reason says why */
	SERIES_RESTART,   /* it belongs to a new series: finish, begin, and ask again */
};

enum series_state { SERIES_IDLE, SERIES_OPEN, SERIES_CLOSED };

/* Of one number inside the window. */
enum series_mark { MARK_NONE, MARK_HELD, MARK_DROPPED, MARK_UNUSABLE, MARK_OVERLOAD };

struct series {
	struct series_rules rules;
	struct series_output output;
	enum series_state state;
	enum reject reason; /* after SERIES_REJECTED */

	/* Numbers are counted in steps: position = number / step, number % step is fixed. */
	uint64_t residue;
	uint64_t frames;           /* of this series; 0: not known */
	bool announced;            /* by the protocol, over the rules, */
	uint64_t announced_frames; /* so many */
	bool cut; /* it ended more than max_gap before that: what was seen is expected */
	bool stopped, aborted; /* before its end, by whoever watches */
	bool any;              /* a frame was accepted */
	bool first_known;
	uint64_t first, newest, smallest;     /* positions */
	uint64_t next;                        /* position decided next, once first is known */
	uint64_t held;                        /* frames accepted and not yet placed */
	uint64_t accepted;                    /* frames and drops */
	uint64_t unusable_low, unusable_high; /* around the window; low > high: none */
	unsigned jumps;                       /* in a row that agree */
	uint64_t jump_newest;
	uint64_t overload_low, overload_high; /* the gap that opened while the buffer was full */

	struct series_slot {
		uint64_t position;
		enum series_mark mark;
		unsigned reason; /* MARK_DROPPED: enum dropped */
		void *held;
	} * window; /* [window_size], by position modulo the size */
	uint64_t window_size;

	struct series_range {
		uint64_t low, high;
	} * missing; /* positions declared missing, rising [missing_count] */
	uint64_t missing_count, missing_room;

	uint64_t early[64]; /* numbers unusable messages bore before the series began */
	unsigned early_count;
};

/* 0 or -ENOMEM. */
int series_open(struct series *s, const struct series_rules *rules,
                const struct series_output *output);

/* Accepts a zeroed one. What is held is forgotten, not placed. */
void series_close(struct series *s);

/* From idle or closed, or again before the first frame: start a series. `announced` overrides
 * rules.frames when not 0, unless frames_given. */
void series_begin(struct series *s, uint64_t announced);

/* How many frames the open series has, said after it began. Only what is not known yet is taken,
 * and no less than was accepted. */
void series_announce(struct series *s, uint64_t announced);

/* A usable frame, its pixels in `held`. `gap_at_sender`: the buffer was full before it and the
 * sender could not be held back. In idle the answer is SERIES_RESTART, unless the number is
 * before a given first one. */
enum series_answer series_frame(struct series *s, uint64_t number, void *held, bool gap_at_sender);

/* A usable frame that was dropped for `reason` before anything was made of it. Same answers. */
enum series_answer series_drop(struct series *s, uint64_t number, enum dropped reason);

/* An unusable message bore this number. It counts only if nothing better comes. */
void series_unusable(struct series *s, uint64_t number);

/* Decide the oldest gap now (or the first number, if that is what frames wait for), because
 * what waits behind it fills the buffer. False when nothing waits. */
bool series_force(struct series *s);

/* Nothing more is waited for: what was seen is expected, however many frames were to come. To be
 * finished next. */
void series_stop(struct series *s);

/* The open series is given up: frames that were to come behind the last one are lost as
 * DROPPED_ABORTED when it is finished, which is next. */
void series_abort(struct series *s);

/* Every expected number is decided: the series can be finished. */
bool series_complete(const struct series *s);

/* Decide everything that is left, the expected tail included; open -> closed. */
void series_finish(struct series *s);

/* Silence: closed -> idle; forget early unusable numbers. */
void series_settle(struct series *s);

/* Numbers from the first to the last expected or seen so far; 0 while no first is known and
 * nothing was accepted. */
uint64_t series_expected(const struct series *s);

/* "protocol", "config", "seen": what series_expected() goes by. */
const char *series_expected_from(const struct series *s);

#endif
