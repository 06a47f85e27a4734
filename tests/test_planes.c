/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/planes.h"

#include "sinks/calibration_file.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>
#include <time.h>
#include <unistd.h>

#define WIDTH  7
#define HEIGHT 5
#define PIXELS ((size_t)WIDTH * HEIGHT)

enum role { DARK, FLAT, MASK, ROLES };

static char directory[] = "/tmp/openbeam-planes-XXXXXX";
static char paths[ROLES][128];
static struct config config;
static struct planes planes;

static float value_of(enum role r, size_t i)
{
	return r == DARK ? (float)(10 + i) : r == FLAT ? (float)(1000 + 3 * i) : (float)(i == 17);
}

static void write_image(enum role r)
{
	TIFF *t = TIFFOpen(paths[r], "w");
	float row[WIDTH];

	cr_assert(t);
	TIFFSetField(t, TIFFTAG_IMAGEWIDTH, WIDTH);
	TIFFSetField(t, TIFFTAG_IMAGELENGTH, HEIGHT);
	TIFFSetField(t, TIFFTAG_BITSPERSAMPLE, 32);
	TIFFSetField(t, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_IEEEFP);
	TIFFSetField(t, TIFFTAG_SAMPLESPERPIXEL, 1);
	TIFFSetField(t, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
	TIFFSetField(t, TIFFTAG_ROWSPERSTRIP, HEIGHT);
	for (uint32_t y = 0; y < HEIGHT; y++) {
		for (uint32_t x = 0; x < WIDTH; x++)
			row[x] = value_of(r, (size_t)y * WIDTH + x);
		cr_assert_eq(TIFFWriteScanline(t, row, y, 0), 1);
	}
	TIFFClose(t);
}

static void set_up(void)
{
	static const char *const names[ROLES] = { "dark", "flat", "mask" };
	static char none[] = "";

	cr_assert(mkdtemp(directory));
	for (unsigned r = 0; r < ROLES; r++) {
		snprintf(paths[r], sizeof paths[r], "%s/%s.tif", directory, names[r]);
		write_image((enum role)r);
	}
	config.calibration = (struct config_calibration){
		.dark = paths[DARK], .flat = paths[FLAT], .flat_dark = none, .mask = none
	};
	config.sink_count = 2;
	config.sinks[0].format = SINK_TIFF;
	config.sinks[1].format = SINK_HDF5;
}

static void tear_down(void)
{
	DIR *d = opendir(directory);

	planes_close(&planes);
	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	rmdir(directory);
}

TestSuite(planes, .init = set_up, .fini = tear_down);

static void open_planes(enum normalise n)
{
	config.reduce.normalise = n;
	cr_assert_eq(planes_open(&planes, &config), 0, "%s", planes.why);
}

static void expect_kept(unsigned i, enum role r, const char *role)
{
	const struct sink_calibration *f = &planes.files[i];

	cr_assert_gt(planes.file_count, i);
	cr_expect_str_eq(f->role, role);
	cr_assert(f->pixels && f->width == WIDTH && f->height == HEIGHT);
	for (size_t k = 0; k < PIXELS; k++)
		cr_assert_eq(f->pixels[k], value_of(r, k), "%s pixel %zu", role, k);
}

Test(planes, without_a_sink_that_stores_them_nothing_is_kept)
{
	config.sink_count = 1;
	open_planes(NORMALISE_TRANSMISSION);
	cr_assert_eq(planes.file_count, 2);
	cr_expect_null(planes.files[0].pixels);
	cr_expect_null(planes.files[1].pixels);
	cr_expect_eq(planes.bytes, 2 * 4096 + 2 * PIXELS * sizeof(float));
	cr_expect_str_empty(planes.note);
}

Test(planes, are_kept_whole_where_a_region_is_cut_out)
{
	config.calibration.mask = paths[MASK];
	config.reduce.roi_x = 2;
	config.reduce.roi_y = 1;
	config.reduce.roi_width = 3;
	config.reduce.roi_height = 2;
	open_planes(NORMALISE_TRANSMISSION);
	expect_kept(0, DARK, "dark");
	expect_kept(1, FLAT, "flat");
	expect_kept(2, MASK, "mask");
	cr_expect_eq(planes.bytes, 2 * 4096 + 3 * PIXELS * sizeof(float));
	cr_expect_eq(planes.offset[0], value_of(DARK, WIDTH + 2));
	cr_expect_eq(planes.gain[0], 1 / (value_of(FLAT, WIDTH + 2) - value_of(DARK, WIDTH + 2)));
	cr_expect(isnan(planes.gain[4]), "pixel 17 is masked");
}

Test(planes, with_none_are_stored_and_not_applied)
{
	open_planes(NORMALISE_NONE);
	expect_kept(0, DARK, "dark");
	expect_kept(1, FLAT, "flat");
	cr_expect_null(planes.offset);
	cr_expect_null(planes.gain);
	cr_expect(planes.width == WIDTH && planes.height == HEIGHT, "frames must be of that size");
	cr_expect(strstr(planes.note, "only stored with the frames"), "%s", planes.note);
}

Test(planes, with_none_a_mask_still_counts)
{
	config.calibration.mask = paths[MASK];
	open_planes(NORMALISE_NONE);
	cr_assert_eq(planes.file_count, 3);
	cr_expect_eq(planes.bad, 1);
	for (size_t i = 0; i < PIXELS; i++)
		cr_expect(i == 17 ? isnan(planes.gain[i]) : planes.gain[i] == 1);
}

Test(planes, with_dark_the_flat_is_only_stored)
{
	open_planes(NORMALISE_DARK);
	expect_kept(1, FLAT, "flat");
	for (size_t i = 0; i < PIXELS; i++)
		cr_expect(planes.offset[i] == value_of(DARK, i) && planes.gain[i] == 1);
	cr_expect(strstr(planes.note, "calibration.flat is only stored"), "%s", planes.note);
}

Test(planes, with_none_and_no_such_sink_are_not_read)
{
	config.sink_count = 1;
	open_planes(NORMALISE_NONE);
	cr_expect_eq(planes.file_count, 0);
	cr_expect_eq(planes.width, 0);
	cr_expect(strstr(planes.note, "are not used"), "%s", planes.note);
}

Test(planes, that_are_only_stored_must_be_readable_too)
{
	unlink(paths[FLAT]);
	config.reduce.normalise = NORMALISE_NONE;
	cr_assert_neq(planes_open(&planes, &config), 0);
	cr_expect(strstr(planes.why, "calibration.flat"), "%s", planes.why);
	cr_expect_null(planes.images.of[PLANES_DARK].pixels);
}

static void expect_refused(const char *text)
{
	int err = planes_open(&planes, &config);

	cr_assert_lt(err, 0);
	cr_expect(strstr(planes.why, text), "%s", planes.why);
	cr_expect(!planes.offset && !planes.gain && planes.file_count == 0);
}

/* Images that were made of frames, with the JSON beside them. */

static float made_pixels[PIXELS];
static uint8_t made_found[PIXELS];

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static char set_paths[8][128];
static unsigned set_count;

/* Pixels of `level` and up, of which pixel `found` was found. Returns the path. */
static char *make_set(const char *role, float level, double exposure_s, size_t found)
{
	struct calibration_set set = { .role = role,
		                       .width = WIDTH,
		                       .height = HEIGHT,
		                       .image = made_pixels,
		                       .variance = made_pixels,
		                       .found = made_found,
		                       .combine = "mean",
		                       .frames = 48,
		                       .asked = 50,
		                       .taken_ns = now_ns() - UINT64_C(3600000000000),
		                       .exposure_s = exposure_s,
		                       .type = PRODUCT_UINT16,
		                       .pixel_format = "Mono12p",
		                       .version = "test" };
	struct calibration_written w;

	for (size_t i = 0; i < PIXELS; i++) {
		made_pixels[i] = level + (float)i;
		made_found[i] = i == found ? PIXEL_HOT : 0;
	}
	cr_assert_eq(calibration_file_write(&w, NULL, directory, &set), 0, "%s", w.why);
	cr_assert_lt(set_count, 8);
	snprintf(set_paths[set_count], sizeof *set_paths, "%.120s", w.path);
	return set_paths[set_count++];
}

static void use_sets(double dark_s, double flat_s)
{
	config.calibration.dark = make_set("dark", 10, dark_s, 3);
	config.calibration.flat = make_set("flat", 1000, flat_s, 4);
	config.sink_count = 1;
	config.reduce.normalise = NORMALISE_TRANSMISSION;
}

Test(planes, know_what_images_beside_a_json_were_made_of)
{
	const struct planes_image *dark = &planes.images.of[PLANES_DARK];

	use_sets(0.25, 0.25);
	config.calibration.found = FOUND_REPORT;
	open_planes(NORMALISE_TRANSMISSION);
	cr_expect_str_empty(planes.note);
	cr_expect(dark->exposure_s == 0.25 && dark->has_type && dark->type == PIXEL_UINT16);
	for (unsigned i = 0; i < 2; i++) {
		const struct sink_calibration *f = &planes.files[i];

		cr_expect_eq(f->frames, 48);
		cr_expect(f->taken_ns > 0 && f->taken_ns < now_ns());
		cr_expect(f->id == 1 && !f->from_stream);
	}
	cr_expect_null(planes.images.of[PLANES_MASK].pixels);
}

Test(planes, pixels_found_in_an_image_are_bad_unless_they_are_only_reported)
{
	use_sets(0, 0);
	open_planes(NORMALISE_TRANSMISSION);
	cr_expect_eq(planes.bad, 2);
	cr_expect(isnan(planes.gain[3]) && isnan(planes.gain[4]));
	planes_close(&planes);
	open_planes(NORMALISE_DARK);
	cr_expect(planes.bad == 1 && isnan(planes.gain[3]));
	planes_close(&planes);
	config.calibration.found = FOUND_REPORT;
	open_planes(NORMALISE_TRANSMISSION);
	cr_expect_eq(planes.bad, 0);
	cr_expect_null(planes.images.of[PLANES_DARK].found);
}

Test(planes, pixels_found_outside_the_region_count_for_nothing)
{
	use_sets(0, 0);
	config.reduce.roi_x = 3;
	config.reduce.roi_width = 1;
	open_planes(NORMALISE_TRANSMISSION);
	cr_expect(planes.bad == 1 && isnan(planes.gain[0]) && !isnan(planes.gain[1]));
}

Test(planes, an_image_that_was_changed_is_refused)
{
	use_sets(0, 0);
	snprintf(paths[DARK], sizeof paths[DARK], "%s", config.calibration.dark);
	write_image(DARK);
	expect_refused("calibration.dark: ");
	cr_expect(strstr(planes.why, "give the image as it was made, or remove the JSON"), "%s",
	          planes.why);
}

Test(planes, an_image_of_another_role_is_refused)
{
	char *flat;

	use_sets(0, 0);
	flat = config.calibration.flat;
	config.calibration.flat = config.calibration.dark;
	expect_refused("was taken as a dark, not as a flat");
	config.calibration.dark = flat;
	config.calibration.flat = paths[FLAT];
	expect_refused("was taken as a flat, not as a dark");
	config.calibration.dark = paths[DARK];
	config.calibration.mask = flat;
	expect_refused("was taken as a flat, not as a mask");
	config.calibration.mask = paths[MASK];
	config.calibration.dark = make_set("flat_dark", 10, 0, PIXELS);
	open_planes(NORMALISE_TRANSMISSION);
}

Test(planes, found_pixels_that_are_missing_or_changed_are_refused)
{
	char found[128];

	use_sets(0, 0);
	snprintf(found, sizeof found, "%s/dark-0001-found.tif", directory);
	snprintf(paths[DARK], sizeof paths[DARK], "%s", found);
	write_image(DARK);
	expect_refused("is not the file that was made with its image");
	unlink(found);
	expect_refused("set calibration.found to report");
	config.calibration.found = FOUND_REPORT;
	open_planes(NORMALISE_TRANSMISSION);
}

Test(planes, a_damaged_json_is_refused)
{
	char json[128];
	FILE *f;

	use_sets(0, 0);
	snprintf(json, sizeof json, "%s/flat-0001.json", directory);
	f = fopen(json, "w");
	fputs("{\"program\": \"openbeam\"}", f);
	fclose(f);
	expect_refused("calibration.flat: ");
	cr_expect(strstr(planes.why, "flat-0001.json: role is missing"), "%s", planes.why);
}

Test(planes, a_flat_of_another_exposure_needs_a_dark_of_its_own)
{
	use_sets(0.25, 0.5);
	expect_refused("calibration.flat_dark");
	config.calibration.flat_dark = make_set("flat_dark", 20, 0.25, PIXELS);
	expect_refused("give a dark with the flat's exposure");
	config.calibration.flat_dark = make_set("flat_dark", 20, 0.5, PIXELS);
	open_planes(NORMALISE_TRANSMISSION);
	cr_assert_eq(planes.file_count, 3);
	cr_expect_str_eq(planes.files[2].role, "flat_dark");
	cr_expect(planes.offset[0] == 10 && planes.gain[0] == 1.0f / 980);
	planes_close(&planes);
	open_planes(NORMALISE_DARK);
	cr_expect(planes.file_count == 1 && planes.gain[0] == 1);
}

Test(planes, an_exposure_that_is_not_known_is_taken_for_the_same)
{
	use_sets(0.25, 0);
	open_planes(NORMALISE_TRANSMISSION);
}

Test(planes, a_flat_dark_without_a_json_is_taken_as_it_is)
{
	use_sets(0.25, 0.5);
	config.calibration.flat_dark = paths[DARK];
	open_planes(NORMALISE_TRANSMISSION);
	cr_expect_eq(planes.gain[1], 1 / (1001 - value_of(DARK, 1)));
}

Test(planes, warn_of_an_old_image)
{
	use_sets(0, 0);
	config.calibration.found = FOUND_REPORT;
	config.calibration.max_age_ns = UINT64_C(7200000000000);
	open_planes(NORMALISE_TRANSMISSION);
	cr_expect_str_empty(planes.note);
	planes_close(&planes);
	config.calibration.max_age_ns = UINT64_C(1800000000000);
	open_planes(NORMALISE_TRANSMISSION);
	cr_expect(strstr(planes.note, "dark-0001.tif was taken 1.0 hours ago"), "%s", planes.note);
	cr_expect(strstr(planes.note, "; calibration.flat: "), "%s", planes.note);
}

/* Images in memory. */

static void expect_same_planes(const struct planes *a, const struct planes *b)
{
	cr_assert(a->width == b->width && a->height == b->height && a->bad == b->bad);
	cr_assert_eq(memcmp(a->offset, b->offset, PIXELS * sizeof(float)), 0);
	for (size_t i = 0; i < PIXELS; i++)
		cr_assert(a->gain[i] == b->gain[i] || (isnan(a->gain[i]) && isnan(b->gain[i])));
}

Test(planes, of_images_in_memory_are_those_of_the_files)
{
	struct planes again;

	use_sets(0.25, 0.25);
	config.calibration.mask = paths[MASK];
	open_planes(NORMALISE_TRANSMISSION);
	cr_assert_eq(planes_from_images(&again, &config, &planes.images), 0, "%s", again.why);
	expect_same_planes(&planes, &again);
	cr_expect(again.file_count == 3 && again.bytes == 2 * 4096);
	for (unsigned i = 0; i < 3; i++)
		cr_expect_str_eq(again.files[i].path, planes.files[i].path);
	planes_close(&again);
}

static struct planes_image image_in_memory(const char *path, const float *pixels)
{
	return (struct planes_image){ .pixels = pixels,
		                      .about = { .path = path,
		                                 .width = WIDTH,
		                                 .height = HEIGHT,
		                                 .id = 2,
		                                 .from_stream = true,
		                                 .frames = 7 } };
}

Test(planes, are_made_anew_with_one_image_replaced)
{
	static float dark[PIXELS];
	static uint8_t found[PIXELS];
	struct planes_images images;
	struct planes again;

	for (size_t i = 0; i < PIXELS; i++) {
		dark[i] = 50;
		found[i] = i == 6 ? PIXEL_NOISY : 0;
	}
	open_planes(NORMALISE_TRANSMISSION);
	images = planes.images;
	images.of[PLANES_DARK] = image_in_memory("new.tif", dark);
	images.of[PLANES_DARK].found = found;
	cr_assert_eq(planes_from_images(&again, &config, &images), 0, "%s", again.why);
	cr_expect(again.offset[0] == 50 && again.gain[0] == 1 / (value_of(FLAT, 0) - 50));
	cr_expect(again.bad == 1 && isnan(again.gain[6]));
	cr_expect_str_eq(again.files[0].role, "dark");
	cr_expect_str_eq(again.files[0].path, "new.tif");
	cr_expect(again.files[0].id == 2 && again.files[0].from_stream &&
	          again.files[0].frames == 7 && again.files[0].pixels == dark);
	cr_expect(again.files[1].id == 1 && again.files[1].pixels == planes.files[1].pixels);
	planes_close(&again);
	config.calibration.found = FOUND_REPORT;
	cr_assert_eq(planes_from_images(&again, &config, &images), 0, "%s", again.why);
	cr_expect_eq(again.bad, 0);
	planes_close(&again);
}

Test(planes, of_images_in_memory_are_checked_like_files)
{
	static const float none[PIXELS];
	struct planes_images images;
	struct planes again;

	open_planes(NORMALISE_TRANSMISSION);
	images = planes.images;
	images.of[PLANES_FLAT] = image_in_memory("new.tif", none);
	images.of[PLANES_FLAT].about.height--;
	cr_expect_eq(planes_from_images(&again, &config, &images), -EINVAL);
	cr_expect(strstr(again.why, "calibration.flat: new.tif is 7 x 4 pixels"), "%s", again.why);
	images.of[PLANES_FLAT] = image_in_memory("new.tif", none);
	cr_expect_eq(planes_from_images(&again, &config, &images), -EINVAL);
	cr_expect(strstr(again.why, "was the shutter closed?"), "%s", again.why);
	cr_expect(!again.offset && !again.gain);
	memset(&images, 0, sizeof images);
	cr_expect_eq(planes_from_images(&again, &config, &images), 0);
	cr_expect(!again.offset && again.file_count == 0);
	cr_expect(strstr(again.note, "no calibration is configured"), "%s", again.note);
}

Test(planes, texts_of_the_configuration_may_be_missing)
{
	config.calibration.flat_dark = config.calibration.mask = NULL;
	open_planes(NORMALISE_TRANSMISSION);
	cr_expect_eq(planes.file_count, 2);
}
