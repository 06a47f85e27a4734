/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_DISKS_H
#define DAEMON_DISKS_H

#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

/* The space left where the sinks write, asked for once a second on a thread of its own: a file
 * system that hangs answers nobody, and then is not known any more. */

struct disks;

struct disk_space {
	bool known;                      /* asked within the last ten seconds */
	uint64_t free_bytes, size_bytes; /* free: for this user */
};

/* Whether this sink keeps files. */
bool disks_has_files(const struct config_sink *s);

/* 0 or negative errno. `c` is borrowed. */
int disks_open(struct disks **ret, const struct config *c);

/* Of the sink's directory. Any thread. */
struct disk_space disks_space(struct disks *d, unsigned sink);

/* Accepts NULL. False: the thread hangs in a file system; nothing was freed. */
bool disks_close(struct disks *d);

#endif
