/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/planes.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>
#include <unistd.h>

#define WIDTH  7
#define HEIGHT 5
#define PIXELS ((size_t)WIDTH * HEIGHT)

enum role { DARK, FLAT, MASK, ROLES };

static char directory[] = "/tmp/openbeam-planes-XXXXXX";
static char paths[ROLES][64];
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
	config.calibration = (struct config_calibration){ paths[DARK], paths[FLAT], none };
	config.sink_count = 2;
	config.sinks[0].format = SINK_TIFF;
	config.sinks[1].format = SINK_HDF5;
}

static void tear_down(void)
{
	planes_close(&planes);
	for (unsigned r = 0; r < ROLES; r++)
		unlink(paths[r]);
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
	cr_expect_eq(planes.bytes, 2 * 4096);
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
	cr_expect_null(planes.kept[0]);
}
