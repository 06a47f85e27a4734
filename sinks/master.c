/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/master.h"

#include "sinks/rotation.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Absent frames are rows of the stack, unless there are absurdly many of them. */
#define ABSENT_MAX (4u << 20)

/* One place in the stack, while its members are put together. */
struct place {
	double rotation; /* sum over the members that say one, */
	uint32_t said;   /* so many */
	double dose;     /* likewise */
	uint32_t dosed;
};

struct stack_rows {
	struct nexus_row *at;
	struct place *places;
	size_t count, capacity;
};

static bool grow(struct stack_rows *s)
{
	size_t capacity = s->capacity ? s->capacity * 2 : 1024;
	struct nexus_row *at = realloc(s->at, capacity * sizeof *at);
	struct place *places;

	if (!at)
		return false;
	s->at = at;
	places = realloc(s->places, capacity * sizeof *places);
	if (!places)
		return false;
	s->places = places;
	s->capacity = capacity;
	return true;
}

static bool add_row(struct stack_rows *s, uint64_t number)
{
	if (s->count == s->capacity && !grow(s))
		return false;
	s->places[s->count] = (struct place){ 0 };
	s->at[s->count++] = (struct nexus_row){ .number = number, .rotation = NAN, .dose = NAN };
	return true;
}

/* Which frame of the stack a number belongs to. */
static uint64_t group_of(const struct master_source *s, uint64_t number, uint64_t first)
{
	return (number - first) / s->ledger->step / (s->source ? 1 : s->average);
}

/* Rows up to the one of `group`; those between are of frames that are absent. */
static bool reach(const struct master_source *s, struct stack_rows *rows, uint64_t *group,
                  uint64_t wanted, uint64_t first)
{
	uint64_t members = s->source ? 1 : s->average;

	if (wanted - *group > ABSENT_MAX) /* left out */
		*group = wanted - 1;
	while (*group < wanted) {
		++*group;
		if (!add_row(rows, first + *group * members * s->ledger->step))
			return false;
	}
	return true;
}

static double angle_of(const struct master_source *s, const struct journal_record *r,
                       uint64_t first)
{
	if (!isnan(r->rotation))
		return r->rotation;
	return rotation_of(s->ledger->rotation, r->number, first, s->ledger->step);
}

/* The record is about the row that was added last. */
static void take(const struct master_source *s, struct stack_rows *rows,
                 const struct journal_record *r, uint64_t first)
{
	struct nexus_row *row = &rows->at[rows->count - 1];
	struct place *p = &rows->places[rows->count - 1];
	double angle = angle_of(s, r, first);

	if (!isnan(angle)) {
		p->rotation += angle;
		p->said++;
		row->rotation = p->rotation / p->said;
	}
	if (r->state != FRAME_WRITTEN || r->file == JOURNAL_NO_FILE)
		return;
	if (!isnan(r->dose)) {
		p->dose += r->dose;
		p->dosed++;
		row->dose = p->dose / p->dosed;
	}
	row->present = true;
	row->flags = r->flags;
	row->file = r->file;
	row->index = r->index;
}

static bool add_record(const struct master_source *s, struct stack_rows *rows, uint64_t *group,
                       struct journal_record r, uint64_t first)
{
	uint64_t repeat = r.repeat <= ABSENT_MAX ? r.repeat : 1;

	for (uint64_t i = 0; i < repeat; i++) {
		if (!reach(s, rows, group, group_of(s, r.number, first), first))
			return false;
		take(s, rows, &r, first);
		r.number += r.step;
	}
	return true;
}

/* The stack by the ledger. 0 or -ENOMEM. */
static int make_rows(const struct master_source *s, const struct report_ledger *l,
                     struct stack_rows *ret)
{
	struct journal_record r;
	uint64_t first, group = UINT64_MAX; /* before the first */

	if (l->count == 0)
		return 0;
	report_ledger_record(l, 0, &r);
	first = r.number;
	for (size_t i = 0; i < l->count; i++) {
		report_ledger_record(l, i, &r);
		if (group == UINT64_MAX) {
			group = 0;
			if (!add_row(ret, first))
				return -ENOMEM;
		}
		if (!add_record(s, ret, &group, r, first))
			return -ENOMEM;
	}
	return 0;
}

static void read_record(const void *user, size_t i, struct journal_record *ret)
{
	report_ledger_record(user, i, ret);
}

static int write_image(const struct master_source *s, void *image, size_t bytes, char why[256])
{
	char name[PART_NAME_MAX];
	int n = snprintf(name, sizeof name, "%s.h5", s->ledger->series);
	int err;

	if (n < 0 || (size_t)n >= sizeof name)
		return -ENAMETOOLONG;
	err = part_write(s->ledger->io, s->folder, name, image, bytes, s->ledger->replace);
	if (err)
		snprintf(why, 256, "%s", strerror(-err));
	return err;
}

static int compose(const struct master_source *s, const struct report_ledger *l,
                   const struct stack_rows *rows, char why[256])
{
	struct nexus_master m = {
		.series = s->ledger->series,
		.name = s->name,
		.version = s->version,
		.ingest_name = s->ingest_name,
		.shape = s->shape,
		.source = s->source,
		.normalised = !s->source && s->reduce->normalise != NORMALISE_NONE,
		.reduce = s->reduce,
		.dose_applied = s->dose_applied,
		.rows = rows->at,
		.row_count = rows->count,
		.record = read_record,
		.ledger = l,
		.record_count = l->count,
		.regions = l->view.header.regions,
		.region_count = l->view.header.region_count,
		.maps = s->maps,
		.map_count = s->map_count,
		.raw = s->raw,
		.normalised_values = s->normalised,
		.manifest_json = s->manifest_json,
		.config_json = s->config_json,
		.start_ns = s->start_ns,
		.end_ns = s->end_ns,
		.detector_description = s->detector_description,
		.exposure_s = s->exposure_s,
		.period_s = s->period_s,
	};
	void *image;
	size_t bytes;
	int err = nexus_compose(&m, &image, &bytes, why);

	if (err)
		return err;
	err = write_image(s, image, bytes, why);
	free(image);
	return err;
}

int master_write(const struct master_source *s, char why[256])
{
	struct report_ledger l;
	struct stack_rows rows = { 0 };
	int err = report_ledger_open(&l, s->ledger);

	if (err) {
		snprintf(why, 256, "cannot read the journal: %s", strerror(-err));
		return err;
	}
	err = make_rows(s, &l, &rows);
	if (err)
		snprintf(why, 256, "no memory for its rows");
	else
		err = compose(s, &l, &rows, why);
	free(rows.at);
	free(rows.places);
	report_ledger_close(&l);
	return err;
}
