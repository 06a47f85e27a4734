/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_JOURNAL_H
#define SINKS_JOURNAL_H

#include "sinks/record.h"
#include "sinks/writer.h"

/* The journal of one sink's series: what survives a crash. The caller appends the record of a
 * frame only after its pixels were synced; one batch at a time is written and then synced, so a
 * valid record means a durable frame.
 *
 * Its blocks are allocated ahead, for the records and for the reports made from them, so that a
 * disk that fills up with pixels still takes the ledger. Closing gives back what was not used,
 * which is where the reports find room. */

struct journal {
	struct writer *writer;
	int fd; /* -1: closed */
	unsigned region_count;
	unsigned sink;     /* whose it is */
	int error;         /* final: nothing more is taken */
	int batch_error;   /* of the batch being erased */
	bool stale;        /* a failed batch could not be erased: records without pixels */
	uint64_t length;   /* bytes synced: header and valid records */
	uint64_t reserved; /* bytes that admitted frames will need, here and in reports */
	uint64_t allocated;
	uint64_t step; /* bytes allocated ahead */
	bool can_allocate, allocating, full, busy;
	unsigned char *batch; /* grows to what one sync interval takes */
	size_t batch_fill, batch_capacity, batch_written;
	void (*done)(void *user, int error);
	void *user;
	struct writer_op op, allocate_op;
};

/* Create `name` in `directory` and sync its header and the directory, without whose entry no
 * record would be found; it stays locked (flock) while it is open. Blocks. 0 or negative errno, the
 * file then removed. */
int journal_open(struct journal *j, struct writer *w, int directory, const char *name,
                 const struct journal_header *header);

/* Accepts a zeroed one after fd was set to -1. Nothing may be under way (journal_idle()). */
void journal_close(struct journal *j);

enum journal_room { JOURNAL_READY, JOURNAL_WAIT, JOURNAL_FULL };

/* Ask for the room of so many more frames' records and report lines; with JOURNAL_READY it is
 * taken. JOURNAL_FULL is said once per attempt; ask again when space may have come back. */
enum journal_room journal_reserve(struct journal *j, uint64_t frames);

/* Add a record to the next batch; only while idle. 0 or -ENOMEM. */
int journal_append(struct journal *j, const struct journal_record *r);

/* Write and sync what was appended; then done(user, error) from the writer's completions, once.
 * After an error none of the batch counts, and what
 * of it reached the file was erased first, so that nobody finds it there after a crash; `stale`
 * says that even this failed. ENOSPC, EDQUOT and EROFS leave the journal usable for
 * another try with the same records; any other error is final. */
void journal_commit(struct journal *j, void (*done)(void *user, int error), void *user);

/* No batch and no allocation is under way. */
bool journal_idle(const struct journal *j);

/* A journal being read. */
struct journal_view {
	const unsigned char *map; /* the file's bytes, NULL when empty */
	size_t bytes;             /* of it */
	struct journal_header header;
	uint32_t records; /* valid ones, from the start */
};

/* Whether the file can be a journal that was cut off before its header was safe, so that no record
 * can have followed. */
bool journal_is_unbegun(int fd);

/* Take `name` in `directory`, a file and no link, and find its valid prefix, within limit_bytes. It
 * is read through once, into memory when it has less than 64 MiB, so that what the medium cannot
 * give back is an errno here; a larger one is mapped after that. 0, -EINVAL when it is no journal,
 * -ELOOP when it is a link, or another errno. */
int journal_view_open(struct journal_view *ret, int directory, const char *name,
                      uint64_t limit_bytes);

/* Whether the storage changed the first record behind the valid prefix: valid ones follow it
 * [*ret_valid]. Of a batch that a power cut tore any sectors may be there, too: then the others are
 * zeros, and all that is behind them is of one batch. `ended`: the daemon synced its last batch. */
bool journal_view_is_damaged(const struct journal_view *v, bool ended, uint32_t *ret_valid);

/* Accepts a zeroed one. */
void journal_view_close(struct journal_view *v);

/* Record i < v->records. Its regions are borrowed until the view is closed. */
void journal_view_record(const struct journal_view *v, uint32_t i, struct journal_record *ret);

/* Whole records for which the file has bytes, valid or not; whether bytes are left behind them. */
size_t journal_view_room(const struct journal_view *v, bool *ret_rest);

/* Record i < journal_view_room(), whatever is before it. False when it is not valid. */
bool journal_view_try(const struct journal_view *v, size_t i, struct journal_record *ret);

/* Bytes of the header and the valid records. */
uint64_t journal_view_bytes(const struct journal_view *v);

#endif
