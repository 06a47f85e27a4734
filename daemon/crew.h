/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_CREW_H
#define DAEMON_CREW_H

#include <stdint.h>

/* The same work on several cores at once, timed. */

#define CREW_MAX 256 /* cores used at most */

/* `member` counts from 0. */
typedef void crew_work_fn(void *user, unsigned member);

/* Run work(user, 0 ... members - 1) on a thread and a core each, started together. Returns the
 * time from the start until the last has finished, in ns; 0 when a thread cannot be made. */
uint64_t crew_time_ns(unsigned members, crew_work_fn *work, void *user);

#endif
