/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_REGISTERED_H
#define SINKS_REGISTERED_H

#include "sinks/writer.h"

#include <liburing.h>

/* Memory registered with an io_uring, so that the kernel need not look up and pin its pages for
 * each write. A buffer holds at most 1 GiB and counts against RLIMIT_MEMLOCK; where that does
 * not allow them, writes go without. */
struct registered {
	struct writer_memory *wanted;
	unsigned wanted_count;
	struct iovec *buffers; /* sorted by address; NULL: none are registered */
	unsigned count;
	char summary[160]; /* "4 registered buffers", "plain buffers (why)", or "" */
};

/* Take the table for the next registered_enable(). Not while enabled. Without memory for it
 * none are wanted. */
void registered_want(struct registered *r, const struct writer_memory *memory, unsigned count);

/* Register what is wanted with an open ring, or say in `summary` why not. */
void registered_enable(struct registered *r, struct io_uring *ring);

/* Undo it; `ring` NULL when it is closed already, which undoes it too. */
void registered_disable(struct registered *r, struct io_uring *ring);

/* Index of the buffer that holds all of it, or -1. */
int registered_find(const struct registered *r, const void *data, uint64_t length);

/* Accepts a zeroed one. */
void registered_done(struct registered *r);

#endif
