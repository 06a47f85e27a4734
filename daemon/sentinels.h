/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SENTINELS_H
#define DAEMON_SENTINELS_H

#include "config/config.h"
#include "daemon/alarm.h"
#include "daemon/lasting.h"
#include "daemon/rate_change.h"
#include "daemon/running_median.h"
#include "daemon/steady.h"
#include "daemon/watch.h"
#include "kernels/moments.h"

#include <stdbool.h>
#include <stdint.h>

/* What watches the frames and the machine while a measurement can still be mended. Each sentinel
 * has a limit in the configuration, raises an alarm when it is passed (for as long as configured),
 * and ends the alarm when all was well for sentinels.clear: near a limit it does not flicker. An
 * alarm says in plain words what is wrong and what to do; its text is renewed once a second.
 *
 * Frames that are damaged or taken for a dark are not judged, those for a flat not by the flat.
 *
 * Pure bookkeeping: no thread, no clock, no log. Time is what the caller says it is. */

struct quality_frame;   /* quality.h */
struct quality_machine; /* quality.h */

#define SENTINEL_DISK_PATH 100 /* of a longer one the text has the end */

struct sentinels {
	const struct config *config;
	struct watch_rules rules[SENTINEL_COUNT];
	struct watch watches[SENTINEL_COUNT];
	int open_beam; /* index of the first region in it; -1: none */
	struct steady frame_clock, machine_clock;
	uint32_t calibration; /* of the last frame, */
	bool has_flat;        /* likewise */

	struct beam_watch {
		struct running_median doses; /* of frames that are no dips */
		double before;               /* the usual dose of the series before; NaN: none */
	} beam;
	struct drift_watch {
		struct {
			uint64_t index; /* which 100 ms */
			double sum;
			uint32_t count;
		} tenths[10]; /* doses of the last second, by index % 10 */
	} drift;
	struct repeat_watch {
		uint32_t crc32c, frames; /* so many have the same pixels; 0: none */
		uint64_t good;
		struct moments raw, normalised;
		uint64_t first, first_ns; /* number and CLOCK_REALTIME of the first of them */
	} repeat;
	struct noise_watch {
		struct running_median last;      /* signal-to-noise of the last second, and */
		struct running_median reference; /* of the first NOISE_FRAMES frames */
		unsigned judged;
	} noise;
	struct rate_watch {
		struct rate_change change;
		bool stamped; /* by the sender's clock */
	} rate;
	struct stamp_watch {
		bool any;
		uint64_t number, stamp_ns, received_ns; /* of the last frame */
		struct running_median intervals;        /* seconds for a number */
	} stamps;
	struct lasting dead, hot;
	uint64_t defect_pixels; /* of the frame they were looked for in */
	char disk[SENTINEL_DISK_PATH];

	void *user;
	void (*changed)(void *user, enum sentinel s, enum watch_change change);
};

/* `c` is borrowed. changed() is called from within the calls below when an alarm is raised, its
 * text renewed, or it ended. */
void sentinels_init(struct sentinels *s, const struct config *c, void *user,
                    void (*changed)(void *user, enum sentinel s, enum watch_change change));

/* Numbers and timestamps begin anew. The usual dose is learnt again; until it is, that of the
 * series before tells a dump. */
void sentinels_begin(struct sentinels *s);

/* The next frame. Returns the flags that it gets: FRAME_BEAM_DIP, FRAME_NO_BEAM. */
uint32_t sentinels_frame(struct sentinels *s, const struct quality_frame *f);

/* No frames for now: alarms about them end. */
void sentinels_end(struct sentinels *s);

void sentinels_machine(struct sentinels *s, const struct quality_machine *m);

/* What the dose usually is; NaN: not known. */
double sentinels_usual_dose(const struct sentinels *s);

#endif
