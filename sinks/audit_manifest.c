/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME      "manifest.json"
#define BYTES_MAX ((uint64_t)256 << 20)

/* "" when it is none. */
static const char *text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "";
}

/* Read `key` as a count. False, and told, when it is none. */
static bool count_of(struct audit *a, const json_t *object, const char *key, uint64_t *ret)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0) {
		audit_found(a, NAME, "%s is no count", key);
		return false;
	}
	*ret = (uint64_t)json_integer_value(value);
	return true;
}

/* ---- reading ---- */

static json_t *load(struct audit *a)
{
	json_error_t error = { 0 };
	uint64_t bytes;
	json_t *m;
	int fd;

	if (!audit_open_told(a, NAME, &fd, &bytes))
		return NULL;
	if (bytes > BYTES_MAX) {
		audit_found(a, NAME, "is larger than any manifest");
		close(fd);
		return NULL;
	}
	m = json_loadfd(fd, JSON_REJECT_DUPLICATES, &error);
	close(fd);
	if (!m)
		audit_found(a, NAME, "is no JSON: line %d: %s", error.line, error.text);
	else if (!json_is_object(m))
		audit_found(a, NAME, "is no JSON object");
	if (json_is_object(m))
		return m;
	json_decref(m);
	return NULL;
}

static enum manifest_state state_of(struct audit *a)
{
	static const char *const states[] = { "running", "complete", "incomplete" };
	const char *said = text(a->manifest, "state");

	for (unsigned i = 0; i < sizeof states / sizeof *states; i++)
		if (strcmp(said, states[i]) == 0)
			return (enum manifest_state)i;
	audit_found(a, NAME, "state is none of running, complete, incomplete: '%.40s'", said);
	return MANIFEST_INCOMPLETE;
}

static uint64_t average_of(const json_t *manifest)
{
	const json_t *reduce =
		json_object_get(json_object_get(manifest, "configuration"), "reduce");
	json_int_t average = json_integer_value(json_object_get(reduce, "average"));

	return average > 0 ? (uint64_t)average : 0;
}

static void tell_reasons(struct audit *a)
{
	const json_t *reasons = json_object_get(a->manifest, "reasons"), *reason;
	size_t i;

	if (a->state == MANIFEST_COMPLETE && json_array_size(reasons) > 0)
		audit_found(a, NAME, "says complete, and why it is incomplete");
	if (a->state == MANIFEST_INCOMPLETE && json_array_size(reasons) == 0)
		audit_remark(a, NAME, "incomplete, it does not say why");
	if (a->state != MANIFEST_INCOMPLETE)
		return;
	json_array_foreach(reasons, i, reason) if (json_is_string(reason))
		audit_remark(a, NAME, "incomplete: %s", json_string_value(reason));
}

/* ---- where a further sink's files are ---- */

static size_t common_folders(const char *a, const char *b)
{
	size_t common = 0;

	for (size_t i = 0;; i++) {
		bool a_ends = a[i] == '\0' || a[i] == '/', b_ends = b[i] == '\0' || b[i] == '/';

		if (a_ends && b_ends && i > 0)
			common = a[i] && b[i] ? i + 1 : i;
		if (a[i] != b[i] || a[i] == '\0')
			return common;
	}
}

static bool ends_with(const char *text_, const char *end)
{
	size_t n = strlen(text_), m = strlen(end);

	return n >= m && strcmp(text_ + n - m, end) == 0;
}

/* The folder as the daemon saw it; a series that was moved, or whose daemon had another working
 * directory, is found by the way from its first sink's folder, where that ends alike. */
static void moved_path(const struct audit *a, const char *said, char ret[AUDIT_PATH_MAX])
{
	const char *first = text(a->manifest, "path");
	size_t common = common_folders(first, said);
	char *here = realpath(a->path, NULL);

	snprintf(ret, AUDIT_PATH_MAX, "%s", said);
	if (here && first[common] && ends_with(here, first + common)) {
		size_t root = strlen(here) - strlen(first + common);

		snprintf(ret, AUDIT_PATH_MAX, "%.*s%s", (int)root, here, said + common);
	}
	free(here);
}

