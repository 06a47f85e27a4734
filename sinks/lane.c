/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/lane_parts.h"
#include "sinks/stream.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SMALL_FRAME   (64u << 10) /* bytes; smaller ones share a write */
#define STAGED_BLOCK  (4u << 20)
#define STAGED_BLOCKS 8
#define TAIL_BLOCK    (256u << 10) /* with zero copy only tails are staged */
#define TAIL_BLOCKS   (LANE_FILES + 1)

static void pop_waiting(struct lane *l, struct datafile_frame *behind)
{
	l->first = behind;
	if (!l->first)
		l->last = NULL;
	l->head_reserved = false;
}

static void drop_waiting(struct lane *l, enum dropped reason)
{
	struct datafile_frame *f = l->first;

	assert(f->copied == 0);
	pop_waiting(l, f->next);
	lane_drop(l, f, reason);
}

/* Placing. */

static struct datafile *free_file(struct lane *l)
{
	for (unsigned i = 0; i < LANE_FILES; i++)
		if (l->files[i].state == DATAFILE_FREE)
			return &l->files[i];
	return NULL;
}

static void note_open_failure(struct lane *l, int error)
{
	char what[200], name[64];

	snprintf(what, sizeof what, "%screate failed: %s: frames are dropped, tried again in 1 s",
	         lane_reason_of(error) == DROPPED_NO_SPACE ? "disk full: " : "", strerror(-error));
	snprintf(name, sizeof name, "*_%06" PRIu32 "%s" PART_SUFFIX, l->next_index,
	         l->format->suffix);
	lane_say_file(l, SINK_ERROR, name, what);
	if (lane_reason_of(error) == DROPPED_WRITE && l->config->on_error == ON_ERROR_STOP)
		lane_stop(l, DROPPED_WRITE);
	if (error == -EEXIST)
		l->next_index++; /* somebody else's; never overwritten */
	lane_wait(l, lane_reason_of(error));
}

static void open_file(struct lane *l, struct datafile *d)
{
	struct datafile_options o = { .format = l->format,
		                      .sink = l->index,
		                      .events = &l->events,
		                      .shape = &l->shape,
		                      .writer = l->writer,
		                      .staging = &l->staging,
		                      .directory = l->folder,
		                      .series = l->folder_name,
		                      .index = l->next_index,
		                      .plan = l->plan,
		                      .described = l->described,
		                      .direct = l->direct,
		                      .zero_copy = l->zero_copy };
	int err;

	o.described.made_ns = writer_clock_ns(CLOCK_REALTIME);
	err = datafile_open(d, &o);
	if (err) {
		note_open_failure(l, err);
		return;
	}
	l->next_index++;
	l->current = d;
}

static void end_current(struct lane *l)
{
	struct datafile *d = l->current;

	lane_forget_current(l, d);
	datafile_end(d);
}

/* The file system has no room for a further frame. */
static void note_full(struct lane *l)
{
	char name[PART_NAME_MAX];

	datafile_name(l->current, name);
	if (l->short_of_space == 0)
		lane_say_file(
			l, SINK_ERROR, name,
			"disk full: frames are dropped until there is space, free some; the file "
			"is closed");
	l->space_index = l->current->placed ? l->next_index : l->current->index;
	end_current(l);
	lane_wait(l, DROPPED_NO_SPACE);
}

static bool is_waiting(struct lane *l)
{
	if (l->retry_ns && writer_clock_ns(CLOCK_MONOTONIC) < l->retry_ns)
		return true;
	l->retry_ns = 0;
	return false;
}

/* Room in the journal for the frame at the head of the queue. */
static enum journal_room reserve(struct lane *l)
{
	enum journal_room room = JOURNAL_READY;

	if (!l->head_reserved)
		room = journal_reserve(&l->journal, lane_members(l->first));
	l->head_reserved = room == JOURNAL_READY;
	return room;
}

/* Place the first waiting frame. True to go on with the next. */
static bool place_one(struct lane *l)
{
	struct datafile *d = l->current;
	enum stack_room room = datafile_make_room(d, l->first->bytes);
	enum journal_room journal_room;
	struct datafile_frame *behind;
	uint64_t members;

	if (room == STACK_WAIT) /* or the file has just failed */
		return l->current != d;
	if (room == STACK_FULL) {
		note_full(l);
		return true;
	}
	journal_room = reserve(l);
	if (journal_room == JOURNAL_WAIT)
		return false;
	if (journal_room == JOURNAL_FULL) {
		note_full(l);
		return true;
	}
	behind = l->first->next; /* the file links it anew */
	members = lane_members(l->first);
	if (!datafile_put(d, l->first))
		return false;
	l->undurable += members;
	pop_waiting(l, behind);
	return true;
}

