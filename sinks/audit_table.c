/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_parts.h"
#include "sinks/columns.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* frames.csv and its like, held against the journal they were made from. Columns are known by their
 * names; those that are not are left alone. */

#define LINE_MAX_BYTES 8192
#define FIELDS_MAX     256

/* What a column of a frame holds; the first four are rows of cells[], too. */
enum cell_kind {
	CELL_NUMBER,
	CELL_STATE,
	CELL_REASON,
	CELL_FLAGS,
	CELL_FILE,
	CELL_INDEX,
	CELL_TIME,
	/* From here on empty for frames that were lost. */
	CELL_AVERAGED,
	CELL_DURABLE,
	CELL_FLOAT32,
	CELL_DOUBLE,
	CELL_COUNT,
	CELL_CRC,
	/* Tables from before there was quality are without these. */
	CELL_ID,
	CELL_PERCENTILE
};

static const struct cell {
	const char *name;
	enum cell_kind kind;
	size_t at; /* in struct journal_record */
} cells[] = {
	{ "frame", CELL_NUMBER, offsetof(struct journal_record, number) },
	{ "state", CELL_STATE, offsetof(struct journal_record, state) },
	{ "reason", CELL_REASON, offsetof(struct journal_record, reason) },
	{ "flags", CELL_FLAGS, offsetof(struct journal_record, flags) },
	{ "file", CELL_FILE, offsetof(struct journal_record, file) },
	{ "index", CELL_INDEX, offsetof(struct journal_record, index) },
	{ "averaged", CELL_AVERAGED, offsetof(struct journal_record, averaged) },
	{ "timestamp_ns", CELL_TIME, offsetof(struct journal_record, timestamp_ns) },
	{ "received_ns", CELL_TIME, offsetof(struct journal_record, received_ns) },
	{ "durable_ns", CELL_DURABLE, offsetof(struct journal_record, durable_ns) },
	{ "min", CELL_FLOAT32, offsetof(struct journal_record, min) },
	{ "max", CELL_FLOAT32, offsetof(struct journal_record, max) },
	{ "mean", CELL_DOUBLE, offsetof(struct journal_record, mean) },
	{ "std", CELL_DOUBLE, offsetof(struct journal_record, std) },
	{ "raw_min", CELL_FLOAT32, offsetof(struct journal_record, raw_min) },
	{ "raw_max", CELL_FLOAT32, offsetof(struct journal_record, raw_max) },
	{ "raw_mean", CELL_DOUBLE, offsetof(struct journal_record, raw_mean) },
	{ "raw_std", CELL_DOUBLE, offsetof(struct journal_record, raw_std) },
	{ "saturated", CELL_COUNT, offsetof(struct journal_record, saturated) },
	{ "bad", CELL_COUNT, offsetof(struct journal_record, bad) },
	{ "clipped", CELL_COUNT, offsetof(struct journal_record, clipped) },
	{ "dose", CELL_DOUBLE, offsetof(struct journal_record, dose) },
	{ "crc32c", CELL_CRC, offsetof(struct journal_record, crc32c) },
	{ "calibration", CELL_ID, offsetof(struct journal_record, calibration) },
	{ "raw_p0.1", CELL_PERCENTILE, offsetof(struct journal_record, raw_percentiles[0]) },
	{ "raw_p1", CELL_PERCENTILE, offsetof(struct journal_record, raw_percentiles[1]) },
	{ "raw_p50", CELL_PERCENTILE, offsetof(struct journal_record, raw_percentiles[2]) },
	{ "raw_p99", CELL_PERCENTILE, offsetof(struct journal_record, raw_percentiles[3]) },
	{ "raw_p99.9", CELL_PERCENTILE, offsetof(struct journal_record, raw_percentiles[4]) },
	{ "p0.1", CELL_PERCENTILE, offsetof(struct journal_record, percentiles[0]) },
	{ "p1", CELL_PERCENTILE, offsetof(struct journal_record, percentiles[1]) },
	{ "p50", CELL_PERCENTILE, offsetof(struct journal_record, percentiles[2]) },
	{ "p99", CELL_PERCENTILE, offsetof(struct journal_record, percentiles[3]) },
	{ "p99.9", CELL_PERCENTILE, offsetof(struct journal_record, percentiles[4]) },
};

#define CELLS   (sizeof cells / sizeof *cells)
#define NOWHERE UINT32_MAX

struct table {
	struct audit *audit;
	struct audit_lane *lane;
	FILE *file;
	char line[LINE_MAX_BYTES];
	char *fields[FIELDS_MAX];
	unsigned field_count, column_count;
	unsigned column[CELLS]; /* of each cell; NOWHERE: there is none */
	unsigned region_column[CONFIG_REGIONS_MAX][REGION_COLUMNS];
	uint64_t line_number;
	size_t range; /* of the journal, the first that is not behind */
	bool begun;
	uint64_t previous; /* number of the line before */
};

