/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_MANIFEST_H
#define SINKS_MANIFEST_H

#include "sinks/lane.h"

/* What manifest.json says of a series. */

enum manifest_state { MANIFEST_RUNNING, MANIFEST_COMPLETE, MANIFEST_INCOMPLETE };

struct manifest {
	enum manifest_state state;
	const struct sink_program *program;
	const char *series; /* folder's name */
	const char *name;   /* without the number */
	uint32_t number;
	const char *path;          /* of the ledger's folder */
	uint64_t start_ns, end_ns; /* CLOCK_REALTIME; end 0: still running */
	const struct sink_geometry *geometry;
	const struct lane *lanes; /* [lane_count] */
	unsigned lane_count;
	const struct totals *totals;          /* NULL: still running */
	const char *expected_from;            /* NULL: still running */
	const struct sink_detector *detector; /* NULL: nothing was said, or still running */
	const struct sink_stop *stopped;      /* NULL: nobody did */
	const char *const *reasons;
	unsigned reason_count;
	const char *kind;                    /* "sample", "dark", "flat", "blackbox" */
	const char *why;                     /* "": nothing to say */
	const struct sink_pixels *pixels;    /* NULL: not known */
	const struct config_region *regions; /* [region_count] */
	unsigned region_count;
	const struct sink_calibration *calibrations; /* [calibration_count] */
	unsigned calibration_count;
	const float *raw_percentiles, *percentiles; /* [PERCENTILES]; NULL: not known */
	const struct sink_finding *findings;        /* [finding_count] */
	unsigned finding_count;
	uint64_t findings_left_out;
	const struct sink_latency *latency; /* [latency_count]; NULL: still running */
	unsigned latency_count;
	const struct sink_loss *losses; /* [loss_count] */
	unsigned loss_count;
	const struct sink_flow *flow; /* NULL: not known, or still running */
};

/* The same as JSON text, malloc'd; NULL without memory. */
char *manifest_text(const struct manifest *m);

/* Write manifest.json into `folder` (file descriptor): as .part, synced, renamed over the one
 * before. 0 or negative errno. */
int manifest_write(const struct disk_io *io, int folder, const struct manifest *m);

#endif
