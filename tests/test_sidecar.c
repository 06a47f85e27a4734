/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/sidecar.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/openbeam-sidecar-XXXXXX";
static char image[64], path[64];
static struct sidecar sidecar;

static void set_up(void)
{
	cr_assert(mkdtemp(directory));
	snprintf(image, sizeof image, "%s/dark-0001.tif", directory);
	snprintf(path, sizeof path, "%s/dark-0001.json", directory);
}

static void tear_down(void)
{
	unlink(path);
	rmdir(path);
	rmdir(directory);
}

TestSuite(sidecar, .init = set_up, .fini = tear_down);

static void write_bytes(const char *bytes, size_t n)
{
	FILE *f = fopen(path, "w");

	cr_assert(f);
	cr_assert_eq(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

/* Keys and values; a test replaces one of them, by its key. */
static const struct key {
	const char *name, *value;
} keys[] = {
	{ "program", "\"openbeam\"" },
	{ "role", "\"dark\"" },
	{ "width", "2560" },
	{ "height", "2160" },
	{ "type", "\"uint16\"" },
	{ "exposure_s", "0.0025" },
	{ "taken_ns", "1795793647123456789" },
	{ "frames", "48" },
	{ "files", "{\"image\": {\"name\": \"x\", \"crc32c\": \"0012abCD\", \"bytes\": 99}, "
	           "\"found\": {\"name\": \"y\", \"crc32c\": \"ffffffff\", \"bytes\": 77}}" },
	{ "left_out", "[{\"frame\": 7}]" },
};

static void write_keys(const char *replaced, const char *value)
{
	char text[2048];
	size_t n = (size_t)snprintf(text, sizeof text, "{");

	for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++) {
		const char *v =
			replaced && strcmp(replaced, keys[i].name) == 0 ? value : keys[i].value;

		if (v)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s\"%s\": %s",
			                      n > 1 ? ", " : "", keys[i].name, v);
	}
	n += (size_t)snprintf(text + n, sizeof text - n, "}\n");
	write_bytes(text, n);
}

static void read_it(void)
{
	memset(&sidecar, 0x77, sizeof sidecar);
	cr_assert_eq(sidecar_read(&sidecar, image), 0, "%s", sidecar.why);
}

static void expect_refused(int err, const char *text)
{
	memset(&sidecar, 0x77, sizeof sidecar);
	cr_assert_eq(sidecar_read(&sidecar, image), err, "%s", sidecar.why);
	cr_expect_not(sidecar.there);
	cr_expect(strstr(sidecar.why, text), "%s", sidecar.why);
	cr_expect(strstr(sidecar.why, "/dark-0001.json: "), "%s", sidecar.why);
	for (const char *c = sidecar.why; *c; c++)
		cr_expect(*c >= ' ' && *c <= '~');
}

Test(sidecar, says_what_an_image_was_made_of)
{
	write_keys(NULL, NULL);
	read_it();
	cr_expect(sidecar.there);
	cr_expect_str_eq(sidecar.role, "dark");
	cr_expect(sidecar.width == 2560 && sidecar.height == 2160);
	cr_expect_eq(sidecar.type, PIXEL_UINT16);
	cr_expect_eq(sidecar.exposure_s, 0.0025);
	cr_expect_eq(sidecar.taken_ns, UINT64_C(1795793647123456789));
	cr_expect_eq(sidecar.frames, 48);
	cr_expect(sidecar.image.there && sidecar.image.crc32c == 0x0012abcd &&
	          sidecar.image.bytes == 99);
	cr_expect(sidecar.found.there && sidecar.found.crc32c == UINT32_MAX &&
	          sidecar.found.bytes == 77);
	cr_expect_str_eq(sidecar.path, path);
}

Test(sidecar, may_be_missing)
{
	read_it();
	cr_expect_not(sidecar.there);
	snprintf(image, sizeof image, "%s/missing/dark.tif", directory);
	read_it();
	cr_expect_not(sidecar.there);
	snprintf(image, sizeof image, "%s/dark", directory);
	read_it();
	cr_expect_not(sidecar.there);
	snprintf(image, sizeof image, ".tif");
	read_it();
	cr_expect_not(sidecar.there);
}

Test(sidecar, stands_beside_either_ending)
{
	write_keys(NULL, NULL);
	snprintf(image, sizeof image, "%s/dark-0001.TIFF", directory);
	read_it();
	cr_expect(sidecar.there);
}