/* ---- lines ---- */

/* False at the end. */
static bool next_line(struct table *t)
{
	size_t n;

	if (!fgets(t->line, sizeof t->line, t->file))
		return false;
	t->line_number++;
	n = strlen(t->line);
	if (n > 0 && t->line[n - 1] == '\n')
		t->line[n - 1] = '\0';
	else
		audit_found(t->audit, t->lane->table, "line %" PRIu64 " has no end",
		            t->line_number);
	t->field_count = 0;
	for (char *at = t->line; at && t->field_count < FIELDS_MAX;) {
		t->fields[t->field_count++] = at;
		at = strchr(at, ',');
		if (at)
			*at++ = '\0';
	}
	return true;
}

/* The first column of that name from `from` on, or NOWHERE. */
static unsigned find_column(const struct table *t, const char *name, unsigned from)
{
	for (unsigned at = from; at < t->field_count; at++)
		if (strcmp(t->fields[at], name) == 0)
			return at;
	return NOWHERE;
}

/* Names of regions may make two columns alike: they are known by their order, too, behind the
 * others. */
static bool read_region_columns(struct table *t)
{
	const struct journal_header *h = &t->lane->view.header;
	unsigned from = h->region_count ? t->column[CELLS - 1] + 1 : 0;

	for (unsigned i = 0; i < h->region_count * REGION_COLUMNS; i++) {
		unsigned region = i / REGION_COLUMNS, value = i % REGION_COLUMNS, at;
		char name[JOURNAL_NAME_BYTES + 16];

		snprintf(name, sizeof name, "%s_%s", h->regions[region].name,
		         region_columns[value].name);
		at = find_column(t, name, from);
		t->region_column[region][value] = at;
		from = at + 1;
		if (at != NOWHERE)
			continue;
		audit_found(t->audit, t->lane->table, "has no column %s", name);
		return false;
	}
	return true;
}

static bool read_columns(struct table *t)
{
	bool quality = t->lane->view.header.quality;

	if (!next_line(t)) {
		audit_found(t->audit, t->lane->table, "is empty");
		return false;
	}
	t->column_count = t->field_count;
	for (size_t i = 0; i < CELLS; i++) {
		t->column[i] = find_column(t, cells[i].name, 0);
		if (t->column[i] != NOWHERE || (cells[i].kind >= CELL_ID && !quality))
			continue;
		audit_found(t->audit, t->lane->table, "has no column %s", cells[i].name);
		return false;
	}
	return read_region_columns(t);
}

/* False when it is none. */
static bool number_of(const char *text, uint64_t *ret)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return *end == '\0' && errno == 0;
}

/* ---- cells ---- */

static bool is_count(const char *text, uint64_t wanted)
{
	uint64_t found;

	return number_of(text, &found) && found == wanted;
}

static bool is_value(const char *text, double wanted, bool as_float32)
{
	char *end;
	double found;

	if (isnan(wanted) || *text == '\0')
		return isnan(wanted) && *text == '\0';
	found = strtod(text, &end);
	return *end == '\0' && (found == wanted || (as_float32 && (float)found == (float)wanted));
}

static bool is_percentile(const char *text, float wanted)
{
	char *end;

	if (isnan(wanted) || *text == '\0')
		return isnan(wanted) && *text == '\0';
	return strtof(text, &end) == wanted && *end == '\0';
}

static bool is_flags(const char *text, uint32_t wanted)
{
	char words[FRAME_FLAGS_BYTES];

	frame_flags_text(wanted, words);
	return strcmp(text, words) == 0;
}

static bool is_file(const char *text, const struct audit_lane *l, const struct journal_record *r)
{
	char name[PART_NAME_MAX];
	size_t n;

	if (r->file == JOURNAL_NO_FILE)
		return *text == '\0';
	audit_file_name(name, l, r->file);
	n = strlen(name);
	/* Which of both names it has, is looked at with the file. */
	return strncmp(text, name, n) == 0 &&
	       (text[n] == '\0' || strcmp(text + n, PART_SUFFIX) == 0);
}

static bool is_crc(const char *text, uint32_t wanted)
{
	char expected[16];

	snprintf(expected, sizeof expected, "%08" PRIx32, wanted);
	return strcmp(text, expected) == 0;
}

static const void *member(const struct journal_record *r, size_t at)
{
	return (const char *)r + at;
}

