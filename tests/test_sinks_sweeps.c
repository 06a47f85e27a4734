/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit.h"
#include "sinks/format.h"
#include "sinks/recover.h"
#include "tests/sinks_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Each call of a series fails once, of every kind and in every format: the series ends, says what
 * failed, calls nothing written that is not, and the next one is complete. The stride is longer
 * without OPENBEAM_LONG=1 in the environment. */

#define FRAMES   24
#define PER_FILE 8
#define STEP     10 /* of their numbers: the rig flags those that end in 9 */

static struct rig rig;
static char found[16384];
static unsigned runs, hits;

static const char *const kind_names[DISK_KIND_COUNT] = { "write",    "sync",   "data sync",
	                                                 "allocate", "extend", "punch",
	                                                 "truncate", "open",   "rename",
	                                                 "remove",   "folder" };

static unsigned stride(void)
{
	const char *asked = getenv("OPENBEAM_LONG");

	return asked && asked[0] == '1' ? 1 : 4;
}

static void on_found(void *user, enum audit_kind kind, const char *where, const char *what)
{
	size_t n = strlen(found);

	(void)user;
	if (kind == AUDIT_FINDING)
		snprintf(found + n, sizeof found - n, "%s: %s\n", where, what);
}

static struct audit_result audit(void)
{
	struct audit_options o = { .found = on_found };
	struct audit_result a;

	found[0] = '\0';
	audit_series(sinks_series_path(rig.sinks), &o, &a);
	return a;
}

static void make(enum sink_format format)
{
	rig_make(&rig, format);
	rig_shape(&rig, 40, 30, PRODUCT_UINT16);
	rig.config.sinks[0].frames_per_file = PER_FILE;
	rig.config.series.step = STEP;
	rig.config.sinks[0].sync_ns = 200000;
	cr_assert_eq(rig_open(&rig), 0, "%s", rig.why);
}

/* In the midst of the second file wait until the first fault was asked so often. */
static void run_series_until(uint64_t asked)
{
	rig_begin(&rig);
	for (uint64_t i = 0; i < FRAMES; i++) {
		rig_put(&rig, i * STEP);
		if (i % 4 == 3) /* there are syncs within a file, too */
			rig_poll_for(&rig, 1);
		if (i == PER_FILE + 3)
			rig_wait_for(&rig, &rig.faults[0].counted, asked);
	}
	rig_end(&rig);
}

static void run_series(void)
{
	run_series_until(0);
}

/* Nothing beside the files under their names: the reports, the manifest and the ledger. */
static bool has_reports(void)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/frames.csv", sinks_series_path(rig.sinks));
	if (access(path, F_OK) < 0)
		return false;
	snprintf(path, sizeof path, "%s/manifest.json", sinks_series_path(rig.sinks));
	return access(path, F_OK) == 0;
}

/* What the series calls written is in its files, by the audit and after a recovery. */
static void check_truth(const char *what)
{
	uint64_t written = rig_count(&rig, FRAME_WRITTEN, 0);
	struct recover_options o = { .version = "1.2.3" };
	struct recover_result r;
	struct audit_result a;
	char why[512];
	int err;

	cr_assert_eq(rig.released, rig.put, "%s", what);
	cr_assert_eq(rig.durable, written, "%s: %" PRIu64 " durable of %" PRIu64 "\n%s", what,
	             rig.durable, written, rig.said);
	err = recover_series(sinks_series_path(rig.sinks), &o, &r, why);
	if (err == -ENOENT) { /* there never was a journal */
		cr_assert_eq(written, 0, "%s: %s", what, why);
		return;
	}
	cr_assert_eq(err, 0, "%s: %s\n%s", what, why, rig.said);
	a = audit();
	cr_assert(a.verdict == AUDIT_SOUND || a.verdict == AUDIT_LOSSES, "%s: verdict %d\n%s%s",
	          what, a.verdict, found, rig.said);
	cr_assert_eq(a.written, written, "%s: the audit has %" PRIu64 " of %" PRIu64 "\n%s", what,
	             a.written, written, rig.said);
	cr_assert_eq(a.read_back, written, "%s", what);
	cr_assert_eq(rig_files(&rig, ".part"), 0, "%s", what);
}