static void open_folder(struct audit *a, struct audit_lane *l)
{
	const char *said = text(l->said, "directory");

	snprintf(l->path, sizeof l->path, "%s", a->path);
	if (!l->primary && strcmp(said, text(a->manifest, "path")) != 0) {
		moved_path(a, said, l->path);
		l->folder = open(l->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (l->folder < 0)
			l->folder = open(said, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	} else {
		l->folder = dup(a->folder);
	}
	if (l->folder >= 0)
		return;
	if (errno == ENOENT || errno == ENOTDIR)
		audit_found(a, said,
		            "the folder of sink %u is not there; it lies beside this one when both "
		            "are moved together",
		            l->index);
	else
		audit_refused(a, said, "cannot be opened", -errno);
}

/* ---- sinks ---- */

static struct audit_lane *add_lane(struct audit *a, unsigned index, bool primary)
{
	struct audit_lane *l = &a->lanes[a->lane_count++];

	*l = (struct audit_lane){ .index = index, .primary = primary, .folder = -1 };
	snprintf(l->journal, sizeof l->journal, "journal.bin");
	snprintf(l->table, sizeof l->table, "frames.csv");
	if (!primary) {
		snprintf(l->journal, sizeof l->journal, "journal-%u.bin", index);
		snprintf(l->table, sizeof l->table, "sink-%u.csv", index);
	}
	return l;
}

static void add_said(struct audit *a, const json_t *said)
{
	json_int_t index = json_integer_value(json_object_get(said, "index"));
	bool primary = json_is_true(json_object_get(said, "primary"));
	bool keeps_pixels = text(said, "directory")[0] != '\0';
	struct audit_lane *l;

	if (index < 0 || index >= CONFIG_SINKS_MAX || a->lane_count == CONFIG_SINKS_MAX) {
		audit_found(a, NAME, "names sinks that cannot be");
		return;
	}
	if (!primary && !keeps_pixels)
		return; /* only counts */
	l = add_lane(a, (unsigned)index, primary);
	l->said = said;
	l->keeps_pixels = keeps_pixels;
	if (keeps_pixels)
		open_folder(a, l);
}

/* Recovery leaves such a manifest where a series was cut off before it had a journal. */
static bool is_unbegun(const struct audit *a, const json_t *sinks)
{
	return a->state == MANIFEST_INCOMPLETE && json_is_array(sinks) &&
	       json_array_size(sinks) == 0 && faccessat(a->folder, "journal.bin", F_OK, 0) < 0 &&
	       faccessat(a->folder, "frames.csv", F_OK, 0) < 0;
}

static void read_sinks(struct audit *a)
{
	const json_t *sinks = json_object_get(a->manifest, "sinks"), *said;
	unsigned primary = 0;
	size_t i;

	json_array_foreach(sinks, i, said) add_said(a, said);
	for (unsigned k = 0; k < a->lane_count; k++)
		primary += a->lanes[k].primary;
	if (is_unbegun(a, sinks))
		return;
	if (primary != 1)
		audit_found(a, NAME, "names %u sinks as the first that keeps the ledger", primary);
}

/* What lies there without a manifest. */
static void find_sinks(struct audit *a)
{
	for (unsigned i = 0; i < CONFIG_SINKS_MAX; i++) {
		char name[32];
		struct audit_lane *l;

		snprintf(name, sizeof name, "journal-%u.bin", i);
		if (i > 0 && faccessat(a->folder, name, F_OK, 0) < 0)
			continue;
		l = add_lane(a, i, i == 0);
		l->keeps_pixels = true;
		l->folder = dup(a->folder);
		snprintf(l->path, sizeof l->path, "%s", a->path);
	}
}

void audit_read_manifest(struct audit *a)
{
	a->manifest = load(a);
	if (!a->manifest) {
		a->state = MANIFEST_INCOMPLETE;
		a->average = 0;
		find_sinks(a);
		return;
	}
	a->state = state_of(a);
	a->average = average_of(a->manifest);
	if (a->state == MANIFEST_RUNNING)
		audit_found(a, NAME,
		            "the series was cut off, or still runs: openbeam recover %.3000s",
		            a->path);
	tell_reasons(a);
	read_sinks(a);
}

/* ---- totals ---- */

static void check_count(struct audit *a, const json_t *object, const char *key, const char *what,
                        uint64_t in_ledger)
{
	uint64_t said;

	if (count_of(a, object, key, &said) && said != in_ledger)
		audit_found(a, NAME, "%s%s%s is %" PRIu64 ", the ledger has %" PRIu64, what,
		            *what ? "." : "", key, said, in_ledger);
}

static void check_reasons(struct audit *a, const json_t *totals, enum frame_state state,
                          const uint64_t *counts, unsigned kinds)
{
	const char *name = frame_state_name(state);
	const json_t *said = json_object_get(totals, name);

	for (unsigned i = 0; i < kinds; i++)
		check_count(a, said, frame_reason_name(state, i), name, counts[i]);
	if (json_object_size(said) != kinds)
		audit_found(a, NAME, "%s has reasons that are none", name);
}

static void check_first(struct audit *a, const struct audit_counts *c)
{
	const json_t *totals = json_object_get(a->manifest, "totals");

	check_count(a, totals, "expected", "totals", c->numbers);
	check_count(a, totals, "written", "totals", c->written);
	check_count(a, totals, "durable", "totals", c->written);
	check_count(a, totals, "pending", "totals", 0);
	check_count(a, totals, "flagged", "totals", c->flagged);
	check_reasons(a, totals, FRAME_DROPPED, c->dropped, DROPPED_COUNT);
	check_reasons(a, totals, FRAME_MISSING, c->missing, MISSING_COUNT);
	if (a->state == MANIFEST_COMPLETE && (c->numbers != c->written || c->flagged))
		audit_found(a, NAME, "says complete, and frames were lost or flagged");
}

/* How many frames data file `name` has by the ledger; 0: it has no such file. */
static uint64_t frames_in(const struct audit_lane *l, const char *name)
{
	uint64_t frames = 0;
	char own[PART_NAME_MAX];

	for (size_t i = 0; i < l->frame_count; i++) {
		if (i == 0 || l->frames[i].file != l->frames[i - 1].file)
			audit_file_name(own, l, l->frames[i].file);
		frames += strcmp(own, name) == 0;
	}
	return frames;
}

static uint64_t count_files(const struct audit_lane *l)
{
	uint64_t files = 0;

	for (size_t i = 0; i < l->frame_count; i++)
		files += i == 0 || l->frames[i].file != l->frames[i - 1].file;
	return files;
}

static void check_list(struct audit *a, const struct audit_lane *l)
{
	const json_t *files = json_object_get(l->said, "files"), *file;
	uint64_t frames, listed = 0, durable = count_files(l);
	size_t i;

	json_array_foreach(files, i, file)
	{
		bool unfinished = !json_is_true(json_object_get(file, "complete"));
		char name[PART_NAME_MAX];
		size_t n = (size_t)snprintf(name, sizeof name, "%s", text(file, "name"));

		if (unfinished && n < sizeof name && ends_with(name, PART_SUFFIX))
			name[n - strlen(PART_SUFFIX)] = '\0';
		if (!count_of(a, file, "frames", &frames))
			continue;
		listed += frames > 0;
		if (i <= durable && frames_in(l, name) != frames)
			audit_found(a, NAME, "%s has %" PRIu64 " frames, by the ledger %" PRIu64,
			            name, frames, frames_in(l, name));
	}
	if (listed != durable)
		audit_found(a, NAME,
		            "lists %" PRIu64 " files of sink %u, the ledger names %" PRIu64, listed,
		            l->index, durable);
}

void audit_check_totals(struct audit *a)
{
	for (unsigned i = 0; i < a->lane_count; i++) {
		const struct audit_lane *l = &a->lanes[i];
		char what[32];

		if (!l->is_open || !l->said)
			continue;
		snprintf(what, sizeof what, "sinks[%u]", l->index);
		check_count(a, l->said, "written", what, l->counts.written);
		check_count(a, l->said, "durable", what, l->counts.written);
		if (l->keeps_pixels)
			check_list(a, l);
		if (l->primary)
			check_first(a, &l->counts);
	}
}
