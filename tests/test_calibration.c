/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/calibration.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tiffio.h>
#include <unistd.h>

#define WIDTH  70
#define HEIGHT 50
#define LIMIT  (64 << 20)

static char directory[] = "/tmp/openbeam-calibration-XXXXXX";
static char path[64];
static struct image image;

static void set_up(void)
{
	cr_assert(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/image.tif", directory);
}

static void tear_down(void)
{
	image_done(&image);
	chmod(path, 0600);
	unlink(path);
	rmdir(path);
	rmdir(directory);
}

/* Called when the second reading of a file begins. */
static void (*before_second_reading)(void);

/* Stands in front of libtiff's, which image_read() calls between its two readings. */
int TIFFSetDirectory(TIFF *tif, tdir_t number)
{
	int (*next)(TIFF *, tdir_t);
	void *symbol = dlsym(RTLD_NEXT, "TIFFSetDirectory");

	memcpy(&next, &symbol, sizeof next);
	if (before_second_reading)
		before_second_reading();
	return next(tif, number);
}

TestSuite(calibration, .init = set_up, .fini = tear_down);

/* How a test image is stored. */
struct layout {
	uint16_t format, bits;
	bool tiled;
	uint32_t block_rows; /* rows per strip, height of a tile */
	uint16_t compression;
	const char *mode; /* of TIFFOpen(): byte order, BigTIFF */
};

/* The value of pixel i on page `page`. */
static double value_of(const struct layout *l, size_t i, unsigned page)
{
	double value = (double)((i * 131 + page * 77) % 251);

	if (l->format == SAMPLEFORMAT_UINT && l->bits > 8)
		value += (double)((i % 7) << (l->bits - 3));
	if (l->format == SAMPLEFORMAT_INT)
		value -= 100 + (double)((i % 5) << (l->bits - 4));
	if (l->format == SAMPLEFORMAT_IEEEFP)
		value = value / 3 - 20;
	return value;
}

static void put_value(void *at, const struct layout *l, double value)
{
	union {
		uint8_t u8;
		uint16_t u16;
		uint32_t u32;
		int16_t s16;
		int32_t s32;
		float f32;
		double f64;
	} v = { 0 };

	if (l->format == SAMPLEFORMAT_IEEEFP && l->bits == 64)
		v.f64 = value;
	else if (l->format == SAMPLEFORMAT_IEEEFP)
		v.f32 = (float)value;
	else if (l->format == SAMPLEFORMAT_INT && l->bits == 16)
		v.s16 = (int16_t)value;
	else if (l->format == SAMPLEFORMAT_INT)
		v.s32 = (int32_t)value;
	else if (l->bits == 8)
		v.u8 = (uint8_t)value;
	else if (l->bits == 16)
		v.u16 = (uint16_t)value;
	else
		v.u32 = (uint32_t)value;
	memcpy(at, &v, l->bits / 8);
}

static void set_tags(TIFF *tif, const struct layout *l, uint32_t width, uint32_t height)
{
	TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, width);
	TIFFSetField(tif, TIFFTAG_IMAGELENGTH, height);
	TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, l->bits);
	TIFFSetField(tif, TIFFTAG_SAMPLEFORMAT, l->format);
	TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, 1);
	TIFFSetField(tif, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
	TIFFSetField(tif, TIFFTAG_COMPRESSION, l->compression);
	if (l->tiled) {
		TIFFSetField(tif, TIFFTAG_TILEWIDTH, 32);
		TIFFSetField(tif, TIFFTAG_TILELENGTH, l->block_rows);
	} else {
		TIFFSetField(tif, TIFFTAG_ROWSPERSTRIP, l->block_rows);
	}
}

static void write_tiles(TIFF *tif, const struct layout *l, uint32_t width, uint32_t height,
                        unsigned page)
{
	size_t bytes = l->bits / 8;
	char *tile = malloc((size_t)TIFFTileSize(tif));

	for (uint32_t y = 0; y < height; y += l->block_rows)
		for (uint32_t x = 0; x < width; x += 32) {
			memset(tile, 0xee, (size_t)TIFFTileSize(tif));
			for (uint32_t row = 0; row < l->block_rows && y + row < height; row++)
				for (uint32_t column = 0; column < 32 && x + column < width;
				     column++)
					put_value(
						tile + (row * 32 + column) * bytes, l,
						value_of(l, (y + row) * width + x + column, page));
			TIFFWriteTile(tif, tile, x, y, 0, 0);
		}
	free(tile);
}

