/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SERVICE_H
#define DAEMON_SERVICE_H

#include "daemon/notify.h"
#include "daemon/stage.h"

#include <stdbool.h>
#include <stdint.h>

/* What systemd is told of a run: that it is ready, that the data path moves (the watchdog), a line
 * for `systemctl status`, and that it ends. Without systemd nothing is done. Main thread. */

#define SERVICE_STILL_NS ((uint64_t)5 * 1000000000u)

struct pipeline;
struct sink_program;
struct status_view;

struct service {
	struct notifier notifier;
	struct pipeline *pipeline;
	const struct sink_program *program;
	struct status_view *view; /* NULL: no line */
	bool ready_due;           /* it could not be said yet */
	bool stopping;
	uint64_t fed_ns, told_ns; /* CLOCK_MONOTONIC */
	uint64_t frames_seen;
};

/* Never fails: what is wrong with the environment is in the log. */
void service_open(struct service *s, struct pipeline *p, const struct sink_program *program);

/* Sockets are bound and threads run. */
void service_ready(struct service *s);

/* Ten times a second. The watchdog is fed unless a stage of the data path stands still: receivers,
 * workers, the collector, at SERVICE_STILL_NS. One that waits for the disk does not count as still:
 * to be killed would cost it the frames that the disk may take yet. Threads beside the path (http,
 * calibrate, keep, disks) are nobody's reason to end a measurement. */
void service_turn(struct service *s, const struct vitals *v, uint64_t now_ns);

/* The run ends; `why` NULL: as asked. Once is enough. As long as the path moves, more time is asked
 * for with each turn, so that a series is not cut off while it is closed. */
void service_stopping(struct service *s, const char *why);

/* Accepts a zeroed one. */
void service_close(struct service *s);

#endif
