/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/lane_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RETRY_NS 1000000000u

enum dropped lane_reason_of(int error)
{
	return writer_is_full(error) ? DROPPED_NO_SPACE : DROPPED_WRITE;
}

void lane_release(struct lane *l, struct datafile_frame *f)
{
	if (f->hold)
		l->host->release(l->host->user, f->hold);
	f->hold = NULL;
}

void lane_note_loss(struct lane *l, const struct loss *loss)
{
	if (!l->journalled || lost_add(&l->lost, loss) == 0)
		return;
	if (!l->ledger_damaged)
		l->host->say(l->host->user, SINK_ERROR,
		             "no memory for the ledger: lost frames will be missing in it");
	l->ledger_damaged = true;
}

uint64_t lane_members(const struct datafile_frame *f)
{
	uint64_t count = 1;

	for (const struct datafile_frame *m = f->members; m; m = m->next)
		count++;
	return count;
}

void lane_recycle(struct lane *l, struct datafile_frame *f)
{
	while (f->members) {
		struct datafile_frame *m = f->members;

		f->members = m->next;
		frame_pool_push(&l->pool, m);
	}
	frame_pool_push(&l->pool, f);
}

static void note_one_written(struct lane *l, const struct datafile_frame *f)
{
	l->written++;
	l->host->landed(l->host->user, l, &f->times);
	l->host->settled(l->host->user, l, f->record.number, FRAME_WRITTEN, 0, false);
}

void lane_note_written(struct lane *l, const struct datafile_frame *f)
{
	for (const struct datafile_frame *m = f->members; m; m = m->next)
		note_one_written(l, m);
	note_one_written(l, f);
}

static void drop_one(struct lane *l, const struct journal_record *r, enum dropped reason,
                     bool revoked)
{
	struct loss loss = { .number = r->number,
		             .timestamp_ns = r->timestamp_ns,
		             .received_ns = r->received_ns,
		             .flags = r->flags,
		             .state = FRAME_DROPPED,
		             .reason = (uint8_t)reason };

	lane_note_loss(l, &loss);
	l->dropped[reason]++;
	l->written -= revoked;
	if (reason == DROPPED_NO_SPACE)
		l->short_of_space++;
	l->host->settled(l->host->user, l, loss.number, FRAME_DROPPED, reason, revoked);
}

void lane_drop(struct lane *l, struct datafile_frame *f, enum dropped reason)
{
	bool revoked = f->landed;

	lane_release(l, f);
	for (const struct datafile_frame *m = f->members; m; m = m->next)
		drop_one(l, &m->record, reason, revoked);
	drop_one(l, &f->record, reason, revoked);
	lane_recycle(l, f);
}

void lane_say_file(struct lane *l, enum sink_say level, const char *name, const char *what)
{
	char text[1024];

	snprintf(text, sizeof text, "sink %u (%s): %s, %s/%s", l->index, l->format->name, what,
	         l->folder_path, name);
	l->host->say(l->host->user, level, text);
}

/* Space came back: say how much was lost meanwhile. */
static void note_space(struct lane *l)
{
	char text[160];

	if (!l->short_of_space)
		return;
	snprintf(text, sizeof text, "sink %u (%s): space again after %" PRIu64 " dropped frames",
	         l->index, l->format->name, l->short_of_space);
	l->short_of_space = 0;
	l->host->say(l->host->user, SINK_INFO, text);
}

/* What the files report. */

static void on_released(void *user, struct datafile_frame *f)
{
	lane_release(user, f);
}

static void on_landed(void *user, struct datafile_frame *f)
{
	struct lane *l = user;

	if (f->record.file >= l->space_index)
		note_space(l);
	lane_note_written(l, f);
}

void lane_on_dropped(void *user, struct datafile_frame *f, enum dropped reason)
{
	struct lane *l = user;

	l->undurable -= lane_members(f);
	lane_drop(l, f, reason);
}

void lane_wait(struct lane *l, enum dropped reason)
{
	l->retry_ns = writer_clock_ns(CLOCK_MONOTONIC) + RETRY_NS;
	l->retry_reason = reason;
}

void lane_stop(struct lane *l, enum dropped reason)
{
	l->stopped = true;
	l->stopped_reason = reason;
}

static const char *consequence(const struct lane *l, int error)
{
	if (lane_reason_of(error) == DROPPED_NO_SPACE)
		return "frames are dropped until there is space, free some; the file is closed";
	if (l->stopped)
		return "the file is closed, no more frames are taken in this series (on_error: "
		       "stop)";
	return "the file is closed, the series goes on in the next one";
}

void lane_forget_current(struct lane *l, const struct datafile *d)
{
	if (l->current == d)
		l->current = NULL;
	if (l->first && l->first->file == d) {
		l->first->file = NULL;
		l->first->copied = 0;
	}
}

static void on_failed(void *user, struct datafile *d, const char *operation, int error)
{
	struct lane *l = user;
	char name[PART_NAME_MAX], what[320];
	bool full = lane_reason_of(error) == DROPPED_NO_SPACE, current = l->current == d;

	lane_forget_current(l, d);
	if (!full && l->config->on_error == ON_ERROR_STOP)
		lane_stop(l, DROPPED_WRITE);
	if (full)
		l->space_index = d->placed ? d->index + 1 : d->index;
	if (current && (full || d->landed == 0))
		lane_wait(l, lane_reason_of(error));
	datafile_name(d, name);
	snprintf(what, sizeof what, "%s%s failed: %s: %s", full ? "disk full: " : "", operation,
	         strerror(-error), consequence(l, error));
	lane_say_file(l, SINK_ERROR, name, what);
}

static void remember_file(struct lane *l, const struct datafile *d, bool unfinished)
{
	struct lane_file f = { .index = d->index, .unfinished = unfinished, .frames = d->durable };

	if (l->ended_count == l->ended_capacity) {
		size_t capacity = l->ended_capacity ? l->ended_capacity * 2 : 16;
		struct lane_file *at = realloc(l->ended, capacity * sizeof *at);

		if (!at) {
			l->ledger_damaged = true;
			return;
		}
		l->ended = at;
		l->ended_capacity = capacity;
	}
	l->ended[l->ended_count++] = f;
}

static void on_ended(void *user, struct datafile *d, bool unfinished)
{
	struct lane *l = user;

	if (d->durable == 0 && !unfinished) { /* removed: its number is free again */
		if (l->next_index == d->index + 1)
			l->next_index = d->index;
		return;
	}
	remember_file(l, d, unfinished);
	if (unfinished)
		lane_say_file(l, SINK_ERROR, d->stack.name, "left unfinished as .part");
}

static void on_say(void *user, enum sink_say level, const char *text)
{
	struct lane *l = user;

	l->host->say(l->host->user, level, text);
}

struct datafile_events lane_events(struct lane *l)
{
	return (struct datafile_events){ .user = l,
		                         .released = on_released,
		                         .landed = on_landed,
		                         .dropped = lane_on_dropped,
		                         .failed = on_failed,
		                         .ended = on_ended,
		                         .say = on_say };
}
