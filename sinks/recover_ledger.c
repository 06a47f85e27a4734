/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/recover_parts.h"

#include "sinks/report.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The ledger: every number from the first to the last expected or seen has one state. */

#define MOST_LOST     1000000u            /* frames announced and never seen, as series.max_gap */
#define MOST_REPEATED (UINT64_C(1) << 32) /* frames that a record is about */

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
	return end > first ? (end - first - 1) / step + 1 : 0;
}

/* The number so many steps on, or the last there is. */
static uint64_t advance(uint64_t number, uint64_t count, uint64_t step)
{
	return count > (UINT64_MAX - number) / step ? UINT64_MAX : number + count * step;
}

/* Where the series begins; without the number, it is the first that came. */
static uint64_t first_of(const struct recover_lane *l, const struct span *known, size_t count)
{
	const struct journal_header *h = &l->view.header;

	return h->first_known ? h->first : count ? known[0].first : 0;
}

/* Numbers without a record between those with one; *ret_next: the one behind the last. */
static int find_gaps(const struct recover_lane *l, const struct span *known, size_t count,
                     struct lost_spans *lost, uint64_t *ret_next)
{
	uint64_t step = l->view.header.step, next = first_of(l, known, count);

	for (size_t i = 0; i < count; i++) {
		uint64_t gap = between(next, known[i].first, step), end;
		int err = gap ? add_span(lost, next, gap) : 0;

		if (err)
			return err;
		end = advance(known[i].first, known[i].count, step);
		next = end > next ? end : next;
	}
	*ret_next = next;
	return 0;
}

/* Frames that came and left no record: up to the newest number of the last checkpoint. */
static uint64_t newest_end(const struct recover *r, const struct recover_lane *l)
{
	const struct journal_header *h = &l->view.header;

	return r->has_checkpoint && r->checkpoint.frames > 0
	               ? advance(r->checkpoint.newest, 1, h->step)
	               : 0;
}

/* Frames that were announced, from `next` on. */
static int add_announced(struct recover *r, const struct recover_lane *l, struct lost_spans *lost,
                         uint64_t first, uint64_t next)
{
	const struct journal_header *h = &l->view.header;
	uint64_t missing;

	if (h->frames == 0 || h->frames > (UINT64_MAX - first) / h->step)
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

/* Numbers without a record, up to the last that came or was to come. */
static int find_lost(struct recover *r, const struct recover_lane *l, const struct span *known,
                     size_t count, struct lost_spans *lost)
{
	const struct journal_header *h = &l->view.header;
	uint64_t next = 0, seen;
	int err = find_gaps(l, known, count, lost, &next);

	if (err || (!h->first_known && count == 0)) /* nothing says where it began */
		return err;
	seen = between(next, newest_end(r, l), h->step);
	if (seen > 0 && seen <= MOST_LOST) {
		err = add_span(lost, next, seen);
		next = advance(next, seen, h->step);
	}
	if (err || (!h->first_known && !r->result->cut_off)) /* the daemon knew better */
		return err;
	if (recover_manifest_is_stopped(r->manifest)) /* what was announced was not waited for */
		return 0;
	return add_announced(r, l, lost, first_of(l, known, count), next);
}

/* ---- before anything is touched ---- */

static const char *wrong_in_record(const struct recover_lane *l, const struct journal_record *r)
{
	uint64_t step = l->view.header.step;

	if (r->repeat == 1)
		return NULL;
	if (r->step != step)
		return "its step is not that of the series";
	if (r->repeat > MOST_REPEATED || r->repeat - 1 > (UINT64_MAX - r->number) / step)
		return "its range of numbers cannot be";
	return NULL;
}

static int check_records(const struct recover *r, const struct recover_lane *l, char why[512])
{
	for (uint32_t i = 0; i < l->view.records; i++) {
		struct journal_record record;
		const char *wrong;

		journal_view_record(&l->view, i, &record);
		wrong = wrong_in_record(l, &record);
		if (!wrong)
			continue;
		snprintf(why, 512, "%s/%s: record %" PRIu32 ", frame %" PRIu64 ": %s", r->path,
		         l->journal, i, record.number, wrong);
		return -EINVAL;
	}
	return 0;
}

/* What is put into the ledger must be readable again. */
static int check_gaps(const struct recover *r, const struct recover_lane *l, char why[512])
{
	struct lost_spans lost = { 0 };
	size_t count = 0;
	struct span *known = known_spans(l, &count);
	uint64_t next = 0;
	int err = known ? find_gaps(l, known, count, &lost, &next) : -ENOMEM;

	for (size_t i = 0; i < lost.count && !err; i++) {
		if (lost.at[i].count <= MOST_REPEATED)
			continue;
		snprintf(why, 512,
		         "%s/%s: %" PRIu64 " frames from %" PRIu64
		         " have no record: its numbers cannot be",
		         r->path, l->journal, lost.at[i].count, lost.at[i].first);
		err = -EINVAL;
	}
	free(known);
	free(lost.at);
	return err;
}

static bool is_crash(const struct journal_record *r)
{
	return r->state == FRAME_DROPPED && r->reason == DROPPED_CRASH;
}

/* The place before records that recovery itself put there, in part before it was cut off, too. */
static uint32_t skip_crash(const struct recover_lane *l, uint32_t end, struct journal_record *ret)
{
	for (; end > 0; end--) {
		journal_view_record(&l->view, end - 1, ret);
		if (!is_crash(ret))
			break;
	}
	return end;
}

/* A torn batch may end within the records of a group that was averaged: its page has the counts of
 * frames that are not on record, and the page's number is that of the last of them. Where it
 * begins, or view.records. */
static uint32_t find_torn(const struct recover *r, const struct recover_lane *l)
{
	struct journal_record last, record;
	uint32_t end = skip_crash(l, l->view.records, &last), from = l->view.records, found = 0;

	if (!r->result->cut_off || l->view.header.average <= 1 || end == 0 ||
	    last.state != FRAME_WRITTEN || last.file == JOURNAL_NO_FILE)
		return from;
	while ((end = skip_crash(l, end, &record)) > 0 && record.state == FRAME_WRITTEN &&
	       record.file == last.file && record.index == last.index) {
		from = --end;
		found++;
	}
	return found < last.averaged ? from : l->view.records;
}

static int check_lane(const struct recover *r, const struct recover_lane *l, char why[512])
{
	uint32_t valid = 0;
	int err;

	if (journal_view_is_damaged(&l->view, !r->result->cut_off, &valid)) {
		snprintf(why, 512,
		         "%s/%s: record %" PRIu32 " is damaged, %" PRIu32
		         " valid ones follow it: the storage changed it; nothing was touched",
		         r->path, l->journal, l->view.records, valid);
		return -EINVAL;
	}
	err = check_records(r, l, why);
	return err ? err : check_gaps(r, l, why);
}

int recover_check(struct recover *r, char why[512])
{
	int err = 0;

	for (unsigned i = 0; i < r->lane_count && !err; i++)
		if (!r->lanes[i].unbegun) {
			r->lanes[i].torn_from = find_torn(r, &r->lanes[i]);
			err = check_lane(r, &r->lanes[i], why);
		}
	return err;
}

/* ---- the ledger ---- */

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
	unsigned regions = l->view.header.region_count;
	uint64_t end = journal_view_bytes(&l->view);
	int err = 0;

	/* Or else what is cut off could come back behind what is added. */
	if (end != l->view.bytes)
		err = disk_truncate(io, l->journal_fd, end);
	if (end != l->view.bytes && !err)
		err = disk_sync(io, l->journal_fd);
	for (size_t i = 0; i < lost->count && !err; i++) {
		unsigned char bytes[JOURNAL_RECORD_MAX];
		struct journal_record record = { .number = lost->at[i].first,
			                         .state = FRAME_DROPPED,
			                         .reason = r->result->cut_off ? DROPPED_CRASH
			                                                      : DROPPED_WRITE,
			                         .file = JOURNAL_NO_FILE,
			                         .repeat = lost->at[i].count,
			                         .step = l->view.header.step,
			                         .rotation = NAN,
			                         .dose = NAN };

		journal_encode(bytes, &record, l->view.records + (uint32_t)i, regions);
		err = disk_write(io, l->journal_fd, bytes, journal_record_bytes(regions), end);
		end += journal_record_bytes(regions);
	}
	return err ? err : disk_sync(io, l->journal_fd);
}