static uint64_t long_member(const struct journal_record *r, size_t at)
{
	return *(const uint64_t *)member(r, at);
}

static bool agrees(const struct audit_lane *l, const struct cell *c, const struct journal_record *r,
                   const char *text)
{
	if (c->kind >= CELL_AVERAGED && r->state != FRAME_WRITTEN)
		return *text == '\0';
	switch (c->kind) {
	case CELL_NUMBER:
		return true; /* the line was found by it */
	case CELL_STATE:
		return strcmp(text, frame_state_name(r->state)) == 0;
	case CELL_REASON:
		return strcmp(text, frame_reason_name(r->state, r->reason)) == 0;
	case CELL_FLAGS:
		return is_flags(text, r->flags);
	case CELL_FILE:
		return is_file(text, l, r);
	case CELL_INDEX:
		return r->file == JOURNAL_NO_FILE ? *text == '\0' : is_count(text, r->index);
	case CELL_AVERAGED:
		return is_count(text, r->averaged);
	case CELL_TIME:
	case CELL_DURABLE:
		return long_member(r, c->at) ? is_count(text, long_member(r, c->at))
		                             : *text == '\0';
	case CELL_FLOAT32:
		return is_value(text, *(const double *)member(r, c->at), true);
	case CELL_DOUBLE:
		return is_value(text, *(const double *)member(r, c->at), false);
	case CELL_COUNT:
		return is_count(text, long_member(r, c->at));
	case CELL_CRC:
		return is_crc(text, r->crc32c);
	case CELL_ID:
		return r->calibration ? is_count(text, r->calibration) : *text == '\0';
	case CELL_PERCENTILE:
		return is_percentile(text, *(const float *)member(r, c->at));
	}
	return false;
}

/* Value i of a region whose record has these bytes; NULL: the frame was lost. */
static bool region_agrees(const unsigned char *bytes, unsigned i, const char *text)
{
	struct region_stats s;

	if (!bytes)
		return *text == '\0';
	journal_decode_region(&s, bytes);
	if (region_columns[i].kind == REGION_COUNT)
		return is_count(text, region_number(&s, i));
	return is_value(text, region_value(&s, i), region_columns[i].kind == REGION_PIXEL);
}

/* ---- frames ---- */

static void tell_difference(const struct table *t, uint64_t number, const char *region,
                            const char *name, const char *text)
{
	audit_found(t->audit, t->lane->table,
	            "line %" PRIu64 ", frame %" PRIu64
	            ": %s%s%s is '%.60s', the journal has something else",
	            t->line_number, number, region, *region ? "_" : "", name, text);
}

static void compare_regions(const struct table *t, const struct journal_record *r, uint64_t number)
{
	const struct journal_header *h = &t->lane->view.header;
	bool known = r->state == FRAME_WRITTEN;

	for (unsigned i = 0; i < h->region_count * REGION_COLUMNS; i++) {
		unsigned region = i / REGION_COLUMNS, value = i % REGION_COLUMNS;
		const char *text = t->fields[t->region_column[region][value]];
		const unsigned char *bytes =
			known ? r->regions + region * (size_t)JOURNAL_REGION_BYTES : NULL;

		if (region_agrees(bytes, value, text))
			continue;
		tell_difference(t, number, h->regions[region].name, region_columns[value].name,
		                text);
		return;
	}
}

static void compare(struct table *t, const struct audit_range *range, uint64_t number)
{
	const struct journal_view *v = &t->lane->view;
	struct journal_record r;

	journal_view_record(v, range->slot, &r);
	for (size_t i = 0; i < CELLS; i++) {
		const char *text = t->column[i] == NOWHERE ? NULL : t->fields[t->column[i]];

		if (!text || agrees(t->lane, &cells[i], &r, text))
			continue;
		tell_difference(t, number, "", cells[i].name, text);
		return;
	}
	compare_regions(t, &r, number);
}

static const char *field(const struct table *t, size_t cell)
{
	return t->fields[t->column[cell]];
}

static bool find_reason(const struct table *t, struct journal_record *ret)
{
	for (unsigned state = FRAME_DROPPED; state < FRAME_STATE_COUNT; state++) {
		unsigned kinds = state == FRAME_DROPPED ? DROPPED_COUNT : MISSING_COUNT;

		for (unsigned i = 0; i < kinds; i++) {
			if (strcmp(field(t, CELL_STATE), frame_state_name(state)) != 0 ||
			    strcmp(field(t, CELL_REASON), frame_reason_name(state, i)) != 0)
				continue;
			ret->state = (enum frame_state)state;
			ret->reason = i;
			return true;
		}
	}
	return false;
}

