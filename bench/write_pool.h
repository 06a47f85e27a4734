/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_WRITE_POOL_H
#define BENCH_WRITE_POOL_H

#include "bench/frame_slots.h"
#include "daemon/scratch_folder.h"

#include <stdbool.h>

/* What a pool of threads reaches with plain system calls: each takes the next frame and writes it
 * with pwrite, O_DIRECT where the folder has it, at its place in one file whose space was
 * allocated before; then fsync, which counts. */

struct write_pool_load {
	const struct scratch_folder *scratch; /* the file is made and removed in it */
	const struct frame_slots *slots;
	unsigned threads; /* at most CREW_MAX */
	uint64_t frames;
};

struct write_pool_figures {
	double seconds, cpu_s;
	bool direct;
};

/* 0 or negative errno. */
int write_pool_run(const struct write_pool_load *load, struct write_pool_figures *ret);

#endif
