/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_TRIAL_READER_H
#define BENCH_TRIAL_READER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Somebody who looks at the daemon's page: a thread that asks for the status and the live picture
 * four times a second. */
struct trial_reader {
	pthread_t thread;
	bool runs;
	unsigned port;
	atomic_bool stop;
	atomic_uint answers; /* of status 200 */
	double buffer_peak;  /* highest share of ingest.buffer that was seen in use, once the thread
	                        has ended; NaN: none */
};

/* 0 or negative errno. */
int trial_reader_start(struct trial_reader *r, unsigned port);

/* Accepts a zeroed one. */
void trial_reader_end(struct trial_reader *r);

#endif
