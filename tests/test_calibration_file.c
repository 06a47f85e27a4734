/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/calibration_file.h"

#include "ingest/calibration.h"
#include "kernels/cpu.h"
#include "kernels/crc32c.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tiffio.h>
#include <unistd.h>

#define WIDTH  31
#define HEIGHT 17
#define PIXELS (WIDTH * HEIGHT)

static char directory[] = "/tmp/openbeam-calibration-file-XXXXXX";
static float image[PIXELS], variance[PIXELS];
static uint8_t found[PIXELS];
static const struct calibration_left_out left_out[] = { { 17, 103.5, 7.25 },
	                                                { 31, NAN, INFINITY } };
static struct calibration_set set;
static struct calibration_written written;

/* A disk whose n-th call fails, or whose writes are cut short. */
static struct fault {
	unsigned from; /* 0: none */
	int error;
	uint64_t most; /* bytes of a write, 0: all */
	unsigned counted;
	char last_renamed[64];
} fault;

static int before(void *user, const struct disk_call *c, uint64_t *length)
{
	struct fault *f = user;

	if (c->kind == DISK_WRITE && f->most && *length > f->most)
		*length = f->most;
	return ++f->counted == f->from ? f->error : 0;
}

static void after(void *user, const struct disk_call *c, int64_t result)
{
	struct fault *f = user;

	if (c->kind == DISK_RENAME && result == 0)
		snprintf(f->last_renamed, sizeof f->last_renamed, "%s", c->to);
}

static const struct disk_io io = { .user = &fault, .before = before, .after = after };

static void set_up(void)
{
	cr_assert(mkdtemp(directory));
	for (size_t i = 0; i < PIXELS; i++) {
		image[i] = i == 40 ? NAN : (float)i / 3;
		variance[i] = (float)(i * i) / 7;
		found[i] = (uint8_t)(i % 8);
	}
	set = (struct calibration_set){ .role = "dark",
		                        .width = WIDTH,
		                        .height = HEIGHT,
		                        .image = image,
		                        .variance = variance,
		                        .found = found,
		                        .combine = "mean",
		                        .frames = 48,
		                        .asked = 50,
		                        .left_out = left_out,
		                        .left_out_count = 2,
		                        .first = 10,
		                        .last = 59,
		                        .taken_ns = UINT64_C(1795793647123456789),
		                        .exposure_s = 0.002,
		                        .type = PRODUCT_UINT16,
		                        .pixel_format = "Mono12p",
		                        .hot = 3,
		                        .noisy = 2,
		                        .dead = 1,
		                        .level = 100.25,
		                        .noise = 1.5,
		                        .version = "0.1.0" };
}

static const char *in_directory(const char *name)
{
	static char path[512];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	return path;
}