static void publish(struct lane *l, const struct datafile_frame *f)
{
	struct stream_frame published = { .number = f->record.number,
		                          .timestamp_ns = f->record.timestamp_ns,
		                          .flags = f->record.flags,
		                          .pixels = f->pixels };

	stream_offer(l->stream, &published, writer_clock_ns(CLOCK_MONOTONIC));
}

/* Keep the ledger line of a frame whose pixels no file wants. */
static void hand_over(struct lane *l)
{
	struct datafile_frame *f = l->first;

	pop_waiting(l, f->next);
	if (l->stream)
		publish(l, f);
	lane_release(l, f);
	lane_note_written(l, f);
	if (!l->journalled) {
		lane_recycle(l, f);
		return;
	}
	f->landed = true;
	f->next = NULL;
	if (l->handed_last)
		l->handed_last->next = f;
	else
		l->handed = f;
	l->handed_last = f;
	l->undurable += lane_members(f);
}

static bool handle_first(struct lane *l)
{
	struct datafile *d;

	/* Half of a frame in the current file would shift every frame behind it. */
	if (l->first->copied > 0)
		return place_one(l);
	if (l->stopped || is_waiting(l)) {
		drop_waiting(l, l->stopped ? l->stopped_reason : l->retry_reason);
		return true;
	}
	if (l->undurable >= LANE_UNDURABLE_MAX) {
		if (l->current)
			datafile_sync(l->current);
		return false;
	}
	if (!l->format->suffix) {
		hand_over(l);
		return true;
	}
	if (l->current && l->current->placed == l->plan.frames)
		end_current(l);
	if (l->current)
		return place_one(l);
	d = free_file(l);
	if (!d)
		return false;
	open_file(l, d);
	return true;
}

static void start_syncs(struct lane *l, uint64_t now_ns)
{
	bool due = now_ns >= l->sync_ns;

	if (!due && !l->draining)
		return;
	if (due)
		l->sync_ns = now_ns + l->config->sync_ns;
	l->lost_due = true;
	if (l->current)
		datafile_sync(l->current);
}

void lane_open(struct lane *l, const struct lane_host *host, struct writer *w,
               const struct config *c, unsigned index, int directory, bool direct)
{
	*l = (struct lane){ .host = host,
		            .config = &c->sinks[index],
		            .regions = c->regions,
		            .region_count = c->region_count,
		            .format = format_find(c->sinks[index].format),
		            .writer = w,
		            .index = index,
		            .directory = directory,
		            .direct = direct,
		            .folder = -1 };
	l->journal.fd = -1;
	l->pool.regions_bytes = (size_t)c->region_count * JOURNAL_REGION_BYTES;
	l->events = lane_events(l);
}

void lane_close(struct lane *l)
{
	uint64_t journal_bytes;

	if (!l->host)
		return;
	lane_finish(l, &journal_bytes);
	for (unsigned i = 0; i < LANE_FILES; i++)
		datafile_done(&l->files[i]);
	staging_close(&l->staging);
	frame_pool_done(&l->pool);
	stream_close(l->stream);
	lost_done(&l->lost);
	free(l->ended);
	if (l->directory >= 0)
		close(l->directory);
	*l = (struct lane){ 0 };
}

static bool is_zero_copy(bool direct, bool packed, size_t bytes)
{
	return !packed && bytes >= SMALL_FRAME && (!direct || bytes % WRITER_ALIGN == 0);
}

int lane_lay_out(struct lane *l, const struct sink_shape *shape)
{
	if ((l->format->suffix || l->stream) && shape->bytes == 0)
		return -EINVAL; /* a source sink without source frames */
	l->shape = *shape;
	staging_close(&l->staging);
	if (!l->format->suffix)
		return 0;
	l->plan = l->format->plan(l->config, shape);
	l->zero_copy = is_zero_copy(l->direct, l->plan.packed, shape->bytes);
	return l->zero_copy ? staging_open(&l->staging, TAIL_BLOCKS, TAIL_BLOCK)
	                    : staging_open(&l->staging, STAGED_BLOCKS, STAGED_BLOCK);
}

