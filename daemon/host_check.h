/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HOST_CHECK_H
#define DAEMON_HOST_CHECK_H

#include "config/config.h"

#include <stdio.h>

/* --check: hold a loaded configuration against this host, one line per finding with its remedy,
 * "ok|warning|error area: ...". Nothing is started and nothing left behind. Returns the exit
 * status: 0, or the one the daemon would end with. */
int host_check(const struct config *c, FILE *out);

#endif