static void write_rows(TIFF *tif, const struct layout *l, uint32_t width, uint32_t height,
                       unsigned page)
{
	size_t bytes = l->bits / 8;
	char *row = malloc(width * bytes);

	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++)
			put_value(row + x * bytes, l, value_of(l, y * width + x, page));
		TIFFWriteScanline(tif, row, y, 0);
	}
	free(row);
}

static void write_page(TIFF *tif, const struct layout *l, uint32_t width, uint32_t height,
                       unsigned page)
{
	set_tags(tif, l, width, height);
	if (l->tiled)
		write_tiles(tif, l, width, height, page);
	else
		write_rows(tif, l, width, height, page);
	cr_assert(TIFFWriteDirectory(tif));
}

static void write_file(const struct layout *l, unsigned pages)
{
	TIFF *tif = TIFFOpen(path, l->mode);

	cr_assert(tif);
	for (unsigned page = 0; page < pages; page++)
		write_page(tif, l, WIDTH, HEIGHT, page);
	TIFFClose(tif);
}

static void expect_mean(const struct layout *l, unsigned pages)
{
	cr_assert_eq(image_read(&image, path, LIMIT), 0, "%s", image.why);
	cr_expect_eq(image.width, WIDTH);
	cr_expect_eq(image.height, HEIGHT);
	cr_expect_eq(image.pages, pages);
	cr_expect_str_eq(image.path, path);
	cr_expect_eq((uintptr_t)image.pixels % 64, 0);
	for (size_t i = 0; i < (size_t)WIDTH * HEIGHT; i++) {
		double sum = 0;

		for (unsigned page = 0; page < pages; page++) {
			double value = value_of(l, i, page);

			sum += l->format == SAMPLEFORMAT_IEEEFP && l->bits == 32 ? (float)value
			                                                         : value;
		}
		cr_assert_eq(image.pixels[i], (float)(sum / pages), "pixel %zu is %.9g, not %.9g",
		             i, (double)image.pixels[i], sum / pages);
	}
	image_done(&image);
}

static const struct layout plain = { SAMPLEFORMAT_UINT, 16, false, 16, COMPRESSION_NONE, "w" };

Test(calibration, reads_every_sample_in_strips_and_tiles_and_both_byte_orders)
{
	static const struct {
		uint16_t format, bits;
	} samples[] = {
		{ SAMPLEFORMAT_UINT, 8 },    { SAMPLEFORMAT_UINT, 16 }, { SAMPLEFORMAT_UINT, 32 },
		{ SAMPLEFORMAT_INT, 16 },    { SAMPLEFORMAT_INT, 32 },  { SAMPLEFORMAT_IEEEFP, 32 },
		{ SAMPLEFORMAT_IEEEFP, 64 },
	};
	static const char *const modes[] = { "wl", "wb", "wl8", "wb8" };
	static const uint16_t compressions[] = { COMPRESSION_NONE, COMPRESSION_LZW,
		                                 COMPRESSION_ADOBE_DEFLATE, COMPRESSION_PACKBITS };

	for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
		for (size_t mode = 0; mode < 4; mode++)
			for (size_t c = 0; c < 4; c++)
				for (int tiled = 0; tiled < 2; tiled++) {
					struct layout l = {
						samples[i].format, samples[i].bits, tiled, 16,
						compressions[c],   modes[mode]
					};

					write_file(&l, 1);
					expect_mean(&l, 1);
				}
}

Test(calibration, reads_strips_of_any_height)
{
	static const uint32_t rows[] = { 1, 7, HEIGHT, HEIGHT + 1, UINT32_MAX };

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct layout l = plain;

		l.block_rows = rows[i];
		write_file(&l, 1);
		expect_mean(&l, 1);
	}
}