uint64_t lane_memory_bytes(const struct config *all, unsigned index, const struct sink_shape *shape)
{
	const struct config_sink *c = &all->sinks[index];
	const struct format *format = format_find(c->format);
	uint64_t records =
		(uint64_t)LANE_UNDURABLE_MAX *
		(sizeof(struct datafile_frame) + journal_record_bytes(all->region_count) +
	         (uint64_t)all->region_count * JOURNAL_REGION_BYTES);

	if (c->format == SINK_STREAM)
		return records + stream_memory_bytes(c, shape);
	if (!format || !format->suffix)
		return records;
	return records +
	       (is_zero_copy(c->direct != DIRECT_NO, format->plan(c, shape).packed, shape->bytes)
	                ? (uint64_t)TAIL_BLOCKS * TAIL_BLOCK
	                : (uint64_t)STAGED_BLOCKS * STAGED_BLOCK);
}

static void reset_series(struct lane *l)
{
	lost_done(&l->lost);
	l->stopped = l->draining = l->lost_due = l->ledger_damaged = l->head_reserved = false;
	l->retry_ns = l->journal_retry_ns = l->sync_ns = 0;
	l->next_index = l->space_index = 0;
	l->written = l->durable = l->short_of_space = 0;
	memset(l->dropped, 0, sizeof l->dropped);
	l->ended_count = 0;
}

static void describe_series(struct lane *l, const struct lane_series *s)
{
	l->folder = s->folder;
	l->folder_name = s->name;
	l->folder_path = s->path;
	l->lost.step = s->step;
	l->described = (struct format_file){ .shape = &l->shape,
		                             .series = s->name,
		                             .window = s->window,
		                             .display = s->display,
		                             .window_low = s->window_low,
		                             .window_high = s->window_high,
		                             .version = s->version };
}

static void describe_regions(const struct lane *l, struct journal_header *h)
{
	h->quality = true;
	h->region_count = l->region_count;
	for (unsigned i = 0; i < l->region_count; i++) {
		const struct config_region *r = &l->regions[i];

		h->regions[i] = (struct journal_region){
			.x = r->x, .y = r->y, .width = r->width, .height = r->height
		};
		journal_region_name(h->regions[i].name, r->name);
	}
}

static int open_journal(struct lane *l, const struct lane_series *s)
{
	struct journal_header h = { .series_number = s->number,
		                    .width = l->shape.width,
		                    .height = l->shape.height,
		                    .type = l->shape.type,
		                    .frame_bytes = l->shape.bytes,
		                    .head_bytes = l->format->head_bytes,
		                    .started_ns = s->started_ns,
		                    .step = s->step,
		                    .large = l->plan.large,
		                    .packed = l->plan.packed,
		                    .window = s->window,
		                    .display = s->display,
		                    .window_low = s->window_low,
		                    .window_high = s->window_high,
		                    .source = l->config->product == PRODUCT_SOURCE,
		                    .primary = l->primary,
		                    .sink = l->index,
		                    .first_known = s->start->first_known,
		                    .from_protocol =
		                            s->start->expected_from &&
		                            strcmp(s->start->expected_from, "protocol") == 0,
		                    .first = s->start->first,
		                    .frames = s->start->frames,
		                    .average = s->average,
		                    .normalise = s->normalise,
		                    .rotation = *s->rotation };

	describe_regions(l, &h);
	snprintf(h.suffix, sizeof h.suffix, "%s", l->format->suffix ? l->format->suffix : "");
	snprintf(h.folder, sizeof h.folder, "%s", s->name);
	return journal_open(&l->journal, l->writer, s->ledger, s->journal, &h);
}

int lane_begin(struct lane *l, const struct lane_series *s)
{
	int err = s->folder < 0 || s->ledger < 0 ? s->error : 0;

	reset_series(l);
	describe_series(l, s);
	l->sync_ns = writer_clock_ns(CLOCK_MONOTONIC) + l->config->sync_ns;
	if (!err && l->journalled) {
		err = open_journal(l, s);
		if (err)
			lane_say_file(l, SINK_ERROR, s->journal, strerror(-err));
	}
	if (err)
		lane_stop(l, lane_reason_of(err));
	return err;
}

