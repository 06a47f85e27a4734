/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_MEMORY_LIMIT_H
#define DAEMON_MEMORY_LIMIT_H

#include "daemon/crew.h"
#include "daemon/samples.h"

#include <stddef.h>

/* How fast memory is, far outside the caches. */
struct memory_limit {
	unsigned threads;
	size_t bytes; /* of each thread's area, half of which is the target of a copy */
	unsigned char *area;
	unsigned long long sums[CREW_MAX]; /* so that reading is not optimised away */
};

/* 0 or -ENOMEM. threads: 1 to CREW_MAX. */
int memory_limit_open(struct memory_limit *m, unsigned threads);

/* Accepts a zeroed one. */
void memory_limit_close(struct memory_limit *m);

/* Add `runs` samples in GB/s, over all threads: bytes read once; bytes copied (each is read and
 * written). */
void memory_limit_read(struct memory_limit *m, unsigned runs, struct samples *ret_gbs);
void memory_limit_copy(struct memory_limit *m, unsigned runs, struct samples *ret_gbs);

#endif
