/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_FOLDER_H
#define SINKS_FOLDER_H

#include "config/config.h"
#include "sinks/disk.h"

#include <stdbool.h>
#include <sys/types.h>

#define FOLDER_NAME_MAX 140 /* bytes of "<name>-<number>" with the final 0 */

/* The last number that was made of a name, in one directory. */
struct folder_count {
	char name[FOLDER_NAME_MAX]; /* "": none */
	uint32_t number;
	dev_t device; /* of the directory */
	ino_t inode;
};

#define FOLDER_COUNTS 16 /* names that are remembered */

/* A directory in which series folders are made. Several sinks may share one. */
struct folder_parent {
	const char *path;
	int directory; /* file descriptor */
	char series_path[4096];
	int series; /* file descriptor of the last series' folder, -1: it could not be made */
	int error;  /* why not */
	/* folder_make()'s own; zeroed at first. */
	struct folder_count counts[FOLDER_COUNTS];
	unsigned next_count; /* to be forgotten */
};

/* What somebody can do about an error (negative errno) of a directory: "free some space". Static
 * text. */
const char *folder_remedy(int error);

/* Open a directory and prove that files can be made, written (with O_DIRECT unless DIRECT_NO)
 * and removed in it. 0 with an open *ret_directory and whether O_DIRECT works; why[] then says
 * why not, or is "". Negative errno with why[] naming the directory and what to do. */
int folder_prove(const struct disk_io *io, const char *path, enum direct_mode mode,
                 int *ret_directory, bool *ret_direct, char why[256]);

/* Whether two open directories are the same one. */
bool folder_is_same(int a, int b);

/* Whether a path leads to this open directory, or nowhere. */
bool folder_is_at(const char *path, int directory);

/* Make a name fit for files: letters, digits, `._+-=@`, blanks and whole UTF-8 sequences stay,
 * anything else and a leading dot become `_`; cut at 100 bytes; "series" when empty. True when
 * it had to be changed. */
bool folder_clean_name(char ret[FOLDER_NAME_MAX], const char *name);

/* Make "<name>-<number>" in every parent, number (at least four digits) being the first that is
 * free in all of them, from 1, or behind the last one made here of that name: one that became free
 * meanwhile is not used again, and many series do not make the next one slow. Parents in which it
 * cannot be made have series -1 and error. Returns 0 when at least one could, else the first error.
 */
int folder_make(const struct disk_io *io, struct folder_parent *parents, unsigned count,
                const char *name, char ret_name[FOLDER_NAME_MAX], uint32_t *ret_number);

#endif
