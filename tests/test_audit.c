/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit.h"

#include "sinks/format.h"
#include "sinks/journal.h"
#include "tests/sinks_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Series of every format, damaged in one way after the other: each must be found, and named. */

#define FRAMES   20
#define PER_FILE 7
#define STEP     10 /* of their numbers: the rig flags those that end in 9 */

static struct rig rig;
static struct audit_result result;
static char said[65536]; /* findings and remarks, one a line */

static void on_found(void *user, enum audit_kind kind, const char *where, const char *what)
{
	size_t n = strlen(said);

	(void)user;
	snprintf(said + n, sizeof said - n, "%s%s: %s\n", kind == AUDIT_REMARK ? "remark " : "",
	         where, what);
}

static const char *path(void)
{
	return sinks_series_path(rig.sinks);
}

static enum audit_verdict audit_at(const char *folder, bool quick)
{
	struct audit_options o = { .quick = quick, .found = on_found };

	said[0] = '\0';
	audit_series(folder, &o, &result);
	return result.verdict;
}

static enum audit_verdict audit(void)
{
	return audit_at(path(), false);
}

static void make_series(enum sink_format format)
{
	rig_make(&rig, format);
	rig.config.series.step = STEP;
	rig.config.sinks[0].frames_per_file = PER_FILE;
	cr_assert_eq(rig_open(&rig), 0, "%s", rig.why);
}

static void run_series(void)
{
	rig_begin(&rig);
	for (uint64_t i = 1; i <= FRAMES; i++)
		rig_put(&rig, i * STEP);
	rig_end(&rig);
}

/* ---- damage ---- */

static const struct journal_header plain = { .quality = true };

static char *file_path(const char *name)
{
	static char full[2][4096];
	static unsigned turn;

	turn ^= 1;
	snprintf(full[turn], sizeof full[turn], "%s/%s", path(), name);
	return full[turn];
}

/* Data file `file` of the series. */
static const char *data_file(unsigned file)
{
	static char name[64];

	snprintf(name, sizeof name, "wood-%04u_%06u%s", sinks_series_number(rig.sinks), file,
	         format_find(rig.config.sinks[0].format)->suffix);
	return name;
}

static char *slurp(const char *name, size_t *ret_bytes)
{
	FILE *f = fopen(file_path(name), "rb");
	size_t room = 1 << 20;
	char *bytes = calloc(1, room);

	cr_assert_not_null(f, "%s: %s", name, strerror(errno));
	*ret_bytes = fread(bytes, 1, room - 1, f);
	fclose(f);
	return bytes;
}

