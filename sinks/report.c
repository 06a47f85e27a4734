/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/report.h"

#include "sinks/columns.h"
#include "sinks/rotation.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define COLUMNS                                                                                    \
	"frame,state,reason,flags,file,index,averaged,timestamp_ns,received_ns,durable_ns,min,"    \
	"max,mean,std,raw_min,raw_max,raw_mean,raw_std,saturated,bad,clipped,dose,crc32c,"         \
	"rotation,calibration"

static void print_time(FILE *f, uint64_t ns)
{
	if (ns)
		fprintf(f, ",%" PRIu64, ns);
	else
		fputc(',', f);
}

static void print_double(FILE *f, double v)
{
	if (isfinite(v))
		fprintf(f, ",%.17g", v);
	else
		fputs(isnan(v) ? "," : v > 0 ? ",inf" : ",-inf", f);
}

/* A value that was a float32 or an integer. */
static void print_pixel(FILE *f, double v)
{
	if (isfinite(v) && v == floor(v) && fabs(v) < 1e15)
		fprintf(f, ",%.0f", v);
	else if (isfinite(v))
		fprintf(f, ",%.9g", v);
	else
		print_double(f, v);
}

/* A value that is a float32. */
static void print_float(FILE *f, float v)
{
	if (isfinite(v))
		fprintf(f, ",%.9g", (double)v);
	else
		print_double(f, (double)v);
}

static void print_flags(FILE *f, uint32_t flags)
{
	char words[FRAME_FLAGS_BYTES];

	frame_flags_text(flags, words);
	fputs(words, f);
}

static void print_columns(FILE *f, const struct journal_header *h)
{
	fputs(COLUMNS, f);
	for (unsigned i = 0; i < PERCENTILES; i++)
		fprintf(f, ",raw_%s", percentile_columns[i]);
	for (unsigned i = 0; i < PERCENTILES; i++)
		fprintf(f, ",%s", percentile_columns[i]);
	for (unsigned r = 0; r < h->region_count; r++)
		for (unsigned i = 0; i < REGION_COLUMNS; i++)
			fprintf(f, ",%s_%s", h->regions[r].name, region_columns[i].name);
	fputc('\n', f);
}

/* The indices of files that were never finished, ascending. */
struct unfinished {
	uint32_t *at;
	size_t count;
};