Test(calibration, averages_the_pages)
{
	static const struct layout layouts[] = {
		{ SAMPLEFORMAT_UINT, 8, false, 16, COMPRESSION_NONE, "wb" },
		{ SAMPLEFORMAT_UINT, 32, true, 16, COMPRESSION_LZW, "w" },
		{ SAMPLEFORMAT_IEEEFP, 32, false, 50, COMPRESSION_NONE, "w8" },
		{ SAMPLEFORMAT_INT, 16, true, 64, COMPRESSION_NONE, "w" },
	};

	for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
		write_file(&layouts[i], 2);
		expect_mean(&layouts[i], 2);
		write_file(&layouts[i], 7);
		expect_mean(&layouts[i], 7);
	}
}

Test(calibration, averages_pages_in_tiles_and_in_strips)
{
	struct layout tiled = plain, strips = plain;

	tiled.tiled = true;
	strips.block_rows = HEIGHT;
	for (int strips_first = 0; strips_first < 2; strips_first++) {
		TIFF *tif = TIFFOpen(path, "w");

		write_page(tif, strips_first ? &strips : &tiled, WIDTH, HEIGHT, 0);
		write_page(tif, strips_first ? &tiled : &strips, WIDTH, HEIGHT, 1);
		TIFFClose(tif);
		expect_mean(&plain, 2);
	}
}

Test(calibration, leaves_thumbnails_out)
{
	struct layout small = plain;
	TIFF *tif = TIFFOpen(path, "w");

	TIFFSetField(tif, TIFFTAG_SUBFILETYPE, FILETYPE_REDUCEDIMAGE);
	write_page(tif, &small, 8, 8, 3);
	write_page(tif, &plain, WIDTH, HEIGHT, 0);
	TIFFSetField(tif, TIFFTAG_SUBFILETYPE, FILETYPE_REDUCEDIMAGE);
	write_page(tif, &small, 4, 4, 3);
	TIFFClose(tif);
	expect_mean(&plain, 1);

	tif = TIFFOpen(path, "w");
	TIFFSetField(tif, TIFFTAG_SUBFILETYPE, FILETYPE_REDUCEDIMAGE);
	write_page(tif, &small, 8, 8, 3);
	TIFFClose(tif);
	cr_expect_eq(image_read(&image, path, LIMIT), -EINVAL);
	cr_expect(strstr(image.why, "thumbnails"), "%s", image.why);
}

Test(calibration, reads_stored_values_whatever_the_photometric_and_description_say)
{
	TIFF *tif = TIFFOpen(path, "wb");

	set_tags(tif, &plain, WIDTH, HEIGHT);
	TIFFSetField(tif, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISWHITE);
	TIFFSetField(tif, TIFFTAG_ORIENTATION, ORIENTATION_BOTLEFT);
	TIFFSetField(tif, TIFFTAG_IMAGEDESCRIPTION,
	             "ImageJ=1.43u\ncf=0\nc0=-32768.0\nc1=1.0\nvunit=gray value\n");
	write_rows(tif, &plain, WIDTH, HEIGHT, 0);
	TIFFClose(tif);
	expect_mean(&plain, 1);
}

/* Everything about a refusal: errno, a sentence with the file's name, nothing owned. */
static void expect_refused(const char *file, uint64_t limit, int err, const char *text)
{
	struct image refused;
	int got;

	memset(&refused, 0x77, sizeof refused);
	got = image_read(&refused, file, limit);
	cr_expect_eq(got, err, "%d: %s", got, refused.why);
	cr_expect(strstr(refused.why, strrchr(file, '/')), "%s", refused.why);
	cr_expect(strstr(refused.why, text), "%s", refused.why);
	cr_expect_null(refused.pixels);
	cr_expect_null(refused.path);
	image_done(&refused);
}

static void put_integer(FILE *file, bool big_endian, unsigned bytes, uint32_t value)
{
	for (unsigned i = 0; i < bytes; i++)
		fputc((int)(value >> 8 * (big_endian ? bytes - 1 - i : i) & 0xff), file);
}

/* One page of 16 bit whose description claims `claimed` images, with `there` of them behind its
 * directory. */
