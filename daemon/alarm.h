/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_ALARM_H
#define DAEMON_ALARM_H

#include <stdbool.h>
#include <stdint.h>

/* What can be wrong with frames and the machine, and how it is told. */

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
 * "frame_rate", "timestamps", "buffer", "disk": in status, metrics, manifest. Static text. */
const char *sentinel_name(enum sentinel s);

#define ALARM_TEXT 240

struct alarm {
	bool active;
	uint64_t times;                   /* raised since start */
	uint64_t since_ns, until_ns;      /* CLOCK_REALTIME: when the limit was first passed, and
	                                     last; until 0 while active */
	bool of_frames;                   /* the numbers count: */
	uint64_t first_frame, last_frame; /* at which the limit was passed, first and last */
	double value, limit;              /* when it was last passed; the worst once it has ended:
	     
          saturated     share of the pixels
          dead, hot     pixels
          beam          share of the usual dose
          flat_drift    share by which the open beam is off the flat
          repeated      frames with the same pixels
          noise         signal-to-noise, share of what it was at first
          frame_rate    share by which it changed
          timestamps    usual intervals
          buffer        share in use
          disk          seconds until it is full */
	char text[ALARM_TEXT]; /* "0.4 % of pixels saturated for 12 s: reduce the exposure" */
};

#endif