static void check_next(const char *what)
{
	rig.said[0] = '\0';
	run_series();
	rig_check(&rig);
	cr_assert(rig.complete, "%s: the next series: %s", what, rig.said);
	cr_assert_eq(audit().verdict, AUDIT_SOUND, "%s: %s", what, found);
	cr_assert_eq(rig_count(&rig, FRAME_WRITTEN, 0), FRAMES);
}

/* A failure that takes nothing away: space in advance, or tidying up. */
static bool is_harmless(enum disk_kind kind)
{
	return kind == DISK_ALLOCATE || kind == DISK_EXTEND || kind == DISK_PUNCH ||
	       kind == DISK_REMOVE || kind == DISK_TRUNCATE;
}

/* True when call `nth` of that kind came. */
static bool fail_once(enum sink_format format, enum disk_kind kind, bool waited, unsigned nth)
{
	struct rig_fault *f = &rig.faults[0];
	char what[128];
	bool hit;

	make(format);
	*f = (struct rig_fault){
		.kind = kind, .from = nth, .to = nth + 1, .error = -EIO, .waited = waited
	};
	snprintf(what, sizeof what, "%s, %s %s %u fails", format_find(format)->name,
	         waited ? "waited for" : "queued", kind_names[kind], nth);
	run_series();
	hit = f->counted >= nth;
	f->from = 0;
	if (hit && !is_harmless(kind)) {
		cr_assert_not(rig.complete && !rig.said[0], "%s: nobody says so", what);
		cr_assert(rig.said_errors > 0, "%s: no error is said\n%s", what, rig.said);
		cr_assert_not_null(strstr(rig.said, "wood-0001"), "%s: no file is named: %s", what,
		                   rig.said);
	}
	if (has_reports() && !rig.said[0])
		rig_check(&rig);
	check_truth(what);
	check_next(what);
	rig_done(&rig);
	runs++;
	hits += hit;
	return hit;
}

static void sweep(enum sink_format format, enum disk_kind kind, bool waited)
{
	for (unsigned nth = 1; fail_once(format, kind, waited, nth);)
		nth += nth < 4 ? 1 : stride();
}

Test(sinks_sweeps, each_call_that_fails_once_is_told_and_survived, .timeout = 3600)
{
	for (const struct format *const *f = formats; *f; f++)
		for (unsigned kind = 0; kind < DISK_KIND_COUNT && (*f)->suffix; kind++)
			for (unsigned waited = 0; waited < 2; waited++)
				sweep((*f)->id, (enum disk_kind)kind, waited);
	fprintf(stderr, "%u series, %u of them with a call that failed\n", runs, hits);
	cr_assert_gt(hits, 100);
}

/* ---- a full disk ---- */

struct full {
	const char *what;
	enum disk_kind kind;
	const char *on; /* part of the file's name */
	bool waited;
	unsigned from;
	const char *named; /* in what is said */
	bool loses;        /* frames; else only what is beside them */
};

static const struct full fulls[] = {
	{ "the series folder", DISK_FOLDER, "wood", true, 1, "wood-0001", true },
	{ "the journal's file", DISK_OPEN, "journal.bin", true, 1, "journal.bin", true },
	{ "the journal's space", DISK_ALLOCATE, "journal.bin", true, 1, "journal.bin", true },
	{ "the journal's header", DISK_WRITE, "journal.bin", true, 1, "journal.bin", true },
	{ "the first manifest", DISK_WRITE, "manifest.json", true, 1, "manifest.json", false },
	{ "a data file's entry", DISK_OPEN, "_000001", true, 1, "wood-0001", true },
	{ "a data file's space", DISK_EXTEND, "_000001", false, 1, "_000001", true },
	{ "the pixels", DISK_WRITE, "_000001", false, 1, "_000001", true },
	{ "the pixels' sync", DISK_SYNC_DATA, "_000001", false, 1, "_000001", true },
	{ "the ledger", DISK_WRITE, "journal.bin", false, 2, "journal", true },
	{ "the ledger's sync", DISK_SYNC_DATA, "journal.bin", false, 2, "journal", true },
	{ "the table", DISK_WRITE, "frames.csv", true, 1, "frames.csv", false },
	{ "the table's sync", DISK_SYNC, "frames.csv", true, 1, "frames.csv", false },
	{ "the histogram", DISK_WRITE, "histogram.csv", true, 1, "histogram.csv", false },
	{ "the last manifest", DISK_WRITE, "manifest.json", true, 2, "manifest.json", false },
};