static void write_imagej(bool big_endian, unsigned claimed, unsigned there)
{
	char description[64] = "";
	const uint32_t tags[][4] = {
		/* tag, type (2 text, 3 short, 4 long), count, value */
		{ TIFFTAG_IMAGEWIDTH, 4, 1, WIDTH },
		{ TIFFTAG_IMAGELENGTH, 4, 1, HEIGHT },
		{ TIFFTAG_BITSPERSAMPLE, 3, 1, 16 },
		{ TIFFTAG_COMPRESSION, 3, 1, 1 },
		{ TIFFTAG_PHOTOMETRIC, 3, 1, 1 },
		{ TIFFTAG_IMAGEDESCRIPTION, 2, 64, 122 },
		{ TIFFTAG_STRIPOFFSETS, 4, 1, 186 },
		{ TIFFTAG_ROWSPERSTRIP, 4, 1, HEIGHT },
		{ TIFFTAG_STRIPBYTECOUNTS, 4, 1, WIDTH * HEIGHT * 2 },
	};
	FILE *file = fopen(path, "wb");

	snprintf(description, sizeof description, "ImageJ=1.53t\nimages=%u\nslices=%u\n", claimed,
	         claimed);
	fputs(big_endian ? "MM" : "II", file);
	put_integer(file, big_endian, 2, 42);
	put_integer(file, big_endian, 4, 8);
	put_integer(file, big_endian, 2, 9);
	for (size_t i = 0; i < 9; i++) {
		bool is_short = tags[i][1] == 3;

		put_integer(file, big_endian, 2, tags[i][0]);
		put_integer(file, big_endian, 2, tags[i][1]);
		put_integer(file, big_endian, 4, tags[i][2]);
		put_integer(file, big_endian, is_short ? 2 : 4, tags[i][3]);
		put_integer(file, big_endian, is_short ? 2 : 0, 0);
	}
	put_integer(file, big_endian, 4, 0);
	fwrite(description, 1, sizeof description, file);
	for (unsigned page = 0; page < there; page++)
		for (size_t i = 0; i < (size_t)WIDTH * HEIGHT; i++)
			put_integer(file, big_endian, 2, (uint32_t)value_of(&plain, i, page));
	fclose(file);
}

Test(calibration, averages_the_planes_behind_imagejs_page)
{
	write_imagej(false, 5, 5);
	expect_mean(&plain, 5);
	write_imagej(true, 3, 3);
	expect_mean(&plain, 3);
}

Test(calibration, refuses_a_stack_that_is_not_all_there)
{
	write_imagej(false, 5, 4);
	expect_refused(path, LIMIT, -EINVAL, "images=5");
	write_imagej(false, 999999999, 1);
	expect_refused(path, LIMIT, -EINVAL, "images=999999999");
}

static void write_bytes(const char *bytes, size_t n)
{
	FILE *file;

	unlink(path); /* file systems sync a file that is truncated and written again */
	file = fopen(path, "wb");
	cr_assert_eq(fwrite(bytes, 1, n, file), n);
	fclose(file);
}

Test(calibration, refuses_what_is_no_file)
{
	char absent[80], loop[80];

	snprintf(absent, sizeof absent, "%s/absent.tif", directory);
	expect_refused(absent, LIMIT, -ENOENT, "No such file");
	expect_refused(directory, LIMIT, -EISDIR, "directory");
	expect_refused("/dev/null", LIMIT, -EINVAL, "no regular file");
	cr_assert_eq(mkfifo(path, 0600), 0);
	expect_refused(path, LIMIT, -EINVAL, "no regular file");
	unlink(path);
	snprintf(loop, sizeof loop, "%s/loop.tif", directory);
	cr_assert_eq(symlink(loop, loop), 0);
	expect_refused(loop, LIMIT, -ELOOP, "symbolic links");
	unlink(loop);
}

Test(calibration, refuses_an_unreadable_file)
{
	write_file(&plain, 1);
	chmod(path, 0);
	chmod(directory, 0755);
	if (geteuid() == 0)
		cr_assert_eq(seteuid(65534), 0);
	expect_refused(path, LIMIT, -EACCES, "Permission denied");
	if (getuid() == 0)
		cr_assert_eq(seteuid(0), 0);
}

