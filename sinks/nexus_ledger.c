/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/columns.h"
#include "sinks/nexus_parts.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The ledger by columns. Entries are made a chunk at a time, so that memory is that of what they
 * deflate to: a record about a million lost frames costs little. */

#define LOST_MAX      (UINT64_C(1) << 22) /* entries beyond one a record */
#define CHUNK         16384               /* entries */
#define TEXT_BYTES    24
#define DEFLATE_LEVEL 1

enum column_kind { COLUMN_NUMBER, COLUMN_STATE, COLUMN_REASON, COLUMN_VALUE, COLUMN_REGION };

/* Whose entries have a value; others are 0 or NaN. */
enum column_of { OF_ALL, OF_WRITTEN, OF_PLACED };

struct column {
	const char *name;
	enum column_kind kind;
	enum column_of of;
	enum hdf5_kind value; /* of a number or value, */
	size_t offset; /* the member of struct journal_record that has it; of a region its row in
	                  region_columns, */
	const char *units;
	unsigned region; /* and which */
};

/* Where in the records a column is. */
struct cursor {
	const struct nexus_master *m;
	bool expanded; /* an entry for each frame number, not each record */
	size_t record;
	uint64_t repeat;
	struct journal_record at; /* record `record`, with repeat above 0 */
};

/* A column's chunk; what the columns share. */
struct table {
	hid_t group, plist, text; /* creation properties; the type of texts */
	bool expanded;
	hsize_t entries;
	void *chunk; /* [CHUNK], of any kind */
};

#define VALUE(column, who, type, member, unit)                                                     \
	{                                                                                          \
		column, COLUMN_VALUE, who, type, offsetof(struct journal_record, member), unit, 0  \
	}

static const struct column columns[] = {
	{ "frame", COLUMN_NUMBER, OF_ALL, HDF5_UINT64, 0, NULL, 0 },
	{ "state", COLUMN_STATE, OF_ALL, 0, 0, NULL, 0 },
	{ "reason", COLUMN_REASON, OF_ALL, 0, 0, NULL, 0 },
	VALUE("flags", OF_ALL, HDF5_UINT32, flags, NULL),
	VALUE("file", OF_PLACED, HDF5_UINT32, file, NULL),
	VALUE("index", OF_PLACED, HDF5_UINT32, index, NULL),
	VALUE("averaged", OF_WRITTEN, HDF5_UINT32, averaged, NULL),
	VALUE("timestamp_ns", OF_ALL, HDF5_UINT64, timestamp_ns, "ns"),
	VALUE("received_ns", OF_ALL, HDF5_UINT64, received_ns, "ns"),
	VALUE("durable_ns", OF_WRITTEN, HDF5_UINT64, durable_ns, "ns"),
	VALUE("min", OF_WRITTEN, HDF5_FLOAT64, min, NULL),
	VALUE("max", OF_WRITTEN, HDF5_FLOAT64, max, NULL),
	VALUE("mean", OF_WRITTEN, HDF5_FLOAT64, mean, NULL),
	VALUE("std", OF_WRITTEN, HDF5_FLOAT64, std, NULL),
	VALUE("raw_min", OF_WRITTEN, HDF5_FLOAT64, raw_min, "counts"),
	VALUE("raw_max", OF_WRITTEN, HDF5_FLOAT64, raw_max, "counts"),
	VALUE("raw_mean", OF_WRITTEN, HDF5_FLOAT64, raw_mean, "counts"),
	VALUE("raw_std", OF_WRITTEN, HDF5_FLOAT64, raw_std, "counts"),
	VALUE("saturated", OF_WRITTEN, HDF5_UINT64, saturated, "pixel"),
	VALUE("bad", OF_WRITTEN, HDF5_UINT64, bad, "pixel"),
	VALUE("clipped", OF_WRITTEN, HDF5_UINT64, clipped, "pixel"),
	VALUE("crc32c", OF_WRITTEN, HDF5_UINT32, crc32c, NULL),
	VALUE("dose", OF_WRITTEN, HDF5_FLOAT64, dose, NULL),
	VALUE("calibration", OF_WRITTEN, HDF5_UINT32, calibration, NULL),
	VALUE("raw_p0.1", OF_WRITTEN, HDF5_FLOAT32, raw_percentiles[0], "counts"),
	VALUE("raw_p1", OF_WRITTEN, HDF5_FLOAT32, raw_percentiles[1], "counts"),
	VALUE("raw_p50", OF_WRITTEN, HDF5_FLOAT32, raw_percentiles[2], "counts"),
	VALUE("raw_p99", OF_WRITTEN, HDF5_FLOAT32, raw_percentiles[3], "counts"),
	VALUE("raw_p99.9", OF_WRITTEN, HDF5_FLOAT32, raw_percentiles[4], "counts"),
	VALUE("p0.1", OF_WRITTEN, HDF5_FLOAT32, percentiles[0], NULL),
	VALUE("p1", OF_WRITTEN, HDF5_FLOAT32, percentiles[1], NULL),
	VALUE("p50", OF_WRITTEN, HDF5_FLOAT32, percentiles[2], NULL),
	VALUE("p99", OF_WRITTEN, HDF5_FLOAT32, percentiles[3], NULL),
	VALUE("p99.9", OF_WRITTEN, HDF5_FLOAT32, percentiles[4], NULL),
};