static int by_index(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

static int unfinished_open(struct unfinished *ret, const struct report_source *s)
{
	struct unfinished u = { 0 };

	if (s->any_unfinished) {
		u.at = malloc(s->file_count * sizeof *u.at);
		if (!u.at)
			return -ENOMEM;
		for (size_t i = 0; i < s->file_count; i++)
			if (s->files[i].unfinished)
				u.at[u.count++] = s->files[i].index;
		qsort(u.at, u.count, sizeof *u.at, by_index);
	}
	*ret = u;
	return 0;
}

static bool is_unfinished(const struct unfinished *u, uint32_t file)
{
	return u->count > 0 && bsearch(&file, u->at, u->count, sizeof *u->at, by_index);
}

static void print_file(FILE *f, const struct report_source *s, const struct unfinished *u,
                       const struct journal_record *r)
{
	if (r->file == JOURNAL_NO_FILE || !s->suffix)
		fputs(",,", f);
	else
		fprintf(f, ",%s_%06" PRIu32 "%s%s,%" PRIu32, s->series, r->file, s->suffix,
		        is_unfinished(u, r->file) ? PART_SUFFIX : "", r->index);
}

static void print_region(FILE *f, const unsigned char *bytes)
{
	struct region_stats s;

	journal_decode_region(&s, bytes);
	for (unsigned i = 0; i < REGION_COLUMNS; i++)
		if (region_columns[i].kind == REGION_COUNT)
			fprintf(f, ",%" PRIu64, region_number(&s, i));
		else if (region_columns[i].kind == REGION_PIXEL)
			print_pixel(f, region_value(&s, i));
		else
			print_double(f, region_value(&s, i));
}

static void print_quality(FILE *f, const struct journal_record *r, unsigned regions)
{
	if (r->calibration)
		fprintf(f, ",%" PRIu32, r->calibration);
	else
		fputc(',', f);
	for (unsigned i = 0; i < PERCENTILES; i++)
		print_float(f, r->raw_percentiles[i]);
	for (unsigned i = 0; i < PERCENTILES; i++)
		print_float(f, r->percentiles[i]);
	for (unsigned i = 0; i < regions && r->regions; i++)
		print_region(f, r->regions + i * (size_t)JOURNAL_REGION_BYTES);
}

static void print_written(FILE *f, const struct journal_record *r, double rotation,
                          unsigned regions)
{
	fprintf(f, ",%" PRIu32, r->averaged);
	print_time(f, r->timestamp_ns);
	print_time(f, r->received_ns);
	print_time(f, r->durable_ns);
	print_pixel(f, (double)(float)r->min);
	print_pixel(f, (double)(float)r->max);
	print_double(f, r->mean);
	print_double(f, r->std);
	print_pixel(f, r->raw_min);
	print_pixel(f, r->raw_max);
	print_double(f, r->raw_mean);
	print_double(f, r->raw_std);
	fprintf(f, ",%" PRIu64 ",%" PRIu64 ",%" PRIu64, r->saturated, r->bad, r->clipped);
	print_double(f, r->dose);
	fprintf(f, ",%08" PRIx32, r->crc32c);
	print_double(f, rotation);
	print_quality(f, r, regions);
	fputc('\n', f);
}

static void print_lost(FILE *f, const struct journal_record *r, unsigned regions)
{
	fputc(',', f);
	print_time(f, r->timestamp_ns);
	print_time(f, r->received_ns);
	fputs(",,,,,,,,,,,,,,,", f); /* up to the angle */
	for (unsigned i = 0; i < 1 + 2 * PERCENTILES + regions * REGION_COLUMNS; i++)
		fputc(',', f);
	fputc('\n', f);
}

static void print_record(FILE *f, const struct report_ledger *l, const struct unfinished *u,
                         const struct journal_record *r)
{
	const struct report_source *s = l->source;
	unsigned regions = l->view.header.region_count;
	uint64_t first = l->lines[0].number;
	double rotation = isnan(r->rotation) ? rotation_of(s->rotation, r->number, first, s->step)
	                                     : r->rotation;

	for (uint64_t i = 0; i < r->repeat; i++) {
		fprintf(f, "%" PRIu64 ",%s,%s,", r->number + i * r->step,
		        frame_state_name(r->state), frame_reason_name(r->state, r->reason));
		print_flags(f, r->flags);
		print_file(f, s, u, r);
		if (r->state == FRAME_WRITTEN)
			print_written(f, r, rotation, regions);
		else
			print_lost(f, r, regions);
	}
}

static void read_record(const struct report_ledger *l, size_t place, struct journal_record *ret)
{
	if (place < l->view.records)
		journal_view_record(&l->view, (uint32_t)place, ret);
	else
		lost_record(l->source->lost, place - l->view.records, ret);
}

static int by_number(const void *a, const void *b)
{
	uint64_t left = ((const struct report_line *)a)->number;
	uint64_t right = ((const struct report_line *)b)->number;

	return left < right ? -1 : left > right;
}

static int sort_lines(struct report_ledger *l)
{
	bool sorted = true;

	l->count = l->view.records + l->source->lost->count;
	l->lines = malloc((l->count ? l->count : 1) * sizeof *l->lines);
	if (!l->lines)
		return -ENOMEM;
	for (size_t i = 0; i < l->count; i++) {
		struct journal_record r;

		read_record(l, i, &r);
		l->lines[i] = (struct report_line){ .number = r.number, .place = i };
		sorted = sorted && (i == 0 || l->lines[i - 1].number <= l->lines[i].number);
	}
	if (!sorted)
		qsort(l->lines, l->count, sizeof *l->lines, by_number);
	return 0;
}

int report_ledger_open(struct report_ledger *ret, const struct report_source *s)
{
	struct report_ledger l = { .source = s };
	int err = journal_view_open(&l.view, s->folder, s->journal, s->journal_bytes);

	if (err)
		return err;
	err = sort_lines(&l);
	if (err) {
		journal_view_close(&l.view);
		return err;
	}
	*ret = l;
	return 0;
}

void report_ledger_close(struct report_ledger *l)
{
	free(l->lines);
	journal_view_close(&l->view);
}

void report_ledger_record(const struct report_ledger *l, size_t i, struct journal_record *ret)
{
	read_record(l, l->lines[i].place, ret);
}

static int write_lines(const struct report_ledger *l, const struct unfinished *u, const char *name)
{
	const struct report_source *s = l->source;
	struct part p;
	int err = part_open(&p, s->io, s->folder, name);

	if (err)
		return err;
	print_columns(p.text, &l->view.header);
	for (size_t i = 0; i < l->count && !ferror(p.text); i++) {
		struct journal_record r;

		report_ledger_record(l, i, &r);
		print_record(p.text, l, u, &r);
	}
	return part_commit(&p, s->replace);
}

int report_frames(const struct report_source *s, const char *name)
{
	struct report_ledger l;
	struct unfinished u = { 0 };
	int err = report_ledger_open(&l, s);
	int unread = 0;

	if (err)
		return err;
	if (journal_view_bytes(&l.view) <
	    s->journal_bytes) /* changed behind our back, or the medium lost it */
		unread = -EINVAL;
	err = unfinished_open(&u, s);
	if (!err)
		err = write_lines(&l, &u, name);
	free(u.at);
	report_ledger_close(&l);
	return err ? err : unread;
}

static void print_bins(FILE *f, const char *kind, const struct bins *b, const uint64_t *counts,
                       const struct histogram_tails *tails)
{
	double width = (b->high - b->low) / b->bins;

	if (b->bins == 0)
		return; /* there is no such histogram */
	for (uint32_t i = 0; counts && i < b->bins; i++)
		fprintf(f, "%s,%.17g,%.17g,%" PRIu64 "\n", kind, b->low + i * width,
		        i + 1 == b->bins ? b->high : b->low + (i + 1) * width, counts[i]);
	fprintf(f, "%s,-inf,%.17g,%" PRIu64 "\n", kind, b->low, tails->below);
	fprintf(f, "%s,%.17g,inf,%" PRIu64 "\n", kind, b->high, tails->above);
	fprintf(f, "%s,nan,nan,%" PRIu64 "\n", kind, tails->nan);
}

int report_histogram(const struct disk_io *io, int folder, const struct sink_summary *summary,
                     bool replace)
{
	struct part p;
	int err = part_open(&p, io, folder, "histogram.csv");

	if (err)
		return err;
	fputs("kind,low,high,count\n", p.text);
	print_bins(p.text, "raw", &summary->raw_bins, summary->raw_counts, &summary->raw_tails);
	print_bins(p.text, "normalised", &summary->normalised_bins, summary->normalised_counts,
	           &summary->normalised_tails);
	return part_commit(&p, replace);
}
