/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_STREAM_COSTS_H
#define BENCH_STREAM_COSTS_H

#include "bench/pass_limit.h"
#include "bench/stream_kind.h"
#include "daemon/samples.h"

/* What each part of a stream costs where nothing else is done, all cores being busy. */

/* CPU time of a frame, seconds; a sample from each round. */
struct stream_costs {
	struct samples send, receive; /* bare libzmq; of shared memory: the messages about it */
	struct samples zmq;           /* both, with all that libzmq does beside */
	struct samples faults;        /* page faults a frame, of both */
	struct samples pass, write;
	struct samples null, disk; /* sums: without and with the write */
};

struct stream_meter {
	struct pass_limit pass;
	uint32_t width, height; /* 0: it is closed */
	unsigned cores;
	const char *directory; /* of files and sockets */
};

/* Frames for the pass. 0, or an exit status with why. */
int stream_meter_open(struct stream_meter *m, const char *directory, const struct stream_kind *k,
                      char why[512]);

/* Accepts a zeroed one. */
void stream_meter_close(struct stream_meter *m);

/* One round: a sample of each cost, of the write only with `disk`. seconds: of each. 0, or an exit
 * status with why. */
int stream_meter_round(struct stream_meter *m, const struct stream_kind *k, bool disk,
                       double seconds, struct stream_costs *ret, char why[512]);

/* The greatest less the smallest, over the median; 0 of less than two. */
double stream_spread(const struct samples *s);

#endif
