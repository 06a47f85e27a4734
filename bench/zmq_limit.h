/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_ZMQ_LIMIT_H
#define BENCH_ZMQ_LIMIT_H

#include "daemon/samples.h"

#include <stddef.h>

/* What bare libzmq carries: one PUSH, one PULL, an I/O thread each, messages of a header and
 * pixels that are not copied by us. */
struct zmq_limit {
	struct samples frames_per_s;
	struct samples cpu_s_per_frame; /* of both sides, user and system */
};

/* Run it `runs` times for `seconds` each.
 *
 * endpoint      to bind to: "tcp://127.0.0.1:*", "ipc://..."
 * frame_bytes   of the pixels
 *
 * 0, or negative errno with why. */
int zmq_limit_measure(const char *endpoint, size_t frame_bytes, unsigned runs, double seconds,
                      struct zmq_limit *ret, char why[512]);

#endif
