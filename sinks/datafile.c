/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/datafile.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* While a file waits to be cut a worse fault takes the place of the first: what a failed sync
 * should have covered never counts, whatever ended the file before. */
static void fail(struct datafile *d, enum datafile_fault fault, const char *operation, int error)
{
	if (d->state == DATAFILE_FREE || d->state == DATAFILE_NAMED)
		return;
	if (d->state == DATAFILE_CUTTING && fault <= d->fault)
		return;
	if (d->state != DATAFILE_CUTTING)
		d->faults++;
	d->fault = fault;
	d->error = error;
	d->state = DATAFILE_CUTTING;
	d->events->failed(d->events->user, d, operation, error);
}

/* Completions: they note what happened; datafile_step() acts on it. */

static void released(struct stack_write *w)
{
	struct datafile_frame *f = w->owner;

	f->file->events->released(f->file->events->user, f);
}

static void sync_done(struct writer_op *op)
{
	struct datafile *d = op->user;

	d->syncing = false;
	if (op->error) {
		fail(d, FAULT_SYNC, "sync", op->error);
		return;
	}
	d->synced = d->covered;
}

static void entry_done(struct writer_op *op)
{
	struct datafile *d = op->user;
	char text[PART_NAME_MAX + 128];

	d->entry_syncing = false;
	if (!op->error)
		return;
	if (d->state != DATAFILE_NAMED) {
		fail(d, FAULT_SYNC, "sync of the folder", op->error);
		return;
	}
	snprintf(text, sizeof text,
	         "%s: sync of the folder failed after its rename: %s: a power cut may undo it",
	         d->stack.name, strerror(-op->error));
	d->events->say(d->events->user, SINK_ERROR, text);
}

static void head_done(struct writer_op *op)
{
	struct datafile *d = op->user;

	d->head_writing = false;
	if (op->error)
		fail(d, FAULT_WRITE, "write", op->error);
}

static void start_entry_sync(struct datafile *d)
{
	d->entry_syncing = true;
	d->entry_op = (struct writer_op){
		.kind = DISK_SYNC,
		.fd = d->stack.directory,
		.sink = d->sink,
		.done = entry_done,
		.user = d,
	};
	writer_start(d->writer, &d->entry_op);
}

static void start_sync(struct datafile *d, enum disk_kind kind)
{
	d->syncing = true;
	d->covered = d->landed;
	d->sync_op = (struct writer_op){
		.kind = kind, .fd = d->stack.fd, .sink = d->sink, .done = sync_done, .user = d
	};
	writer_start(d->writer, &d->sync_op);
}

static bool is_idle(const struct datafile *d)
{
	return stack_idle(&d->stack) && !d->syncing && !d->entry_syncing && !d->head_writing;
}

static void close_tail(struct datafile *d)
{
	if (d->tail)
		d->format->tail_close(d->tail);
	d->tail = NULL;
	d->piece_left = 0;
}

static void free_file(struct datafile *d, bool unfinished)
{
	close_tail(d);
	stack_close(&d->stack);
	d->state = DATAFILE_FREE;
	d->events->ended(d->events->user, d, unfinished);
}

static void note_landed(struct datafile *d)
{
	while (d->unlanded && d->unlanded->write.end <= d->stack.landed) {
		struct datafile_frame *f = d->unlanded;

		d->unlanded = f->next;
		d->landed++;
		f->landed = true;
		d->events->landed(d->events->user, f);
	}
}

/* Bytes of the file up to behind its first so many frames. */
static uint64_t end_of(const struct datafile *d, uint64_t frames)
{
	if (frames == 0)
		return d->format->head_bytes;
	return d->places ? d->places[frames - 1].end
	                 : d->format->head_bytes + frames * d->shape->bytes;
}

/* Filling: syncs. */

static void step_sync(struct datafile *d)
{
	if (!d->sync_wanted || d->syncing || d->entry_syncing)
		return;
	if (d->placed == d->synced) {
		d->sync_wanted = false;
		return;
	}
	if (!d->sync_target) {
		stack_flush(&d->stack);
		d->sync_target = d->newest->write.end;
	}
	if (d->stack.landed < d->sync_target)
		return;
	d->sync_target = 0;
	d->sync_wanted = false;
	start_sync(d, DISK_SYNC_DATA);
}

/* Cutting. */

static enum dropped reason_of(int error)
{
	return writer_is_full(error) ? DROPPED_NO_SPACE : DROPPED_WRITE;
}

