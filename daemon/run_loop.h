/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_RUN_LOOP_H
#define DAEMON_RUN_LOOP_H

#include "config/config.h"

#include <stdint.h>

/* One run of the daemon, from a loaded configuration to the process' exit status. */

struct run_options {
	const struct config *config;
	uint64_t series_limit; /* --series; 0: until a signal */
};

/* Block the signals that run() waits for. Before any thread starts, so that all inherit it. */
void run_block_signals(void);

/* Lay out, run until the limit, a signal or a failure, drain, and tell how it went. Main thread;
 * once per process. Returns the exit status: 0, 1 (a series is incomplete), or sysexits. */
int run(const struct run_options *options);

#endif
