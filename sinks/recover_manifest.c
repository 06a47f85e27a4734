/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/recover_parts.h"
#include "sinks/texts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The manifest of a series that recovery ended: what was known when it began, and the figures of
 * its journals. */

#define MANIFEST_MAX (64u << 20) /* bytes; more is none of ours */

json_t *recover_manifest_load(int folder)
{
	int fd = openat(folder, "manifest.json", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	json_t *m = NULL;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= MANIFEST_MAX)
		m = json_loadfd(fd, 0, NULL);
	close(fd);
	if (m && !json_is_object(m)) {
		json_decref(m);
		return NULL;
	}
	return m;
}

static json_t *find_sink(const json_t *manifest, unsigned index)
{
	json_t *sinks = json_object_get(manifest, "sinks"), *sink;
	size_t i;

	json_array_foreach(sinks, i, sink) if (json_integer_value(json_object_get(sink, "index")) ==
	                                       (json_int_t)index) return sink;
	return NULL;
}

const char *recover_manifest_directory(const json_t *manifest, unsigned index)
{
	const char *directory =
		json_string_value(json_object_get(find_sink(manifest, index), "directory"));

	return directory && directory[0] ? directory : NULL;
}

bool recover_manifest_is_stopped(const json_t *manifest)
{
	const json_t *stopped = json_object_get(manifest, "stopped");
	const char *command = json_string_value(json_object_get(stopped, "command"));

	return command && strcmp(command, "stop") == 0;
}

static void set(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value);
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *counts(const uint64_t *at, enum frame_state state, unsigned kinds)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < kinds; i++)
		set(o, frame_reason_name(state, i), number(at[i]));
	return o;
}

static uint64_t sum(const uint64_t *at, unsigned kinds)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < kinds; i++)
		total += at[i];
	return total;
}

/* What no record is about (rejected messages, duplicates) stays as it was, or unknown. `seen`:
 * frames that the last checkpoint had counted. */
static void set_totals(json_t *m, const struct recover_lane *l, uint64_t seen)
{
	uint64_t received = l->written + sum(l->dropped, DROPPED_COUNT) - l->dropped[DROPPED_CRASH];
	json_t *totals = json_object_get(m, "totals");

	if (!json_is_object(totals)) {
		totals = json_object();
		set(m, "totals", totals);
		set(totals, "received", number(received > seen ? received : seen));
	}
	set(totals, "expected", number(l->expected));
	set(totals, "written", number(l->written));
	set(totals, "durable", number(l->written));
	set(totals, "pending", number(0));
	set(totals, "flagged", number(l->flagged));
	set(totals, "dropped", counts(l->dropped, FRAME_DROPPED, DROPPED_COUNT));
	set(totals, "missing", counts(l->missing, FRAME_MISSING, MISSING_COUNT));
}

static json_t *files(const struct recover_lane *l)
{
	json_t *list = json_array();

	for (size_t i = 0; i < l->file_count; i++) {
		const struct recover_file *f = &l->files[i];
		char name[PART_NAME_MAX];

		snprintf(name, sizeof name, "%.200s_%06" PRIu32 "%.16s%s", l->view.header.folder,
		         f->index, l->view.header.suffix, f->usable ? "" : PART_SUFFIX);
		json_array_append_new(list,
		                      json_pack("{s:s, s:I, s:b}", "name", name, "frames",
		                                (json_int_t)f->frames, "complete", f->usable));
	}
	return list;
}

static void set_sink(json_t *m, const struct recover_lane *l)
{
	const struct journal_header *h = &l->view.header;
	json_t *sink = find_sink(m, h->sink);

	if (!sink) {
		json_t *sinks = json_object_get(m, "sinks");

		if (!json_is_array(sinks)) {
			sinks = json_array();
			set(m, "sinks", sinks);
		}
		sink = json_object();
		set(sink, "index", number(h->sink));
		set(sink, "format", json_string(l->format ? l->format->name : "null"));
		set(sink, "product", json_string(h->source ? "source" : "reduced"));
		set(sink, "primary", json_boolean(h->primary));
		set(sink, "directory", json_string(l->format ? l->path : ""));
		json_array_append_new(sinks, sink);
	}
	set(sink, "written", number(l->written));
	set(sink, "durable", number(l->written));
	set(sink, "dropped", counts(l->dropped, FRAME_DROPPED, DROPPED_COUNT));
	set(sink, "files", files(l));
}