Test(sidecar, of_another_program_is_none_but_for_its_time)
{
	write_keys("program", "\"imagej\"");
	read_it();
	cr_expect_not(sidecar.there);
	write_keys("program", NULL);
	read_it();
	cr_expect_not(sidecar.there);
	cr_expect_gt(sidecar.taken_ns, 0);
	write_bytes("[1, 2]", 6);
	read_it();
	cr_expect_not(sidecar.there);
	cr_expect_eq(sidecar.taken_ns, 0);
}

Test(sidecar, may_know_no_exposure_and_no_pixels_found)
{
	write_keys("exposure_s", "null");
	read_it();
	cr_expect_eq(sidecar.exposure_s, 0);
	write_keys("exposure_s", NULL);
	read_it();
	cr_expect_eq(sidecar.exposure_s, 0);
	write_keys("exposure_s", "2");
	read_it();
	cr_expect_eq(sidecar.exposure_s, 2);
	write_keys("files", "{\"image\": {\"crc32c\": \"00000000\", \"bytes\": 1}}");
	read_it();
	cr_expect(sidecar.image.there && !sidecar.found.there);
}

Test(sidecar, with_a_key_of_the_wrong_kind_is_refused)
{
	static const struct key wrong[] = {
		{ "role", "\"mask\"" },
		{ "role", "7" },
		{ "role", NULL },
		{ "width", "0" },
		{ "width", "-1" },
		{ "width", "4294967296" },
		{ "width", "2560.0" },
		{ "height", "\"2160\"" },
		{ "height", NULL },
		{ "type", "\"int16\"" },
		{ "type", "[]" },
		{ "exposure_s", "0" },
		{ "exposure_s", "-1" },
		{ "exposure_s", "\"1\"" },
		{ "exposure_s", "{}" },
		{ "taken_ns", "-1" },
		{ "taken_ns", "1e9" },
		{ "taken_ns", NULL },
		{ "frames", "0" },
		{ "frames", "true" },
		{ "frames", "9223372036854775807" },
	};

	for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		write_keys(wrong[i].name, wrong[i].value);
		expect_refused(-EINVAL, wrong[i].name);
	}
}

Test(sidecar, without_the_checksum_of_its_image_is_refused)
{
	static const char *const wrong[] = {
		NULL,
		"[]",
		"{}",
		"{\"image\": 1}",
		"{\"image\": {\"bytes\": 1}}",
		"{\"image\": {\"crc32c\": \"00000000\"}}",
		"{\"image\": {\"crc32c\": \"0000000\", \"bytes\": 1}}",
		"{\"image\": {\"crc32c\": \"000000000\", \"bytes\": 1}}",
		"{\"image\": {\"crc32c\": \"+0000000\", \"bytes\": 1}}",
		"{\"image\": {\"crc32c\": 0, \"bytes\": 1}}",
		"{\"image\": {\"crc32c\": \"00000000\", \"bytes\": 0}}",
		"{\"image\": {\"crc32c\": \"00000000\", \"bytes\": 1}, \"found\": null}",
	};

	for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		write_keys("files", wrong[i]);
		expect_refused(-EINVAL, " is missing or not ");
	}
}

Test(sidecar, that_is_no_json_is_refused)
{
	static const char *const wrong[] = {
		"",
		"{",
		"{\"a\": 1, \"a\": 2}",
		"\x1b[2J",
		"{} {}",
		"{\"taken_ns\": 1e999}",
		"{\"a\": 99999999999999999999}",
	};
	char *deep = malloc(1 << 20);

	for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		write_bytes(wrong[i], strlen(wrong[i]));
		expect_refused(-EINVAL, "is no JSON");
	}
	memset(deep, '[', 1 << 20);
	write_bytes(deep, 1 << 20);
	expect_refused(-EINVAL, "is no JSON");
	free(deep);
}

/* Every beginning of a good one. */
Test(sidecar, that_was_cut_off_is_refused)
{
	static char whole[2048];
	size_t n;
	FILE *f;

	write_keys(NULL, NULL);
	f = fopen(path, "r");
	n = fread(whole, 1, sizeof whole, f);
	fclose(f);
	for (size_t i = 0; i + 2 < n; i++) {
		write_bytes(whole, i);
		expect_refused(-EINVAL, "is no JSON");
	}
}

Test(sidecar, that_is_too_long_or_no_file_is_refused)
{
	write_keys(NULL, NULL);
	cr_assert_eq(truncate(path, SIDECAR_BYTES_MAX + 1), 0);
	expect_refused(-EFBIG, "is longer than");
	unlink(path);
	cr_assert_eq(mkdir(path, 0700), 0);
	expect_refused(-EINVAL, "is no regular file");
	rmdir(path);
	cr_assert_eq(mkfifo(path, 0600), 0);
	expect_refused(-EINVAL, "is no regular file");
}