/* Besides, where a record is one entry. */
static const struct column lengths[] = {
	VALUE("repeat", OF_ALL, HDF5_UINT64, repeat, NULL),
	VALUE("step", OF_ALL, HDF5_UINT64, step, NULL),
};

/* False when they are too many to have an entry each. */
static bool count_numbers(const struct nexus_master *m, uint64_t *ret)
{
	uint64_t most = m->record_count + LOST_MAX, n = 0;

	for (size_t i = 0; i < m->record_count; i++) {
		struct journal_record r;

		m->record(m->ledger, i, &r);
		if (r.repeat > most - n)
			return false;
		n += r.repeat;
	}
	*ret = n;
	return true;
}

/* The record of the next entry, and its number. */
static const struct journal_record *next_entry(struct cursor *c, uint64_t *ret_number)
{
	struct journal_record *r = &c->at;

	if (c->repeat == 0)
		c->m->record(c->m->ledger, c->record, r);
	*ret_number = r->number + c->repeat * r->step;
	c->repeat++;
	if (!c->expanded || c->repeat >= r->repeat) {
		c->repeat = 0;
		c->record++;
	}
	return r;
}

static size_t entry_bytes(const struct column *c)
{
	if (c->kind == COLUMN_STATE || c->kind == COLUMN_REASON)
		return TEXT_BYTES;
	return c->value == HDF5_UINT32 || c->value == HDF5_FLOAT32 ? 4 : 8;
}

/* What an entry without a value has: NaN, in no file all bits, else 0. */
static void put_nothing(const struct column *c, void *at)
{
	double none = NAN;
	float none32 = NAN;

	if (c->value == HDF5_FLOAT64)
		memcpy(at, &none, sizeof none);
	else if (c->value == HDF5_FLOAT32)
		memcpy(at, &none32, sizeof none32);
	else
		memset(at, c->of == OF_PLACED ? 0xff : 0, entry_bytes(c));
}

static bool has_value(const struct column *c, const struct journal_record *r)
{
	switch (c->of) {
	case OF_WRITTEN:
		return r->state == FRAME_WRITTEN;
	case OF_PLACED:
		return r->file != JOURNAL_NO_FILE;
	default:
		return true;
	}
}

static void put_region(const struct column *c, const struct journal_record *r, void *at)
{
	struct region_stats s;
	unsigned row = (unsigned)c->offset;
	double value;
	uint64_t count;

	journal_decode_region(&s, r->regions + c->region * (size_t)JOURNAL_REGION_BYTES);
	value = region_value(&s, row);
	count = region_number(&s, row);
	if (c->value == HDF5_UINT64)
		memcpy(at, &count, sizeof count);
	else
		memcpy(at, &value, sizeof value);
}

static void put_entry(const struct column *c, const struct journal_record *r, uint64_t number,
                      void *at)
{
	if (c->kind == COLUMN_STATE)
		strncpy(at, frame_state_name(r->state), TEXT_BYTES);
	else if (c->kind == COLUMN_REASON)
		strncpy(at, frame_reason_name(r->state, r->reason), TEXT_BYTES);
	else if (c->kind == COLUMN_NUMBER)
		memcpy(at, &number, sizeof number);
	else if (c->kind == COLUMN_REGION && has_value(c, r) && r->regions)
		put_region(c, r, at);
	else if (c->kind == COLUMN_VALUE && has_value(c, r))
		memcpy(at, (const char *)r + c->offset, entry_bytes(c));
	else
		put_nothing(c, at);
}

static void write_chunk(struct hdf5 *h, hid_t set, hid_t type, hsize_t first, hsize_t count,
                        const struct table *t)
{
	hid_t file = H5Dget_space(set), memory = H5Screate_simple(1, &count, NULL);

	if (file < 0 || memory < 0 ||
	    H5Sselect_hyperslab(file, H5S_SELECT_SET, &first, NULL, &count, NULL) < 0 ||
	    H5Dwrite(set, type, memory, file, H5P_DEFAULT, t->chunk) < 0)
		hdf5_failed(h, "cannot write the ledger", NULL);
	hdf5_close(h, memory);
	hdf5_close(h, file);
}