/* A line without a record: a loss that the journal could not take. */
static void take_unjournalled(struct table *t, uint64_t number)
{
	struct journal_record r = { .repeat = 1 };

	if (!find_reason(t, &r)) {
		audit_found(t->audit, t->lane->table,
		            "line %" PRIu64 ": frame %" PRIu64
		            " is '%.20s', and the journal has no record of it",
		            t->line_number, number, field(t, CELL_STATE));
		return;
	}
	r.flags = frame_flags_of(field(t, CELL_FLAGS));
	audit_count(&t->lane->counts, &r, 1);
	t->lane->unjournalled++;
}

static void tell_gap(struct audit *a, const char *where, uint64_t from, uint64_t to)
{
	if (from == to)
		audit_found(a, where, "frame %" PRIu64 " is in no state", from);
	else
		audit_found(a, where, "frames %" PRIu64 " to %" PRIu64 " are in no state", from,
		            to);
}

/* False when the line is out of order. */
static bool check_order(struct table *t, uint64_t number)
{
	uint64_t step = t->lane->view.header.step;

	if (!t->begun) {
		if (t->lane->range_count && t->lane->ranges[0].first < number)
			tell_gap(t->audit, t->lane->table, t->lane->ranges[0].first, number - step);
		t->begun = true;
	} else if (number <= t->previous) {
		audit_found(t->audit, t->lane->table,
		            "line %" PRIu64 ": frame %" PRIu64 " comes behind %" PRIu64,
		            t->line_number, number, t->previous);
		return false;
	} else if ((number - t->previous) % step) {
		audit_found(t->audit, t->lane->table,
		            "line %" PRIu64 ": frame %" PRIu64 " is off the step of %" PRIu64,
		            t->line_number, number, step);
	} else if (number - t->previous != step) {
		tell_gap(t->audit, t->lane->table, t->previous + step, number - step);
	}
	t->previous = number;
	return true;
}

static void check_line(struct table *t)
{
	const struct audit_lane *l = t->lane;
	const struct audit_range *r;
	uint64_t number;

	if (t->field_count != t->column_count || !number_of(field(t, CELL_NUMBER), &number)) {
		audit_found(t->audit, l->table, "line %" PRIu64 " is damaged", t->line_number);
		return;
	}
	if (!check_order(t, number))
		return;
	while (t->range < l->range_count && l->ranges[t->range].last < number)
		t->range++;
	r = t->range < l->range_count ? &l->ranges[t->range] : NULL;
	if (r && r->first <= number && (number - r->first) % l->view.header.step == 0)
		compare(t, r, number);
	else
		take_unjournalled(t, number);
}

static void check_end(const struct table *t)
{
	const struct audit_lane *l = t->lane;
	uint64_t last = l->range_count ? l->ranges[l->range_count - 1].last : 0;

	if (l->range_count && (!t->begun || t->previous < last))
		tell_gap(t->audit, l->table,
		         t->begun ? t->previous + l->view.header.step : l->ranges[0].first, last);
	if (l->unjournalled && t->audit->state == MANIFEST_COMPLETE)
		audit_found(t->audit, l->journal,
		            "has no record of %" PRIu64 " frames that %s calls lost",
		            l->unjournalled, l->table);
	else if (l->unjournalled)
		audit_remark(t->audit, l->journal,
		             "has no record of %" PRIu64
		             " lost frames of %s: it took no more then, or was cut since",
		             l->unjournalled, l->table);
}

/* What the table would have told. */
static void check_gaps(struct audit *a, const struct audit_lane *l)
{
	uint64_t step = l->view.header.step;

	for (size_t i = 1; i < l->range_count; i++) {
		const struct audit_range *r = &l->ranges[i], *before = &l->ranges[i - 1];

		if (r->first > before->last && r->first - before->last > step)
			tell_gap(a, l->journal, before->last + step, r->first - step);
	}
}

void audit_check_table(struct audit *a, struct audit_lane *l)
{
	struct table *t;
	uint64_t bytes;
	int fd;

	if (!l->is_open)
		return;
	if (!audit_open_told(a, l->table, &fd, &bytes)) {
		check_gaps(a, l);
		return;
	}
	t = calloc(1, sizeof *t);
	if (t)
		t->file = fdopen(fd, "r");
	if (!t || !t->file) {
		audit_refused(a, l->table, "cannot be read", -ENOMEM);
		free(t);
		close(fd);
		return;
	}
	t->audit = a;
	t->lane = l;
	if (read_columns(t)) {
		while (next_line(t))
			check_line(t);
		if (ferror(t->file))
			audit_refused(a, l->table, "cannot be read", -EIO);
		else
			check_end(t);
	}
	fclose(t->file);
	free(t);
}
