/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_OPENBEAM_PROGRESS_H
#define DAEMON_OPENBEAM_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* How far a command of `openbeam` is, on stderr: one line drawn anew on a terminal, a plain one
 * every 5 s otherwise. Of one thread. */
struct openbeam_progress {
	uint64_t began_ns, told_ns; /* CLOCK_MONOTONIC */
	bool terminal, drawn;
};

void openbeam_progress_begin(struct openbeam_progress *p);

/* Whether a line is due; then *ret_seconds have passed since the beginning. */
bool openbeam_progress_due(struct openbeam_progress *p, double *ret_seconds);

/* Show this line. */
__attribute__((format(printf, 2, 3))) void openbeam_progress_line(struct openbeam_progress *p,
                                                                  const char *format, ...);

/* Wipe what is drawn, before something else is written. */
void openbeam_progress_wipe(struct openbeam_progress *p);

#endif
