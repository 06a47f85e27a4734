/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BAD_RUN_MAX 64 /* so many damaged records in a row, and the rest is given up */

void audit_count(struct audit_counts *c, const struct journal_record *r, uint64_t frames)
{
	c->numbers += frames;
	if (r->flags & FRAME_INCOMPLETE)
		c->flagged += frames;
	if (r->state == FRAME_WRITTEN)
		c->written += frames;
	else if (r->state == FRAME_DROPPED)
		c->dropped[r->reason] += frames;
	else
		c->missing[r->reason] += frames;
}

/* ---- header ---- */

static bool is_plain_name(const char *name)
{
	return name[0] != '\0' && name[0] != '.' && !strchr(name, '/');
}

static bool knows_suffix(const char *suffix)
{
	return !*suffix || strcmp(suffix, ".tif") == 0 || strcmp(suffix, ".raw") == 0 ||
	       strcmp(suffix, ".h5") == 0;
}

static const char *wrong_in_header(const struct journal_header *h)
{
	if (!is_plain_name(h->folder))
		return "the series' name is none for a folder";
	if (!knows_suffix(h->suffix))
		return "the data files' format is unknown";
	if (h->step == 0)
		return "the step of numbers is 0";
	if (!*h->suffix)
		return NULL; /* keeps no pixels */
	if (h->type >= PRODUCT_TYPE_COUNT || h->width == 0 || h->height == 0 ||
	    (uint64_t)h->width * h->height > AUDIT_FRAME_MAX)
		return "frames have no shape";
	if ((uint64_t)h->width * h->height * product_bytes((enum product_type)h->type) !=
	    h->frame_bytes)
		return "size and shape of frames disagree";
	return NULL;
}

static bool open_journal(struct audit *a, struct audit_lane *l)
{
	uint64_t bytes;
	const char *wrong;
	int fd, err;

	if (!audit_open_told(a, l->journal, &fd, &bytes))
		return false;
	close(fd);
	err = journal_view_open(&l->view, a->folder, l->journal, UINT64_MAX);
	if (err == -EINVAL)
		audit_found(a, l->journal, "is no journal, or its header is damaged");
	else if (err)
		audit_refused(a, l->journal, "cannot be read", err);
	if (err)
		return false;
	wrong = wrong_in_header(&l->view.header);
	if (wrong)
		audit_found(a, l->journal, "in the header: %s", wrong);
	l->is_open = !wrong;
	l->keeps_pixels = l->keeps_pixels && l->view.header.suffix[0];
	return l->is_open;
}

/* ---- records ---- */

/* Room for one more of `size` bytes. */
static bool make_room(void **at, size_t *room, size_t count, size_t size)
{
	size_t wanted = *room ? *room * 2 : 256;
	void *larger;

	if (count < *room)
		return true;
	larger = realloc(*at, wanted * size);
	if (!larger)
		return false;
	*at = larger;
	*room = wanted;
	return true;
}

static const char *wrong_in_record(const struct audit_lane *l, const struct journal_record *r)
{
	uint64_t step = l->view.header.step;

	if (r->repeat > 1 && (r->step != step || (r->repeat - 1) > (UINT64_MAX - r->number) / step))
		return "its range of numbers cannot be";
	if (r->state != FRAME_WRITTEN)
		return NULL;
	if (!l->view.header.suffix[0])
		return r->file == JOURNAL_NO_FILE ? NULL : "it names a file, and none are kept";
	if (r->file == JOURNAL_NO_FILE)
		return "the frame is written, and in no file";
	if (r->offset > INT64_MAX || r->length > INT64_MAX - r->offset || r->length == 0)
		return "its place in the file cannot be";
	return NULL;
}

static bool add_record(struct audit_lane *l, const struct journal_record *r, uint32_t slot)
{
	void *ranges = l->ranges, *frames = l->frames;
	bool ok = make_room(&ranges, &l->range_room, l->range_count, sizeof *l->ranges);
	bool placed = r->state == FRAME_WRITTEN && r->file != JOURNAL_NO_FILE;

	l->ranges = ranges;
	if (ok && placed)
		ok = make_room(&frames, &l->frame_room, l->frame_count, sizeof *l->frames);
	l->frames = frames;
	if (!ok)
		return false;
	l->ranges[l->range_count++] = (struct audit_range){
		.first = r->number, .last = r->number + (r->repeat - 1) * r->step, .slot = slot
	};
	if (placed)
		l->frames[l->frame_count++] = (struct audit_frame){ .number = r->number,
			                                            .offset = r->offset,
			                                            .length = r->length,
			                                            .file = r->file,
			                                            .index = r->index,
			                                            .crc32c = r->crc32c,
			                                            .flags = r->flags,
			                                            .members = 1 };
	audit_count(&l->counts, r, r->repeat);
	return true;
}