/* Files in the directory; removes them where asked to. */
static unsigned count_files(bool remove_them)
{
	DIR *d = opendir(directory);
	unsigned count = 0;

	for (struct dirent *e; d && (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
			count++;
			if (remove_them)
				unlink(in_directory(e->d_name));
		}
	closedir(d);
	return count;
}

static void tear_down(void)
{
	chmod(directory, 0700);
	count_files(true);
	rmdir(directory);
}

TestSuite(calibration_file, .init = set_up, .fini = tear_down);

static void write_set(void)
{
	cr_assert_eq(calibration_file_write(&written, &io, directory, &set), 0, "%s", written.why);
}

static void expect_image(const char *name, const float *pixels)
{
	struct image i;

	cr_assert_eq(image_read(&i, in_directory(name), 1 << 20), 0, "%s", i.why);
	cr_expect(i.width == WIDTH && i.height == HEIGHT && i.pages == 1);
	cr_expect_eq(memcmp(i.pixels, pixels, PIXELS * sizeof *pixels), 0, "%s", name);
	image_done(&i);
}

Test(calibration_file, images_are_read_back_as_they_were)
{
	float flags[PIXELS];

	write_set();
	cr_expect_eq(written.number, 1);
	cr_expect_str_eq(written.path, in_directory("dark-0001.tif"));
	cr_expect_eq(count_files(false), 4);
	expect_image("dark-0001.tif", image);
	expect_image("dark-0001-variance.tif", variance);
	for (size_t i = 0; i < PIXELS; i++)
		flags[i] = found[i];
	expect_image("dark-0001-found.tif", flags);
}

Test(calibration_file, opens_with_libtiff_and_tells_imagej_of_one_image)
{
	const char *text = "";
	uint16_t bits = 0, format = 0;
	uint32_t width = 0;
	TIFF *t;

	write_set();
	t = TIFFOpen(written.path, "r");
	cr_assert(t);
	TIFFGetField(t, TIFFTAG_IMAGEWIDTH, &width);
	TIFFGetField(t, TIFFTAG_BITSPERSAMPLE, &bits);
	TIFFGetField(t, TIFFTAG_SAMPLEFORMAT, &format);
	TIFFGetField(t, TIFFTAG_IMAGEDESCRIPTION, &text);
	cr_expect(width == WIDTH && bits == 32 && format == SAMPLEFORMAT_IEEEFP);
	cr_expect(strstr(text, "ImageJ=") == text && strstr(text, "\nimages=1\n"), "%s", text);
	cr_expect(strstr(text, "series=dark-0001\n"), "%s", text);
	cr_expect_eq(TIFFLastDirectory(t), 1);
	TIFFClose(t);
}

static uint32_t checksum(const char *path, uint64_t *ret_bytes)
{
	static unsigned char bytes[1 << 16];
	FILE *f = fopen(path, "rb");
	size_t n;

	cr_assert(f);
	n = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	*ret_bytes = n;
	return crc32c_for(cpu_detect())(0, bytes, n);
}

static void expect_file(json_t *sidecar, const char *key, const char *name)
{
	json_t *o = json_object_get(json_object_get(sidecar, "files"), key);
	char crc[16];
	uint64_t bytes;

	snprintf(crc, sizeof crc, "%08" PRIx32, checksum(in_directory(name), &bytes));
	cr_expect_str_eq(json_string_value(json_object_get(o, "name")), name);
	cr_expect_str_eq(json_string_value(json_object_get(o, "crc32c")), crc);
	cr_expect_eq((uint64_t)json_integer_value(json_object_get(o, "bytes")), bytes);
}

static json_t *sidecar_of(const char *name)
{
	json_error_t error;
	json_t *o = json_load_file(in_directory(name), JSON_REJECT_DUPLICATES, &error);

	cr_assert(o, "%s", error.text);
	return o;
}

static void expect_value(json_t *o, const char *key, json_t *expected)
{
	cr_expect(json_equal(json_object_get(o, key), expected), "%s", key);
	json_decref(expected);
}

Test(calibration_file, the_sidecar_says_what_the_set_was_made_of)
{
	uint64_t bytes;
	json_t *o;

	write_set();
	cr_expect_eq(written.crc32c, checksum(written.path, &bytes));
	cr_expect_eq(written.bytes, bytes);
	o = sidecar_of("dark-0001.json");
	expect_file(o, "image", "dark-0001.tif");
	expect_file(o, "variance", "dark-0001-variance.tif");
	expect_file(o, "found", "dark-0001-found.tif");
	json_object_del(o, "files");
	expect_value(o, "taken", json_string("2026-11-27T15:34:07.123456789Z"));
	expect_value(o, "taken_ns", json_integer(1795793647123456789));
	expect_value(o, "exposure_s", json_real(0.002));
	expect_value(o, "left_out",
	             json_pack("[{s:i, s:f, s:f}, {s:i, s:n, s:n}]", "frame", 17, "mean", 103.5,
	                       "deviations", 7.25, "frame", 31, "mean", "deviations"));
	for (unsigned i = 0; i < 4; i++)
		json_object_del(
			o, (const char *[]){ "taken", "taken_ns", "exposure_s", "left_out" }[i]);
	json_t *rest = json_pack(
		"{s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:s, s:i, s:i, s:s, s:s, s:f, s:f, s:i, s:i, "
		"s:i}",
		"program", "openbeam", "version", "0.1.0", "role", "dark", "frames", 48, "asked",
		50, "first", 10, "last", 59, "combine", "mean", "width", WIDTH, "height", HEIGHT,
		"type", "uint16", "pixel_format", "Mono12p", "level", 100.25, "noise", 1.5, "hot",
		3, "noisy", 2, "dead", 1);
	cr_expect(json_equal(o, rest), "%s", json_dumps(o, 0));
	json_decref(rest);
	json_decref(o);
}

Test(calibration_file, an_unknown_exposure_is_null)
{
	json_t *o;

	set.exposure_s = 0;
	write_set();
	o = sidecar_of("dark-0001.json");
	expect_value(o, "exposure_s", json_null());
	json_decref(o);
}

static void touch(const char *name)
{
	FILE *f = fopen(in_directory(name), "w");

	cr_assert(f);
	fputs("mine", f);
	fclose(f);
}

Test(calibration_file, takes_the_first_free_number_and_overwrites_nothing)
{
	static const char *const taken[] = { "dark-0002.tif", "dark-0003-found.tif",
		                             "dark-0004.json", "dark-0005-variance.tif.part",
		                             "flat-0006.tif" };

	for (unsigned i = 0; i < 5; i++)
		touch(taken[i]);
	write_set();
	cr_expect_eq(written.number, 1);
	write_set();
	cr_expect_eq(written.number, 6);
	cr_expect_str_eq(written.path, in_directory("dark-0006.tif"));
	set.role = "flat_dark";
	write_set();
	cr_expect_str_eq(written.path, in_directory("flat_dark-0001.tif"));
	for (unsigned i = 0; i < 5; i++) {
		uint64_t bytes;

		checksum(in_directory(taken[i]), &bytes);
		cr_expect_eq(bytes, 4, "%s", taken[i]);
	}
}

Test(calibration_file, the_sidecar_gets_its_name_last)
{
	write_set();
	cr_expect_str_eq(fault.last_renamed, "dark-0001.json");
}

Test(calibration_file, a_write_cut_short_is_continued)
{
	fault.most = 100;
	write_set();
	expect_image("dark-0001.tif", image);
}

Test(calibration_file, leaves_nothing_behind_whichever_call_fails)
{
	static const int errors[] = { -ENOSPC, -EIO };
	unsigned calls;

	write_set();
	calls = fault.counted;
	cr_expect_gt(calls, 20);
	count_files(true);
	for (unsigned e = 0; e < 2; e++)
		for (unsigned n = 1; n <= calls; n++) {
			fault = (struct fault){ .from = n, .error = errors[e] };
			cr_assert_eq(calibration_file_write(&written, &io, directory, &set),
			             errors[e], "call %u: %s", n, written.why);
			cr_expect_eq(count_files(false), 0, "call %u", n);
			cr_expect(strstr(written.why, directory), "%s", written.why);
			cr_expect(strstr(written.why, strerror(-errors[e])), "%s", written.why);
			cr_expect_str_empty(written.path);
		}
	fault = (struct fault){ 0 };
	write_set();
	cr_expect_eq(count_files(false), 4);
}

Test(calibration_file, says_what_is_full_and_what_to_do)
{
	fault = (struct fault){ .from = 3, .error = -ENOSPC };
	cr_assert_eq(calibration_file_write(&written, &io, directory, &set), -ENOSPC);
	cr_expect(strstr(written.why, "/dark-0001.tif: cannot write: No space left on device: free "
	                              "some space"),
	          "%s", written.why);
}

Test(calibration_file, says_that_the_directory_is_missing_or_none)
{
	char missing[128], none[128];

	snprintf(missing, sizeof missing, "%s/missing", directory);
	cr_expect_eq(calibration_file_write(&written, NULL, missing, &set), -ENOENT);
	cr_expect(strstr(written.why, "create it first (mkdir -p)"), "%s", written.why);
	touch("none");
	snprintf(none, sizeof none, "%s/none", directory);
	cr_expect_eq(calibration_file_write(&written, NULL, none, &set), -ENOTDIR);
	cr_expect(strstr(written.why, "name a directory"), "%s", written.why);
}
