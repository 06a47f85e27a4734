/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_REPORT_H
#define SINKS_REPORT_H

#include "sinks/lane.h"

/* The ledger as people read it. Every file is written as .part, synced and renamed. */

struct report_source {
	const struct disk_io *io;
	int folder;                   /* of the ledger, file descriptor */
	const char *journal;          /* file name in it */
	uint64_t journal_bytes;       /* that count */
	const struct lost_list *lost; /* what the journal did not take */
	const char *series;           /* folder's name */
	const struct config_rotation *rotation;
	uint64_t step;                 /* series.step */
	const char *suffix;            /* of the data files, NULL: none */
	const struct lane_file *files; /* ended ones */
	size_t file_count;
	bool any_unfinished; /* among them */
	bool replace;        /* an older report; else -EEXIST */
};

/* Write frames.csv (or sink-<n>.csv) from the journal: one line per frame number, ascending.
 * 0, -EINVAL when the journal is not what was written, or another errno. */
int report_frames(const struct report_source *s, const char *name);

/* Write histogram.csv. 0 or negative errno. */
int report_histogram(const struct disk_io *io, int folder, const struct sink_summary *summary);

#endif