static hid_t make_column(struct hdf5 *h, const struct table *t, hid_t at, const char *name,
                         hid_t type)
{
	hid_t space, set = H5I_INVALID_HID;

	if (h->err)
		return H5I_INVALID_HID;
	space = H5Screate_simple(1, &t->entries, NULL);
	if (space >= 0)
		set = H5Dcreate2(at, name, type, space, H5P_DEFAULT, t->plist, H5P_DEFAULT);
	if (set < 0)
		hdf5_failed(h, "cannot make the ledger's column", name);
	hdf5_close(h, space);
	return set;
}

static void write_column(struct hdf5 *h, const struct table *t, hid_t at, const struct column *c,
                         const struct nexus_master *m)
{
	bool text = c->kind == COLUMN_STATE || c->kind == COLUMN_REASON;
	struct cursor cursor = { .m = m, .expanded = t->expanded };
	hid_t set = make_column(h, t, at, c->name, text ? t->text : hdf5_file_type(c->value));
	hid_t type = text ? t->text : hdf5_memory_type(c->value);

	for (hsize_t first = 0; first < t->entries && !h->err; first += CHUNK) {
		hsize_t count = t->entries - first < CHUNK ? t->entries - first : CHUNK;

		for (hsize_t i = 0; i < count; i++) {
			uint64_t number;
			const struct journal_record *r = next_entry(&cursor, &number);

			put_entry(c, r, number, (char *)t->chunk + i * entry_bytes(c));
		}
		write_chunk(h, set, type, first, count, t);
	}
	if (c->units)
		hdf5_attribute_text(h, set, "units", c->units);
	hdf5_close(h, set);
}

/* Deflated when there is more than a chunk, and the library can. */
static void init_properties(struct hdf5 *h, struct table *t)
{
	hsize_t chunk = CHUNK;

	t->plist = hdf5_creation(h);
	if (h->err || t->entries <= CHUNK || H5Zfilter_avail(H5Z_FILTER_DEFLATE) <= 0)
		return;
	if (H5Pset_chunk(t->plist, 1, &chunk) < 0 || H5Pset_shuffle(t->plist) < 0 ||
	    H5Pset_deflate(t->plist, DEFLATE_LEVEL) < 0)
		hdf5_failed(h, "cannot describe the ledger", NULL);
}

static void init_text(struct hdf5 *h, struct table *t)
{
	t->text = H5Tcopy(H5T_C_S1);
	if (t->text < 0 || H5Tset_size(t->text, TEXT_BYTES) < 0 ||
	    H5Tset_strpad(t->text, H5T_STR_NULLPAD) < 0)
		hdf5_failed(h, "cannot describe the ledger's texts", NULL);
}

static void write_columns(struct hdf5 *h, const struct table *t, const struct nexus_master *m)
{
	for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
		write_column(h, t, t->group, &columns[i], m);
	for (size_t i = 0; !t->expanded && i < sizeof lengths / sizeof *lengths; i++)
		write_column(h, t, t->group, &lengths[i], m);
}

/* One region's trends. */
static void write_region(struct hdf5 *h, hid_t regions, const struct table *t, unsigned region,
                         const struct nexus_master *m)
{
	static const char *const axes[] = { "frame" };
	const struct journal_region *place = &m->regions[region];
	uint32_t rectangle[] = { place->x, place->y, place->width, place->height };
	hid_t group = hdf5_group(h, regions, place->name, "NXdata");

	hdf5_attribute_text(h, group, "signal", "mean");
	hdf5_attribute_texts(h, group, "axes", axes, 1);
	hdf5_attribute(h, group, "rectangle", HDF5_UINT32, 4, rectangle);
	hdf5_link(h, t->group, "frame", group, "frame");
	for (unsigned i = 0; i < REGION_COLUMNS; i++) {
		bool count = region_columns[i].kind == REGION_COUNT;
		struct column c = { .name = region_columns[i].name,
			            .kind = COLUMN_REGION,
			            .of = OF_WRITTEN,
			            .value = count ? HDF5_UINT64 : HDF5_FLOAT64,
			            .offset = i,
			            .units = region_columns[i].units,
			            .region = region };

		write_column(h, t, group, &c, m);
	}
	hdf5_close(h, group);
}

