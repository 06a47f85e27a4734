/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_CONTROLLING_H
#define DAEMON_CONTROLLING_H

#include "daemon/commands.h"
#include "daemon/series.h"
#include "sinks/sinks.h"

#include <stdbool.h>
#include <stdint.h>

/* Arm, stop, abort and reset, as the collector carries them out. All of it on the collecting
 * thread, between two turns, never while a series begins or ends.
 *
 * An arm is the permission for one series of samples and says what it is like; with series.start
 * `armed` none begins without. It waits until the first frame of a series is there. What may be
 * that frame:
 *   - one behind a start message, or whose sender names a series that was not there before;
 *   - one with the number `first`, or up to series.reorder steps beyond it;
 *   - one that does not go on where the series before ended: its number is its first one or
 *     further back, or more than series.max_gap ahead, or series.idle_end of silence has passed;
 *   - without `first` also one that does go on there, after a pause of the stream: what was in
 * flight when the series before ended has passed then.
 *
 * A stop takes what had arrived: it ends the series when every endpoint has run dry, a moment after
 * the command, or has brought as many messages as were in its ring and may have been in its queue.
 * An abort takes only what is in the rings, and drops it. */

#define CONTROLLING_PAUSE_NS ((uint64_t)50 * 1000000u) /* that is one */

struct collector;
struct entry;

/* What an arm command asks for. */
struct arming {
	bool waiting; /* for its series */
	char name[COMMAND_NAME_BYTES];
	uint64_t frames; /* 0: as configured or announced */
	bool first_given;
	uint64_t first;
};

enum ending { ENDING_NOT, ENDING_STOP, ENDING_ABORT, ENDING_COUNT };

struct controlling {
	struct arming next;    /* asked for */
	struct arming current; /* of the series that runs; `waiting` says nothing */
	bool given;            /* a command waits for the end of the turn: */
	struct command command;
	enum ending ending; /* of the series that runs or is about to */
	uint64_t *left;     /* entries that are still of it [receivers] */
	uint64_t since_ns;  /* CLOCK_MONOTONIC: of the command */
	uint64_t ticket;    /* of the command to be answered when it is closed; 0: none */
	struct sink_stop stop;
	char by[64];
	uint64_t taken_ns; /* CLOCK_MONOTONIC: of the last turn that had entries; 0: none */
	bool explained;    /* the log has said how to arm */
};

/* 0 or -ENOMEM. */
int controlling_open(struct collector *k);

/* Accepts a zeroed one. */
void controlling_close(struct collector *k);

/* A command came, and none before it waits (`given`): it is carried out at the end of the turn. */
void controlling_take(struct collector *k, const struct command *c);

/* Carry out what was commanded, as far as that goes now. Once a turn. */
void controlling_turn(struct collector *k);

/* One entry of this receiver was collected. */
static inline void controlling_count(struct controlling *c, unsigned receiver)
{
	if (c->ending != ENDING_NOT && c->left[receiver] > 0)
		c->left[receiver]--;
}

/* ---- how a series begins ---- */

/* Whether series.start lets another one begin. */
bool controlling_allows(const struct collector *k);

/* No series runs: whether this frame may begin one, as far as commands are concerned. False: it is
 * rejected as no_series. */
bool controlling_admits(struct collector *k, const struct entry *e);

/* Why it was not, for the log. */
const char *controlling_refusal(const struct collector *k);

/* Say how to arm, once, where that is what is missing. */
void controlling_explain(struct collector *k);

/* What was armed, put into the rules of the next series of samples. */
void controlling_rules(const struct collector *k, struct series_rules *r);

/* A sender has announced so many frames of the series that begins. */
void controlling_announced(const struct collector *k, uint64_t frames);

/* The first frame of a series is there, or it is closed without: what was armed is its. */
void controlling_begins(struct collector *k);

/* The name of samples: series.name, or the one that was armed with. */
const char *controlling_name(const struct collector *k);

/* ---- and ends ---- */

/* The open series is about to be closed, whoever says so. */
void controlling_finish(struct collector *k);

/* Who ended it before its time; NULL: nobody did. Until controlling_ended(). */
const struct sink_stop *controlling_stop(const struct collector *k);

/* It is closed; `begun`: it had a folder. */
void controlling_ended(struct collector *k, bool begun);

#endif
