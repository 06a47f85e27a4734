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

/* A record by its place: in the journal, or behind it in the list of losses. */
struct report_line {
	uint64_t number;
	size_t place;
};

/* The records of a series, ascending by number. */
struct report_ledger {
	const struct report_source *source;
	struct journal_view view;
	struct report_line *lines; /* [count] */
	size_t count;
};

/* 0, -EINVAL when the journal is none, or another errno. The source must stay until it is closed.
 */
int report_ledger_open(struct report_ledger *ret, const struct report_source *s);
void report_ledger_close(struct report_ledger *l);

/* Record i < l->count. */
void report_ledger_record(const struct report_ledger *l, size_t i, struct journal_record *ret);

/* Write frames.csv (or sink-<n>.csv) from the journal: one line per frame number, ascending.
 * 0, -EINVAL when the journal is not what was written, or another errno. */
int report_frames(const struct report_source *s, const char *name);

/* Write histogram.csv; with `replace` over an older one. 0 or negative errno. */
int report_histogram(const struct disk_io *io, int folder, const struct sink_summary *summary,
                     bool replace);

#endif
