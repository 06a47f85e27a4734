/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_SINKS_STATE_H
#define SINKS_SINKS_STATE_H

#include "sinks/checkpoint.h"
#include "sinks/folder.h"
#include "sinks/lane.h"
#include "sinks/manifest.h"
#include "sinks/sinks.h"

/* What sinks.c and sinks_series.c share. */

#define SLAB_HOLDS 64

struct hold_slab {
	struct hold_slab *next;
	struct frame_hold holds[SLAB_HOLDS];
};

struct sinks {
	const struct config *config;
	struct sink_program program;
	struct sink_callbacks callbacks;
	struct lane_host host;
	struct writer *writer;
	struct lane lanes[CONFIG_SINKS_MAX];
	unsigned lane_count, primary;
	struct folder_parent parents[CONFIG_SINKS_MAX]; /* directories, each once */
	unsigned parent_count;
	unsigned parent_of[CONFIG_SINKS_MAX]; /* of a lane */
	char direct_note[160];                /* why not O_DIRECT */
	char summary[512];
	struct sink_geometry geometry;
	bool laid_out, running;

	struct frame_hold *free_holds;
	struct hold_slab *slabs;
	uint64_t busy;
	uint64_t now_ns; /* of the last poll */

	char name[FOLDER_NAME_MAX], series[FOLDER_NAME_MAX];
	char path[4096];
	uint32_t number;
	uint64_t started_ns;
	struct sink_histograms histograms;
	const char *kind;
	char why[256]; /* "": nothing to say */
	struct sink_pixels pixels;
	bool has_pixels;
	const struct sink_calibration *calibrations; /* that it began with */
	unsigned calibration_count;
	const struct sink_stop *stopped; /* NULL: nobody did; the caller's */
	struct checkpoint checkpoint;
	uint64_t put_frames, newest; /* of the series: handed over; number */

	uint64_t say_second; /* monotonic second of the last sentences */
	unsigned said, unsaid;
};

/* File name of lane i's journal. */
void sinks_journal_name(const struct sinks *s, unsigned i, char name[32]);

/* The manifest of a running series. */
struct manifest sinks_manifest(const struct sinks *s);

/* Write it into the ledger's folder and sync that. 0 or negative errno. */
int sinks_write_manifest(struct sinks *s, const struct manifest *m);

/* Say that a report could not be written. */
void sinks_say_failed(struct sinks *s, const char *name, int error);

/* Say one sentence, at most a few a second; the rest is counted. `user` is a struct sinks. */
void sinks_say(void *user, enum sink_say level, const char *text);

/* Say how many were left out, at the end or when the next second has begun. */
void sinks_say_rest(struct sinks *s);

/* Go on until every lane says so; `urge` is repeated, since what it asks for takes steps. */
void sinks_run_until(struct sinks *s, void (*urge)(struct lane *l),
                     bool (*is)(const struct lane *l));

#endif
