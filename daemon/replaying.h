/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_REPLAYING_H
#define DAEMON_REPLAYING_H

#include <stdbool.h>
#include <stdint.h>

/* A recorded series once more through the pass: its source frames, normalised with the calibration
 * and reduced by the configuration that its manifest names, and what comes out held against the
 * ledger, bit for bit.
 *
 *   per frame    moments raw and normalised, pixels good, bad and saturated, percentiles, dose,
 *                values of the regions, the checksum of the reduced product and its clipped pixels
 *   per page     with reduce.average: the checksum of the mean, and its clipped pixels
 *   per series   both histograms
 *
 * Left out are frames that cannot be repeated: those with ports missing, and all of a detector
 * whose mask of bad pixels was not kept. */

#define REPLAY_NAMED 10 /* frames that are named of each kind */
#define REPLAY_KINDS 256

/* One thing that was said of several frames: what differs, or why they were left out. */
struct replay_kind {
	char what[160];
	char example[320]; /* of the first: what is recorded, and what came out */
	bool of_frames;    /* else of the series: no numbers */
	uint64_t count;
	uint64_t first[REPLAY_NAMED]; /* numbers */
};

struct replay_kinds {
	struct replay_kind at[REPLAY_KINDS];
	unsigned count;
	uint64_t beyond; /* so many more had no room */
};

struct replay_options {
	const char *path;     /* the folder of the series */
	const char *to;       /* folder for the series that comes out; NULL: none is written */
	const char *flats[2]; /* open-beam images of before and after, with `to`; NULL: those of the
	                         manifest */
	void *user;

	/* So many frames of all were taken. Called often; NULL: nobody wants to know. */
	void (*at)(void *user, uint64_t done, uint64_t all);

	/* One sentence: a warning, or what the sinks say. NULL likewise. */
	void (*say)(void *user, const char *text);
};

struct replay_result {
	uint64_t frames;   /* of the source product */
	uint64_t compared; /* of which something was held against the ledger, */
	uint64_t alike;    /* and all of it is the same */
	uint64_t pages;    /* means, likewise */
	bool histograms;   /* were compared */
	struct replay_kinds differences, left_out;
	uint64_t written;   /* frames of the series that came out, */
	char folder[4096];  /* which is there */
	char why[1024 + 8]; /* after an error: a sentence */
};

/* 0, also when there are differences; or negative errno with ret->why: as recorded_open(), -EINVAL
 * also when the configuration is not of this version, a calibration file is not the one that was
 * used, or nothing of the series can be compared; and what writing failed with. Uses this thread
 * and, for `to`, what the sinks do. */
int replay(const struct replay_options *o, struct replay_result *ret);

#endif