static void write_regions(struct hdf5 *h, hid_t openbeam, const struct table *t,
                          const struct nexus_master *m)
{
	hid_t regions;

	if (m->region_count == 0)
		return;
	regions = hdf5_group(h, openbeam, "regions", "NXcollection");
	for (unsigned i = 0; i < m->region_count; i++)
		write_region(h, regions, t, i, m);
	hdf5_close(h, regions);
}

static void link_statistics(struct hdf5 *h, hid_t openbeam, hid_t ledger)
{
	static const char *const names[] = { "frame",     "min",     "max",      "mean",    "std",
		                             "raw_min",   "raw_max", "raw_mean", "raw_std", "bad",
		                             "saturated", "clipped", "dose" };
	static const char *const axes[] = { "frame" }, *const beside[] = { "min", "max" };
	hid_t group = hdf5_group(h, openbeam, "statistics", "NXdata");

	hdf5_attribute_text(h, group, "signal", "mean");
	hdf5_attribute_texts(h, group, "auxiliary_signals", beside, 2);
	hdf5_attribute_texts(h, group, "axes", axes, 1);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		hdf5_link(h, ledger, names[i], group, names[i]);
	for (unsigned i = 0; i < 2 * PERCENTILES; i++) {
		char name[32];

		snprintf(name, sizeof name, "%s%s", i < PERCENTILES ? "raw_" : "",
		         percentile_columns[i % PERCENTILES]);
		hdf5_link(h, ledger, name, group, name);
	}
	hdf5_close(h, group);
}

void nexus_write_ledger(struct hdf5 *h, hid_t openbeam, const struct nexus_master *m)
{
	struct table t = { .plist = H5I_INVALID_HID, .text = H5I_INVALID_HID };
	uint64_t numbers;

	t.expanded = count_numbers(m, &numbers);
	t.entries = t.expanded ? numbers : m->record_count;
	t.group = hdf5_group(h, openbeam, "ledger", "NXcollection");
	if (h->err)
		return;
	t.chunk = malloc((size_t)CHUNK * TEXT_BYTES);
	if (!t.chunk)
		hdf5_fail(h, -ENOMEM, "no memory for the ledger");
	init_properties(h, &t);
	init_text(h, &t);
	write_columns(h, &t, m);
	link_statistics(h, openbeam, t.group);
	write_regions(h, openbeam, &t, m);
	free(t.chunk);
	hdf5_close(h, t.text);
	hdf5_close(h, t.plist);
	hdf5_close(h, t.group);
}

/* Of a histogram: bins of them, and one edge more. */
static void write_bins(struct hdf5 *h, hid_t group, const struct bins *b, const char *units)
{
	double *edges = malloc((b->bins + (size_t)1) * sizeof *edges);
	double width = (b->high - b->low) / b->bins;

	if (!edges) {
		hdf5_fail(h, -ENOMEM, "no memory for a histogram");
		return;
	}
	for (uint32_t i = 0; i < b->bins; i++)
		edges[i] = b->low + i * width;
	edges[b->bins] = b->high;
	hdf5_values(h, group, "edges", HDF5_FLOAT64, b->bins + (size_t)1, edges, units);
	for (uint32_t i = 0; i < b->bins; i++)
		edges[i] = (edges[i] + edges[i + 1]) / 2;
	hdf5_values(h, group, "centres", HDF5_FLOAT64, b->bins, edges, units);
	free(edges);
}

/* The axis is of centres: silx takes no edges for one. */
static void write_histogram(struct hdf5 *h, hid_t at, const char *name,
                            const struct nexus_histogram *g, const char *units)
{
	static const char *const axes[] = { "centres" };
	hid_t group;

	if (h->err || g->bins.bins == 0 || !g->counts)
		return;
	group = hdf5_group(h, at, name, "NXdata");
	hdf5_attribute_text(h, group, "signal", "counts");
	hdf5_attribute_texts(h, group, "axes", axes, 1);
	hdf5_values(h, group, "counts", HDF5_UINT64, g->bins.bins, g->counts, NULL);
	write_bins(h, group, &g->bins, units);
	hdf5_value(h, group, "below", HDF5_UINT64, &g->tails.below, NULL);
	hdf5_value(h, group, "above", HDF5_UINT64, &g->tails.above, NULL);
	hdf5_value(h, group, "nan", HDF5_UINT64, &g->tails.nan, NULL);
	hdf5_close(h, group);
}

void nexus_write_histograms(struct hdf5 *h, hid_t openbeam, const struct nexus_master *m)
{
	hid_t group = hdf5_group(h, openbeam, "histogram", "NXcollection");

	write_histogram(h, group, "raw", &m->raw, "counts");
	write_histogram(h, group, "normalised", &m->normalised_values, NULL);
	hdf5_close(h, group);
}
