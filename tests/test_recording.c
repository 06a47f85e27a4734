/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/cbor_walk.h"
#include "bench/recording.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIMIT       (64 << 20)
#define BYTES(text) text, sizeof text - 1

static char folder[] = "/tmp/openbeam-recording-XXXXXX";
static char names[200][64]; /* what was made in it */
static unsigned name_count;
static struct recording r;

static void set_up(void)
{
	cr_assert(mkdtemp(folder));
}

static void remove_all(void)
{
	for (unsigned i = 0; i < name_count; i++) {
		char path[128];

		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		remove(path);
	}
	name_count = 0;
}

static void tear_down(void)
{
	recording_close(&r);
	remove_all();
	cr_expect_eq(rmdir(folder), 0, "%s is left behind", folder);
}

TestSuite(recording, .init = set_up, .fini = tear_down);

/* The path of one that is made now and removed at the end. */
static const char *new_path(const char *name)
{
	static char path[128];

	cr_assert_lt(name_count, 200);
	snprintf(names[name_count++], sizeof names[0], "%s", name);
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static void make_bytes(const char *name, const void *data, size_t size)
{
	FILE *file = fopen(new_path(name), "wb");

	cr_assert_not_null(file);
	cr_assert_eq(fwrite(data, 1, size, file), size);
	cr_assert_eq(fclose(file), 0);
}

static void make_file(const char *name, const char *text)
{
	make_bytes(name, text, strlen(text));
}

/* Parts of DECTRIS V1 into streamData.000001, ... */
static void make_v1(const char *const *parts)
{
	for (unsigned i = 0; parts[i]; i++) {
		char name[40];

		snprintf(name, sizeof name, "streamData.%06u", i + 1);
		make_file(name, parts[i]);
	}
}

static void open_folder(void)
{
	cr_assert_eq(recording_open(&r, folder, LIMIT), 0, "%s", r.why);
}

/* Refused, with both in the sentence. */
static void expect_refused(int err, const char *one, const char *other)
{
	int got = recording_open(&r, folder, LIMIT);

	cr_expect_eq(got, err, "%d: %s", got, r.why);
	cr_expect(strstr(r.why, one) && strstr(r.why, other), "'%s', '%s' in: %s", one, other,
	          r.why);
	cr_expect_null(r.messages);
	cr_expect_null(r.parts);
	cr_expect_null(r.contents);
	cr_expect_eq(r.count, 0);
}

static void expect_part(uint64_t message, unsigned part, const char *text)
{
	const struct recording_message *m = &r.messages[message];

	cr_assert_lt(message, r.count);
	cr_assert_lt(part, m->part_count);
	cr_assert_not_null(m->parts[part].data);
	cr_expect(m->parts[part].size == strlen(text) &&
	                  memcmp(m->parts[part].data, text, strlen(text)) == 0,
	          "part %u of message %d: %.*s", part, (int)message, (int)m->parts[part].size,
	          (const char *)m->parts[part].data);
}

/* How many parts the messages have, all in a row. */
static void expect_parts(const char *counts)
{
	char got[1024] = "";

	for (uint64_t i = 0, at = 0; i < r.count && at < sizeof got; i++)
		at += (uint64_t)snprintf(got + at, sizeof got - at, "%s%u", i ? " " : "",
		                         r.messages[i].part_count);
	cr_expect_str_eq(got, counts);
}

#define HEADER(detail) "{\"header_detail\":\"" detail "\",\"htype\":\"dheader-1.0\",\"series\":1}"
#define IMAGE          "{\"frame\":18446744073709551615,\"htype\":\"dimage-1.0\",\"series\":1}\n"
#define IMAGE_D        "{\"encoding\":\"<\",\"htype\":\"dimage_d-1.0\",\"shape\":[1,1]}"
#define CONFIG         "{\"htype\":\"dconfig-1.0\"}"
#define END            "{\"htype\":\"dseries_end-1.0\",\"series\":1}"
#define TABLE(name)    "{\"htype\":\"" name "-1.0\",\"shape\":[]}"

Test(recording, groups_parts_of_dectris_v1)
{
	make_v1((const char *const[]){ HEADER("all"),
	                               "{\"nimages\":3}",
	                               TABLE("dflatfield"),
	                               "",
	                               TABLE("dpixelmask"),
	                               "1",
	                               TABLE("dcountrate_table"),
	                               "2",
	                               "{\"acqID\": \"test_1\"}", /* 9 */
	                               IMAGE,
	                               IMAGE_D,
	                               "pixels",
	                               CONFIG,
	                               "{}", /* 5 */
	                               IMAGE,
	                               IMAGE_D,
	                               IMAGE,
	                               CONFIG, /* 4 */
	                               END,
	                               HEADER("basic"),
	                               "{}",
	                               HEADER("none"),
	                               "appendix", /* 1 2 2 */
	                               IMAGE,
	                               IMAGE_D,
	                               "",
	                               CONFIG,
	                               END,
	                               NULL });
	make_file("README", "this is no part");
	make_file(".streamData.000003", "hidden");
	open_folder();
	cr_expect_str_eq(r.kind, "streamData.NNNNNN");
	cr_expect_eq(r.file_count, 28);
	cr_expect_eq(r.passed_over, 1);
	expect_parts("9 5 4 1 2 2 4 1");
	expect_part(0, 3, "");
	expect_part(0, 8, "{\"acqID\": \"test_1\"}");
	expect_part(1, 2, "pixels");
	expect_part(2, 2, IMAGE);
	expect_part(5, 1, "appendix");
}

Test(recording, refuses_dectris_v1_with_parts_missing)
{
	static const struct {
		const char *parts[16];
		const char *file, *what;
	} rows[] = {
		{ { "pixels" }, "streamData.000001", "begins no" },
		{ { CONFIG, END }, "streamData.000001", "begins no" },
		{ { "" }, "streamData.000001", "begins no" },
		{ { HEADER("some") }, "streamData.000001", "begins no" },
		{ { "{\"htype\":\"dheader-1.0\"}" }, "streamData.000001", "begins no" },
		{ { "{\"htype\":[\"dimage-1.0\"]}" }, "streamData.000001", "begins no" },
		{ { "[\"dimage-1.0\"]" }, "streamData.000001", "begins no" },
		{ { END, IMAGE }, "streamData.000002", "1 of 4 parts" },
		{ { IMAGE, IMAGE_D, "pixels" }, "streamData.000001", "3 of 4 parts" },
		{ { IMAGE, IMAGE_D, CONFIG, END }, "streamData.000004", "part 4 of the image" },
		{ { IMAGE, "pixels", CONFIG, END }, "streamData.000002", "part 2 of the image" },
		{ { HEADER("basic"), END }, "streamData.000002", "part 2 of the header" },
		{ { HEADER("basic"), "" }, "streamData.000002", "part 2 of the header" },
		{ { HEADER("all"), "{}", TABLE("dpixelmask") }, "streamData.000003", "part 3" },
		{ { IMAGE, IMAGE_D, "", CONFIG, "one", "two" }, "streamData.000006", "begins no" },
		{ { END, "appendix" }, "streamData.000002", "begins no" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		make_v1(rows[i].parts);
		expect_refused(-EINVAL, rows[i].file, rows[i].what);
		remove_all();
	}
}

Test(recording, reads_cbor_sequences_of_parts)
{
	/* [h'7b7d', "text", h''], self-described [_ h'0102'] */
	make_bytes("b.cbors", BYTES("\x83\x42{}\x64text\x40\xd9\xd9\xf7\x9f\x42\x01\x02\xff"));
	make_bytes("a.cbors",
	           "\x81\x41"
	           "a",
	           3);
	open_folder();
	cr_expect_str_eq(r.kind, "NAME.cbors");
	expect_parts("1 3 1");
	expect_part(0, 0, "a");
	expect_part(1, 0, "{}");
	expect_part(1, 1, "text");
	expect_part(1, 2, "");
	expect_part(2, 0, "\x01\x02");
}

Test(recording, refuses_hostile_cbor_sequences)
{
	static const struct {
		const char *data;
		size_t size;
		const char *what;
	} rows[] = {
		{ "", 0, "empty" },
		{ BYTES("\x41"
		        "a"),
		  "not an array" },
		{ BYTES("\xa1\x41"
		        "a\x01"),
		  "not an array" },
		{ BYTES("\x80"), "no parts" },
		{ BYTES("\x9f\xff"), "no parts" },
		{ BYTES("\x81\x41"
		        "a\xff"),
		  "not an array" },
		{ BYTES("\x81\x01"), "not a string" },
		{ BYTES("\x81\x81\x41"
		        "a"),
		  "not a string" },
		{ BYTES("\x81\xff"), "not a string" },
		{ BYTES("\x81\x5f\x41"
		        "a\xff"),
		  "not a string of known length" },
		{ BYTES("\x81\xc2\x41"
		        "a"),
		  "not a string" },
		{ BYTES("\x81"), "promises 1 elements in 0 bytes" },
		{ BYTES("\x81\x42"
		        "a"),
		  "ends inside" },
		{ BYTES("\x81\x41"
		        "a\x81\x42"
		        "a"),
		  "from byte 3" },
		{ BYTES("\x9f\x41"
		        "a"),
		  "ends inside" },
		{ BYTES("\xd9\xd9\xf7"), "ends inside" },
		{ BYTES("\xd9\xd9\xf7\xd9\xd9\xf7\x81\x40"), "not an array" },
		{ BYTES("\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x40"),
		  "promises 18446744073709551615" },
		{ BYTES("\x81\x5b\xff\xff\xff\xff\xff\xff\xff\xff\x40"), "ends inside" },
		{ BYTES("\x81\x5b\x7f\xff\xff\xff\xff\xff\xff\xff\x40"), "ends inside" },
		{ BYTES("\x1c"), "begins no CBOR" },
		{ BYTES("\x81\x5c"), "begins no CBOR" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		make_bytes("x.cbors", rows[i].data, rows[i].size);
		expect_refused(-EINVAL, "x.cbors", rows[i].what);
		remove_all();
	}
}

Test(recording, refuses_more_parts_than_a_message_can_have)
{
	char *data = malloc(RECORDING_PARTS_MAX + 3);

	memset(data, 0x40, RECORDING_PARTS_MAX + 3);
	data[0] = '\x9f';
	data[RECORDING_PARTS_MAX + 2] = '\xff';
	make_bytes("x.cbors", data, RECORDING_PARTS_MAX + 3);
	expect_refused(-EINVAL, "x.cbors", "more than 65536 parts");
	remove_all();
	data[RECORDING_PARTS_MAX + 1] = '\xff';
	make_bytes("x.cbors", data, RECORDING_PARTS_MAX + 2);
	open_folder();
	expect_parts("65536");
	free(data);
}

Test(recording, takes_a_cbor_file_as_a_message)
{
	make_bytes("start_10.cbor", BYTES("\xd9\xd9\xf7\xa1\x64type\x65start"));
	make_bytes("start_9.cbor",
	           BYTES("\xa1\x61t\x82\xf9\x3c\x00\xbf\x61k\x7f\x61u\x60\xff\xff"));
	open_folder();
	cr_expect_str_eq(r.kind, "NAME.cbor");
	expect_parts("1 1");
	expect_part(1, 0, "\xd9\xd9\xf7\xa1\x64type\x65start");
}

Test(recording, refuses_hostile_cbor_files)
{
	static const struct {
		const char *data;
		size_t size;
		const char *what;
	} rows[] = {
		{ "", 0, "ends inside" },
		{ BYTES("\xa1\x61t"), "ends inside" },
		{ BYTES("\xa1\x61t\xd8\x28"), "ends inside" },
		{ BYTES("\xa2\x61t\x01"), "map promises 2 elements in 3 bytes" },
		{ BYTES("\xbb\x80\x00\x00\x00\x00\x00\x00\x00\x01\x02"), "map promises" },
		{ BYTES("\x80\x80"), "1 bytes follow" },
		{ BYTES("\xff"), "break" },
		{ BYTES("\x82\x01\xff"), "break" },
		{ BYTES("\xbf\x01\xff"), "break" },
		{ BYTES("\x9f\xc2\xff"), "break" },
		{ BYTES("\x5f\x61t\xff"), "piece" },
		{ BYTES("\x7f\x7f\xff\xff"), "piece" },
		{ BYTES("\x7f\xc1\x60\xff"), "piece" },
		{ BYTES("\x5f\x01\xff"), "piece" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		make_bytes("x.cbor", rows[i].data, rows[i].size);
		expect_refused(-EINVAL, "x.cbor", rows[i].what);
		remove_all();
	}
}

Test(recording, limits_how_deep_cbor_is_nested)
{
	char data[1000];

	memset(data, 0x81, sizeof data);
	data[CBOR_WALK_DEPTH_MAX] = 0x01;
	make_bytes("x.cbor", data, CBOR_WALK_DEPTH_MAX + 1);
	open_folder();
	recording_close(&r);
	remove_all();
	data[CBOR_WALK_DEPTH_MAX] = '\x81';
	data[sizeof data - 1] = 0x01;
	make_bytes("x.cbor", data, sizeof data);
	expect_refused(-EINVAL, "x.cbor", "nested deeper than 32");
	remove_all();
	memset(data, 0xc1, sizeof data); /* tags are in nothing */
	data[sizeof data - 1] = 0x01;
	make_bytes("x.cbor", data, sizeof data);
	open_folder();
}

Test(recording, refuses_every_prefix_of_a_cbor_file)
{
	static const char whole[] = "\xd9\xd9\xf7\xa3\x61t\x82\xf9\x3c\x00\x1b\x01\x02\x03\x04\x05"
				    "\x06\x07\x08\x61k\x5f\x42uv\x40\xff\x61m\xbf\x61z\xd8\x28\x9f"
				    "\x01\xff\xff";
	char why[CBOR_WALK_WHY];
	size_t used;

	for (size_t size = 0; size < sizeof whole - 1; size++) {
		uint8_t *prefix = malloc(size ? size : 1);

		memcpy(prefix, whole, size);
		cr_expect_eq(cbor_walk_item(prefix, size, &used, why), -EINVAL, "%zu", size);
		free(prefix);
	}
	cr_expect_eq(cbor_walk_item((const uint8_t *)whole, sizeof whole - 1, &used, why), 0, "%s",
	             why);
	cr_expect_eq(used, sizeof whole - 1);
}

Test(recording, numbers_messages_and_parts_of_raw_files)
{
	make_file("000001_000.raw", "second");
	make_file("000000_000.raw", "main");
	make_file("000000_001.raw", "data");
	make_file("000000_002.raw", "");
	make_file("x_000.raw", "of another name");
	open_folder();
	cr_expect_str_eq(r.kind, "NNNNNN_NNN.raw");
	cr_expect_eq(r.passed_over, 1);
	expect_parts("3 1");
	expect_part(0, 0, "main");
	expect_part(0, 1, "data");
	expect_part(0, 2, "");
	expect_part(1, 0, "second");
}

Test(recording, refuses_raw_files_with_a_part_missing)
{
	make_file("000000_000.raw", "0");
	make_file("000000_002.raw", "2");
	expect_refused(-EINVAL, "000000_002.raw", "part 1");
	remove_all();
	make_file("000000_000.raw", "0");
	make_file("000001_001.raw", "1");
	expect_refused(-EINVAL, "000001_001.raw", "part 0");
	remove_all();
	make_file("000000_000.raw", "0");
	make_file("000000_00.raw", "0");
	expect_refused(-EINVAL, "000000_00", "twice");
}

Test(recording, puts_a_blob_behind_its_header)
{
	make_file("b.hdr", "header b");
	make_file("b.blob", "blob b");
	make_file("b.f.hdr", "header of b.f"); /* sorts between the two by its bytes */
	make_file("a.hdr", "header a");
	make_file("c.meta", "binary c");
	make_file("c.blob", "blob c");
	make_file("other.cbor", "of a kind that comes later");
	open_folder();
	cr_expect_str_eq(r.kind, "NAME.hdr");
	cr_expect_eq(r.passed_over, 1);
	expect_parts("1 2 1 2");
	expect_part(0, 0, "header a");
	expect_part(1, 0, "header b");
	expect_part(1, 1, "blob b");
	expect_part(2, 0, "header of b.f");
	expect_part(3, 0, "binary c");
	expect_part(3, 1, "blob c");
}

Test(recording, refuses_a_blob_without_a_header)
{
	make_file("a.hdr", "header a");
	make_file("b.blob", "blob b");
	expect_refused(-EINVAL, "b.blob", "b.hdr is missing");
	remove_all();
	make_file("a.hdr", "");
	expect_refused(-EINVAL, "a.hdr", "empty");
}

Test(recording, says_what_is_there_and_what_is_understood)
{
	expect_refused(-EINVAL, "no files", "NAME.cbors");
	make_file(".hidden.cbor", "\x80");
	expect_refused(-EINVAL, "no files", "streamData.NNNNNN");
	for (unsigned i = 0; i < 8; i++)
		make_file((char[]){ 'i', (char)('0' + i), '.', 't', 'i', 'f', '\0' }, "");
	make_file("streamData.", "");
	make_file("streamData.12x", "");
	expect_refused(-EINVAL, "i0.tif, i1.tif, i2.tif, i3.tif, i4.tif and 5 more", "NAME.cbor (");
}

Test(recording, names_a_folder_that_cannot_be_read)
{
	cr_expect_eq(recording_open(&r, "/nowhere/at/all", LIMIT), -ENOENT);
	cr_expect(strstr(r.why, "/nowhere/at/all"), "%s", r.why);
	make_file("file", "");
	cr_expect_eq(recording_open(&r, new_path("file"), LIMIT), -ENOTDIR);
	cr_assert_eq(mkdir(new_path("x.cbor"), 0700), 0);
	expect_refused(-EINVAL, "x.cbor", "not a file");
	cr_assert_eq(mkfifo(new_path("a.cbors"), 0600), 0);
	expect_refused(-EINVAL, "a.cbors", "not a file");
	cr_assert_eq(symlink("nowhere", new_path("streamData.1")), 0);
	expect_refused(-ENOENT, "streamData.1", "");
}

Test(recording, sentences_have_printable_names)
{
	make_file("\033[2J\n.cbor", "\xff");
	expect_refused(-EINVAL, "?[2J?.cbor", "break");
}

Test(recording, keeps_the_memory_limit)
{
	uint64_t bytes;

	make_file("a.hdr", "0123456789");
	make_file("b.hdr", "0123456789");
	open_folder();
	bytes = r.bytes;
	cr_expect_eq(bytes,
	             20 + 2 * sizeof(struct recording_message) + 2 * sizeof(struct recording_part));
	recording_close(&r);
	cr_expect_eq(recording_open(&r, folder, bytes), 0, "%s", r.why);
	recording_close(&r);
	for (uint64_t limit = 0; limit < bytes; limit++) {
		cr_expect_eq(recording_open(&r, folder, limit), -EFBIG, "%d", (int)limit);
		cr_expect(strstr(r.why, limit < 10 ? "a.hdr" : ".hdr"), "%s", r.why);
		cr_expect_null(r.contents);
	}
}

Test(recording, is_not_made_to_allocate_by_the_size_of_a_file)
{
	make_file("x.cbor", "\x01");
	cr_assert_eq(truncate(new_path("x.cbor"), (off_t)1 << 40), 0);
	expect_refused(-EFBIG, "x.cbor", "67108864 bytes");
}

/* ---- recorded vectors, which lie beside the repository */

/* Skips where they are not. */
static void open_vectors(const char *name)
{
	char path[512];

	snprintf(path, sizeof path, "%s/../shared/vectors/%s", SOURCE_DIR, name);
	if (access(path, F_OK) < 0) {
		fprintf(stderr, "skipped: %s is not there\n", path);
		cr_skip_test("%s is not there", path);
	}
	cr_assert_eq(recording_open(&r, path, LIMIT), 0, "%s", r.why);
}

static void expect_start(uint64_t message, unsigned part, const char *start)
{
	cr_assert_lt(message, r.count);
	cr_assert_lt(part, r.messages[message].part_count);
	cr_assert_geq(r.messages[message].parts[part].size, strlen(start));
	cr_expect_eq(memcmp(r.messages[message].parts[part].data, start, strlen(start)), 0, "%.*s",
	             (int)strlen(start), (const char *)r.messages[message].parts[part].data);
}

Test(recording, reads_a_recorded_eiger2_1m)
{
	open_vectors("dectris_v1_eiger2_1M");
	expect_parts("8 4 4 4 4 4 4 4 4 4 4 1 8 4 4 4 4 4 4 4 4 4 4 1");
	cr_expect_eq(r.file_count, 98);
	expect_start(0, 0, "{\"header_detail\":\"all\",\"htype\":\"dheader-1.0\",\"series\":71}");
	expect_start(10, 0, "{\"frame\":9,");
	expect_start(23, 0, "{\"htype\":\"dseries_end-1.0\",\"series\":72}");
	cr_expect_eq(r.messages[1].parts[2].size, 17445);
}

Test(recording, reads_a_recorded_eiger2_9m_cut_short)
{
	open_vectors("dectris_v1_eiger2_9M_trunc");
	expect_parts("9 5 5 5 1");
	expect_start(3, 0, "{\"frame\":2,");
	cr_expect_eq(r.messages[1].parts[2].size, 20000);
}

Test(recording, reads_a_recorded_stins)
{
	open_vectors("maxiv_stins");
	expect_parts("1 3 3 3 3 3 1");
	cr_expect_eq(r.messages[1].parts[1].size, 65536);
	expect_part(6, 0, "{\"htype\": \"series_end\"}");
}

Test(recording, reads_recorded_dectris_v2)
{
	open_vectors("dectris_v2");
	expect_parts("1 1 1 1 1");
	cr_expect_eq(r.messages[0].parts[0].size, 522939);
	cr_expect_eq(r.messages[2].parts[0].size, 69);
}

Test(recording, reads_a_recorded_bsread_message)
{
	open_vectors("bsread_cam");
	expect_parts("4");
	cr_expect_eq(r.messages[0].parts[2].size, 651092);
}

Test(recording, reads_recorded_gigafrost_headers)
{
	open_vectors("array10_gigafrost");
	expect_parts("1 1 1 1 1 1 1 1 1 1");
	cr_expect_eq(r.messages[9].parts[0].size, 361);
}

Test(recording, reads_the_synthetic_messages)
{
	open_vectors("synthetic");
	cr_expect_str_eq(r.kind, "NAME.hdr");
	expect_parts("2 2 2 2 1 1");
	cr_expect_eq(r.messages[0].parts[1].size, 8);
	expect_start(1, 0, "{\"htype\":\"array-1.0\", \"shape\":[2,3]");
}
