/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/recover_parts.h"

#include "sinks/report.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The ledger: every number from the first to the last expected or seen has one state. */

#define MOST_LOST 1000000u /* of frames announced and never seen, as series.max_gap */

struct span {
	uint64_t first, count; /* numbers first + i * step */
};

struct lost_spans {
	struct span *at;
	size_t count, capacity;
};

static int add_span(struct lost_spans *s, uint64_t first, uint64_t count)
{
	if (s->count == s->capacity) {
		size_t capacity = s->capacity ? s->capacity * 2 : 64;
		struct span *at = realloc(s->at, capacity * sizeof *at);

		if (!at)
			return -ENOMEM;
		s->at = at;
		s->capacity = capacity;
	}
	s->at[s->count++] = (struct span){ first, count };
	return 0;
}

static int by_first(const void *a, const void *b)
{
	const struct span *left = a, *right = b;

	return left->first < right->first ? -1 : left->first > right->first;
}

/* What the records are about, by number [*ret_count]. */
static struct span *known_spans(const struct recover_lane *l, size_t *ret_count)
{
	struct span *spans = malloc((l->view.records ? l->view.records : 1) * sizeof *spans);

	if (!spans)
		return NULL;
	for (uint32_t i = 0; i < l->view.records; i++) {
		struct journal_record r;

		journal_view_record(&l->view, i, &r);
		spans[i] = (struct span){ r.number, r.repeat };
	}
	qsort(spans, l->view.records, sizeof *spans, by_first);
	*ret_count = l->view.records;
	return spans;
}

/* How many numbers lie from `first` to before `end`. */
static uint64_t between(uint64_t first, uint64_t end, uint64_t step)
{
	return end > first ? (end - first + step - 1) / step : 0;
}

/* Frames that came and left no record: up to the newest number of the last checkpoint. */
static uint64_t newest_end(const struct recover *r, const struct recover_lane *l)
{
	const struct journal_header *h = &l->view.header;

	return r->has_checkpoint && r->checkpoint.frames > 0 ? r->checkpoint.newest + h->step : 0;
}

/* The frames that came or were to come behind the last one with a record. */
static int add_tail(struct recover *r, const struct recover_lane *l, struct lost_spans *lost,
                    uint64_t next)
{
	const struct journal_header *h = &l->view.header;
	uint64_t first = h->first_known ? h->first : next, missing, seen;

	seen = between(next, newest_end(r, l), h->step);
	if (seen > 0 && seen <= MOST_LOST && (h->first_known || l->view.records > 0)) {
		int err = add_span(lost, next, seen);

		if (err)
			return err;
		next += seen * h->step;
	}
	if (h->frames == 0 || !h->first_known || h->frames > (UINT64_MAX - first) / h->step)
		return 0;
	missing = between(next, first + h->frames * h->step, h->step);
	if (missing > MOST_LOST) {
		recover_say(r, SINK_WARNING,
		            "%s: %" PRIu64 " frames were announced and %" PRIu64
		            " of them never came: more than %u are not put into the ledger",
		            r->path, h->frames, missing, MOST_LOST);
		return 0;
	}
	return missing ? add_span(lost, next, missing) : 0;
}

/* Numbers without a record. */
static int find_lost(struct recover *r, const struct recover_lane *l, const struct span *known,
                     size_t count, struct lost_spans *lost)
{
	const struct journal_header *h = &l->view.header;
	uint64_t next = h->first_known ? h->first : count ? known[0].first : 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t gap = between(next, known[i].first, h->step), end;
		int err = gap ? add_span(lost, next, gap) : 0;

		if (err)
			return err;
		end = known[i].first + known[i].count * h->step;
		next = end > next ? end : next;
	}
	return add_tail(r, l, lost, next);
}

static void say_lost(struct recover *r, const struct recover_lane *l, const struct lost_spans *lost)
{
	for (size_t i = 0; i < lost->count && i < 20; i++) {
		const struct span *s = &lost->at[i];

		if (s->count == 1)
			recover_say(r, SINK_WARNING, "%s: frame %" PRIu64 " is lost (crash)",
			            r->path, s->first);
		else
			recover_say(r, SINK_WARNING,
			            "%s: frames %" PRIu64 " to %" PRIu64
			            " are lost (crash): %" PRIu64,
			            r->path, s->first,
			            s->first + (s->count - 1) * l->view.header.step, s->count);
	}
	if (lost->count > 20)
		recover_say(r, SINK_WARNING, "%s: and %zu further gaps", r->path, lost->count - 20);
}

