/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_RECOVER_PARTS_H
#define SINKS_RECOVER_PARTS_H

#include "sinks/checkpoint.h"
#include "sinks/format.h"
#include "sinks/journal.h"
#include "sinks/lane.h"
#include "sinks/recover.h"
#include "sinks/report.h"

#include <jansson.h>

/* What the files of recovery share. */

#define RECOVER_UNBEGUN "it was cut off before its journal began: no frame of it is durable"

/* A data file by its records. */
struct recover_file {
	uint32_t index;
	uint64_t frames;
	struct format_place *places; /* [frames] */
	uint64_t capacity;
	bool usable;   /* it has its final name, */
	bool finished; /* since now */
};

/* One sink of the series. */
struct recover_lane {
	char journal[32], csv[32]; /* file names */
	int journal_fd;            /* locked; -1: none */
	bool unbegun;              /* there is not even a header in it */
	struct journal_view view;
	uint32_t torn_from; /* written records from here on are of a group that is not whole */
	const struct format *format; /* NULL: keeps no pixels */
	struct sink_shape shape;
	int folder; /* of its data files, -1: not found */
	char path[4096];
	struct recover_file *files; /* by index */
	size_t file_count, file_capacity;
	uint64_t expected, written, flagged, crashed;
	uint64_t dropped[DROPPED_COUNT], missing[MISSING_COUNT];
};

struct recover {
	const struct recover_options *options;
	struct recover_result *result;
	const char *path;
	int folder;
	json_t *manifest; /* NULL: none, or damaged */
	struct checkpoint_view checkpoint;
	bool has_checkpoint;
	struct recover_lane lanes[CONFIG_SINKS_MAX];
	unsigned lane_count;
	bool unbegun; /* nothing is durable, and there is no ledger */
};

__attribute__((format(printf, 3, 4))) void recover_say(struct recover *r, enum sink_say level,
                                                       const char *format, ...);

/* Whether the journals can be believed, before anything is touched: 0, -ENOMEM, or -EINVAL with
 * why[], when one is damaged or its records make no sense. Finds torn groups. */
int recover_check(struct recover *r, char why[512]);

/* Sort the records into files. 0, -ENOMEM, or -EINVAL when their places make no sense. */
int recover_place(struct recover *r, struct recover_lane *l);

/* Give every file of the lane its end and its final name, and remove those that no record names.
 * 0 or the first error. */
int recover_files(struct recover *r, struct recover_lane *l);

/* Add to the journal the losses that only the table of a series that ended has. 0 or negative
 * errno. */
int recover_table(struct recover *r, struct recover_lane *l);

/* After something was added to the journal. 0 or negative errno. */
int recover_map_again(struct recover *r, struct recover_lane *l);

/* Add to the journal what has no record, and count. Maps the journal anew. 0 or negative errno. */
int recover_ledger(struct recover *r, struct recover_lane *l);

/* Write the lane's CSV. */
int recover_report(struct recover *r, struct recover_lane *l);

/* The manifest as it was left, or NULL. */
json_t *recover_manifest_load(int folder);

/* Where the manifest says that sink `index` has its files; NULL: it does not. */
const char *recover_manifest_directory(const json_t *manifest, unsigned index);

/* Whether somebody told the daemon to stop the series: it was to end with what had come. */
bool recover_manifest_is_stopped(const json_t *manifest);

/* The manifest of the finished series; NULL without memory. The caller's to release. */
json_t *recover_manifest(struct recover *r);
int recover_manifest_write(struct recover *r, const json_t *manifest);

/* One reason more why the series is incomplete. */
void recover_manifest_reason(json_t *manifest, const char *reason);

/* What the lane's reports are made from; files[] is the caller's [l->file_count]. */
struct report_source recover_source(const struct recover *r, const struct recover_lane *l,
                                    struct lane_file *files);

/* Write the HDF5 master of a lane that has one. `manifest`: of the finished series. */
int recover_master(struct recover *r, struct recover_lane *l, const json_t *manifest);

#endif