static void spill(const char *name, const void *bytes, size_t n)
{
	FILE *f = fopen(file_path(name), "wb");

	cr_assert_not_null(f, "%s: %s", name, strerror(errno));
	cr_assert_eq(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static void flip(const char *name, long at, unsigned char bits)
{
	FILE *f = fopen(file_path(name), "r+b");
	int byte;

	cr_assert_not_null(f, "%s: %s", name, strerror(errno));
	cr_assert_eq(fseek(f, at, SEEK_SET), 0);
	byte = fgetc(f);
	cr_assert_neq(byte, EOF);
	cr_assert_eq(fseek(f, at, SEEK_SET), 0);
	fputc(byte ^ bits, f);
	fclose(f);
}

/* The first `from` behind the first `behind`. */
static void replace(const char *name, const char *behind, const char *from, const char *to)
{
	size_t n;
	char *text = slurp(name, &n), *anchor = strstr(text, behind),
	     *at = anchor ? strstr(anchor, from) : NULL;
	char *changed = malloc(n + strlen(to) + 1);

	cr_assert_not_null(at, "%s has no %s behind %s", name, from, behind);
	snprintf(changed, n + strlen(to) + 1, "%.*s%s%s", (int)(at - text), text, to,
	         at + strlen(from));
	spill(name, changed, strlen(changed));
	free(changed);
	free(text);
}

static void resize(const char *name, long by)
{
	struct stat st;

	cr_assert_eq(stat(file_path(name), &st), 0);
	cr_assert_eq(truncate(file_path(name), st.st_size + by), 0);
}

/* The record of a frame, which may have come in any order. */
static uint32_t find_record(uint64_t number, struct journal_record *ret)
{
	size_t n;
	unsigned char *bytes = (unsigned char *)slurp("journal.bin", &n);
	uint32_t slot = 0;

	do {
		size_t at = JOURNAL_HEADER_BYTES + (size_t)slot * JOURNAL_RECORD_BYTES;

		cr_assert_leq(at + JOURNAL_RECORD_BYTES, n, "no record of %" PRIu64, number);
		cr_assert(journal_decode(ret, bytes + at, slot++, &plain));
	} while (ret->number != number);
	free(bytes);
	return slot - 1;
}

/* Put a changed record back, sealed. */
static void change_record(uint64_t number, void (*change)(struct journal_record *r))
{
	unsigned char bytes[JOURNAL_RECORD_BYTES];
	struct journal_record r;
	uint32_t slot = find_record(number, &r);
	FILE *f = fopen(file_path("journal.bin"), "r+b");

	cr_assert_not_null(f);
	change(&r);
	journal_encode(bytes, &r, slot, 0);
	cr_assert_eq(fseek(f, JOURNAL_HEADER_BYTES + (long)slot * JOURNAL_RECORD_BYTES, SEEK_SET),
	             0);
	cr_assert_eq(fwrite(bytes, 1, sizeof bytes, f), sizeof bytes);
	fclose(f);
}

static void change_header(void (*change)(struct journal_header *h))
{
	unsigned char bytes[JOURNAL_HEADER_MAX];
	struct journal_header h;
	FILE *f = fopen(file_path("journal.bin"), "r+b");

	cr_assert_not_null(f);
	cr_assert_eq(fread(bytes, 1, sizeof bytes, f), sizeof bytes);
	cr_assert(journal_decode_header(&h, bytes, sizeof bytes));
	change(&h);
	journal_encode_header(bytes, &h);
	rewind(f);
	cr_assert_eq(fwrite(bytes, 1, sizeof bytes, f), sizeof bytes);
	fclose(f);
}

static void number_of_before(struct journal_record *r)
{
	r->number -= STEP;
}

static void place_of_before(struct journal_record *r)
{
	r->index--;
}

static void far_offset(struct journal_record *r)
{
	r->offset = UINT64_MAX - 10;
}

static void other_offset(struct journal_record *r)
{
	r->offset += 2;
}

static void off_step(struct journal_record *r)
{
	r->number += 3;
}

static void lost(struct journal_record *r)
{
	r->state = FRAME_MISSING;
	r->reason = MISSING_NEVER;
}

static void endless(struct journal_record *r)
{
	lost(r);
	r->repeat = UINT64_MAX / 2;
	r->step = STEP;
}

static void huge_frames(struct journal_header *h)
{
	h->width = h->height = UINT32_MAX;
	h->frame_bytes = UINT64_MAX - 1;
}

static void large_frames(struct journal_header *h)
{
	h->width = h->height = 1 << 15;
	h->frame_bytes = (uint64_t)2 << 30;
}

static void no_frames(struct journal_header *h)
{
	h->width = 0;
	h->frame_bytes = 0;
}

static void climbing(struct journal_header *h)
{
	snprintf(h->folder, sizeof h->folder, "../../etc/passwd");
}

static void strange_suffix(struct journal_header *h)
{
	snprintf(h->suffix, sizeof h->suffix, ".exe");
}

static void no_step(struct journal_header *h)
{
	h->step = 0;
}

static void pixels_change(void)
{
	struct journal_record r;

	(void)find_record(90, &r);
	cr_assert(r.file == 1 && r.index == 1);
	flip(data_file(1), (long)r.offset + 100, 1);
}

static void file_is_gone(void)
{
	cr_assert_eq(unlink(file_path(data_file(1))), 0);
}

static void file_is_a_fifo(void)
{
	file_is_gone();
	cr_assert_eq(mkfifo(file_path(data_file(1)), 0600), 0);
}

static void file_is_a_folder(void)
{
	file_is_gone();
	cr_assert_eq(mkdir(file_path(data_file(1)), 0700), 0);
}

static void file_is_a_loop(void)
{
	file_is_gone();
	cr_assert_eq(symlink(data_file(1), file_path(data_file(1))), 0);
}

static void file_is_a_device(void)
{
	file_is_gone();
	cr_assert_eq(symlink("/dev/zero", file_path(data_file(1))), 0);
}

static void file_is_empty(void)
{
	cr_assert_eq(truncate(file_path(data_file(1)), 0), 0);
}

static void file_is_cut(void)
{
	resize(data_file(1), -1);
}

static void file_is_longer(void)
{
	resize(data_file(2), 100000);
}

static void file_is_another(void)
{
	char name[64];

	snprintf(name, sizeof name, "%s", data_file(1));
	cr_assert_eq(rename(file_path(data_file(0)), file_path(name)), 0);
}

static void file_is_unfinished(void)
{
	char part[80];

	snprintf(part, sizeof part, "%s.part", data_file(1));
	cr_assert_eq(rename(file_path(data_file(1)), file_path(part)), 0);
}

static void part_is_left(void)
{
	char part[80];

	snprintf(part, sizeof part, "%s.part", data_file(3));
	spill(part, "x", 1);
}

static void file_too_many(void)
{
	spill(data_file(3), "x", 1);
}

static void record_changes(void)
{
	struct journal_record r;
	uint32_t slot = find_record(60, &r);

	flip("journal.bin", JOURNAL_HEADER_BYTES + (long)slot * JOURNAL_RECORD_BYTES + 130, 0x10);
}

static void journal_header_changes(void)
{
	flip("journal.bin", 60, 0x10);
}

static void journal_is_gone(void)
{
	cr_assert_eq(unlink(file_path("journal.bin")), 0);
}

static void journal_is_a_fifo(void)
{
	journal_is_gone();
	cr_assert_eq(mkfifo(file_path("journal.bin"), 0600), 0);
}

static void journal_is_empty(void)
{
	cr_assert_eq(truncate(file_path("journal.bin"), 0), 0);
}

static void journal_lacks_a_record(void)
{
	resize("journal.bin", -JOURNAL_RECORD_BYTES);
}

static void journal_ends_early(void)
{
	resize("journal.bin", -10);
}

static void journal_grows(void)
{
	resize("journal.bin", 1000 * JOURNAL_RECORD_BYTES);
}

static void number_twice(void)
{
	change_record(70, number_of_before);
}

static void place_twice(void)
{
	change_record(40, place_of_before);
}

static void place_beyond_all(void)
{
	change_record(40, far_offset);
}

static void place_beside(void)
{
	change_record(40, other_offset);
}

static void number_off_step(void)
{
	change_record(40, off_step);
}

static void record_of_a_loss(void)
{
	change_record(40, lost);
}

static void record_of_all_numbers(void)
{
	change_record(200, endless);
}

static void header_of_huge_frames(void)
{
	change_header(huge_frames);
}

static void header_of_large_frames(void)
{
	change_header(large_frames);
}

static void header_of_no_frames(void)
{
	change_header(no_frames);
}

static void header_climbs(void)
{
	change_header(climbing);
}

static void header_of_no_format(void)
{
	change_header(strange_suffix);
}

static void header_of_no_step(void)
{
	change_header(no_step);
}

static void line_changes(void)
{
	replace("frames.csv", "\n60,", "5060", "5061");
}

static void mean_changes(void)
{
	replace("frames.csv", "\n60,", "8.571428571428571", "8.571428571428573");
}

/* A digit more in front of that field of frame 60. */
static void change_field(unsigned field)
{
	size_t n;
	char *text = slurp("frames.csv", &n), *at = strstr(text, "\n60,") + 1;

	for (unsigned i = 0; i < field; i++)
		at = strchr(at, ',') + 1;
	memmove(at + 1, at, strlen(at) + 1);
	at[0] = '3';
	spill("frames.csv", text, n + 1);
	free(text);
}

static void checksum_changes(void)
{
	change_field(22);
}

static void dose_appears(void)
{
	change_field(21);
}

static void calibration_appears(void)
{
	change_field(24);
}

static void raw_percentile_changes(void)
{
	change_field(27);
}

static void percentile_changes(void)
{
	change_field(34);
}

static void flag_appears(void)
{
	change_field(3);
}

static void line_is_a_loss(void)
{
	replace("frames.csv", "\n60,", "written,", "missing,never");
}

static void line_is_gone(void)
{
	size_t n;
	char *text = slurp("frames.csv", &n), *line = strstr(text, "\n60,") + 1,
	     *next = strchr(line, '\n') + 1;

	memmove(line, next, strlen(next) + 1);
	spill("frames.csv", text, strlen(text));
	free(text);
}

static void last_line_is_gone(void)
{
	size_t n;
	char *text = slurp("frames.csv", &n);

	*(strstr(text, "\n200,") + 1) = '\0';
	spill("frames.csv", text, strlen(text));
	free(text);
}

static void line_comes_twice(void)
{
	replace("frames.csv", "\n60,", "60,", "70,");
}

static void column_is_gone(void)
{
	replace("frames.csv", "frame,", "received_ns", "received");
}

static void table_is_gone(void)
{
	cr_assert_eq(unlink(file_path("frames.csv")), 0);
}

static void table_is_noise(void)
{
	char noise[10000];

	memset(noise, 0xee, sizeof noise);
	spill("frames.csv", noise, sizeof noise);
}

static void total_is_wrong(void)
{
	replace("manifest.json", "\"totals\"", "\"expected\": 20", "\"expected\": 21");
}

static void reason_is_wrong(void)
{
	replace("manifest.json", "\"totals\"", "\"overload\": 0", "\"overload\": 1");
}

static void total_is_no_number(void)
{
	replace("manifest.json", "\"totals\"", "\"written\": 20", "\"written\": \"20\"");
}

static void list_is_wrong(void)
{
	replace("manifest.json", "\"files\"", "\"frames\": 7", "\"frames\": 6");
}

static void sink_is_wrong(void)
{
	replace("manifest.json", "\"sinks\"", "\"written\": 20", "\"written\": 19");
}

static void manifest_is_gone(void)
{
	cr_assert_eq(unlink(file_path("manifest.json")), 0);
}

static void manifest_is_cut(void)
{
	resize("manifest.json", -100);
}

static void manifest_is_deep(void)
{
	static char deep[100000];

	memset(deep, '[', sizeof deep);
	spill("manifest.json", deep, sizeof deep);
}

static void manifest_is_a_list(void)
{
	spill("manifest.json", "[1]", 3);
}

static void state_is_strange(void)
{
	replace("manifest.json", "\"state\"", "complete", "\\u001b[31m");
}

static void sinks_are_strange(void)
{
	replace("manifest.json", "\"sinks\"", "\"index\": 0", "\"index\": 4000000000");
}

static void bin_changes(void)
{
	replace("histogram.csv", "raw,0,", "5120", "5121");
}

static void bin_is_gone(void)
{
	replace("histogram.csv", "raw,0,", "raw,1,", "raw,1.5,");
}

static void tails_are_gone(void)
{
	replace("histogram.csv", "normalised,nan", "normalised,nan,nan,0\n", "");
}

static void histogram_is_gone(void)
{
	cr_assert_eq(unlink(file_path("histogram.csv")), 0);
}

static const struct damage {
	const char *name;
	void (*inflict)(void);
	const char *expected[2]; /* in what is found; %: a data file's name, `1` of it */
} damages[] = {
	{ "pixels change", pixels_change, { "%: frame 90 (index 1)", "were changed" } },
	{ "a file is gone", file_is_gone, { "%: is not there", "7 frames" } },
	{ "a FIFO", file_is_a_fifo, { "%: is no regular file" } },
	{ "a folder", file_is_a_folder, { "%: is no regular file" } },
	{ "a loop of links", file_is_a_loop, { "%: is no regular file" } },
	{ "a device", file_is_a_device, { "%: is no regular file" } },
	{ "an empty file", file_is_empty, { "%: " } },
	{ "a cut file", file_is_cut, { "%: " } },
	{ "a longer file", file_is_longer, { "000002" } },
	{ "another file", file_is_another, { "%: frame 80 (index 0)", "000000" } },
	{ "an unfinished file", file_is_unfinished, { "%.part: was never finished", "recover" } },
	{ "a .part", part_is_left, { ".part: was never finished", "no frame" } },
	{ "a file too many", file_too_many, { "000003", "in no line of the ledger" } },
	{ "a record changes", record_changes, { "is damaged", "frame 60 is 'written', and" } },
	{ "the header changes", journal_header_changes, { "journal.bin: is no journal" } },
	{ "no journal", journal_is_gone, { "journal.bin: is not there" } },
	{ "a journal FIFO", journal_is_a_fifo, { "journal.bin: is no regular file" } },
	{ "an empty journal", journal_is_empty, { "journal.bin: is no journal" } },
	{ "a record less", journal_lacks_a_record, { "the journal has no record of it" } },
	{ "half a record", journal_ends_early, { "journal.bin: ends within a record" } },
	{ "zeros behind", journal_grows, { "journal.bin: record 20", "given up" } },
	{ "a number twice", number_twice, { "frame 60 is there more than once", "70" } },
	{ "a place twice", place_twice, { "frames 30 and 40 cannot both be index 2" } },
	{ "a place beyond all", place_beyond_all, { "frame 40: its place" } },
	{ "a place beside", place_beside, { "frame 40" } },
	{ "a number off the step", number_off_step, { "frame 43 is off the step" } },
	{ "a record of a loss", record_of_a_loss, { "frame 40: state is 'written'", "written" } },
	{ "all numbers", record_of_all_numbers, { "of frame 200", "range" } },
	{ "huge frames", header_of_huge_frames, { "journal.bin: in the header" } },
	{ "large frames", header_of_large_frames, { "%: " } },
	{ "no frames", header_of_no_frames, { "journal.bin: in the header" } },
	{ "a climbing name", header_climbs, { "journal.bin: in the header" } },
	{ "no format", header_of_no_format, { "journal.bin: in the header" } },
	{ "no step", header_of_no_step, { "journal.bin: in the header" } },
	{ "a time changes", line_changes, { "frames.csv: line 7, frame 60: received_ns" } },
	{ "a mean changes", mean_changes, { "frames.csv: line 7, frame 60: mean" } },
	{ "a checksum changes", checksum_changes, { "frames.csv: line 7, frame 60: crc32c" } },
	{ "a dose appears", dose_appears, { "frames.csv: line 7, frame 60: dose is '3'" } },
	{ "a calibration", calibration_appears, { "frame 60: calibration is '3'" } },
	{ "a raw percentile", raw_percentile_changes, { "frame 60: raw_p50 is '360'" } },
	{ "a percentile", percentile_changes, { "frame 60: p99.9 is '31e+09'" } },
	{ "a flag appears", flag_appears, { "frame 60: flags is '3'" } },
	{ "a line is a loss", line_is_a_loss, { "frames.csv: line 7, frame 60: state" } },
	{ "a line is gone", line_is_gone, { "frames.csv: frame 60 is in no state" } },
	{ "the last line is gone", last_line_is_gone, { "frames.csv: frame 200 is in no state" } },
	{ "a line comes twice", line_comes_twice, { "frames.csv: line 8: frame 70 comes behind" } },
	{ "a column is gone", column_is_gone, { "frames.csv: has no column received_ns" } },
	{ "no table", table_is_gone, { "frames.csv: is not there" } },
	{ "a table of noise", table_is_noise, { "frames.csv: " } },
	{ "a total", total_is_wrong, { "manifest.json: totals.expected is 21", "20" } },
	{ "a reason", reason_is_wrong, { "manifest.json: dropped.overload is 1" } },
	{ "a word for a number", total_is_no_number, { "manifest.json: written is no count" } },
	{ "the list of files", list_is_wrong, { "has 6 frames, by the ledger 7" } },
	{ "a sink's count", sink_is_wrong, { "manifest.json: sinks[0].written is 19" } },
	{ "no manifest", manifest_is_gone, { "manifest.json: is not there" } },
	{ "a cut manifest", manifest_is_cut, { "manifest.json: is no JSON: line" } },
	{ "a deep manifest", manifest_is_deep, { "manifest.json: is no JSON" } },
	{ "a list", manifest_is_a_list, { "manifest.json: is no JSON object" } },
	{ "a strange state", state_is_strange, { "manifest.json: state is none", "'?[31m'" } },
	{ "strange sinks", sinks_are_strange, { "manifest.json: names sinks that cannot be" } },
	{ "a bin changes", bin_changes, { "histogram.csv: raw: counts and tails are 5121" } },
	{ "a bin is gone", bin_is_gone, { "histogram.csv: line 3" } },
	{ "no tails", tails_are_gone, { "histogram.csv: normalised: the tails" } },
	{ "no histogram", histogram_is_gone, { "histogram.csv: is not there" } },
};

#define DAMAGES (sizeof damages / sizeof *damages)

static bool is_said(const char *expected)
{
	char text[256];

	if (expected[0] != '%')
		return strstr(said, expected) != NULL;
	snprintf(text, sizeof text, "%s%s", data_file(1), expected + 1);
	return strstr(said, text) != NULL;
}

static void shell(const char *format, const char *a, const char *b)
{
	char command[512];

	snprintf(command, sizeof command, format, a, b);
	cr_assert_eq(system(command), 0, "%s", command);
}

static void check_damage(const struct damage *d)
{
	d->inflict();
	cr_assert_eq(audit(), AUDIT_DAMAGED, "%s: verdict %d\n%s", d->name, result.verdict, said);
	cr_assert_gt(result.findings, 0);
	for (unsigned i = 0; i < 2 && d->expected[i]; i++)
		cr_assert(is_said(d->expected[i]), "%s: '%s' is not said:\n%s", d->name,
		          d->expected[i], said);
}

static void check_damages(enum sink_format format)
{
	make_series(format);
	run_series();
	shell("cp -r '%s' '%s/whole'", path(), rig.root);
	for (size_t i = 0; i < DAMAGES; i++) {
		/* What lies behind the end is no concern of the HDF5 library. */
		if (format == SINK_HDF5 && damages[i].inflict == file_is_longer)
			continue;
		check_damage(&damages[i]);
		shell("rm -rf '%s%s'", path(), "");
		shell("cp -r '%s/whole' '%s'", rig.root, path());
	}
	cr_assert_eq(audit(), AUDIT_SOUND, "%s", said);
	rig_done(&rig);
}

Test(audit, every_damage_is_found_in_every_format_and_named)
{
	for (const struct format *const *f = formats; *f; f++)
		if ((*f)->suffix)
			check_damages((*f)->id);
}

Test(audit, every_column_of_every_region_is_held_against_the_journal)
{
	for (unsigned i = 0; i < 2 * 11; i++) {
		make_series(SINK_RAW);
		sinks_close(rig.sinks);
		rig_regions(&rig, 2);
		cr_assert_eq(rig_open(&rig), 0);
		run_series();
		cr_assert_eq(audit(), AUDIT_SOUND, "%s", said);
		change_field(35 + i);
		cr_assert_eq(audit(), AUDIT_DAMAGED, "column %u: %s", i, said);
		cr_assert(is_said(i < 11 ? "frame 60: r0_" : "frame 60: r1_"), "%s", said);
		rig_done(&rig);
	}
}

Test(audit, a_table_without_a_regions_column_is_damaged)
{
	make_series(SINK_RAW);
	sinks_close(rig.sinks);
	rig_regions(&rig, 2);
	cr_assert_eq(rig_open(&rig), 0);
	run_series();
	replace("frames.csv", "frame", "r1_snr", "r1_sna");
	cr_assert_eq(audit(), AUDIT_DAMAGED);
	cr_assert(is_said("frames.csv: has no column r1_snr"), "%s", said);
	rig_done(&rig);
}

/* ---- what is sound ---- */

static void without_quality(struct journal_header *h)
{
	h->quality = false;
}

/* As before there was quality: its columns are empty, or not there. */
Test(audit, a_series_from_before_there_was_quality_is_sound)
{
	size_t n;
	char *text, *line, *older = calloc(1, 1 << 20);

	make_series(SINK_RAW);
	run_series();
	change_header(without_quality);
	text = slurp("frames.csv", &n);
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char *at = line, *dose = NULL;
		bool heading = strncmp(line, "frame,", 6) == 0;

		for (unsigned i = 0; i < 24; i++) {
			dose = i == 21 ? at : dose;
			at = strchr(at, ',') + 1;
		}
		sprintf(older + strlen(older), "%.*s%s\n", (int)(at - 1 - line), line, "");
		if (!heading) { /* no dose */
			char *made = strrchr(older, '\n') - (at - 1 - dose);

			memmove(made, made + strcspn(made, ","),
			        strlen(made + strcspn(made, ",")) + 1);
		}
	}
	spill("frames.csv", older, strlen(older));
	cr_assert_eq(audit(), AUDIT_SOUND, "%s\n%s", said, older);
	free(older);
	free(text);
	rig_done(&rig);
}

Test(audit, frames_of_a_dark_and_a_flat_are_keyed_so_in_a_master)
{
	static const uint32_t flags[] = { FRAME_DARK, FRAME_FLAT, 0 };

	make_series(SINK_HDF5);
	sinks_close(rig.sinks);
	rig_regions(&rig, 3);
	cr_assert_eq(rig_open(&rig), 0);
	rig_begin(&rig);
	for (uint64_t i = 1; i <= FRAMES; i++) {
		rig.more_flags = flags[i % 3];
		rig_put(&rig, i * STEP);
	}
	rig_end(&rig);
	rig_check(&rig);
	cr_assert_eq(audit(), AUDIT_SOUND, "%s", said);
	rig_done(&rig);
}

Test(audit, a_clean_series_of_every_format_and_type_is_sound)
{
	for (const struct format *const *f = formats; *f; f++)
		for (unsigned type = 0; type < PRODUCT_TYPE_COUNT; type++) {
			make_series((*f)->id);
			rig_shape(&rig, 61, 47, (enum product_type)type);
			sinks_close(rig.sinks);
			cr_assert_eq(rig_open(&rig), 0);
			run_series();
			cr_assert_eq(audit(), AUDIT_SOUND, "%s: %s", (*f)->name, said);
			cr_assert_eq(result.written, FRAMES);
			cr_assert_eq(result.pixels, (*f)->suffix != NULL);
			cr_assert_eq(result.read_back, (*f)->suffix ? FRAMES : 0);
			cr_assert_geq(result.files, (*f)->suffix ? 3 : 0);
			cr_assert_eq(audit_at(path(), true), AUDIT_SOUND, "%s", said);
			cr_assert_eq(result.read_back, 0);
			rig_done(&rig);
		}
}

Test(audit, further_columns_are_left_alone)
{
	size_t n;
	char *text, *longer = malloc(1 << 20);

	make_series(SINK_TIFF);
	run_series();
	text = slurp("frames.csv", &n);
	longer[0] = '\0';
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		strcat(strcat(longer, line), ",rotation\n");
	spill("frames.csv", longer, strlen(longer));
	cr_assert_eq(audit(), AUDIT_SOUND, "%s", said);
	free(text);
	free(longer);
	rig_done(&rig);
}

Test(audit, further_sinks_are_proved_where_they_are)
{
	char moved[2][160], series[200];

	make_series(SINK_TIFF);
	rig.config.sink_count = 3;
	rig.config.sinks[1].format = SINK_RAW; /* in a folder of its own */
	rig.config.sinks[2].format = SINK_RAW;
	rig.config.sinks[2].directory = rig.dirs[0];
	sinks_close(rig.sinks);
	cr_assert_eq(rig_open(&rig), 0, "%s", rig.why);
	run_series();
	cr_assert_eq(audit(), AUDIT_SOUND, "%s", said);
	cr_assert_eq(result.files, 5);
	cr_assert_eq(result.read_back, FRAMES);

	for (unsigned i = 0; i < 2; i++) {
		snprintf(moved[i], sizeof moved[i], "%s/archive/%u", rig.root, i);
		shell("mkdir -p '%s/%s'", rig.root, "archive");
		shell("mv '%s' '%s'", rig.dirs[i], moved[i]);
	}
	snprintf(series, sizeof series, "%s/wood-0001", moved[0]);
	cr_assert_eq(audit_at(series, false), AUDIT_SOUND, "moved: %s", said);
	snprintf(series, sizeof series, "%s/wood-0001/wood-0001_000000.raw", moved[1]);
	cr_assert_eq(truncate(series, 100), 0);
	snprintf(series, sizeof series, "%s/wood-0001", moved[0]);
	cr_assert_eq(audit_at(series, false), AUDIT_DAMAGED);
	cr_assert_not_null(strstr(said, moved[1]), "%s", said);
	rig_done(&rig);
}

/* ---- losses ---- */

Test(audit, losses_on_record_are_no_damage)
{
	make_series(SINK_RAW);
	rig.faults[0] = (struct rig_fault){
		.kind = DISK_WRITE, .on = "_000000.raw", .from = 1, .to = 2, .error = -EIO
	};
	run_series();
	rig_check(&rig);
	cr_assert_lt(rig.totals.written, FRAMES);
	cr_assert_eq(audit(), AUDIT_LOSSES, "%s", said);
	cr_assert_eq(result.findings, 0);
	cr_assert_eq(result.written, rig.totals.written);
	cr_assert_eq(result.dropped, FRAMES - rig.totals.written);
	cr_assert_not_null(strstr(said, "remark manifest.json: incomplete: frames were lost"));
	rig_done(&rig);
}

Test(audit, a_loss_that_is_called_complete_is_damage)
{
	make_series(SINK_RAW);
	run_series();
	change_record(40, lost);
	table_is_gone();
	cr_assert_eq(audit(), AUDIT_DAMAGED);
	cr_assert_not_null(strstr(said, "says complete, and frames were lost"), "%s", said);
	rig_done(&rig);
}

Test(audit, a_series_that_was_cut_off_is_unfinished)
{
	for (const struct format *const *f = formats; *f; f++) {
		make_series((*f)->id);
		rig_begin(&rig);
		for (uint64_t i = 1; i <= FRAMES; i++)
			rig_put(&rig, i * STEP);
		sinks_drain(rig.sinks);
		cr_assert_eq(audit(), AUDIT_UNFINISHED, "%s", said);
		cr_assert_eq(result.findings, 1, "%s", said);
		cr_assert_not_null(strstr(said, "openbeam recover"), "%s", said);
		cr_assert_eq(result.read_back, (*f)->suffix ? FRAMES : 0, "%s", said);
		rig_end(&rig);
		rig_done(&rig);
	}
}

Test(audit, what_is_no_series_is_said)
{
	make_series(SINK_TIFF);
	cr_assert_eq(audit_at(rig.dirs[1], false), AUDIT_NO_SERIES);
	cr_assert_eq(audit_at("/nowhere", false), AUDIT_NO_SERIES);
	cr_assert_not(audit_is_series(rig.dirs[1]));
	run_series();
	cr_assert(audit_is_series(path()));
	rig_done(&rig);
}

/* ---- anything ---- */

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A byte anywhere: nothing breaks, and nothing of pixels or ledger passes. */
static void flip_anywhere(const char *name, uint64_t *seed, long from, bool must_be_found)
{
	size_t n;
	char *bytes = slurp(name, &n);
	long at = from + (long)(next_random(seed) % (n - (size_t)from));

	flip(name, at, (unsigned char)(1u << next_random(seed) % 8));
	(void)audit();
	cr_assert(!must_be_found || result.verdict == AUDIT_DAMAGED, "%s, byte %ld: %s", name, at,
	          said);
	spill(name, bytes, n);
	free(bytes);
}

Test(audit, a_damaged_record_is_found_while_the_series_runs)
{
	make_series(SINK_TIFF);
	run_series();
	replace("manifest.json", "\"state\"", "\"complete\"", "\"running\"");
	audit();
	cr_assert_null(strstr(said, "is damaged"), "%s", said);
	record_changes();
	cr_assert_eq(audit(), AUDIT_UNFINISHED, "%s", said);
	cr_assert_not_null(strstr(said, "journal.bin: record"), "%s", said);
	cr_assert_not_null(strstr(said, "is damaged"), "%s", said);
	rig_done(&rig);
}

Test(audit, any_flipped_bit_is_survived_and_found_in_the_ledger, .timeout = 100)
{
	uint64_t seed = 88172645463325252u;

	for (const struct format *const *f = formats; *f; f++) {
		if (!(*f)->suffix)
			continue;
		make_series((*f)->id);
		run_series();
		for (unsigned i = 0; i < 150; i++) {
			flip_anywhere("journal.bin", &seed, 0, true);
			flip_anywhere("manifest.json", &seed, 0, false);
			flip_anywhere("frames.csv", &seed, 0, false);
			flip_anywhere("histogram.csv", &seed, 0, false);
			flip_anywhere(data_file(i % 3), &seed, 0, false);
		}
		cr_assert_eq(audit(), AUDIT_SOUND, "%s", said);
		rig_done(&rig);
	}
}
