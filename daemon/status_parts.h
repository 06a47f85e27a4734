/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_STATUS_PARTS_H
#define DAEMON_STATUS_PARTS_H

#include "daemon/status.h"

#include <math.h>

/* What the files share that put the status in JSON. */

json_t *status_count(uint64_t n);

/* A moment, or null for 0. CLOCK_REALTIME. */
json_t *status_moment(uint64_t ns);

/* status_latency.c */
json_t *status_latency(const struct status_view *v);
json_t *status_last_loss(const struct status_view *v);

#endif
