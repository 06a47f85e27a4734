/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_PART_H
#define SINKS_PART_H

#include "sinks/disk.h"

#include <stdbool.h>
#include <stdio.h>

/* Files bear the suffix .part until they are complete, and then take their final name in one
 * step, so that whoever finds a file under its final name can read it. */

#define PART_SUFFIX   ".part"
#define PART_NAME_MAX 256 /* bytes of a name with its suffix and the final 0 */

/* Give `name`.part its final name; never over an existing file. 0, -EEXIST or another errno. */
int part_rename(const struct disk_io *io, int directory, const char *name);

/* A text file being written. */
struct part {
	FILE *text;
	const struct disk_io *io;
	int directory;
	const char *name; /* the final one; borrowed until part_commit() */
	int fd;           /* of `text` */
};

/* Create `name`.part in `directory`; an older one of that name is removed, never written to. 0 or
 * negative errno. */
int part_open(struct part *ret, const struct disk_io *io, int directory, const char *name);

/* Flush, sync, close, and give it its final name; with `replace` over an older file. On failure
 * the .part is removed. 0 or the first error as negative errno. */
int part_commit(struct part *p, bool replace);

/* The same for a file whose bytes are all there. */
int part_write(const struct disk_io *io, int directory, const char *name, const void *bytes,
               size_t n, bool replace);

#endif
