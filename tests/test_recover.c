/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/recover.h"

#include "sinks/audit.h"
#include "sinks/journal.h"
#include "tests/sinks_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What recovery refuses, and leaves as it was; and journals that no crash of a test leaves. That it
 * finishes what was cut off: crash_kill. */

static struct rig rig;
static struct journal_header layout = { .quality = true };
static struct recover_result result;
static char why[512], said[16384];

static void on_say(void *user, enum sink_say level, const char *text)
{
	size_t n = strlen(said);

	(void)user;
	(void)level;
	snprintf(said + n, sizeof said - n, "%s\n", text);
}

static int recover(void)
{
	said[0] = '\0';
	return recover_series(sinks_series_path(rig.sinks),
	                      &(struct recover_options){ .version = "1.2.3", .say = on_say },
	                      &result, why);
}

static void make_series(void)
{
	rig_make(&rig, SINK_TIFF);
	rig_regions(&rig, layout.region_count);
	cr_assert_eq(rig_open(&rig), 0, "%s", rig.why);
	rig_begin(&rig);
	for (uint64_t i = 0; i < 20; i++)
		rig_put(&rig, i);
	rig_end(&rig);
}

static char *manifest(void)
{
	char *text = calloc(1, 65536), path[4096];
	FILE *f;

	snprintf(path, sizeof path, "%s/manifest.json", sinks_series_path(rig.sinks));
	f = fopen(path, "r");
	cr_assert_not_null(f);
	cr_assert_gt(fread(text, 1, 65535, f), 0);
	fclose(f);
	return text;
}

/* As if it had been cut off. */
static void set_running(void)
{
	char path[4096], *text = manifest(), *at = strstr(text, "\"complete\"");
	FILE *f;

	cr_assert_not_null(at);
	snprintf(path, sizeof path, "%s/manifest.json", sinks_series_path(rig.sinks));
	f = fopen(path, "w");
	fprintf(f, "%.*s\"running\"%s", (int)(at - text), text, at + strlen("\"complete\""));
	fclose(f);
	free(text);
}

Test(recover, a_damaged_header_before_records_is_refused)
{
	char path[4096], *before, *after;
	FILE *f;

	make_series();
	set_running();
	snprintf(path, sizeof path, "%s/journal.bin", sinks_series_path(rig.sinks));
	f = fopen(path, "r+");
	cr_assert_not_null(f);
	fputc('X', f);
	fclose(f);
	before = manifest();
	cr_assert_eq(recover(), -EINVAL, "%s", why);
	cr_assert_not_null(strstr(why, "journal.bin"), "%s", why);
	after = manifest();
	cr_assert_str_eq(before, after);
	free(before);
	free(after);
	rig_done(&rig);
}

Test(recover, an_ended_series_without_its_journal_keeps_its_manifest)
{
	char path[4096], *before, *after;

	make_series();
	snprintf(path, sizeof path, "%s/journal.bin", sinks_series_path(rig.sinks));
	cr_assert_eq(unlink(path), 0);
	before = manifest();
	cr_assert_eq(recover(), -ENOENT, "%s", why);
	cr_assert_not_null(strstr(why, "journal"), "%s", why);
	after = manifest();
	cr_assert_str_eq(before, after);
	free(before);
	free(after);
	rig_done(&rig);
}

/* ---- journals as they may be ---- */

static int open_in_series(const char *name, int flags)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof path, "%s/%s", sinks_series_path(rig.sinks), name);
	fd = open(path, flags);
	cr_assert_geq(fd, 0, "%s", path);
	return fd;
}

static off_t place(uint32_t slot)
{
	return (off_t)journal_offset(layout.region_count, slot);
}

static ssize_t record_bytes(void)
{
	return (ssize_t)journal_record_bytes(layout.region_count);
}

/* Its regions stay until the next is read. */
static struct journal_record read_record(uint32_t slot)
{
	static unsigned char bytes[JOURNAL_RECORD_MAX];
	struct journal_record r;
	int fd = open_in_series("journal.bin", O_RDONLY);

	cr_assert_eq(pread(fd, bytes, (size_t)record_bytes(), place(slot)), record_bytes());
	close(fd);
	cr_assert(journal_decode(&r, bytes, slot, &layout), "record %u", slot);
	return r;
}

static void write_bytes(uint32_t slot, const unsigned char *bytes)
{
	int fd = open_in_series("journal.bin", O_WRONLY);

	cr_assert_eq(pwrite(fd, bytes, (size_t)record_bytes(), place(slot)), record_bytes());
	close(fd);
}

static void write_record(uint32_t slot, const struct journal_record *r)
{
	unsigned char bytes[JOURNAL_RECORD_MAX];

	journal_encode(bytes, r, slot, layout.region_count);
	write_bytes(slot, bytes);
}

