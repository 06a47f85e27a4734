/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PROGRESS_H
#define BENCH_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* One redrawn line on a terminal, a plain line every 5 s elsewhere; on standard error. */
struct progress {
	bool quiet, terminal;
	bool drawn; /* a line without a newline stands on the terminal */
	uint64_t next_ns;
};

/* The first line is due after half a second on a terminal, after 5 s elsewhere. */
void progress_init(struct progress *p, bool quiet);

/* Whether the next line is due at CLOCK_MONOTONIC now_ns; cheap enough for each frame. */
bool progress_due(const struct progress *p, uint64_t now_ns);

/* Show a line, without newline, in place of the last. */
void progress_show(struct progress *p, uint64_t now_ns, const char *line);

/* Take the line off the terminal, before anything else is printed. */
void progress_clear(struct progress *p);

#endif
