/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HOST_CHECK_H
#define DAEMON_HOST_CHECK_H

#include "config/config.h"

#include <stdio.h>

/* What is asked of the host: will it fit? */
struct host_load {
	double rate;     /* frames/s; 0: what is the highest? */
	double seconds;  /* for so long, 0: without end; or */
	uint64_t frames; /* so many, 0: not said */
};

/* --check: hold a loaded configuration against this host, one line per finding with its remedy,
 * "ok|warning|error area: ...". Nothing is left behind. With `load` frames of the configured size
 * go through a daemon's own data path to the configured folders, and through the network of this
 * host, for a few seconds, while INT and TERM must be blocked; what was measured is held against
 * the load. Without (NULL) nothing is started.
 *
 * Returns the exit status: 0; 1: it does not fit, which is the least; or the one that the daemon
 * would end with; 130, 143: stopped by a signal. */
int host_check(const struct config *c, const struct host_load *load, FILE *out);

#endif