static void lose_without_memory(struct lane *l, const struct journal_record *r,
                                struct frame_hold *hold)
{
	struct datafile_frame f = { .record = *r, .hold = hold };

	lane_release(l, &f);
	lane_note_loss(l, &(struct loss){ .number = r->number,
	                                  .timestamp_ns = r->timestamp_ns,
	                                  .received_ns = r->received_ns,
	                                  .flags = r->flags,
	                                  .state = FRAME_DROPPED,
	                                  .reason = DROPPED_WRITE });
	l->dropped[DROPPED_WRITE]++;
	l->host->settled(l->host->user, l, r->number, FRAME_DROPPED, DROPPED_WRITE, false);
}

/* Their mean is lost. */
static void lose_joined(struct lane *l)
{
	while (l->joined) {
		struct datafile_frame *m = l->joined;

		l->joined = m->next;
		lose_without_memory(l, &m->record, NULL);
		frame_pool_push(&l->pool, m);
	}
	l->joined_last = NULL;
}

void lane_put(struct lane *l, const struct journal_record *record, const struct sink_times *times,
              const void *pixels, size_t bytes, struct frame_hold *hold)
{
	struct datafile_frame *f = frame_pool_pop(&l->pool);

	if (!f) {
		lose_joined(l);
		lose_without_memory(l, record, hold);
		return;
	}
	frame_pool_fill(&l->pool, f,
	                &(struct datafile_frame){ .record = *record,
	                                          .times = *times,
	                                          .pixels = pixels,
	                                          .bytes = bytes,
	                                          .hold = hold,
	                                          .members = l->joined });
	l->joined = l->joined_last = NULL;
	if (l->last)
		l->last->next = f;
	else
		l->first = f;
	l->last = f;
}

void lane_join(struct lane *l, const struct journal_record *record, const struct sink_times *times)
{
	struct datafile_frame *f = frame_pool_pop(&l->pool);

	if (!f) {
		lose_without_memory(l, record, NULL);
		return;
	}
	frame_pool_fill(&l->pool, f,
	                &(struct datafile_frame){ .record = *record, .times = *times });
	if (l->joined_last)
		l->joined_last->next = f;
	else
		l->joined = f;
	l->joined_last = f;
}

void lane_lose(struct lane *l, const struct loss *loss)
{
	lane_note_loss(l, loss);
}

void lane_step(struct lane *l, uint64_t now_ns)
{
	start_syncs(l, now_ns);
	for (unsigned i = 0; i < LANE_FILES; i++)
		datafile_step(&l->files[i]);
	while (l->first && handle_first(l))
		;
	for (unsigned i = 0; i < LANE_FILES; i++)
		datafile_step(&l->files[i]);
	lane_commit(l, now_ns);
}

uint64_t lane_next_ns(const struct lane *l)
{
	for (unsigned i = 0; i < LANE_FILES; i++)
		if (datafile_is_ready(&l->files[i]))
			return 0;
	if (l->undurable == 0 && l->lost.count == 0)
		return UINT64_MAX;
	return l->journal_retry_ns > l->sync_ns ? l->journal_retry_ns : l->sync_ns;
}

void lane_drain(struct lane *l)
{
	l->draining = true;
}

/* Losses stay in memory, for the reports, when the journal takes no more. */
static bool losses_are_noted(const struct lane *l)
{
	return l->lost.count == 0 || l->journal.fd < 0 || l->journal.error || l->journal_retry_ns;
}

bool lane_is_drained(const struct lane *l)
{
	return !l->first && l->undurable == 0 && journal_idle(&l->journal) && losses_are_noted(l);
}

void lane_end(struct lane *l)
{
	l->draining = true;
	if (l->current && lane_is_drained(l))
		end_current(l);
}

bool lane_is_ended(const struct lane *l)
{
	for (unsigned i = 0; i < LANE_FILES; i++)
		if (l->files[i].state != DATAFILE_FREE)
			return false;
	return lane_is_drained(l);
}

void lane_finish(struct lane *l, uint64_t *ret_journal_bytes)
{
	*ret_journal_bytes = l->journal.fd >= 0 ? l->journal.length : 0;
	journal_close(&l->journal);
	if (l->folder >= 0)
		close(l->folder);
	l->folder = -1;
	l->draining = false;
}