int recover_map_again(struct recover *r, struct recover_lane *l)
{
	journal_view_close(&l->view);
	return journal_view_open(&l->view, r->folder, l->journal, UINT64_MAX);
}

/* In place, and within a sector each: cut off within, what is left is a torn group again. */
static int drop_torn(struct recover *r, struct recover_lane *l)
{
	const struct disk_io *io = r->options->io;
	unsigned regions = l->view.header.region_count;
	uint64_t dropped = 0, last = 0;
	int err = 0;

	for (uint32_t i = l->torn_from; i < l->view.records && !err; i++) {
		unsigned char end[4];
		struct journal_record was;

		journal_view_record(&l->view, i, &was);
		if (was.state != FRAME_WRITTEN)
			continue;
		journal_encode_taken_back(end, l->view.map + journal_offset(regions, i), regions);
		err = disk_write(io, l->journal_fd, end, sizeof end,
		                 journal_offset(regions, i + UINT64_C(1)) - sizeof end);
		last = was.number;
		dropped++;
	}
	if (err || dropped == 0)
		return err;
	if (l == &r->lanes[0])
		recover_say(r, SINK_WARNING,
		            "%s: %" PRIu64 " frames up to %" PRIu64
		            " are lost (crash): the group they were averaged with is not whole",
		            r->path, dropped, last);
	l->crashed += dropped;
	err = disk_sync(io, l->journal_fd);
	return err ? err : recover_map_again(r, l);
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

int recover_ledger(struct recover *r, struct recover_lane *l)
{
	struct lost_spans lost = { 0 };
	size_t count_known = 0;
	struct span *known = known_spans(l, &count_known);
	bool torn = l->view.bytes > journal_view_bytes(&l->view);
	int err = known ? find_lost(r, l, known, count_known, &lost) : -ENOMEM;

	if (!err)
		err = drop_torn(r, l);
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
		                   .journal_bytes = journal_view_bytes(&l->view),
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
