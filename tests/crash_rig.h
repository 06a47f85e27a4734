/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CRASH_RIG_H
#define TESTS_CRASH_RIG_H

#include "config/config.h"
#include "sinks/disk.h"

#include <stdbool.h>
#include <stdint.h>

/* A series that a process of its own writes and that is cut off, and the proof of what recovery
 * makes of it. Plain, without Criterion: processes are killed here. */

#define CRASH_FRAMES 200 /* numbers from 0 */

/* One way to write a series. */
struct crash_case {
	const char *name;
	enum sink_format format;
	bool packed;      /* bslz4 */
	unsigned average; /* frames, at least 1 */
	bool second;      /* a further sink, raw, in another directory */
	bool endless;     /* nobody says which numbers there will be */
	bool plain;       /* pwrite instead of io_uring */
	enum direct_mode direct;
	unsigned regions; /* of interest */
	uint32_t width, height;
};

/* Every format that keeps pixels, then what else a series may be; the count in *ret_count. */
const struct crash_case *crash_cases(unsigned *ret_count);

/* What outlives the process that writes: in memory shared with it. */
struct crash_notes {
	uint64_t calls;       /* of the table, begun */
	uint64_t called_back; /* frames called durable */
	/* By number: when its record was synced, by the clock of struct crash_run; 0: not yet. */
	uint64_t durable[CRASH_FRAMES];
	bool ended; /* the series */
};

/* Mapped for this process and its children; zeroed. */
struct crash_notes *crash_notes_new(void);
void crash_notes_free(struct crash_notes *n);

enum crash_moment { CRASH_NEVER, CRASH_BEFORE, CRASH_AFTER };

struct crash_run {
	const struct crash_case *of;
	const char *root; /* folder that exists; the sinks write to root/0 and root/1 */
	struct crash_notes *notes;
	enum crash_moment moment;      /* SIGKILL before or after the */
	uint64_t nth;                  /* call of the table, from 1 */
	const struct disk_io *beneath; /* sees each call, too; or NULL */
	uint64_t (*clock)(void *user); /* NULL: 1; */
	void *clock_user;
	void (*opened)(void *user); /* before the series begins; NULL: nobody asks */
};

/* Write the whole series here, in this process. */
void crash_write(const struct crash_run *r);

/* Recover the series in `root`, audit it, and hold it against the case and the notes: what was
 * durable at clock `until` is written with its own pixels, nothing else is called written that is
 * not, no .part is left, and recovery once more changes nothing. Exits with 1 and the reason when
 * that does not hold; `what` says where. Returns the number of written frames. */
uint64_t crash_prove(const struct crash_case *c, const char *root, const struct crash_notes *n,
                     uint64_t until, const char *what);

/* recover_series() under the table, with the program's options. */
int crash_recover(const char *root, const struct disk_io *io, char why[512]);

/* A table that raises SIGKILL at the n-th call, counted in *calls. */
struct crash_kill {
	uint64_t *calls, nth;
	enum crash_moment moment;
	struct disk_io io;
};
const struct disk_io *crash_kill_io(struct crash_kill *k);

/* Whether the arguments name no case with --case, or this one. */
bool crash_is_wanted(const struct crash_case *c, int argc, char **argv);

/* Folders: made with root/0 and root/1, emptied but for these, or wholly, copied, and one number
 * for all their content. */
void crash_folder_make(char ret[128], const char *where, const char *name);
void crash_folder_empty(const char *root);
void crash_folder_wipe(const char *root);
void crash_folder_remove(const char *root);
void crash_folder_copy(const char *from, const char *to);
uint64_t crash_folder_sum(const char *root);

/* Where trees are quick to write: $TMPDIR, else /dev/shm, else /tmp. */
const char *crash_memory(void);

/* Print and exit with 1. */
__attribute__((format(printf, 1, 2), noreturn)) void crash_fail(const char *format, ...);

/* --long among the arguments, or OPENBEAM_LONG in the environment. */
bool crash_is_long(int argc, char **argv);

#endif
