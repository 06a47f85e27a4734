/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_WATCHING_H
#define DAEMON_WATCHING_H

#include "daemon/quality.h"
#include "sinks/sinks.h"

#include <stdint.h>

/* Between the collector and the quality of what it places: feeds sentinels and trends, says in the
 * log what they find, and asks the black box to keep what led to it. All of it on the collecting
 * thread but for what says otherwise. */

struct collector;
struct slot;

struct watching {
	struct quality_events events;
	uint64_t second_ns; /* CLOCK_MONOTONIC: the machine was looked at then, */
	uint64_t written;   /* with so many bytes on disk, */
	uint64_t used;      /* and so many slots in use */
};

/* 0 or -ENOMEM. */
int watching_open(struct collector *k);

/* A series begins: its layout is known. */
void watching_begin(struct collector *k);
void watching_end(struct collector *k);

/* What sentinels found in the series that ends. Texts are the quality's. Returns how many. */
unsigned watching_findings(const struct collector *k, struct sink_finding ret[FINDINGS_MAX],
                           uint64_t *ret_left_out);

/* The frame is placed: judge it, and mark it where the beam was down. */
void watching_place(struct collector *k, struct slot *s);

/* Once a turn. */
void watching_turn(struct collector *k, uint64_t now_ns);

#endif