static uint64_t good_frames(const struct datafile *d)
{
	switch (d->fault) {
	case FAULT_WRITE:
		return d->landed;
	case FAULT_SYNC:
		return d->synced;
	default:
		return d->durable;
	}
}

static void drop_behind(struct datafile *d, uint64_t keep)
{
	struct datafile_frame **link = &d->oldest, *f, *last = NULL;

	for (uint64_t i = d->durable; i < keep; i++) {
		last = *link;
		link = &(*link)->next;
	}
	f = *link;
	*link = NULL;
	d->newest = last;
	d->unlanded = NULL;
	while (f) {
		struct datafile_frame *next = f->next;

		d->events->dropped(d->events->user, f, reason_of(d->error));
		f = next;
	}
	d->placed = d->landed = keep;
	d->covered = d->covered < keep ? d->covered : keep;
	d->synced = d->synced < keep ? d->synced : keep;
	d->batched = d->batched < keep ? d->batched : keep;
}

static void remove_or_leave(struct datafile *d, bool worthless)
{
	char part[PART_NAME_MAX];

	datafile_name(d, part);
	if (worthless)
		(void)disk_remove(writer_disk(d->writer), d->stack.directory, part);
	free_file(d, !worthless);
}

/* No second attempt at its tail: sync the frames and leave the name. */
static void give_up_name(struct datafile *d)
{
	d->leave_part = true;
	if (d->synced == d->placed) {
		d->state = DATAFILE_JOURNAL;
		return;
	}
	(void)stack_truncate(&d->stack);
	d->state = DATAFILE_CLOSING;
	start_sync(d, DISK_SYNC);
}

static void step_cutting(struct datafile *d)
{
	uint64_t landed = d->landed, keep;
	int err;

	if (!is_idle(d))
		return;
	close_tail(d);
	note_landed(d);
	keep = good_frames(d);
	landed = landed < d->landed ? d->landed : landed;
	drop_behind(d, keep);
	d->sync_wanted = false;
	d->sync_target = 0;
	if (keep == 0) {
		remove_or_leave(d, landed == 0 || reason_of(d->error) == DROPPED_NO_SPACE);
		return;
	}
	err = stack_cut(&d->stack, end_of(d, keep));
	if (err == -EAGAIN)
		return; /* a staging block will come */
	if (err || d->faults > 1)
		give_up_name(d);
	else
		d->state = DATAFILE_TAIL;
}

/* Ending. */

static int open_tail(struct datafile *d)
{
	if (!d->format->tail_open || d->tail)
		return 0;
	d->described.frames = d->placed;
	d->described.places = d->places;
	return d->format->tail_open(&d->tail, &d->described);
}

/* 1 when all is appended, 0 to be called again, or negative errno. */
static int append_tail(struct datafile *d)
{
	int err = open_tail(d);
	const void *piece = NULL;
	size_t taken;

	if (err || !d->tail)
		return err ? err : 1;
	if (d->piece_left == 0) {
		err = d->format->tail_next(d->tail, &piece, &d->piece_left);
		if (err)
			return err < 0 ? err : 0;
		d->piece = piece;
		if (d->piece_left == 0)
			return 1;
	}
	taken = stack_append(&d->stack, d->piece, d->piece_left);
	d->piece += taken;
	d->piece_left -= taken;
	return 0;
}

static void step_tail(struct datafile *d)
{
	int result = append_tail(d);

	if (result < 0) {
		fail(d, FAULT_WRITE, "composing of the directory", result);
		return;
	}
	if (result == 0)
		return;
	stack_flush(&d->stack);
	d->state = DATAFILE_LANDING;
}

static bool take_head_memory(struct datafile *d)
{
	if (!d->head)
		d->head = aligned_alloc(WRITER_ALIGN, d->format->head_bytes);
	return d->head != NULL;
}

static void write_head(struct datafile *d)
{
	d->head_writing = true;
	d->head_op = (struct writer_op){ .kind = DISK_WRITE,
		                         .fd = d->stack.fd,
		                         .sink = d->sink,
		                         .direct = d->stack.direct,
		                         .data = d->head,
		                         .length = d->format->head_bytes,
		                         .done = head_done,
		                         .user = d };
	writer_start(d->writer, &d->head_op);
}

static int start_head(struct datafile *d)
{
	if (!d->tail)
		return 0;
	if (!take_head_memory(d))
		return -ENOMEM;
	d->format->tail_head(d->tail, d->head);
	close_tail(d);
	write_head(d);
	return 0;
}

static void step_landing(struct datafile *d)
{
	int err;

	if (d->stack.landed != d->stack.placed || !is_idle(d))
		return;
	err = start_head(d);
	if (err)
		fail(d, FAULT_WRITE, "composing of the header", err);
	else
		d->state = DATAFILE_HEAD;
}

