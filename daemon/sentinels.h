/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SENTINELS_H
#define DAEMON_SENTINELS_H

#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

/* What watches the frames and the machine while a measurement can still be mended. Each sentinel
 * has a limit in the configuration, raises an alarm when it is passed (for as long as configured),
 * and ends the alarm when all was well for sentinels.clear: near a limit it does not flicker. An
 * alarm says in plain words what is wrong and what to do.
 *
 * Pure bookkeeping: no thread, no clock, no log. Time is what the caller says it is. */

enum sentinel {
	SENTINEL_SATURATED,
	SENTINEL_DEAD,
	SENTINEL_HOT,
	SENTINEL_BEAM,
	SENTINEL_FLAT_DRIFT,
	SENTINEL_REPEATED,
	SENTINEL_NOISE,
	SENTINEL_RATE,
	SENTINEL_TIMESTAMPS,
	SENTINEL_BUFFER,
	SENTINEL_DISK,
	SENTINEL_COUNT
};

/* "saturated", "dead_pixels", "hot_pixels", "beam", "flat_drift", "repeated", "noise",
 * "frame_rate", "timestamps", "buffer", "disk": in status, metrics, manifest. */
const char *sentinel_name(enum sentinel s);

#define ALARM_TEXT 240

struct alarm {
	bool active;
	uint64_t times;                   /* raised since start */
	uint64_t since_ns, until_ns;      /* CLOCK_REALTIME; until 0 while active */
	bool of_frames;                   /* the numbers count: */
	uint64_t first_frame, last_frame; /* at which the limit was passed, first and last */
	double value, limit;              /* the last, or the worst once it has ended */
	char text[ALARM_TEXT]; /* "0.4 % of pixels saturated for 12 s: reduce the exposure" */
};

#endif
