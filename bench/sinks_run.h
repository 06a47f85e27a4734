/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SINKS_RUN_H
#define BENCH_SINKS_RUN_H

#include "bench/frame_slots.h"
#include "daemon/scratch_folder.h"

#include <signal.h>
#include <stdbool.h>

/* A series through the program's own sinks, timed: from the first frame handed over until the
 * files are synced and have their final names. */

struct sinks_load {
	const struct scratch_folder *scratch; /* the series' folder is made and removed in it */
	const struct frame_slots *slots;
	const char *format; /* of sink_rows */
	unsigned depth;     /* frames handed over and not released, at most slots->count */
	bool buffered;      /* through the page cache; else O_DIRECT where the folder has it */
	bool system_calls;  /* without io_uring */
	uint64_t frames;
	const volatile sig_atomic_t *stop;
};

struct sinks_figures {
	double seconds, cpu_s;
	uint64_t written, durable; /* frames by the sinks' callbacks */
	char engine[128];          /* as the sinks describe it */
};

/* 0, or an exit status with why: the folder cannot be written, no memory, interrupted. Frames
 * that the sinks lost are no failure: written and durable count the others, and why[] holds what
 * the sinks said last, else "". */
int sinks_run(const struct sinks_load *load, struct sinks_figures *ret, char why[512]);

#endif
