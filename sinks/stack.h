/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_STACK_H
#define SINKS_STACK_H

#include "sinks/part.h"
#include "sinks/staging.h"

/* One data file being filled: bytes back to back after an optional head, under a .part name.
 *
 *   0 <= landed <= placed <= allocated
 *
 * placed     everything below was handed over, to the kernel or to a staging block
 * landed     everything below is in the file (not: synced)
 * allocated  blocks are reserved up to here, where the file system can
 *
 * The first error is final: nothing more is started, `error` keeps it, and stack_cut() makes
 * the file end where its bytes are still good. */

struct stack_options {
	int directory;
	unsigned sink;     /* index in the configuration */
	const char *name;  /* the final one */
	bool direct;       /* O_DIRECT */
	bool zero_copy;    /* frames are written from their own memory */
	uint64_t head;     /* bytes left out at the start, a multiple of WRITER_ALIGN */
	uint64_t size_max; /* bytes the file may reach, for allocation */
};

struct stack {
	struct writer *writer;
	struct staging *staging;
	unsigned sink;
	int directory, fd; /* fd -1: closed */
	char name[PART_NAME_MAX];
	bool direct, zero_copy;
	uint64_t placed, landed, allocated, size_max;
	bool can_allocate, allocating, full;
	uint64_t step; /* bytes allocated ahead; 0: only what the next frame needs */
	int error;     /* 0 or negative errno */
	struct stack_write *first, *last; /* started, not landed, in file order */
	unsigned in_flight;
	struct staging_block *block; /* being filled */
	struct writer_op allocate_op;
};

/* Create <name>.part. 0 or negative errno (-EEXIST, -ENOSPC, -EACCES, ...); the stack is then
 * closed. */
int stack_open(struct stack *s, struct writer *w, struct staging *staging,
               const struct stack_options *o);

/* Close the file; what is under way must have ended (stack_idle()). Accepts a zeroed one after
 * fd was set to -1. */
void stack_close(struct stack *s);

enum stack_room {
	STACK_READY,
	STACK_WAIT, /* an allocation is under way */
	STACK_FULL, /* the file system has no room */
};

/* Whether the file may grow to `end` bytes, allocating ahead. After STACK_FULL bytes up to
 * `allocated` are still there for the file's tail. */
enum stack_room stack_make_room(struct stack *s, uint64_t end);

/* Write `bytes` from the frame's own memory (zero_copy; WRITER_ALIGN multiples with O_DIRECT).
 * w->released is called when it is no longer read. */
void stack_put(struct stack *s, struct stack_write *w, const void *data, size_t bytes);

/* Copy up to n bytes behind what is placed. Returns how many fitted. */
size_t stack_append(struct stack *s, const void *data, size_t n);

/* Start writing what waits in the staging block. Until it has landed nothing can be appended. */
void stack_flush(struct stack *s);

/* Nothing is under way. */
bool stack_idle(const struct stack *s);

/* Make the file end at `end` <= landed and forget the error, so that a tail can be appended.
 * Only when idle. 0, -EAGAIN when no staging block is free, or negative errno. */
int stack_cut(struct stack *s, uint64_t end);

/* Set the size of the file to what is placed, giving back what was allocated beyond. Only when
 * idle. 0 or negative errno. */
int stack_truncate(struct stack *s);

#endif