Test(calibration, refuses_what_is_no_tiff)
{
	write_bytes("", 0);
	expect_refused(path, LIMIT, -EINVAL, "empty");
	write_bytes("\x89PNG\r\n\x1a\n and so on", 19);
	expect_refused(path, LIMIT, -EINVAL, "Not a TIFF");
	write_bytes("II*\0", 4);
	expect_refused(path, LIMIT, -EINVAL, "");
	write_bytes("II*\0\xff\xff\xff\x7f", 8);
	expect_refused(path, LIMIT, -EINVAL, "");
}

Test(calibration, refuses_samples_it_does_not_take)
{
	static const struct {
		uint16_t format, bits, samples, photometric;
		const char *text;
	} rows[] = {
		{ SAMPLEFORMAT_UINT, 1, 1, PHOTOMETRIC_MINISBLACK, "1-bit" },
		{ SAMPLEFORMAT_UINT, 12, 1, PHOTOMETRIC_MINISBLACK, "12-bit" },
		{ SAMPLEFORMAT_UINT, 64, 1, PHOTOMETRIC_MINISBLACK, "64-bit" },
		{ SAMPLEFORMAT_INT, 8, 1, PHOTOMETRIC_MINISBLACK, "8-bit signed" },
		{ SAMPLEFORMAT_IEEEFP, 16, 1, PHOTOMETRIC_MINISBLACK, "16-bit floating-point" },
		{ SAMPLEFORMAT_COMPLEXIEEEFP, 64, 1, PHOTOMETRIC_MINISBLACK, "complex" },
		{ SAMPLEFORMAT_UINT, 8, 3, PHOTOMETRIC_RGB, "3 values per pixel" },
		{ SAMPLEFORMAT_UINT, 8, 2, PHOTOMETRIC_MINISBLACK, "2 values per pixel" },
		{ SAMPLEFORMAT_UINT, 8, 1, PHOTOMETRIC_PALETTE, "palette" },
		{ SAMPLEFORMAT_UINT, 16, 1, PHOTOMETRIC_CFA, "colour" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		static uint16_t map[256];
		TIFF *tif = TIFFOpen(path, "w");
		char row[1024] = "";

		TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, 8);
		TIFFSetField(tif, TIFFTAG_IMAGELENGTH, 1);
		TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, rows[i].bits);
		TIFFSetField(tif, TIFFTAG_SAMPLEFORMAT, rows[i].format);
		TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, rows[i].samples);
		TIFFSetField(tif, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
		TIFFSetField(tif, TIFFTAG_PHOTOMETRIC, rows[i].photometric);
		if (rows[i].photometric == PHOTOMETRIC_PALETTE)
			TIFFSetField(tif, TIFFTAG_COLORMAP, map, map, map);
		TIFFWriteScanline(tif, row, 0, 0);
		TIFFClose(tif);
		expect_refused(path, LIMIT, -EINVAL, rows[i].text);
	}
}

Test(calibration, refuses_pages_of_different_shapes)
{
	TIFF *tif = TIFFOpen(path, "w");

	write_page(tif, &plain, WIDTH, HEIGHT, 0);
	write_page(tif, &plain, WIDTH + 1, HEIGHT, 0);
	TIFFClose(tif);
	expect_refused(path, LIMIT, -EINVAL, "page 2 has 71 x 50");
}

/* 64 x 48 pixels take as many bytes in tiles as in strips, so that the tags lie at one place. */
static void write_even(bool tiled, uint32_t width, unsigned pages)
{
	struct layout l = plain;
	TIFF *tif = TIFFOpen(path, "w");

	l.tiled = tiled;
	for (unsigned page = 0; page < pages; page++)
		write_page(tif, &l, width, 64 * 48 / width, page);
	TIFFClose(tif);
}

static void write_wider_blocks(void)
{
	write_even(false, 64, 1);
}

static void write_wider_pages(void)
{
	write_even(false, 96, 1);
}

static void write_more_pages(void)
{
	write_even(false, 64, 2);
}

static void write_fewer_pages(void)
{
	write_even(false, 64, 1);
}

Test(calibration, refuses_a_file_that_changes_while_it_is_read)
{
	static const struct {
		bool tiled;
		unsigned pages;
		void (*change)(void);
	} rows[] = {
		{ true, 1, write_wider_blocks },
		{ false, 1, write_wider_pages },
		{ false, 1, write_more_pages },
		{ false, 2, write_fewer_pages },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		write_even(rows[i].tiled, 64, rows[i].pages);
		before_second_reading = rows[i].change;
		expect_refused(path, LIMIT, -EINVAL, "not what it was");
		before_second_reading = NULL;
	}
}

