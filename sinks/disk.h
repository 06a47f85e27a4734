/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_DISK_H
#define SINKS_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Everything that changes a disk, in one place: each call goes through a table that tests can
 * put in between, to refuse the n-th one, cut a write short, end the process there, or record
 * what a power cut may undo. In the program the table is NULL.
 *
 * The functions here wait for their call; writer.h has those that do not. All return negative
 * errno, and try again what a signal interrupted, but no sync: the kernel tells of a failure
 * once. */

enum disk_kind {
	DISK_WRITE,
	DISK_SYNC,      /* fsync */
	DISK_SYNC_DATA, /* fdatasync: the pixels and what it takes to read them back */
	DISK_ALLOCATE,  /* fallocate beyond the size of the file, which stays as it is */
	DISK_EXTEND,    /* fallocate, and the file is that long: writes into it need no turn each */
	DISK_PUNCH,     /* gives blocks back, the size stays */
	DISK_TRUNCATE,  /* to `length` */
	DISK_OPEN,      /* `name` in the folder `fd`, maybe creating it */
	DISK_RENAME,    /* `name` in the folder `fd` to `to` in the same one */
	DISK_REMOVE,    /* `name`, a file or an empty folder, from the folder `fd` */
	DISK_FOLDER,    /* make the folder `name` in `fd` */
	DISK_KIND_COUNT
};

/* One call, as the operating system will get it. */
struct disk_call {
	enum disk_kind kind;
	bool queued; /* of the writer, which tries again what is cut short or refused for now */
	int fd;      /* of the file, or of the folder that `name` is in */
	const char *name; /* NULL: the call is about fd itself */
	const char *to;   /* DISK_RENAME */
	int flags;        /* DISK_OPEN: as open(); DISK_RENAME: as renameat2() */
	const void *data; /* DISK_WRITE */
	uint64_t offset;  /* bytes from the start of the file */
	uint64_t length;  /* bytes */
};

struct disk_io {
	void *user;

	/* 0, or the negative errno with which io_uring is refused. */
	int (*ring)(void *user);

	/* Before entries are handed to io_uring: 0, or the negative errno that answers instead. */
	int (*submit)(void *user);

	/* Before each call: 0, or the negative errno it fails with without being tried. A write
	 * may be made to end short by lowering *length. */
	int (*before)(void *user, const struct disk_call *c, uint64_t *length);

	/* After each call that was tried: bytes, a file descriptor or 0, or negative errno. The
	 * call's data are still there. */
	void (*after)(void *user, const struct disk_call *c, int64_t result);
};

/* The table to use where nobody gave one; NULL in the program. */
const struct disk_io *disk_io_default(void);

/* Ask the table, if there is one. *length is the call's, lower for a write cut short. */
int disk_before(const struct disk_io *io, const struct disk_call *c, uint64_t *length);
void disk_after(const struct disk_io *io, const struct disk_call *c, int64_t result);

/* A file descriptor, close-on-exec. */
int disk_open(const struct disk_io *io, int folder, const char *name, int flags, mode_t mode);

/* Write all of it; -EIO when the system takes nothing and says nothing. */
int disk_write(const struct disk_io *io, int fd, const void *data, uint64_t length,
               uint64_t offset);
int disk_sync(const struct disk_io *io, int fd);
int disk_allocate(const struct disk_io *io, int fd, uint64_t offset, uint64_t length);
int disk_punch(const struct disk_io *io, int fd, uint64_t offset, uint64_t length);
int disk_truncate(const struct disk_io *io, int fd, uint64_t length);

/* Never over an existing file: -EEXIST. */
int disk_rename(const struct disk_io *io, int folder, const char *from, const char *to);

/* Over an existing file. */
int disk_replace(const struct disk_io *io, int folder, const char *from, const char *to);
int disk_remove(const struct disk_io *io, int folder, const char *name);
int disk_remove_folder(const struct disk_io *io, int folder, const char *name);
int disk_make_folder(const struct disk_io *io, int folder, const char *name);

/* A stream that writes to fd through the table, and closes it; NULL with errno. */
FILE *disk_stream(const struct disk_io *io, int fd);

#endif
