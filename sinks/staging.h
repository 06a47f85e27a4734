/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_STAGING_H
#define SINKS_STAGING_H

#include "sinks/writer.h"

struct stack;

/* One write of a stack: a frame from its own memory, or a staging block. */
struct stack_write {
	struct writer_op op;
	struct stack *stack;
	struct stack_write *next;    /* in file order */
	uint64_t end;                /* file offset behind the last byte that matters */
	bool finished;               /* has completed, well or not */
	struct staging_block *block; /* NULL for a frame's own memory */
	/* A frame's own memory is no longer read. */
	void (*released)(struct stack_write *w);
	void *owner;
};

/* Aligned memory in which frames that do not fill whole blocks are put together. */
struct staging_block {
	struct stack_write write;
	struct staging_block *next; /* when free */
	unsigned char *at;          /* [staging.block_bytes] */
	uint64_t offset;            /* in the file, of at[0] */
	size_t fill;                /* bytes */
	size_t flushed;             /* bytes of them in the file or on the way */
	bool locked;                /* being written: must not change */
};

struct staging {
	unsigned count;
	size_t block_bytes; /* a multiple of WRITER_ALIGN */
	unsigned char *memory;
	struct staging_block *blocks;
	struct staging_block *free_blocks;
};

/* 0 or -ENOMEM. */
int staging_open(struct staging *s, unsigned count, size_t block_bytes);

/* Accepts a zeroed one. */
void staging_close(struct staging *s);

/* A free block, empty, or NULL. */
struct staging_block *staging_pop(struct staging *s);

void staging_push(struct staging *s, struct staging_block *b);

#endif