static void add_reason(json_t *reasons, const char *what, uint64_t count, const char *reason)
{
	char text[160];

	if (count == 0)
		return;
	snprintf(text, sizeof text, "%" PRIu64 " %s %s (%s)", count,
	         count == 1 ? "frame" : "frames", what, reason);
	json_array_append_new(reasons, json_string(text));
}

static void add_lane_reasons(const struct recover *r, unsigned i, json_t *reasons)
{
	const struct recover_lane *l = &r->lanes[i];
	char what[64] = "dropped";
	unsigned unfinished = 0;

	if (i > 0)
		snprintf(what, sizeof what, "dropped by sink %u", l->view.header.sink);
	for (unsigned k = 0; k < DROPPED_COUNT; k++)
		add_reason(reasons, what, l->dropped[k], frame_reason_name(FRAME_DROPPED, k));
	for (unsigned k = 0; k < MISSING_COUNT && i == 0; k++)
		add_reason(reasons, "missing", l->missing[k], frame_reason_name(FRAME_MISSING, k));
	if (i == 0)
		add_reason(reasons, "flagged", l->flagged, "the sender calls them damaged");
	for (size_t k = 0; k < l->file_count; k++)
		unfinished += !l->files[k].usable;
	if (unfinished)
		add_reason(reasons, "in", unfinished, "files that could not be finished");
}

/* Whether somebody said how many frames there would be, and all of them are in the ledger. */
static bool is_whole(const struct recover *r)
{
	const struct journal_header *h = &r->lanes[0].view.header;

	return r->lane_count > 0 && h->frames > 0 && r->lanes[0].expected == h->frames;
}

/* Found so now, or by the recovery before this one. */
static bool was_cut_off(const struct recover *r, const json_t *m)
{
	return r->result->cut_off || json_object_get(m, "recovered");
}

/* What histograms counted is in no journal. */
static bool has_histogram(const struct recover *r)
{
	return faccessat(r->folder, "histogram.csv", F_OK, 0) == 0;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

/* Whether the reason is about what recovery has just made. */
static bool is_mended(const char *reason)
{
	static const char *const files[] = { ".csv", ".h5" };
	const char *colon = strchr(reason, ':');
	char name[256];

	if (ends_with(reason, " left unfinished") || strstr(reason, "could not be finished"))
		return true;
	if (!colon || strncmp(reason, "histogram.csv", strlen("histogram.csv")) == 0)
		return false;
	snprintf(name, sizeof name, "%.*s", (int)(colon - reason), reason);
	return ends_with(name, files[0]) || ends_with(name, files[1]);
}

static bool is_among(const json_t *reasons, const json_t *one)
{
	const json_t *other;
	size_t i;

	json_array_foreach(reasons, i, other) if (json_equal(other, one)) return true;
	return false;
}

/* What the daemon said when it ended the series, then what is found now. */
static json_t *merge(const struct recover *r, const json_t *m, const json_t *found)
{
	json_t *all = json_array(), *one;
	size_t i;

	if (!r->result->cut_off)
		json_array_foreach(json_object_get(m, "reasons"), i, one)
		{
			if (json_is_string(one) && !is_mended(json_string_value(one)))
				json_array_append(all, one);
		}
	json_array_foreach(found, i, one) if (!is_among(all, one)) json_array_append(all, one);
	return all;
}

static void set_reasons(const struct recover *r, json_t *m)
{
	json_t *found = json_array(), *reasons;

	for (unsigned i = 0; i < r->lane_count && !r->unbegun; i++)
		add_lane_reasons(r, i, found);
	if (r->unbegun)
		json_array_append_new(found, json_string(RECOVER_UNBEGUN));
	else if (was_cut_off(r, m) && !is_whole(r))
		json_array_append_new(
			found,
			json_string("it was cut off; whether frames were to follow is not known"));
	if (!r->unbegun && !has_histogram(r))
		json_array_append_new(found, json_string("histogram.csv is lost"));
	reasons = merge(r, m, found);
	json_decref(found);
	set(m, "state", json_string(json_array_size(reasons) ? "incomplete" : "complete"));
	set(m, "reasons", reasons);
}

static const char *expected_from(const struct recover *r, const struct journal_header *h)
{
	if (recover_manifest_is_stopped(r->manifest))
		return "seen";
	return h->frames == 0 ? "seen" : h->from_protocol ? "protocol" : "config";
}

/* The last moment at which a frame became durable. */
static uint64_t last_durable_ns(const struct recover_lane *l)
{
	uint64_t latest = l->view.header.started_ns;

	for (uint32_t i = 0; i < l->view.records; i++) {
		struct journal_record record;

		journal_view_record(&l->view, i, &record);
		latest = record.durable_ns > latest ? record.durable_ns : latest;
	}
	return latest;
}

static json_t *regions_of(const struct journal_header *h)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < h->region_count; i++) {
		const struct journal_region *r = &h->regions[i];

		json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:I, s:I}", "name", r->name,
		                                      "x", (json_int_t)r->x, "y", (json_int_t)r->y,
		                                      "width", (json_int_t)r->width, "height",
		                                      (json_int_t)r->height));
	}
	return list;
}

