/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_BLACKBOX_SERIES_H
#define DAEMON_BLACKBOX_SERIES_H

#include "daemon/keeping.h"
#include "daemon/unpacker.h"
#include "sinks/sinks.h"

/* What the black box writes: kept frames, unpacked, through sinks of their own. A new series begins
 * where the kept frames do: with another series, another geometry, a number that does not rise.
 * The black box's thread. */

struct pipeline;

struct blackbox_series {
	struct pipeline *pipeline;
	const struct config_sink *sink;
	int wake_fd;
	const char *why;
	struct unpacker unpacker;
	struct frame_shape shape;
	char *config_json;
	struct sinks *sinks; /* NULL: none is open */
	bool running;
	bool spare[8]; /* slots of the unpacker */
	uint64_t series, newest, step;
	struct totals totals;
	uint64_t *raw_counts, *normalised_counts;
	struct histogram_tails raw_tails, normalised_tails;

	/* Of all series of the event. */
	uint64_t frames; /* written, in those that are over */
	unsigned series_count;
	char path[4096];
	char error[400]; /* the first */
};

void blackbox_series_init(struct blackbox_series *s, struct pipeline *p,
                          const struct config_sink *sink, int wake_fd, const char *why);

/* Write one frame; without payload: note that it was not kept. Waits for the disk when it must. */
void blackbox_series_put(struct blackbox_series *s, const struct kept *f);

/* Reap what is written. */
void blackbox_series_poll(struct blackbox_series *s);

/* End what is open and give everything back. */
void blackbox_series_finish(struct blackbox_series *s);

#endif
