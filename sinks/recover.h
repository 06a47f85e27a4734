/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_RECOVER_H
#define SINKS_RECOVER_H

#include "sinks/sinks.h"

struct disk_io;

/* Finish a series that was cut off by a crash, a kill or a power cut, from its journal: data files
 * get their directories and final names with every durable frame, numbers without a record become
 * dropped (crash), and the ledger, the reports and the manifest are made again.
 *
 * The journal is the only thing that is believed. It is never shortened but by what no record is,
 * and only grows by the lost frames; of a group that was averaged and has not all its records at
 * the journal's end, those become records of lost frames. A journal that the storage changed, with
 * valid records behind the damaged one, is refused, and nothing is touched. Everything else is
 * written as .part and renamed, so that recovery may itself be cut off and run again. */

struct recover_options {
	const struct disk_io *io; /* NULL in the program */
	const char *version;      /* of this program */
	void *user;
	/* One sentence: what was finished, what is lost, what is wrong. */
	void (*say)(void *user, enum sink_say level, const char *text);

	/* Read a calibration image again for an HDF5 master, if the file still has that checksum:
	 * its pixels are freed here, with free(). 0 or negative errno (-ESTALE: another file).
	 * NULL: masters are without. */
	int (*load_map)(void *user, const char *role, const char *path, uint32_t crc32c,
	                struct sink_calibration *ret);
};

struct recover_result {
	bool cut_off;          /* it was not ended by the daemon */
	uint64_t expected;     /* numbers of the ledger, */
	uint64_t written;      /* durable frames among them, */
	uint64_t lost;         /* dropped or missing, */
	uint64_t crashed;      /* those of them that have no record */
	uint64_t further_lost; /* the same of further sinks */
	unsigned finished;     /* files that got their final names now */
	unsigned removed;      /* files without a durable frame */
	unsigned troubles;     /* said as SINK_ERROR */
};

/* `path`: the series' folder. 0 when its ledger and its files agree again, else negative errno with
 * why[]: -ENOENT (no series there), -EBUSY (a daemon still writes it), -EINVAL (the journal is
 * none, or damaged), or what an input or output failed with. One thread. */
int recover_series(const char *path, const struct recover_options *o, struct recover_result *ret,
                   char why[512]);

#endif