static void step_head(struct datafile *d)
{
	int err;

	if (!is_idle(d))
		return;
	err = stack_truncate(&d->stack);
	if (err) {
		fail(d, FAULT_WRITE, "truncate", err);
		return;
	}
	d->state = DATAFILE_CLOSING;
	start_sync(d, DISK_SYNC);
}

static void name_it(struct datafile *d)
{
	int err = part_rename(writer_disk(d->writer), d->stack.directory, d->stack.name);
	char text[PART_NAME_MAX + 128];

	if (err) {
		snprintf(text, sizeof text, "%s" PART_SUFFIX " keeps its name: rename failed: %s",
		         d->stack.name, strerror(-err));
		d->events->say(d->events->user, SINK_ERROR, text);
		free_file(d, true);
		return;
	}
	d->state = DATAFILE_NAMED;
	start_entry_sync(d);
}

static void step_journal(struct datafile *d)
{
	if (d->durable != d->placed)
		return;
	if (d->leave_part)
		free_file(d, true);
	else
		name_it(d);
}

static int start_first_head(struct datafile *d)
{
	int err;

	if (!d->format->first_head)
		return 0;
	if (!take_head_memory(d))
		return -ENOMEM;
	d->described.frames = d->plan.frames;
	err = d->format->first_head(d->head, &d->described);
	if (!err)
		write_head(d);
	return err;
}

static void remove_new(struct datafile *d)
{
	char part[PART_NAME_MAX];

	datafile_name(d, part);
	(void)disk_remove(writer_disk(d->writer), d->stack.directory, part);
	stack_close(&d->stack);
}

int datafile_open(struct datafile *d, const struct datafile_options *o)
{
	unsigned char *head = d->head;
	struct format_place *places = d->places;
	uint64_t places_capacity = d->places_capacity;
	char name[PART_NAME_MAX];
	struct stack_options so = { .directory = o->directory,
		                    .sink = o->sink,
		                    .name = name,
		                    .direct = o->direct,
		                    .zero_copy = o->zero_copy,
		                    .head = o->format->head_bytes };
	int n = snprintf(name, sizeof name, "%s_%06" PRIu32 "%s", o->series, o->index,
	                 o->format->suffix);
	int err;

	if (n < 0 || (size_t)n >= sizeof name)
		return -ENAMETOOLONG;
	so.size_max = o->format->head_bytes + o->plan.frames * o->shape->bytes +
	              o->format->tail_bytes(o->plan.frames, o->plan.large);
	if (o->plan.packed) /* what does not shrink grows by less */
		so.size_max += o->plan.frames * (o->shape->bytes / 8 + WRITER_ALIGN);
	*d = (struct datafile){ .format = o->format,
		                .events = o->events,
		                .shape = o->shape,
		                .writer = o->writer,
		                .plan = o->plan,
		                .described = o->described,
		                .index = o->index,
		                .sink = o->sink,
		                .head = head,
		                .places = places,
		                .places_capacity = places_capacity };
	d->described.large = o->plan.large;
	d->described.packed = o->plan.packed;
	err = stack_open(&d->stack, o->writer, o->staging, &so);
	if (err)
		return err;
	err = start_first_head(d);
	if (err) {
		remove_new(d);
		return err;
	}
	d->state = DATAFILE_FILLING;
	start_entry_sync(d);
	return 0;
}

/* Memory to note one frame more. */
static bool grow_places(struct datafile *d)
{
	uint64_t capacity = d->places_capacity ? d->places_capacity * 2 : 256;
	struct format_place *places;

	if (!d->format->tail_open || d->placed < d->places_capacity)
		return true;
	places = realloc(d->places, capacity * sizeof *places);
	if (!places)
		return false;
	d->places = places;
	d->places_capacity = capacity;
	return true;
}

enum stack_room datafile_make_room(struct datafile *d, size_t bytes)
{
	uint64_t frames = d->placed + 1;

	if (!grow_places(d)) {
		fail(d, FAULT_WRITE, "memory for the list of frames", -ENOMEM);
		return STACK_WAIT;
	}
	return stack_make_room(&d->stack, end_of(d, d->placed) + bytes +
	                                          d->format->tail_bytes(frames, d->plan.large));
}

