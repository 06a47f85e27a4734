/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/journal.h"
#include "sinks/little_endian.h"
#include "sinks/lost.h"
#include "sinks/part.h"
#include "sinks/report.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RECORDS 20

static char root[64];
static int directory;
static struct writer *writer;
static struct journal journal;
static unsigned regions; /* of what write_sample() writes */
static const struct journal_header plain = { .quality = true };

static void make(void)
{
	const char *where = getenv("TMPDIR");

	snprintf(root, sizeof root, "%.30s/openbeam-journal-XXXXXX", where ? where : "/tmp");
	cr_assert_not_null(mkdtemp(root));
	directory = open(root, O_RDONLY | O_DIRECTORY);
	cr_assert_geq(directory, 0);
	cr_assert_eq(writer_open(&writer, NULL, -1), 0);
}

static void done(void)
{
	writer_close(writer);
	unlinkat(directory, "j", 0);
	close(directory);
	rmdir(root);
}

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/%s", root, name);
	return path;
}

static struct region_stats region_sample(uint64_t number, unsigned i)
{
	double v = (double)number + i;

	return (struct region_stats){ .good = number + i,
		                      .saturated = i,
		                      .raw = { v, v + 1, v / 3, v / 7 },
		                      .normalised = { -v, 1 / v, v / 11, v / 13 } };
}

/* Its regions are those of the last call. */
static struct journal_record sample(uint64_t number)
{
	static unsigned char bytes[CONFIG_REGIONS_MAX * JOURNAL_REGION_BYTES];

	for (unsigned i = 0; i < regions; i++) {
		struct region_stats s = region_sample(number, i);

		journal_encode_region(bytes + i * JOURNAL_REGION_BYTES, &s);
	}
	return (struct journal_record){ .number = number,
		                        .dose = 0.75,
		                        .calibration = 3,
		                        .raw_percentiles = { 1, 2, 3, 4, 5 },
		                        .percentiles = { 6, 7, 8, 9, (float)number },
		                        .regions = regions ? bytes : NULL,
		                        .state = FRAME_WRITTEN,
		                        .flags = FRAME_INCOMPLETE,
		                        .file = 3,
		                        .index = 17,
		                        .offset = UINT64_C(1) << 40,
		                        .length = 11059200,
		                        .averaged = 2,
		                        .crc32c = 0xdeadbeef,
		                        .timestamp_ns = 1,
		                        .received_ns = 2,
		                        .durable_ns = 3,
		                        .rotation = -0.125,
		                        .min = -1.5,
		                        .max = 1.0 / 3,
		                        .mean = 0.25,
		                        .std = 4,
		                        .raw_min = 5,
		                        .raw_max = 6,
		                        .raw_mean = 7,
		                        .raw_std = 8,
		                        .good = 9,
		                        .bad = 10,
		                        .saturated = 11,
		                        .clipped = 12,
		                        .repeat = 1,
		                        .step = 0 };
}

/* The system's answers to the writer: a batch ends short, then fails; later writes go well. */
static struct faults {
	unsigned writes, syncs;
	uint64_t short_bytes;         /* of the first write */
	int write_error, zeros_error; /* of the second, the third */
	int sync_error;               /* of the first sync */
} faults;

static int before(void *user, const struct disk_call *c, uint64_t *length)
{
	struct faults *f = user;

	if (c->kind == DISK_SYNC_DATA)
		return f->syncs++ == 0 ? f->sync_error : 0;
	if (c->kind != DISK_WRITE || !c->queued)
		return 0;
	f->writes++;
	if (f->writes == 1 && f->short_bytes)
		*length = f->short_bytes;
	return f->writes == 2 ? f->write_error : f->writes == 3 ? f->zeros_error : 0;
}

static const struct disk_io faulty = { .user = &faults, .before = before };

static void on_done(void *user, int error)
{
	*(int *)user = error;
}

static int commit(void)
{
	int error = 1;

	journal_commit(&journal, on_done, &error);
	while (error == 1)
		writer_wait(writer, 1000000000);
	return error;
}

static void name_regions(struct journal_header *h)
{
	h->quality = true;
	h->region_count = regions;
	for (unsigned i = 0; i < regions; i++) {
		h->regions[i] = (struct journal_region){
			.x = i, .y = 10 + i, .width = 20 + i, .height = 30 + i
		};
		snprintf(h->regions[i].name, sizeof h->regions[i].name, "region-%u", i);
	}
}