/* What a daemon that ended by itself left without a record is what its journal did not take. */
static int append(struct recover *r, struct recover_lane *l, const struct lost_spans *lost)
{
	const struct disk_io *io = r->options->io;
	uint64_t end = JOURNAL_HEADER_BYTES + (uint64_t)l->view.records * JOURNAL_RECORD_BYTES;
	int err = end == l->view.bytes ? 0 : disk_truncate(io, l->journal_fd, end);

	for (size_t i = 0; i < lost->count && !err; i++) {
		unsigned char bytes[JOURNAL_RECORD_BYTES];
		struct journal_record record = { .number = lost->at[i].first,
			                         .state = FRAME_DROPPED,
			                         .reason = r->result->cut_off ? DROPPED_CRASH
			                                                      : DROPPED_WRITE,
			                         .file = JOURNAL_NO_FILE,
			                         .repeat = lost->at[i].count,
			                         .step = l->view.header.step,
			                         .rotation = NAN };

		journal_encode(bytes, &record, l->view.records + (uint32_t)i);
		err = disk_write(io, l->journal_fd, bytes, sizeof bytes, end);
		end += sizeof bytes;
	}
	return err ? err : disk_sync(io, l->journal_fd);
}

static void count(struct recover_lane *l)
{
	for (uint32_t i = 0; i < l->view.records; i++) {
		struct journal_record r;

		journal_view_record(&l->view, i, &r);
		l->expected += r.repeat;
		l->flagged += r.state == FRAME_WRITTEN && (r.flags & FRAME_INCOMPLETE);
		if (r.state == FRAME_WRITTEN)
			l->written += r.repeat;
		else if (r.state == FRAME_DROPPED)
			l->dropped[r.reason] += r.repeat;
		else
			l->missing[r.reason] += r.repeat;
	}
}

int recover_map_again(struct recover *r, struct recover_lane *l)
{
	journal_view_close(&l->view);
	return journal_view_open(&l->view, r->folder, l->journal, UINT64_MAX);
}

int recover_ledger(struct recover *r, struct recover_lane *l)
{
	struct lost_spans lost = { 0 };
	size_t count_known = 0;
	struct span *known = known_spans(l, &count_known);
	bool torn = l->view.bytes >
	            JOURNAL_HEADER_BYTES + (uint64_t)l->view.records * JOURNAL_RECORD_BYTES;
	int err = known ? find_lost(r, l, known, count_known, &lost) : -ENOMEM;

	if (!err && (lost.count || torn)) {
		if (l == &r->lanes[0])
			say_lost(r, l, &lost);
		err = append(r, l, &lost);
		for (size_t i = 0; i < lost.count; i++)
			l->crashed += lost.at[i].count;
		if (!err)
			err = recover_map_again(r, l);
	}
	if (!err)
		count(l);
	free(known);
	free(lost.at);
	return err;
}

struct report_source recover_source(const struct recover *r, const struct recover_lane *l,
                                    struct lane_file *files)
{
	static const struct lost_list none;
	struct report_source s = { .io = r->options->io,
		                   .folder = r->folder,
		                   .journal = l->journal,
		                   .journal_bytes =
		                           JOURNAL_HEADER_BYTES +
		                           (uint64_t)l->view.records * JOURNAL_RECORD_BYTES,
		                   .lost = &none,
		                   .series = l->view.header.folder,
		                   .rotation = &l->view.header.rotation,
		                   .step = l->view.header.step,
		                   .suffix = l->format ? l->format->suffix : NULL,
		                   .files = files,
		                   .file_count = l->file_count,
		                   .replace = true };

	for (size_t i = 0; i < l->file_count; i++) {
		files[i] = (struct lane_file){ .index = l->files[i].index,
			                       .unfinished = !l->files[i].usable,
			                       .frames = l->files[i].frames };
		s.any_unfinished = s.any_unfinished || files[i].unfinished;
	}
	return s;
}

int recover_report(struct recover *r, struct recover_lane *l)
{
	struct lane_file *files = calloc(l->file_count ? l->file_count : 1, sizeof *files);
	struct report_source s;
	int err;

	if (!files)
		return -ENOMEM;
	s = recover_source(r, l, files);
	err = report_frames(&s, l->csv);
	free(files);
	return err;
}
