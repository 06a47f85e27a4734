/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_DATAFILE_H
#define SINKS_DATAFILE_H

#include "sinks/format.h"
#include "sinks/record.h"
#include "sinks/stack.h"

/* One data file of a series, from its first frame to its final name.
 *
 * Its frames are a list in file order, oldest first, without those that are durable:
 *
 *   durable <= batched <= synced <= landed <= placed       (counts from the file's start)
 *
 * placed   handed to the stack          landed   in the file: settled as written
 * synced   a sync covered them          batched  their records are on the way to the journal
 * durable  the journal is synced too: forgotten here
 *
 * Formats whose head comes first have it written when they open, so that its blocks are there.
 * A file ends well: tail, head, one sync for all, journal, final name, directory synced. A
 * failure cuts it: when nothing is under way any more, frames that are not good by the worst
 * fault until then are dropped, and it ends with the others. A failure after that leaves it as
 * .part for recovery, with whatever is durable in it. */

struct datafile;
struct frame_hold;

/* A frame on its way, in memory that does not move. */
struct datafile_frame {
	struct stack_write write;
	struct datafile_frame *next;
	struct datafile *file; /* NULL while it waits for one */
	struct journal_record record;
	struct sink_times times;
	const void *pixels;
	size_t bytes;            /* of them */
	size_t copied;           /* of those, in staging blocks */
	struct frame_hold *hold; /* NULL: pixels no longer needed */
	bool landed;
	struct datafile_frame *members; /* frames averaged into it beside its own, by `next` */
	unsigned char *room;            /* for the record's regions; the pool's own */
};

/* What a file tells the lane it is part of. */
struct datafile_events {
	void *user;
	void (*released)(void *user, struct datafile_frame *f); /* pixels no longer needed */
	void (*landed)(void *user, struct datafile_frame *f);
	/* Never durable; takes the frame back. */
	void (*dropped)(void *user, struct datafile_frame *f, enum dropped reason);
	/* The file failed and takes no more frames; again when a worse fault joins the first. */
	void (*failed)(void *user, struct datafile *d, const char *operation, int error);
	/* It has ended; `kept` frames are in it, under its final name unless `unfinished`. */
	void (*ended)(void *user, struct datafile *d, bool unfinished);
	/* One sentence for people. */
	void (*say)(void *user, enum sink_say level, const char *text);
};

enum datafile_state {
	DATAFILE_FREE,
	DATAFILE_FILLING,
	DATAFILE_CUTTING, /* failed: waits until nothing is under way, then is cut */
	DATAFILE_TAIL,    /* composing and appending the tail */
	DATAFILE_LANDING, /* waits for the tail to be in the file */
	DATAFILE_HEAD,    /* writes the head */
	DATAFILE_CLOSING, /* size set, the last sync under way */
	DATAFILE_JOURNAL, /* waits until its frames are durable */
	DATAFILE_NAMED,   /* has its final name, directory being synced */
};

/* In the order of how little they leave: what landed, what was synced, what is durable. */
enum datafile_fault { FAULT_NONE, FAULT_WRITE, FAULT_SYNC, FAULT_JOURNAL };

struct datafile {
	const struct format *format;
	const struct datafile_events *events;
	const struct sink_shape *shape;
	struct writer *writer;
	struct stack stack;
	struct format_plan plan;
	struct format_file described; /* for the tail */
	enum datafile_state state;
	uint32_t index; /* in the series */
	unsigned sink;  /* whose file it is */
	uint64_t placed, landed, covered, synced, batched, durable;
	struct format_place *places; /* [placed], for formats with a tail */
	uint64_t places_capacity;
	struct datafile_frame *oldest, *newest, *unlanded;
	bool sync_wanted, syncing, entry_syncing, head_writing;
	uint64_t sync_target; /* stack bytes that must have landed first, 0: none */
	enum datafile_fault fault;
	int error; /* of the fault */
	unsigned faults;
	bool leave_part;
	struct tail *tail;
	const unsigned char *piece; /* of the tail, not yet appended */
	size_t piece_left;
	unsigned char *head; /* [head_bytes], aligned, for the head's write */
	struct writer_op sync_op, entry_op, head_op;
};

struct datafile_options {
	const struct format *format;
	const struct datafile_events *events;
	const struct sink_shape *shape;
	struct writer *writer;
	struct staging *staging;
	int directory;
	unsigned sink;      /* index in the configuration */
	const char *series; /* folder's name; borrowed until it has ended */
	uint32_t index;
	struct format_plan plan;
	struct format_file described; /* without frames and first_number */
	bool direct, zero_copy;
};

/* Create the file. 0 or negative errno. `d` must be zeroed or FREE. */
int datafile_open(struct datafile *d, const struct datafile_options *o);

/* Whether the file system has room for a further frame of so many bytes and the tail it makes
 * longer. */
enum stack_room datafile_make_room(struct datafile *d, size_t bytes);

/* Hand over frames in order; only with room, and only while FILLING. False when staging memory
 * is short: call again with the same frame. */
bool datafile_put(struct datafile *d, struct datafile_frame *f);

/* Ask for a sync of what was placed. */
void datafile_sync(struct datafile *d);

/* No more frames: end it well, or remove it when there is none. Only while FILLING. */
void datafile_end(struct datafile *d);

/* The journal cannot take its frames. */
void datafile_fail_journal(struct datafile *d, int error);

/* Frames that a sync covered and that are in no batch yet: the first of them, or NULL. */
struct datafile_frame *datafile_unbatched(const struct datafile *d);

/* Everything batched is durable; the frames are taken off and returned as a list. */
struct datafile_frame *datafile_pop_durable(struct datafile *d);

/* Go as far as possible without waiting for a write or a sync. Cutting (reads a block back),
 * truncating and renaming are system calls made here. */
void datafile_step(struct datafile *d);

/* Whether datafile_step() has more to do at once: composing a long tail takes several calls. */
bool datafile_is_ready(const struct datafile *d);

/* File name in its present state, with .part when it has it. */
void datafile_name(const struct datafile *d, char ret[PART_NAME_MAX]);

/* Release what it holds; nothing may be under way. Accepts a zeroed one. */
void datafile_done(struct datafile *d);

#endif