static void wipe_record(uint32_t slot)
{
	write_bytes(slot, (const unsigned char[JOURNAL_RECORD_MAX]){ 0 });
}

static void flip_bit(uint32_t slot)
{
	int fd = open_in_series("journal.bin", O_RDWR);
	unsigned char byte;

	cr_assert_eq(pread(fd, &byte, 1, place(slot) + 100), 1);
	byte ^= 1;
	cr_assert_eq(pwrite(fd, &byte, 1, place(slot) + 100), 1);
	close(fd);
}

/* As if the daemon had got no further. */
static void cut_journal(uint32_t records)
{
	int fd = open_in_series("journal.bin", O_WRONLY);

	cr_assert_eq(ftruncate(fd, place(records)), 0);
	close(fd);
}

/* Written as one batch each. */
static void set_batches(uint32_t from, uint32_t to, uint64_t durable_ns)
{
	for (uint32_t i = from; i < to; i++) {
		struct journal_record r = read_record(i);

		r.durable_ns = durable_ns;
		write_record(i, &r);
	}
}

static void change_header(uint64_t frames, uint32_t average)
{
	unsigned char bytes[JOURNAL_HEADER_MAX];
	struct journal_header h;
	int fd = open_in_series("journal.bin", O_RDWR);

	cr_assert_eq(pread(fd, bytes, sizeof bytes, 0), (ssize_t)sizeof bytes);
	cr_assert(journal_decode_header(&h, bytes, sizeof bytes));
	cr_assert_not(h.first_known);
	h.frames = frames;
	h.average = average;
	journal_encode_header(bytes, &h);
	cr_assert_eq(pwrite(fd, bytes, sizeof bytes, 0), (ssize_t)sizeof bytes);
	close(fd);
}

/* The only data file, as while it was written. */
static void set_part(void)
{
	char path[4096], part[4096];

	snprintf(path, sizeof path, "%s/wood-0001_000000.tif", sinks_series_path(rig.sinks));
	snprintf(part, sizeof part, "%s/wood-0001_000000.tif.part", sinks_series_path(rig.sinks));
	cr_assert_eq(rename(path, part), 0);
}

struct left {
	char *bytes;
	off_t size;
};

static struct left keep(const char *name)
{
	int fd = open_in_series(name, O_RDONLY);
	struct stat st;
	struct left l;

	cr_assert_eq(fstat(fd, &st), 0);
	l = (struct left){ .bytes = malloc((size_t)st.st_size), .size = st.st_size };
	cr_assert_eq(read(fd, l.bytes, (size_t)l.size), l.size);
	close(fd);
	return l;
}

static void remove_file(const char *name)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", sinks_series_path(rig.sinks), name);
	cr_assert_eq(unlink(path), 0, "%s", path);
}

static void check_same(const char *name, struct left before)
{
	struct left now = keep(name);

	cr_assert_eq(now.size, before.size, "%s", name);
	cr_assert_eq(memcmp(now.bytes, before.bytes, (size_t)now.size), 0, "%s", name);
	free(now.bytes);
	free(before.bytes);
}

/* `data`: the name the data file has. */
static void check_refused(const char *data, const char *because)
{
	struct left journal = keep("journal.bin"), table = keep("frames.csv"), pixels = keep(data),
		    says = keep("manifest.json");

	cr_assert_eq(recover(), -EINVAL, "%s", why);
	cr_assert_not_null(strstr(why, because), "%s", why);
	check_same("journal.bin", journal);
	check_same("frames.csv", table);
	check_same(data, pixels);
	check_same("manifest.json", says);
}

Test(recover, a_damaged_record_before_valid_ones_is_refused_and_nothing_touched)
{
	make_series();
	flip_bit(4);
	check_refused("wood-0001_000000.tif", "record 4 is damaged, 15 valid ones follow it");
	set_running();
	set_part();
	check_refused("wood-0001_000000.tif.part", "record 4 is damaged, 15 valid ones follow it");
	rig_done(&rig);
}

Test(recover, a_wiped_record_of_an_ended_series_is_refused)
{
	make_series();
	set_batches(0, 20, 7000);
	wipe_record(4);
	check_refused("wood-0001_000000.tif", "record 4 is damaged, 15 valid ones follow it");
	rig_done(&rig);
}

Test(recover, a_wiped_record_before_a_further_batch_is_refused)
{
	make_series();
	set_running();
	set_part();
	set_batches(0, 15, 7000);
	set_batches(15, 20, 8000);
	wipe_record(4);
	check_refused("wood-0001_000000.tif.part", "record 4 is damaged, 15 valid ones follow it");
	rig_done(&rig);
}

