/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_METRICS_H
#define DAEMON_METRICS_H

#include "daemon/status_view.h"

/* GET /metrics: Prometheus' text format 0.0.4. Every reason, sentinel and state is there from the
 * start; counters are sums since the start and never go down. Frames are counted for the primary
 * sink, which the ledger is about; bytes and errors for each that has files; write times are of all
 * sinks together. */

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* The text, malloc'd, and its length; NULL: no memory. */
char *metrics_text(const struct status_view *v, size_t *ret_length);

#endif
