/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_MONITOR_H
#define DAEMON_MONITOR_H

#include "sinks/sinks.h"

/* People's view of a run over HTTP, as monitor.http says:
 *
 *   GET  /api/v1/status                          daemon/status.h
 *   GET  /api/v1/histogram?kind=&window=         kind raw | normalised, window series | second |
 *                                                frame; normalised and series where not said
 *   GET  /api/v1/trend                           one row a second of the last ten minutes
 *   GET  /api/v1/live?product=&marks=            the newest frame's picture (daemon/pictures.h):
 *                                                product normalised | raw | dark | flat, marks 0 |
 * 1 GET  /api/v1/live.png?product=&map=&low=     the same in colours (daemon/picture_png.h):
 *        &high=&scale=&marks=                    map viridis | grey | inferno, scale linear | log
 *   GET  /api/v1/config                          the effective configuration
 *   POST /api/v1/command                         daemon/monitor_command.h; the answer comes at
 *                                                once, what became of it is in the status
 *   GET  /metrics                                daemon/metrics.h
 *   GET  /healthz                                200 while the run goes on, 503 once it failed
 *
 * It reads what the data path publishes; neither ever waits for the other. */

struct monitor;
struct pipeline;

/* Listen where the configuration says. NULL where it says nowhere, and where that cannot be done:
 * the log then says why, and the measurement goes on without. `p` is open; `program` is borrowed.
 * Main thread. */
struct monitor *monitor_open(struct pipeline *p, const struct sink_program *program);

/* Accepts NULL. Before the pipeline is closed. Main thread. */
void monitor_close(struct monitor *m);

#endif