/* Take the record in `slot`. False when memory ran out. */
static bool take_record(struct audit *a, struct audit_lane *l, uint32_t slot, unsigned *bad)
{
	struct journal_record r;
	const char *wrong;

	if (!journal_view_try(&l->view, slot, &r)) {
		audit_found(a, l->journal, "record %" PRIu32 " is damaged", slot);
		(*bad)++;
		return true;
	}
	*bad = 0;
	wrong = wrong_in_record(l, &r);
	if (wrong) {
		audit_found(a, l->journal, "record %" PRIu32 " of frame %" PRIu64 ": %s", slot,
		            r.number, wrong);
		return true;
	}
	return add_record(l, &r, slot);
}

static void take_records(struct audit *a, struct audit_lane *l)
{
	bool rest;
	size_t room = journal_view_room(&l->view, &rest);
	unsigned bad = 0;
	uint32_t valid;

	if (a->state == MANIFEST_RUNNING && !journal_view_is_damaged(&l->view, false, &valid)) {
		room = l->view.records; /* behind them is what a crash left */
		rest = false;
	}
	for (size_t i = 0; i < room && i < UINT32_MAX && bad < BAD_RUN_MAX; i++) {
		if (take_record(a, l, (uint32_t)i, &bad))
			continue;
		audit_refused(a, l->journal, "its records do not fit into memory", -ENOMEM);
		return;
	}
	if (bad == BAD_RUN_MAX)
		audit_found(a, l->journal, "the rest is given up");
	else if (rest)
		audit_found(a, l->journal, "ends within a record: it was cut, or something added");
}

/* ---- numbers ---- */

static int by_number(const void *a, const void *b)
{
	const struct audit_range *left = a, *right = b;

	if (left->first != right->first)
		return left->first < right->first ? -1 : 1;
	return left->slot < right->slot ? -1 : left->slot > right->slot;
}

static void sort_ranges(struct audit *a, struct audit_lane *l)
{
	uint64_t step = l->view.header.step;

	if (l->range_count > 1)
		qsort(l->ranges, l->range_count, sizeof *l->ranges, by_number);
	for (size_t i = 1; i < l->range_count; i++) {
		const struct audit_range *r = &l->ranges[i], *before = &l->ranges[i - 1];

		if (r->first <= before->last)
			audit_found(a, l->journal, "frame %" PRIu64 " is there more than once",
			            r->first);
		else if ((r->first - before->last) % step)
			audit_found(a, l->journal, "frame %" PRIu64 " is off the step of %" PRIu64,
			            r->first, step);
	}
}

/* ---- places ---- */

static int by_place(const void *a, const void *b)
{
	const struct audit_frame *left = a, *right = b;

	if (left->file != right->file)
		return left->file < right->file ? -1 : 1;
	if (left->index != right->index)
		return left->index < right->index ? -1 : 1;
	return left->number < right->number ? -1 : left->number > right->number;
}

static bool is_same_place(const struct audit_frame *a, const struct audit_frame *b)
{
	return a->file == b->file && a->index == b->index;
}

uint64_t audit_page_frames(const struct audit *a, const struct audit_lane *l)
{
	const char *product = json_string_value(json_object_get(l->said, "product"));

	if (l->view.header.source || (product && strcmp(product, "source") == 0))
		return 1;
	if (a->average > 0)
		return a->average;
	return l->is_open && l->view.header.average > 0 ? l->view.header.average : UINT64_MAX;
}

/* Join what shares a page: the members of a mean. */
static void join_places(struct audit *a, struct audit_lane *l)
{
	uint64_t most = audit_page_frames(a, l);
	size_t kept = 0;

	if (l->frame_count > 1)
		qsort(l->frames, l->frame_count, sizeof *l->frames, by_place);
	for (size_t i = 0; i < l->frame_count; i++) {
		struct audit_frame *last = kept ? &l->frames[kept - 1] : NULL;
		const struct audit_frame *f = &l->frames[i];

		if (!last || !is_same_place(last, f)) {
			l->frames[kept++] = *f;
			continue;
		}
		if (last->offset != f->offset || last->length != f->length ||
		    last->crc32c != f->crc32c || last->members >= most)
			audit_found(a, l->journal,
			            "frames %" PRIu64 " and %" PRIu64 " cannot both be index "
			            "%" PRIu32 " of file %" PRIu32,
			            last->number, f->number, f->index, f->file);
		last->members++;
		last->number = f->number;
		last->flags = f->flags;
	}
	l->frame_count = kept;
}

void audit_read_journal(struct audit *a, struct audit_lane *l)
{
	if (!open_journal(a, l))
		return;
	take_records(a, l);
	sort_ranges(a, l);
	join_places(a, l);
}

void audit_lane_done(struct audit_lane *l)
{
	journal_view_close(&l->view);
	free(l->ranges);
	free(l->frames);
	if (l->folder >= 0)
		close(l->folder);
	l->folder = -1;
}
