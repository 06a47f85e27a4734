/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_ZMQ_LIMIT_H
#define BENCH_ZMQ_LIMIT_H

#include "daemon/samples.h"

#include <stddef.h>

/* What bare libzmq carries: one PUSH, one PULL, an I/O thread each, messages of a header and
 * pixels that are not copied by us. */
struct zmq_limit {
	struct samples frames_per_s;
	struct samples cpu_s_per_frame;     /* of both sides, user and system */
	struct samples send_s_per_frame;    /* CPU of the sending side, its I/O threads included */
	struct samples receive_s_per_frame; /* likewise of the receiving side */
	struct samples faults_per_frame;    /* page faults of both: new memory for messages */
};

#define ZMQ_LINKS_MAX 8

/* What is carried. */
struct zmq_load {
	const char *endpoint; /* to bind to, with a wildcard where there are several links */
	size_t frame_bytes;   /* of the pixels */
	unsigned links;       /* pairs of sockets at once, 1 to ZMQ_LINKS_MAX */
};

/* Run it `runs` times for `seconds` each. 0, or negative errno with why. */
int zmq_limit_run(const struct zmq_load *load, unsigned runs, double seconds, struct zmq_limit *ret,
                  char why[512]);

/* The same over one pair of sockets. */
int zmq_limit_measure(const char *endpoint, size_t frame_bytes, unsigned runs, double seconds,
                      struct zmq_limit *ret, char why[512]);

#endif