Test(calibration, allocates_within_the_limit)
{
	const uint64_t pixels = (uint64_t)WIDTH * HEIGHT;
	struct layout l = plain;

	write_file(&l, 1);
	expect_refused(path, pixels * 4, -EFBIG, "70 x 50");
	cr_expect_eq(image_read(&image, path, pixels * 4 + 4096), 0, "%s", image.why);
	image_done(&image);
	write_file(&l, 2);
	expect_refused(path, pixels * 12, -EFBIG, "70 x 50");
	cr_expect_eq(image_read(&image, path, pixels * 12 + 4096), 0, "%s", image.why);
}

Test(calibration, refuses_sizes_that_nobody_has)
{
	static const uint32_t sizes[][2] = { { 1000000, 1000000 },
		                             { 2000000000, 2000000000 },
		                             { 1, 4000000000u },
		                             { 4000000000u, 1 } };

	for (size_t i = 0; i < 4; i++) {
		TIFF *tif = TIFFOpen(path, "w");
		struct layout l = plain;
		struct image refused;

		l.block_rows = 1;
		set_tags(tif, &l, sizes[i][0], 1);
		TIFFSetField(tif, TIFFTAG_COMPRESSION, COMPRESSION_LZW);
		TIFFSetField(tif, TIFFTAG_IMAGELENGTH, sizes[i][1]);
		TIFFClose(tif);
		cr_expect_lt(image_read(&refused, path, LIMIT), 0);
		cr_expect_null(refused.pixels);
		cr_expect(strstr(refused.why, "image.tif"), "%s", refused.why);
	}
}

/* Run `body` with standard error in a file; its size afterwards. */
static long length_of_stderr(void (*body)(void))
{
	FILE *captured = tmpfile();
	int kept = dup(2);
	struct stat status;

	dup2(fileno(captured), 2);
	body();
	dup2(kept, 2);
	close(kept);
	fstat(fileno(captured), &status);
	fclose(captured);
	return (long)status.st_size;
}

static char whole[200000];
static size_t whole_bytes;

static void read_whole(void)
{
	FILE *file = fopen(path, "rb");

	whole_bytes = fread(whole, 1, sizeof whole, file);
	fclose(file);
}

/* Read the file cut to many lengths. A reader may take it for complete where only the link to a
 * next page is cut off; its pixels must be right then. */
static void read_truncated(void)
{
	const size_t close_by = 150;
	struct image reference;

	cr_assert_eq(image_read(&reference, path, LIMIT), 0, "%s", reference.why);
	for (size_t size = 0; size < whole_bytes;
	     size += size < close_by || size > whole_bytes - close_by ? 1 : 149) {
		struct image cut;

		write_bytes(whole, size);
		if (image_read(&cut, path, LIMIT) < 0) {
			cr_expect(cut.why[0] != '\0');
			continue;
		}
		cr_expect_geq(size, whole_bytes - 8, "%zu of %zu bytes", size, whole_bytes);
		cr_expect_eq(cut.pages, reference.pages);
		cr_expect_eq(
			memcmp(cut.pixels, reference.pixels, sizeof *cut.pixels * WIDTH * HEIGHT),
			0);
		image_done(&cut);
	}
	image_done(&reference);
}

/* Read the file with bytes overwritten near its begin and its end, where the tags are. */
static void read_damaged(void)
{
	static char damaged[sizeof whole];
	unsigned seed = 1;

	for (int i = 0; i < 200; i++) {
		struct image wrong;

		memcpy(damaged, whole, whole_bytes);
		for (int k = 0; k < 4; k++) {
			size_t near = (size_t)rand_r(&seed) % (k % 2 ? 400 : 16);

			damaged[k % 2 ? whole_bytes - 1 - near : near] = (char)(rand_r(&seed) >> 5);
		}
		write_bytes(damaged, whole_bytes);
		if (image_read(&wrong, path, LIMIT) < 0)
			cr_expect(wrong.why[0] != '\0');
		image_done(&wrong);
	}
}

