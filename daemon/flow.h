/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_FLOW_H
#define DAEMON_FLOW_H

#include "sinks/sinks.h"

#include <stdint.h>

/* How a series flowed through the program: how full the buffer was at most, and what the threads
 * slept for. The collector's. */

struct collector;

/* Zeroed at first. */
struct flow {
	struct sink_wait *waits; /* [wait_count], seconds filled by flow_list() */
	uint64_t *from_ns; /* what each thread had waited when the series began [wait_count] */
	unsigned wait_count;
};

/* A series begins. */
void flow_begin(struct collector *k);

/* What became of it. *ret is valid until the next series begins. */
void flow_list(struct collector *k, struct sink_flow *ret);

/* The fuller of slots and payloads at its fullest since the series began, 0 to 1. */
double flow_peak_ratio(const struct collector *k);

/* Accepts a zeroed one. */
void flow_close(struct flow *f);

#endif
