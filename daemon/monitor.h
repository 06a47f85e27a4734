/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_MONITOR_H
#define DAEMON_MONITOR_H

#include "sinks/sinks.h"

#include <stdbool.h>

/* People's view of a run over HTTP, as monitor.http says:
 *
 *   GET  /, /assets/NAME     the page: daemon/page/
 *   GET  /api/v1/status      daemon/status.h
 *   GET  /api/v1/events      the same as it happens: daemon/monitor_events.c
 *   GET  /api/v1/histogram   kind=raw | normalised, window=series | second | frame; normalised and
 *                            series where not said
 *   GET  /api/v1/trend       one row a second of the last ten minutes
 *   GET  /api/v1/live        the newest frame's picture (daemon/pictures.h):
 *                            product=normalised | raw | dark | flat, marks=0 | 1
 *   GET  /api/v1/live.png    the same in colours (daemon/picture_png.h): map=viridis | grey |
 *                            inferno, low=, high=, scale=linear | log
 *   GET  /api/v1/config      the effective configuration
 *   POST /api/v1/command     daemon/monitor_command.h; what becomes of a dark or flat is in the
 *                            status
 *   GET  /metrics            daemon/metrics.h
 *   GET  /healthz            200 while the run goes on, 503 once it failed
 *   GET  /openapi.json       all of this for programs
 *
 * It reads what the data path publishes; neither ever waits for the other. */

struct monitor;
struct pipeline;

/* Listen where the configuration says. NULL where it says nowhere, and where that cannot be done:
 * the log then says why, and the measurement goes on without. `p` is open; `program` is borrowed.
 * Main thread. */
struct monitor *monitor_open(struct pipeline *p, const struct sink_program *program);

/* Accepts NULL. Before the pipeline is closed. False: its thread does not end, and still reads the
 * pipeline and the configuration; nothing was freed. Main thread. */
bool monitor_close(struct monitor *m);

#endif