/* From that call on there is no space, until the series ends. */
static void fill_up(enum sink_format format, const struct full *full)
{
	uint64_t lost;
	char what[128];

	make(format);
	snprintf(what, sizeof what, "%s, no space for %s", format_find(format)->name, full->what);
	rig.faults[0] = (struct rig_fault){ .kind = full->kind,
		                            .on = full->on,
		                            .from = full->from,
		                            .to = UINT32_MAX,
		                            .error = -ENOSPC,
		                            .waited = full->waited };
	/* How many syncs there are within a file depends on the disk. */
	run_series_until(full->kind == DISK_SYNC_DATA ? full->from : 0);
	cr_assert_geq(rig.faults[0].counted, full->from, "%s: it never came to that", what);
	rig.faults[0].from = 0;
	lost = rig_count(&rig, FRAME_DROPPED, DROPPED_NO_SPACE);
	cr_assert_not(rig.complete, "%s", what);
	cr_assert_eq(lost + rig_count(&rig, FRAME_WRITTEN, 0), FRAMES, "%s: another reason\n%s",
	             what, rig.said);
	cr_assert_eq(lost > 0, full->loses, "%s: %" PRIu64 " lost\n%s", what, lost, rig.said);
	cr_assert_not_null(strstr(rig.said, full->named), "%s: %s", what, rig.said);
	cr_assert(strstr(rig.said, "No space left") || strstr(rig.said, "disk full"), "%s: %s",
	          what, rig.said);
	if (has_reports() && full->loses)
		rig_check(&rig);
	check_truth(what);
	check_next(what);
	rig_done(&rig);
}

Test(sinks_sweeps, a_full_disk_is_named_counted_and_survived, .timeout = 600)
{
	for (const struct format *const *f = formats; *f; f++)
		for (unsigned i = 0; i < sizeof fulls / sizeof *fulls && (*f)->suffix; i++)
			fill_up((*f)->id, &fulls[i]);
}

Test(sinks_sweeps, a_full_disk_under_the_master_keeps_the_frames)
{
	make(SINK_HDF5);
	rig.faults[0] = (struct rig_fault){ .kind = DISK_WRITE,
		                            .on = "wood-0001.h5",
		                            .from = 1,
		                            .to = UINT32_MAX,
		                            .error = -ENOSPC,
		                            .waited = true };
	run_series();
	rig.faults[0].from = 0;
	cr_assert_not(rig.complete);
	cr_assert_eq(rig_count(&rig, FRAME_WRITTEN, 0), FRAMES, "%s", rig.said);
	cr_assert_not_null(strstr(rig.said, "wood-0001.h5: No space left"), "%s", rig.said);
	check_truth("the master");
	check_next("the master");
	rig_done(&rig);
}

/* The last writes of a file are its tail, and its head. */
Test(sinks_sweeps, a_full_disk_at_any_write_of_a_file_is_survived)
{
	static const enum sink_format ends[] = { SINK_TIFF, SINK_HDF5 };

	for (unsigned f = 0; f < 2; f++)
		for (unsigned nth = 1, counted = 1; counted >= nth; nth++) {
			make(ends[f]);
			rig.faults[0] = (struct rig_fault){ .kind = DISK_WRITE,
				                            .on = "_000000",
				                            .from = nth,
				                            .to = nth + 1,
				                            .error = -ENOSPC };
			run_series();
			counted = (unsigned)rig.faults[0].counted;
			rig.faults[0].from = 0;
			cr_assert_eq(rig.complete && !rig.said[0], counted < nth, "write %u: %s",
			             nth, rig.said);
			check_truth("a write of a file");
			check_next("a write of a file");
			rig_done(&rig);
		}
}