Test(calibration, refuses_truncated_and_survives_damaged_files_in_silence, .timeout = 60)
{
	static const struct layout layouts[] = {
		{ SAMPLEFORMAT_UINT, 16, false, 16, COMPRESSION_NONE, "w" },
		{ SAMPLEFORMAT_UINT, 16, true, 16, COMPRESSION_LZW, "wb" },
		{ SAMPLEFORMAT_IEEEFP, 32, false, 7, COMPRESSION_ADOBE_DEFLATE, "w8" },
		{ SAMPLEFORMAT_UINT, 8, false, 50, COMPRESSION_PACKBITS, "w" },
	};

	for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
		write_file(&layouts[i], i % 2 ? 2 : 1);
		read_whole();
		cr_expect_eq(length_of_stderr(read_truncated), 0, "libtiff printed something");
		cr_expect_eq(length_of_stderr(read_damaged), 0, "libtiff printed something");
	}
}

Test(calibration, refuses_directories_that_go_in_circles)
{
	unsigned char bytes[4];
	uint32_t offset;
	FILE *file;

	write_file(&plain, 1);
	file = fopen(path, "r+b");
	fseek(file, 4, SEEK_SET);
	cr_assert_eq(fread(bytes, 1, 4, file), 4);
	offset = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16;
	fseek(file, (long)offset, SEEK_SET);
	cr_assert_eq(fread(bytes, 1, 2, file), 2);
	fseek(file, (long)offset + 2 + 12 * (bytes[0] | bytes[1] << 8), SEEK_SET);
	for (int i = 0; i < 4; i++)
		bytes[i] = (unsigned char)(offset >> (8 * i));
	fwrite(bytes, 1, 4, file);
	fclose(file);
	expect_refused(path, LIMIT, -EINVAL, "page 1");
}

Test(calibration, says_the_end_of_a_long_path)
{
	char name[400];
	struct image refused;

	memset(name, 'a', sizeof name);
	strcpy(name + sizeof name - 12, "/absent.tif");
	name[0] = '/';
	for (size_t i = 100; i < 380; i += 100)
		name[i] = '/';
	cr_expect_eq(image_read(&refused, name, LIMIT), -ENOENT);
	cr_expect(strstr(refused.why, "absent.tif: No such file"), "%s", refused.why);
}

Test(calibration, closes_what_it_opened)
{
	int before, after;

	write_file(&plain, 2);
	before = dup(0);
	close(before);
	for (int i = 0; i < 20; i++) {
		cr_assert_eq(image_read(&image, path, LIMIT), 0);
		image_done(&image);
		cr_assert_lt(image_read(&image, directory, LIMIT), 0);
		cr_assert_eq(image_read(&image, path, 100), -EFBIG);
	}
	after = dup(0);
	close(after);
	cr_expect_eq(before, after);
	image_done(&image);
	image_done(&(struct image){ 0 });
}

/* In a suite of its own: a test that is skipped does not tear down what was set up. */
Test(calibration_recorded, reads_the_neutron_images)
{
	static const struct {
		const char *name;
		float low, high;
	} rows[] = {
		{ "wood", 7353, 33531 },
		{ "ob", 8459, 28961 },
		{ "dc", 435, 3382 },
	};

	for (size_t i = 0; i < 3; i++) {
		char file[512];
		float low = INFINITY, high = -INFINITY;

		snprintf(file, sizeof file, "%s/../shared/vectors/tomo_wood/%s_0000.tif",
		         SOURCE_DIR, rows[i].name);
		if (access(file, R_OK) != 0)
			cr_skip_test("%s is not there", file);
		cr_assert_eq(image_read(&image, file, LIMIT), 0, "%s", image.why);
		for (size_t k = 0; k < (size_t)image.width * image.height; k++) {
			low = image.pixels[k] < low ? image.pixels[k] : low;
			high = image.pixels[k] > high ? image.pixels[k] : high;
		}
		cr_expect_eq((uint64_t)image.width * image.height, 897 * 604);
		cr_expect_eq(image.pages, 1);
		cr_expect_eq(low, rows[i].low, "%s: %g", rows[i].name, (double)low);
		cr_expect_eq(high, rows[i].high, "%s: %g", rows[i].name, (double)high);
		image_done(&image);
	}
}
