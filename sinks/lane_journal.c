/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/lane_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOST_BATCH_MAX 65536

/* The frame and its members. Returns how many there are. */
static uint64_t note_lasting(struct lane *l, const struct datafile_frame *f)
{
	uint64_t frames = 1;

	for (const struct datafile_frame *m = f->members; m; m = m->next, frames++)
		l->host->lasting(l->host->user, l, &m->times);
	l->host->lasting(l->host->user, l, &f->times);
	return frames;
}

static void pop_durable_frames(struct lane *l, struct datafile_frame *f)
{
	uint64_t frames = 0;

	while (f) {
		struct datafile_frame *next = f->next;

		frames += note_lasting(l, f);
		lane_recycle(l, f);
		f = next;
	}
	l->undurable -= frames;
	l->durable += frames;
	if (frames)
		l->host->durable(l->host->user, l, frames);
}

static struct datafile_frame *take_handed(struct lane *l)
{
	struct datafile_frame *first = l->handed, *last = l->handed_batched;

	if (!last)
		return NULL;
	l->handed = last->next;
	if (!l->handed)
		l->handed_last = NULL;
	l->handed_batched = NULL;
	last->next = NULL;
	return first;
}

static void fail_files(struct lane *l, int error)
{
	for (unsigned i = 0; i < LANE_FILES; i++)
		if (l->files[i].state != DATAFILE_FREE)
			datafile_fail_journal(&l->files[i], error);
}

static void fail_batch(struct lane *l, int error)
{
	char what[320];
	struct datafile_frame *f;

	if (lane_reason_of(error) == DROPPED_NO_SPACE && !l->journal.error) {
		lane_wait(l, DROPPED_NO_SPACE);
		l->journal_retry_ns = l->retry_ns;
	} else {
		lane_stop(l, lane_reason_of(error));
	}
	snprintf(what, sizeof what, "the journal failed: %s: frames without a record are %s",
	         strerror(-error),
	         l->stopped ? "dropped, no more are taken in this series"
	                    : "dropped, free some space");
	lane_say_file(l, SINK_ERROR, "", what);
	if (l->journal.stale)
		lane_say_file(l, SINK_ERROR, "",
		              "records without pixels could not be taken out of the journal: "
		              "after a crash do not trust frames that recovery adds");
	fail_files(l, error);
	if (l->stopped) /* no batch will come for the others */
		l->handed_batched = l->handed_last;
	for (f = take_handed(l); f;) {
		struct datafile_frame *next = f->next;

		lane_on_dropped(l, f, lane_reason_of(error));
		f = next;
	}
}

static void on_journal(void *user, int error)
{
	struct lane *l = user;
	size_t held = l->lost.held;

	l->lost.held = 0;
	if (error) {
		fail_batch(l, error);
		return;
	}
	lost_drop(&l->lost, held);
	for (unsigned i = 0; i < LANE_FILES; i++)
		if (l->files[i].state != DATAFILE_FREE)
			pop_durable_frames(l, datafile_pop_durable(&l->files[i]));
	pop_durable_frames(l, take_handed(l));
}

/* Where the mean is, as the record of one that went into it. */
static void share_place(struct journal_record *r, const struct journal_record *mean)
{
	r->file = mean->file;
	r->index = mean->index;
	r->offset = mean->offset;
	r->length = mean->length;
	r->averaged = mean->averaged;
	r->crc32c = mean->crc32c;
	r->clipped = mean->clipped;
	r->durable_ns = mean->durable_ns;
}

/* A frame with its members, in the order of their numbers; none of them when not all fit. */
static int append_frame(struct lane *l, struct datafile_frame *f, uint64_t now_ns)
{
	size_t fill = l->journal.batch_fill;
	int err = 0;

	f->record.durable_ns = now_ns;
	for (struct datafile_frame *m = f->members; m && !err; m = m->next) {
		share_place(&m->record, &f->record);
		err = journal_append(&l->journal, &m->record);
	}
	if (!err)
		err = journal_append(&l->journal, &f->record);
	if (err)
		l->journal.batch_fill = fill;
	return err;
}

static int append_file(struct lane *l, struct datafile *d, uint64_t now_ns)
{
	for (struct datafile_frame *f = datafile_unbatched(d); d->batched < d->synced;
	     f = f->next) {
		int err = append_frame(l, f, now_ns);

		if (err)
			return err;
		d->batched++;
	}
	return 0;
}

static int append_handed(struct lane *l, uint64_t now_ns)
{
	for (struct datafile_frame *f = l->handed; f; f = f->next) {
		int err = append_frame(l, f, now_ns);

		if (err)
			return err;
		l->handed_batched = f;
	}
	return 0;
}

static int append_lost(struct lane *l)
{
	size_t count = l->lost.count < LOST_BATCH_MAX ? l->lost.count : LOST_BATCH_MAX;

	for (size_t i = 0; i < count; i++) {
		struct journal_record r;
		int err;

		lost_record(&l->lost, i, &r);
		err = journal_append(&l->journal, &r);
		if (err)
			return err;
		l->lost.held = i + 1;
	}
	return 0;
}

static bool any_unbatched_file(const struct lane *l)
{
	for (unsigned i = 0; i < LANE_FILES; i++)
		if (datafile_unbatched(&l->files[i]))
			return true;
	return false;
}

static bool has_unbatched(const struct lane *l)
{
	if (l->handed && (l->lost_due || l->undurable >= LANE_UNDURABLE_MAX))
		return true;
	return any_unbatched_file(l) || (l->lost_due && l->lost.count > 0);
}

static bool journal_usable(const struct lane *l, uint64_t now_ns)
{
	return l->journal.fd >= 0 && !l->journal.error && !l->journal.busy &&
	       now_ns >= l->journal_retry_ns;
}

void lane_commit(struct lane *l, uint64_t now_ns)
{
	uint64_t durable_ns = writer_clock_ns(CLOCK_REALTIME);
	int err = 0;

	if (l->journal.error && any_unbatched_file(l))
		fail_files(l, l->journal.error); /* synced after the journal's end */
	if (!journal_usable(l, now_ns) || !has_unbatched(l))
		return;
	l->journal_retry_ns = 0;
	for (unsigned i = 0; i < LANE_FILES && !err; i++)
		if (datafile_unbatched(&l->files[i]))
			err = append_file(l, &l->files[i], durable_ns);
	if (!err)
		err = append_handed(l, durable_ns);
	if (!err)
		err = append_lost(l);
	l->lost_due = l->lost.count > l->lost.held;
	/* Without memory for all of them, those that fitted are a batch of their own. */
	if (l->journal.batch_fill > 0)
		journal_commit(&l->journal, on_journal, l);
	else if (err)
		on_journal(l, err);
}