static void link_frame(struct datafile *d, struct datafile_frame *f)
{
	f->next = NULL;
	if (d->newest)
		d->newest->next = f;
	else
		d->oldest = f;
	d->newest = f;
	if (!d->unlanded)
		d->unlanded = f;
	f->record.file = d->index;
	f->record.index = (uint32_t)d->placed;
	f->record.offset = end_of(d, d->placed);
	f->record.length = f->bytes;
	f->write.end = f->record.offset + f->record.length;
	if (d->places)
		d->places[d->placed] =
			(struct format_place){ .number = f->record.number, .end = f->write.end };
	d->placed++;
}

bool datafile_put(struct datafile *d, struct datafile_frame *f)
{
	assert(d->state == DATAFILE_FILLING);
	f->file = d;
	if (d->stack.zero_copy) {
		f->write.owner = f;
		f->write.released = released;
		link_frame(d, f);
		stack_put(&d->stack, &f->write, f->pixels, f->bytes);
		return true;
	}
	f->copied +=
		stack_append(&d->stack, (const char *)f->pixels + f->copied, f->bytes - f->copied);
	if (f->copied < f->bytes)
		return false;
	link_frame(d, f);
	d->events->released(d->events->user, f);
	return true;
}

void datafile_sync(struct datafile *d)
{
	if (d->state == DATAFILE_FILLING)
		d->sync_wanted = true;
}

void datafile_end(struct datafile *d)
{
	assert(d->state == DATAFILE_FILLING);
	d->sync_wanted = false;
	d->sync_target = 0;
	d->state = DATAFILE_TAIL;
	if (d->placed > 0)
		return;
	d->fault = FAULT_WRITE; /* no room for a single frame: nothing to end well */
	d->error = -ENOSPC;
	d->state = DATAFILE_CUTTING;
}

void datafile_fail_journal(struct datafile *d, int error)
{
	d->batched = d->durable;
	fail(d, FAULT_JOURNAL, "write of the journal", error);
}

struct datafile_frame *datafile_unbatched(const struct datafile *d)
{
	struct datafile_frame *f = d->oldest;

	if (d->state == DATAFILE_FREE || d->batched == d->synced)
		return NULL;
	for (uint64_t i = d->durable; i < d->batched; i++)
		f = f->next;
	return f;
}

struct datafile_frame *datafile_pop_durable(struct datafile *d)
{
	struct datafile_frame *first = d->oldest, *last = NULL;

	for (; d->durable < d->batched; d->durable++) {
		last = d->oldest;
		d->oldest = last->next;
	}
	if (!last)
		return NULL;
	last->next = NULL;
	if (!d->oldest)
		d->newest = NULL;
	return first;
}

static bool watch_stack(struct datafile *d)
{
	if (d->state == DATAFILE_CUTTING || !d->stack.error)
		return true;
	fail(d, FAULT_WRITE, "write", d->stack.error);
	return false;
}

static void step_once(struct datafile *d)
{
	switch (d->state) {
	case DATAFILE_FILLING:
		step_sync(d);
		break;
	case DATAFILE_CUTTING:
		step_cutting(d);
		break;
	case DATAFILE_TAIL:
		step_tail(d);
		break;
	case DATAFILE_LANDING:
		step_landing(d);
		break;
	case DATAFILE_HEAD:
		step_head(d);
		break;
	case DATAFILE_CLOSING:
		if (!d->syncing)
			d->state = DATAFILE_JOURNAL;
		break;
	case DATAFILE_JOURNAL:
		step_journal(d);
		break;
	case DATAFILE_NAMED:
		if (!d->entry_syncing)
			free_file(d, false);
		break;
	default:
		break;
	}
}

void datafile_step(struct datafile *d)
{
	enum datafile_state before;

	if (d->state == DATAFILE_FREE)
		return;
	note_landed(d);
	(void)watch_stack(d);
	do {
		before = d->state;
		step_once(d);
	} while (d->state != before);
}

bool datafile_is_ready(const struct datafile *d)
{
	const struct staging_block *b = d->stack.block;

	if (d->state != DATAFILE_TAIL)
		return false;
	return b ? !b->locked : d->stack.staging->free_blocks != NULL;
}

void datafile_name(const struct datafile *d, char ret[PART_NAME_MAX])
{
	bool final = d->state == DATAFILE_NAMED;

	snprintf(ret, PART_NAME_MAX, "%.*s%s", PART_NAME_MAX - (int)sizeof PART_SUFFIX,
	         d->stack.name, final ? "" : PART_SUFFIX);
}

void datafile_done(struct datafile *d)
{
	close_tail(d);
	if (d->format)
		stack_close(&d->stack);
	free(d->head);
	free(d->places);
	*d = (struct datafile){ 0 };
}