/* A journal of two batches. */
static void write_sample(void)
{
	struct journal_header h = { .series_number = 7,
		                    .width = 2560,
		                    .height = 2160,
		                    .frame_bytes = 11059200,
		                    .head_bytes = 4096,
		                    .started_ns = 99,
		                    .step = 2,
		                    .large = true,
		                    .suffix = ".tif",
		                    .folder = "wood-0007" };

	name_regions(&h);
	cr_assert_eq(journal_open(&journal, writer, directory, "j", &h), 0);
	for (uint64_t i = 0; i < RECORDS; i++) {
		struct journal_record r = sample(100 + i);

		cr_assert_eq(journal_append(&journal, &r), 0);
		if (i == 7)
			cr_assert_eq(commit(), 0);
	}
	cr_assert_eq(commit(), 0);
	journal_close(&journal);
}

static void change_byte(off_t at)
{
	int fd = openat(directory, "j", O_RDWR);
	unsigned char c;

	cr_assert_eq(pread(fd, &c, 1, at), 1);
	c ^= 0x10;
	cr_assert_eq(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

static void check_quality(const struct journal_record *found, const struct journal_record *r)
{
	cr_assert(found->dose == r->dose && found->calibration == r->calibration);
	cr_assert_eq(memcmp(found->raw_percentiles, r->raw_percentiles, sizeof r->percentiles), 0);
	cr_assert_eq(memcmp(found->percentiles, r->percentiles, sizeof r->percentiles), 0);
	for (unsigned i = 0; i < regions; i++) {
		struct region_stats s, expected = region_sample(r->number, i);

		journal_decode_region(&s, found->regions + i * (size_t)JOURNAL_REGION_BYTES);
		cr_assert_eq(memcmp(&s, &expected, sizeof s), 0, "region %u", i);
	}
	if (regions == 0)
		cr_assert_null(found->regions);
}

static uint32_t valid_records(void)
{
	struct journal_view v;
	uint32_t n;

	cr_assert_eq(journal_view_open(&v, directory, "j", UINT64_MAX), 0);
	n = v.records;
	for (uint32_t i = 0; i < n; i++) {
		struct journal_record r, expected = sample(100 + i);

		journal_view_record(&v, i, &r);
		cr_assert(r.number == expected.number && r.crc32c == expected.crc32c &&
		          r.offset == expected.offset && r.max == expected.max &&
		          r.raw_std == expected.raw_std && r.clipped == expected.clipped &&
		          r.index == expected.index && r.rotation == expected.rotation &&
		          r.durable_ns == expected.durable_ns);
		check_quality(&r, &expected);
	}
	journal_view_close(&v);
	return n;
}

Test(journal, gives_back_what_was_put_in, .init = make, .fini = done)
{
	struct journal_view v;
	struct stat st;

	write_sample();
	cr_assert_eq(valid_records(), RECORDS);
	cr_assert_eq(journal_view_open(&v, directory, "j", UINT64_MAX), 0);
	cr_assert_str_eq(v.header.folder, "wood-0007");
	cr_assert_str_eq(v.header.suffix, ".tif");
	cr_assert(v.header.series_number == 7 && v.header.step == 2 && v.header.large);
	cr_assert(v.header.width == 2560 && v.header.head_bytes == 4096);
	journal_view_close(&v);
	cr_assert_eq(fstatat(directory, "j", &st, 0), 0);
	cr_assert_eq(st.st_size, JOURNAL_HEADER_BYTES + RECORDS * JOURNAL_RECORD_BYTES);
	cr_assert_leq(st.st_blocks * 512, 8192 + 4096);
}

/* A journal with that many regions is read like one without, and only whole. */
static void check_regions(unsigned count)
{
	struct journal_view v;
	struct journal_header h = { 0 };
	uint64_t bytes;

	regions = count;
	write_sample();
	cr_assert_eq(valid_records(), RECORDS);
	cr_assert_eq(journal_view_open(&v, directory, "j", UINT64_MAX), 0);
	bytes = v.bytes;
	name_regions(&h);
	cr_assert(v.header.quality && v.header.region_count == count);
	cr_assert_eq(memcmp(v.header.regions, h.regions, sizeof h.regions), 0);
	cr_assert_eq(bytes, 512 + 80 * count + RECORDS * (256 + 80 * count));
	cr_assert_eq(journal_view_bytes(&v), bytes);
	journal_view_close(&v);
	for (uint64_t cut = bytes; cut > 512 + 80 * count; cut -= cut > 41 ? 41 : cut) {
		cr_assert_eq(truncate(path_of("j"), (off_t)cut), 0);
		cr_assert_eq(valid_records(), (cut - 512 - 80 * count) / (256 + 80 * count));
	}
	for (uint64_t cut = 512 + 80 * count - 1; count && cut > 0; cut -= cut > 7 ? 7 : cut) {
		cr_assert_eq(truncate(path_of("j"), (off_t)cut), 0);
		cr_assert_eq(journal_view_open(&v, directory, "j", UINT64_MAX), -EINVAL);
	}
	unlinkat(directory, "j", 0);
}

Test(journal, has_longer_records_with_regions, .init = make, .fini = done)
{
	check_regions(0);
	check_regions(1);
	check_regions(CONFIG_REGIONS_MAX);
}

/* A header that is sealed, and says something else. */
static bool accepts(size_t at, uint32_t value, size_t available)
{
	unsigned char bytes[JOURNAL_HEADER_MAX + 4096] = { 0 };
	struct journal_header h = { .step = 1, .folder = "wood-0001" };
	size_t n;

	name_regions(&h);
	n = journal_encode_header(bytes, &h);
	put32(bytes + at, value);
	put32(bytes + n - 4, crc32c_for(0)(0, bytes, n - 4));
	return journal_decode_header(&h, bytes, available ? available : sizeof bytes);
}

Test(journal, refuses_sizes_that_are_not_those_of_its_regions)
{
	regions = 3;
	cr_assert(accepts(408, 3, 0));
	cr_assert(accepts(408, 3, 512 + 240));
	cr_assert_not(accepts(408, 3, 512 + 239));
	for (uint32_t n = 0; n < 40; n++)
		cr_assert(n == 3 || !accepts(408, n, 0), "%u regions", n);
	cr_assert_not(accepts(408, UINT32_MAX, 0));
	cr_assert_not(accepts(408, 0x04000003, 0)); /* 2^32 more bytes and a few */
	cr_assert_not(accepts(8, 512, 0));
	cr_assert_not(accepts(8, UINT32_MAX, 0));
	cr_assert_not(accepts(8, 0, 0));
	cr_assert_not(accepts(12, 256, 0));
	cr_assert_not(accepts(12, 0, 0));
	cr_assert_not(accepts(12, UINT32_MAX, 0));
}

Test(journal, refuses_names_of_regions_that_would_spoil_a_table)
{
	regions = 1;
	cr_assert(accepts(508, 0x2d636261, 0));     /* "abc-" */
	cr_assert_not(accepts(508, 0x00636261, 0)); /* an end, and more behind it */
	cr_assert_not(accepts(508, 0x2c636261, 0)); /* a comma */
	cr_assert_not(accepts(508, 0x0a636261, 0)); /* a line's end */
	cr_assert_not(accepts(508, 0x2f636261, 0)); /* a path */
	cr_assert_not(accepts(508, 0x0000002e, 0)); /* "." */
	cr_assert_not(accepts(508, 0, 0));
	cr_assert_not(accepts(508 + 60, 0x61616161, 0)); /* no end */
}

Test(journal, makes_names_fit_for_columns)
{
	static const char *const names[][2] = {
		{ "beam", "beam" },
		{ "open beam, left", "open_beam__left" },
		{ "", "_" },
		{ "..", "_." },
		{ "a\nb/c\"d'", "a_b_c_d_" },
		{ "links-ä", "links-ä" },
	};
	char found[JOURNAL_NAME_BYTES], long_name[200];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		journal_region_name(found, names[i][0]);
		cr_assert_str_eq(found, names[i][1]);
	}
	memset(long_name, 'x', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = '\0';
	journal_region_name(found, long_name);
	cr_assert_eq(strlen(found), JOURNAL_NAME_BYTES - 1);
}

Test(journal, from_before_there_was_quality_is_read_without_it)
{
	const struct journal_header old = { 0 };
	unsigned char bytes[JOURNAL_HEADER_MAX];
	struct journal_record r = sample(1), found;
	struct journal_header h;

	r.dose = 0; /* what that place had */
	journal_encode(bytes, &r, 0, 0);
	cr_assert(journal_decode(&found, bytes, 0, &old));
	cr_assert(isnan(found.dose) && found.calibration == 0);
	for (unsigned i = 0; i < PERCENTILES; i++)
		cr_assert(isnan(found.percentiles[i]) && isnan(found.raw_percentiles[i]));
	cr_assert(journal_decode(&found, bytes, 0, &plain));
	cr_assert_eq(found.dose, 0);
	cr_assert_eq(journal_encode_header(bytes, &old), 512);
	cr_assert(journal_decode_header(&h, bytes, 512));
	cr_assert_not(h.quality);
}

Test(journal, a_record_that_was_taken_back_is_of_a_lost_frame)
{
	unsigned char bytes[JOURNAL_RECORD_MAX];
	struct journal_header h = { 0 };
	struct journal_record r, found;

	regions = 5;
	name_regions(&h);
	r = sample(42);
	journal_encode(bytes, &r, 9, 5);
	journal_encode_taken_back(bytes + 256 + 400 - 4, bytes, 5);
	cr_assert(journal_decode(&found, bytes, 9, &h));
	cr_assert(found.state == FRAME_DROPPED && found.reason == DROPPED_CRASH);
	cr_assert(found.number == 42 && found.file == JOURNAL_NO_FILE && found.repeat == 1);
	cr_assert(found.received_ns == 2 && found.flags == FRAME_INCOMPLETE);
	cr_assert_not(journal_decode(&found, bytes, 8, &h));
}

/* A header or a record of several sectors of which a power cut left only some. */
static void wipe_sector(unsigned i)
{
	static const unsigned char zeros[512];
	int fd = openat(directory, "j", O_RDWR);

	cr_assert_eq(pwrite(fd, zeros, sizeof zeros, (off_t)i * 512), 512);
	close(fd);
}

static bool is_unbegun(void)
{
	int fd = openat(directory, "j", O_RDONLY);
	bool unbegun = journal_is_unbegun(fd);

	close(fd);
	return unbegun;
}

Test(journal, is_unbegun_while_its_header_is_not_whole, .init = make, .fini = done)
{
	for (unsigned sector = 0; sector < 3; sector++) {
		regions = CONFIG_REGIONS_MAX;
		write_sample();
		cr_assert_not(is_unbegun());
		wipe_sector(sector);
		cr_assert_not(is_unbegun(), "with records behind it");
		cr_assert_eq(truncate(path_of("j"), 512 + 80 * CONFIG_REGIONS_MAX), 0);
		cr_assert(is_unbegun(), "without sector %u", sector);
		cr_assert_eq(truncate(path_of("j"), 1000), 0);
		cr_assert(is_unbegun());
		unlinkat(directory, "j", 0);
		regions = 0;
		write_sample();
		wipe_sector(sector);
		cr_assert_eq(truncate(path_of("j"), 512 + 2 * 256), 0);
		cr_assert(sector > 0 || !is_unbegun(), "its records are there");
		unlinkat(directory, "j", 0);
	}
}

Test(journal, a_record_that_lacks_a_sector_is_torn_and_not_damaged, .init = make, .fini = done)
{
	struct journal_view v;
	uint32_t valid;

	regions = CONFIG_REGIONS_MAX;
	write_sample();
	wipe_sector(50); /* within a record of the second batch */
	cr_assert_eq(journal_view_open(&v, directory, "j", UINT64_MAX), 0);
	cr_assert(v.records > 7 && v.records < RECORDS - 1, "%u", v.records);
	cr_assert_not(journal_view_is_damaged(&v, false, &valid));
	cr_assert(journal_view_is_damaged(&v, true, &valid));
	journal_view_close(&v);
	change_byte(50 * 512 + 100); /* not of zeros only, now */
	cr_assert_eq(journal_view_open(&v, directory, "j", UINT64_MAX), 0);
	cr_assert(journal_view_is_damaged(&v, false, &valid));
	journal_view_close(&v);
}

Test(journal, is_valid_up_to_the_first_torn_record, .init = make, .fini = done)
{
	write_sample();
	for (int cut = RECORDS * JOURNAL_RECORD_BYTES; cut >= 0; cut -= 37) {
		int fd = openat(directory, "j", O_RDWR);

		cr_assert_eq(ftruncate(fd, JOURNAL_HEADER_BYTES + cut), 0);
		close(fd);
		cr_assert_eq(valid_records(), (uint32_t)(cut / JOURNAL_RECORD_BYTES));
	}
}

Test(journal, any_changed_byte_ends_it_there, .init = make, .fini = done)
{
	write_sample();
	for (unsigned i = 0; i < JOURNAL_RECORD_BYTES; i++) {
		off_t at = JOURNAL_HEADER_BYTES + 5 * JOURNAL_RECORD_BYTES + (off_t)i;

		change_byte(at);
		cr_assert_eq(valid_records(), 5, "byte %u", i);
		change_byte(at);
	}
	cr_assert_eq(valid_records(), RECORDS);
}

Test(journal, a_record_in_the_wrong_place_is_none, .init = make, .fini = done)
{
	unsigned char bytes[JOURNAL_RECORD_BYTES];
	int fd;

	write_sample();
	fd = openat(directory, "j", O_RDWR);
	cr_assert_eq(pread(fd, bytes, sizeof bytes, JOURNAL_HEADER_BYTES), (ssize_t)sizeof bytes);
	cr_assert_eq(pwrite(fd, bytes, sizeof bytes, JOURNAL_HEADER_BYTES + 3 * sizeof bytes),
	             (ssize_t)sizeof bytes);
	close(fd);
	cr_assert_eq(valid_records(), 3);
}

Test(journal, a_damaged_header_or_another_file_is_refused, .init = make, .fini = done)
{
	struct journal_view v;
	int fd;

	cr_assert_eq(journal_view_open(&v, directory, "j", UINT64_MAX), -ENOENT);
	write_sample();
	for (off_t at = 0; at < JOURNAL_HEADER_BYTES; at += 11) {
		change_byte(at);
		cr_assert_eq(journal_view_open(&v, directory, "j", UINT64_MAX), -EINVAL);
		change_byte(at);
	}
	fd = openat(directory, "j", O_RDWR);
	cr_assert_eq(ftruncate(fd, JOURNAL_HEADER_BYTES - 1), 0);
	close(fd);
	cr_assert_eq(journal_view_open(&v, directory, "j", UINT64_MAX), -EINVAL);
}

Test(journal, what_was_opened_stays_readable_whatever_becomes_of_the_file, .init = make,
     .fini = done)
{
	struct journal_view v;
	struct journal_record r;

	write_sample();
	cr_assert_eq(journal_view_open(&v, directory, "j", UINT64_MAX), 0);
	cr_assert_eq(truncate(path_of("j"), 0), 0); /* a map would be a signal now */
	cr_assert_eq(v.records, RECORDS);
	for (uint32_t i = 0; i < RECORDS; i++) {
		journal_view_record(&v, i, &r);
		cr_expect_eq(r.number, 100 + i);
	}
	journal_view_close(&v);
}

Test(journal, of_any_size_is_read_the_same, .init = make, .fini = done)
{
	struct journal_view v;

	write_sample();
	cr_assert_eq(truncate(path_of("j"), 65 << 20),
	             0); /* mapped, and holes behind the records */
	cr_assert_eq(valid_records(), RECORDS);
	cr_assert_eq(journal_view_open(&v, directory, "j",
	                               JOURNAL_HEADER_BYTES + 3 * JOURNAL_RECORD_BYTES),
	             0);
	cr_expect_eq(v.records, 3);
	journal_view_close(&v);
}

Test(journal, a_link_a_pipe_or_a_folder_is_none, .init = make, .fini = done)
{
	struct journal_view v;

	write_sample();
	cr_assert_eq(symlinkat("j", directory, "link"), 0);
	cr_assert_eq(mkfifoat(directory, "pipe", 0600), 0);
	cr_assert_eq(mkdirat(directory, "folder", 0700), 0);
	cr_expect_eq(journal_view_open(&v, directory, "link", UINT64_MAX), -ELOOP);
	cr_expect_eq(journal_view_open(&v, directory, "pipe", UINT64_MAX), -EINVAL);
	cr_expect_eq(journal_view_open(&v, directory, "folder", UINT64_MAX), -EINVAL);
	unlinkat(directory, "link", 0);
	unlinkat(directory, "pipe", 0);
	unlinkat(directory, "folder", AT_REMOVEDIR);
}

static void read_back(const char *name, char ret[64])
{
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW);
	ssize_t n;

	cr_assert_geq(fd, 0, "%s", name);
	n = read(fd, ret, 63);
	cr_assert_geq(n, 0);
	ret[n] = '\0';
	close(fd);
}

Test(journal, a_report_is_written_to_no_link_that_bears_its_name, .init = make, .fini = done)
{
	char text[64];
	struct part p;

	cr_assert_eq(part_write(NULL, directory, "precious", "kept", 4, false), 0);
	cr_assert_eq(symlinkat("precious", directory, "a.part"), 0);
	cr_assert_eq(part_write(NULL, directory, "a", "new", 3, false), 0);
	cr_assert_eq(symlinkat("precious", directory, "b.part"), 0);
	cr_assert_eq(part_open(&p, NULL, directory, "b"), 0);
	fputs("text", p.text);
	cr_assert_eq(part_commit(&p, false), 0);
	read_back("precious", text);
	cr_expect_str_eq(text, "kept");
	read_back("a", text);
	cr_expect_str_eq(text, "new");
	read_back("b", text);
	cr_expect_str_eq(text, "text");
	for (const char *name = "a"; *name; name = *name == 'a' ? "b" : "")
		unlinkat(directory, name, 0);
	unlinkat(directory, "precious", 0);
}

Test(journal, a_report_replaces_what_an_earlier_attempt_left, .init = make, .fini = done)
{
	int fd = openat(directory, "a.part", O_WRONLY | O_CREAT, 0600);
	char text[64];

	cr_assert_eq(write(fd, "much longer", 11), 11);
	close(fd);
	cr_assert_eq(part_write(NULL, directory, "a", "new", 3, false), 0);
	read_back("a", text);
	cr_expect_str_eq(text, "new");
	unlinkat(directory, "a", 0);
}

Test(journal, refuses_states_and_reasons_that_do_not_exist)
{
	unsigned char bytes[JOURNAL_RECORD_BYTES];
	struct journal_record r = sample(1), found;

	r.state = FRAME_DROPPED;
	r.reason = DROPPED_COUNT;
	journal_encode(bytes, &r, 0, 0);
	cr_assert_not(journal_decode(&found, bytes, 0, &plain));
	r.reason = DROPPED_CRASH;
	r.repeat = 0;
	journal_encode(bytes, &r, 0, 0);
	cr_assert_not(journal_decode(&found, bytes, 0, &plain));
	r.repeat = 5;
	r.step = 2;
	journal_encode(bytes, &r, 0, 0);
	cr_assert(journal_decode(&found, bytes, 0, &plain));
	r.state = FRAME_WRITTEN;
	r.reason = 0;
	journal_encode(bytes, &r, 0, 0);
	cr_assert_not(journal_decode(&found, bytes, 0, &plain));
}

Test(journal, an_angle_that_was_not_said_is_none)
{
	unsigned char bytes[JOURNAL_RECORD_BYTES];
	struct journal_record r = sample(1), found;

	r.rotation = NAN;
	journal_encode(bytes, &r, 0, 0);
	for (unsigned i = 192; i < 200; i++)
		cr_assert_eq(bytes[i], 0); /* as in journals from before there were angles */
	cr_assert(journal_decode(&found, bytes, 0, &plain));
	cr_assert(isnan(found.rotation));
	r.rotation = 0;
	journal_encode(bytes, &r, 0, 0);
	cr_assert(journal_decode(&found, bytes, 0, &plain));
	cr_assert_eq(found.rotation, 0);
}

Test(journal, losses_merge_only_where_nothing_is_lost_by_it)
{
	struct lost_list l = { .step = 2 };
	struct loss gap = { .number = 10, .state = FRAME_MISSING, .reason = MISSING_NEVER };
	struct loss timed = { .state = FRAME_DROPPED, .reason = DROPPED_OVERLOAD };
	struct journal_record r;

	for (; gap.number < 20; gap.number += 2)
		cr_assert_eq(lost_add(&l, &gap), 0);
	cr_assert_eq(l.count, 1);
	gap.number = 21;
	cr_assert_eq(lost_add(&l, &gap), 0);
	cr_assert_eq(l.count, 2);
	for (uint64_t i = 0; i < 10000; i++) {
		timed.number = 30 + 2 * i;
		timed.received_ns = 1 + i;
		cr_assert_eq(lost_add(&l, &timed), 0);
	}
	cr_assert_leq(l.count, 5000);
	lost_record(&l, 0, &r);
	cr_assert(r.number == 10 && r.repeat == 5 && r.step == 2 && r.state == FRAME_MISSING);
	lost_record(&l, 3, &r);
	cr_assert(r.number == 32 && r.repeat == 1 && r.received_ns == 2);
	lost_done(&l);
}

static void lose(struct lost_list *l, uint64_t number, uint8_t reason)
{
	struct loss loss = {
		.number = number, .received_ns = 1, .state = FRAME_DROPPED, .reason = reason
	};

	cr_assert_eq(lost_add(l, &loss), 0);
}

/* Each of the first `count` numbers is in the list once. */
static void check_lost(const struct lost_list *l, uint64_t count)
{
	unsigned char *seen = calloc(count, 1);

	cr_assert_not_null(seen);
	for (size_t i = 0; i < l->count; i++) {
		struct journal_record r;

		lost_record(l, i, &r);
		for (uint64_t k = 0; k < r.repeat; k++) {
			uint64_t place = (r.number + k * r.step) / l->step;

			cr_assert_lt(place, count);
			cr_assert_eq(seen[place]++, 0, "number %d twice", (int)place);
		}
	}
	for (uint64_t i = 0; i < count; i++)
		cr_assert_eq(seen[i], 1, "number %d is missing", (int)i);
	free(seen);
}

Test(journal, many_losses_in_any_near_order_take_little)
{
	/* Of each so many, the order in which they come. */
	static const unsigned orders[][4] = {
		{ 0, 1, 2, 3 }, { 1, 0, 3, 2 }, { 3, 2, 1, 0 }, { 2, 0, 3, 1 }
	};

	for (unsigned o = 0; o < sizeof orders / sizeof *orders; o++) {
		struct lost_list l = { .step = 3 };

		for (uint64_t i = 0; i < 200000; i += 4)
			for (unsigned k = 0; k < 4; k++)
				lose(&l, 3 * (i + orders[o][k]), DROPPED_OVERLOAD);
		cr_expect_lt(l.count, 4200, "order %u: %zu entries", o, l.count);
		check_lost(&l, 200000);
		lost_done(&l);
	}
}

Test(journal, losses_in_a_batch_are_not_changed_by_later_ones)
{
	struct lost_list l = { .step = 1 };

	for (uint64_t i = 0; i < 5000; i++)
		lose(&l, 2 * i, DROPPED_OVERLOAD);
	l.held = l.count;
	cr_assert_eq(l.held, 5000, "none has a neighbour");
	for (uint64_t i = 5000; i-- > 0;)
		lose(&l, 2 * i + 1, DROPPED_OVERLOAD);
	for (size_t i = 0; i < l.held; i++)
		cr_assert(l.at[i].number == 2 * i && l.at[i].repeat == 1);
	check_lost(&l, 10000);
	lost_done(&l);
}

Test(journal, losses_of_another_reason_do_not_merge)
{
	struct lost_list l = { .step = 1 };

	for (uint64_t i = 0; i < 6000; i++)
		lose(&l, i, i % 2 ? DROPPED_OVERLOAD : DROPPED_NO_SPACE);
	cr_expect_eq(l.count, 6000);
	lost_done(&l);
}

/* Commit ten records, of which four reach the file before `error`; left open. */
static int commit_in_vain(void)
{
	struct journal_header h = {
		.frame_bytes = 1, .quality = true, .suffix = ".tif", .folder = "f"
	};

	make();
	writer_close(writer);
	cr_assert_eq(writer_open(&writer, &faulty, -1), 0);
	cr_assert_eq(journal_open(&journal, writer, directory, "j", &h), 0);
	for (uint64_t i = 0; i < 10; i++) {
		struct journal_record r = sample(100 + i);

		cr_assert_eq(journal_append(&journal, &r), 0);
	}
	return commit();
}

Test(journal, leaves_no_record_of_a_batch_that_found_no_space)
{
	struct journal_record r = sample(100);

	faults = (struct faults){ .short_bytes = UINT64_C(4) * JOURNAL_RECORD_BYTES,
		                  .write_error = -ENOSPC };
	cr_assert_eq(commit_in_vain(), -ENOSPC);
	cr_assert_eq(valid_records(), 0); /* as after a crash here */
	cr_assert_eq(journal.error, 0);
	cr_assert_eq(journal_append(&journal, &r), 0);
	cr_assert_eq(commit(), 0);
	cr_assert_eq(valid_records(), 1);
	cr_assert_not(journal.stale);
	journal_close(&journal);
	done();
}

Test(journal, is_cut_when_a_batch_cannot_be_overwritten)
{
	faults = (struct faults){ .short_bytes = UINT64_C(4) * JOURNAL_RECORD_BYTES,
		                  .write_error = -ENOSPC,
		                  .zeros_error = -ENOSPC };
	cr_assert_eq(commit_in_vain(), -ENOSPC);
	cr_assert_eq(valid_records(), 0);
	cr_assert_eq(journal.error, -ENOSPC);
	cr_assert_not(journal.stale);
	journal_close(&journal);
	done();
}

Test(journal, is_cut_after_a_sync_without_space)
{
	faults = (struct faults){ .sync_error = -ENOSPC };
	cr_assert_eq(commit_in_vain(), -ENOSPC);
	cr_assert_eq(valid_records(), 0);
	cr_assert_eq(journal.error, -ENOSPC);
	journal_close(&journal);
	done();
}

/* Stands before the C library's: which directories were synced, and one that cannot be. */
static ino_t synced_directory;
static int directory_error;

int fsync(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		synced_directory = st.st_ino;
		errno = directory_error;
		if (directory_error)
			return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

Test(journal, has_a_synced_directory_entry_before_the_first_record)
{
	struct journal_header h = {
		.frame_bytes = 1, .quality = true, .suffix = ".tif", .folder = "f"
	};
	struct stat st;

	make();
	cr_assert_eq(fstat(directory, &st), 0);
	cr_assert_eq(journal_open(&journal, writer, directory, "j", &h), 0);
	cr_assert_eq(synced_directory, st.st_ino);
	journal_close(&journal);
	unlinkat(directory, "j", 0);
	directory_error = EIO;
	cr_assert_eq(journal_open(&journal, writer, directory, "j", &h), -EIO);
	cr_assert_eq(faccessat(directory, "j", F_OK, 0), -1);
	done();
}

/* Finished ones bear their final name, in whatever order the files are listed. */
Test(journal, a_report_names_unfinished_files_as_they_are, .init = make, .fini = done)
{
	const struct config_rotation rotation = { 0 };
	const struct lost_list none = { .step = 1 };
	struct journal_header h = { .step = 1, .suffix = ".tif", .folder = "wood-0007" };
	struct lane_file files[200];
	struct report_source s = { .folder = directory,
		                   .journal = "j",
		                   .journal_bytes =
		                           JOURNAL_HEADER_BYTES + 200 * JOURNAL_RECORD_BYTES,
		                   .lost = &none,
		                   .series = "wood-0007",
		                   .rotation = &rotation,
		                   .step = 1,
		                   .suffix = ".tif",
		                   .files = files,
		                   .file_count = 200,
		                   .any_unfinished = true };
	char line[1024], wanted[64];
	FILE *f;

	cr_assert_eq(journal_open(&journal, writer, directory, "j", &h), 0);
	for (uint32_t i = 0; i < 200; i++) {
		struct journal_record r = sample(i);

		r.file = i;
		cr_assert_eq(journal_append(&journal, &r), 0);
		files[i] = (struct lane_file){ .index = i * 77 % 200,
			                       .unfinished = i * 77 % 200 % 3 == 0 };
	}
	cr_assert_eq(commit(), 0);
	journal_close(&journal);
	cr_assert_eq(report_frames(&s, "frames.csv"), 0);
	f = fopen(path_of("frames.csv"), "r");
	cr_assert_not_null(f);
	cr_assert_not_null(fgets(line, sizeof line, f)); /* the columns */
	for (unsigned i = 0; i < 200; i++) {
		cr_assert_not_null(fgets(line, sizeof line, f));
		snprintf(wanted, sizeof wanted, ",wood-0007_%06u.tif%s,17,", i,
		         i % 3 == 0 ? ".part" : "");
		cr_expect_not_null(strstr(line, wanted), "%s lacks %s", line, wanted);
	}
	fclose(f);
	unlinkat(directory, "frames.csv", 0);
}