Test(recover, a_hole_in_the_last_batch_is_what_a_power_cut_leaves)
{
	make_series();
	set_running();
	set_part();
	set_batches(0, 12, 7000);
	set_batches(12, 20, 8000);
	wipe_record(14);
	wipe_record(15);
	cr_assert_eq(recover(), 0, "%s", why);
	cr_assert_eq(result.written, 14);
	rig_done(&rig);
}

Test(recover, a_damaged_last_record_is_cut_off)
{
	make_series();
	set_running();
	set_part();
	flip_bit(19);
	cr_assert_eq(recover(), 0, "%s", why);
	cr_assert_eq(result.written, 19);
	cr_assert_not_null(strstr(said, "finished with 19 frames"), "%s", said);
	rig_done(&rig);
}

Test(recover, announced_frames_are_lost_when_the_first_number_was_automatic)
{
	make_series();
	set_running();
	set_part();
	change_header(30, 1);
	for (uint32_t i = 0; i < 20; i++) { /* it began with number 7 */
		struct journal_record r = read_record(i);

		r.number += 7;
		write_record(i, &r);
	}
	cut_journal(18);
	cr_assert_eq(recover(), 0, "%s", why);
	cr_assert_eq(result.expected, 30);
	cr_assert_eq(result.written, 18);
	cr_assert_eq(result.crashed, 12);
	cr_assert_eq(read_record(18).number, 25);
	rig_done(&rig);
}

/* What recovery makes is what the daemon had made. */
static void check_table(unsigned regions)
{
	struct left table, journal;

	layout.region_count = regions;
	make_series();
	table = keep("frames.csv");
	journal = keep("journal.bin");
	set_running();
	set_part();
	remove_file("frames.csv");
	cr_assert_eq(recover(), 0, "%s", why);
	cr_assert_eq(result.written, 20);
	check_same("frames.csv", table);
	check_same("journal.bin", journal);
	rig_done(&rig);
}

Test(recover, makes_the_table_that_a_clean_end_makes)
{
	check_table(0);
	check_table(1);
	check_table(CONFIG_REGIONS_MAX);
}

Test(recover, knows_regions_without_a_manifest)
{
	struct left table;
	char *text;

	layout.region_count = 2;
	make_series();
	table = keep("frames.csv");
	remove_file("manifest.json");
	remove_file("frames.csv");
	set_part();
	cr_assert_eq(recover(), 0, "%s", why);
	check_same("frames.csv", table);
	text = manifest();
	cr_assert_not_null(strstr(text, "\"name\": \"r1\",\n      \"x\": 1,\n      \"y\": 2,"),
	                   "%s", text);
	free(text);
	rig_done(&rig);
}

/* ---- the images of a calibration ---- */

static char loaded[256];

static int load_map(void *user, const char *role, const char *path, uint32_t crc32c,
                    struct sink_calibration *ret)
{
	size_t n = strlen(loaded);

	(void)user;
	snprintf(loaded + n, sizeof loaded - n, "%s %s %x, ", role, path, crc32c);
	*ret = (struct sink_calibration){ .role = role,
		                          .path = path,
		                          .crc32c = crc32c,
		                          .pixels = calloc(256, sizeof(float)),
		                          .width = 16,
		                          .height = 16 };
	return ret->pixels ? 0 : -ENOMEM;
}

Test(recover, a_master_gets_the_images_of_the_last_calibration)
{
	static const struct sink_calibration all[] = {
		{ "dark", "/x/1.tif", 0xa, 10, NULL, 0, 0, 1, false, 0, 0 },
		{ "flat", "/x/2.tif", 0xb, 10, NULL, 0, 0, 1, false, 0, 0 },
		{ "dark", "/x/3.tif", 0xc, 10, NULL, 0, 0, 2, true, 5, 7 },
		{ "flat_dark", "/x/4.tif", 0xd, 10, NULL, 0, 0, 2, true, 5, 7 },
		{ "flat", "/x/2.tif", 0xb, 10, NULL, 0, 0, 2, false, 0, 0 },
		{ "mask", "/x/5.tif", 0xe, 10, NULL, 0, 0, 2, false, 0, 0 },
	};
	struct recover_options o = { .version = "1.2.3", .say = on_say, .load_map = load_map };

	rig_make(&rig, SINK_HDF5);
	cr_assert_eq(rig_open(&rig), 0, "%s", rig.why);
	rig.start = &(struct sink_start){ .name = "wood",
		                          .calibrations = all,
		                          .calibration_count = sizeof all / sizeof *all };
	rig_begin(&rig);
	rig_put(&rig, 1);
	rig_end(&rig);
	remove_file("wood-0001.h5");
	cr_assert_eq(recover_series(sinks_series_path(rig.sinks), &o, &result, why), 0, "%s", why);
	cr_assert_str_eq(loaded, "dark /x/3.tif c, flat_dark /x/4.tif d, flat /x/2.tif b, "
	                         "mask /x/5.tif e, ");
	rig_done(&rig);
}