static void set_series(const struct recover *r, json_t *m)
{
	const struct recover_lane *l = &r->lanes[0];
	const struct journal_header *h = &l->view.header;
	uint64_t end_ns = last_durable_ns(l);
	char end[TEXT_TIME_BYTES];

	set(m, "program", json_string("openbeam"));
	set(m, "series", json_string(h->folder));
	set(m, "number", number(h->series_number));
	set(m, "start_ns", number(h->started_ns));
	set(m, "expected_from", json_string(expected_from(r, h)));
	if (!json_is_array(json_object_get(m, "regions")))
		set(m, "regions", regions_of(h));
	if (!json_is_string(json_object_get(m, "path")))
		set(m, "path", json_string(r->path));
	if (!json_is_integer(json_object_get(m, "end_ns"))) {
		text_time(end_ns, end);
		set(m, "end", json_string(end));
		set(m, "end_ns", number(end_ns));
	}
}

/* No sink has a ledger. */
static void set_unbegun(json_t *m)
{
	static const struct recover_lane none;

	set(m, "program", json_string("openbeam"));
	set(m, "sinks", json_array());
	set_totals(m, &none, 0);
}

json_t *recover_manifest(struct recover *r)
{
	json_t *m = r->manifest ? json_incref(r->manifest) : json_object();

	if (!m)
		return NULL;
	if (r->unbegun)
		set_unbegun(m);
	else if (r->lane_count > 0 && r->lanes[0].view.map) {
		set_series(r, m);
		set_totals(m, &r->lanes[0], r->checkpoint.frames);
	}
	for (unsigned i = 0; i < r->lane_count && !r->unbegun; i++)
		if (r->lanes[i].view.map)
			set_sink(m, &r->lanes[i]);
	set_reasons(r, m);
	if (r->result->cut_off)
		set(m, "recovered",
		    json_pack("{s:s, s:I, s:I}", "version",
		              r->options->version ? r->options->version : "", "lost",
		              (json_int_t)r->result->lost, "histogram_frames",
		              (json_int_t)r->checkpoint.frames));
	return m;
}

void recover_manifest_reason(json_t *manifest, const char *reason)
{
	json_array_append_new(json_object_get(manifest, "reasons"), json_string(reason));
	set(manifest, "state", json_string("incomplete"));
}

int recover_manifest_write(struct recover *r, const json_t *manifest)
{
	struct part p;
	int err = part_open(&p, r->options->io, r->folder, "manifest.json");

	if (err)
		return err;
	(void)json_dumpf(manifest, p.text, JSON_INDENT(2));
	fputc('\n', p.text);
	return part_commit(&p, true);
}