/* The last records share a page, which says how many it is the mean of. */
static void average_last(uint32_t from, uint32_t to, uint32_t averaged)
{
	struct journal_record page = read_record(from);

	change_header(0, averaged);
	for (uint32_t i = from; i < to; i++) {
		struct journal_record r = read_record(i);

		r.index = page.index;
		r.offset = page.offset;
		r.crc32c = page.crc32c;
		r.averaged = averaged;
		write_record(i, &r);
	}
	cut_journal(to);
}

static void on_found(void *user, enum audit_kind kind, const char *where, const char *what)
{
	(void)user;
	cr_assert_eq(kind, AUDIT_REMARK, "%s: %s", where, what);
}

/* Files and ledger agree again. */
static void check_true(void)
{
	struct audit_result audited;

	audit_series(sinks_series_path(rig.sinks), &(struct audit_options){ .found = on_found },
	             &audited);
	cr_assert_eq(audited.verdict, AUDIT_LOSSES);
	cr_assert_eq(audited.written, result.written);
}

static void check_group(unsigned regions)
{
	layout.region_count = regions;
	make_series();
	set_running();
	set_part();
	average_last(17, 19, 3);
	cr_assert_eq(recover(), 0, "%s", why);
	cr_assert_eq(result.written, 17);
	cr_assert_eq(result.expected, 19);
	cr_assert_eq(result.crashed, 2);
	cr_assert_not_null(strstr(said, "finished with 17 frames"), "%s", said);
	cr_assert_not_null(strstr(said, "2 frames up to 18 are lost (crash)"), "%s", said);
	for (uint32_t i = 17; i < 19; i++) {
		cr_assert_eq(read_record(i).state, FRAME_DROPPED);
		cr_assert_eq(read_record(i).reason, DROPPED_CRASH);
		cr_assert_eq(read_record(i).number, i);
	}
	check_true();
	cr_assert_eq(recover(), 0, "%s", why); /* again */
	cr_assert_eq(result.written, 17);
	rig_done(&rig);
}

Test(recover, a_group_without_its_last_record_is_dropped_with_its_page)
{
	check_group(0);
	check_group(1);
	check_group(CONFIG_REGIONS_MAX);
}

Test(recover, a_torn_group_is_dropped_also_when_that_was_cut_off)
{
	for (uint32_t done = 16; done < 19; done++) {
		struct journal_record r = { .number = done,
			                    .state = FRAME_DROPPED,
			                    .reason = DROPPED_CRASH,
			                    .file = JOURNAL_NO_FILE,
			                    .repeat = 1,
			                    .step = 1 };

		make_series();
		set_running();
		set_part();
		average_last(16, 19, 4);
		write_record(done, &r);
		cr_assert_eq(recover(), 0, "%s", why);
		cr_assert_eq(result.written, 16, "record %u", done);
		cr_assert_eq(result.expected, 19);
		cr_assert_not_null(strstr(said, "finished with 16 frames"), "%s", said);
		rig_done(&rig);
	}
}

Test(recover, a_whole_group_at_the_end_is_kept)
{
	make_series();
	set_running();
	set_part();
	average_last(17, 20, 3);
	cr_assert_eq(recover(), 0, "%s", why);
	cr_assert_eq(result.written, 20);
	cr_assert_not_null(strstr(said, "finished with 18 frames"), "%s", said);
	check_true();
	rig_done(&rig);
}

static void refuse_range(uint64_t number, uint64_t repeat, uint64_t step, const char *because)
{
	struct journal_record r = { .number = number,
		                    .state = FRAME_MISSING,
		                    .file = JOURNAL_NO_FILE,
		                    .repeat = repeat,
		                    .step = step };

	make_series();
	set_running();
	set_part();
	write_record(19, &r);
	check_refused("wood-0001_000000.tif.part", because);
	rig_done(&rig);
}

Test(recover, numbers_that_cannot_be_are_refused)
{
	refuse_range(UINT64_MAX - 1, 3, 1, "record 19, frame 18446744073709551614: its range");
	refuse_range(19, (UINT64_C(1) << 32) + 1, 1, "record 19, frame 19: its range");
	refuse_range(19, 2, 5, "record 19, frame 19: its step");
	refuse_range(UINT64_MAX, 1, 1, "frames from 19 have no record");
}
