/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/tiff_pages.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

#define WHY_BYTES 512

/* What one page is, before it is known to fit. */
struct page_tags {
	uint32_t width, height;
	uint16_t bits, samples, format;
};

/* libtiff's sentence, kept for why[] instead of printed. */
static int keep_message(TIFF *tif, void *user, const char *module, const char *format, va_list ap)
{
	(void)tif;
	(void)module;
	vsnprintf(user, 256, format, ap);
	return 1;
}

static int drop_message(TIFF *tif, void *user, const char *module, const char *format, va_list ap)
{
	(void)tif, (void)user, (void)module, (void)format, (void)ap;
	return 1;
}

/* NULL with errno as open(2) left it, or 0 when the file is no TIFF; message [256]. */
static TIFF *open_quietly(const char *path, const char *mode, char *message)
{
	TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
	TIFF *tif;

	if (!options)
		return NULL;
	message[0] = '\0';
	TIFFOpenOptionsSetErrorHandlerExtR(options, keep_message, message);
	TIFFOpenOptionsSetWarningHandlerExtR(options, drop_message, NULL);
	errno = 0;
	tif = TIFFOpenExt(path, mode, options);
	TIFFOpenOptionsFree(options);
	return tif;
}

static int refuse_open(struct tiff_pages *p, const char *path, const char *message)
{
	int err = errno;

	if (err == ENOENT || err == EACCES || err == ENOMEM) {
		snprintf(p->why, WHY_BYTES, "%s: %s", path, strerror(err));
		return -err;
	}
	snprintf(p->why, WHY_BYTES, "%s is not a TIFF that can be read: %s", path,
	         message[0] ? message : strerror(err));
	return -EINVAL;
}

static struct page_tags read_tags(TIFF *tif)
{
	struct page_tags t = { .format = SAMPLEFORMAT_UINT };

	TIFFGetField(tif, TIFFTAG_IMAGEWIDTH, &t.width);
	TIFFGetField(tif, TIFFTAG_IMAGELENGTH, &t.height);
	TIFFGetFieldDefaulted(tif, TIFFTAG_BITSPERSAMPLE, &t.bits);
	TIFFGetFieldDefaulted(tif, TIFFTAG_SAMPLESPERPIXEL, &t.samples);
	TIFFGetFieldDefaulted(tif, TIFFTAG_SAMPLEFORMAT, &t.format);
	return t;
}

static bool type_of(const struct page_tags *t, enum pixel_type *ret)
{
	bool is_unsigned = t->format == SAMPLEFORMAT_UINT || t->format == SAMPLEFORMAT_VOID;

	if (t->samples != 1)
		return false;
	if (is_unsigned && t->bits == 8)
		*ret = PIXEL_UINT8;
	else if (is_unsigned && t->bits == 16)
		*ret = PIXEL_UINT16;
	else if (is_unsigned && t->bits == 32)
		*ret = PIXEL_UINT32;
	else if (t->format == SAMPLEFORMAT_IEEEFP && t->bits == 32)
		*ret = PIXEL_FLOAT32;
	else
		return false;
	return true;
}

static int check_page(struct tiff_pages *p, TIFF *tif, const char *path, uint64_t page)
{
	struct page_tags t = read_tags(tif);
	enum pixel_type type;

	if (!type_of(&t, &type)) {
		snprintf(p->why, WHY_BYTES,
		         "%s, page %" PRIu64
		         " has %u samples of %u bits (format %u); uint8, uint16, "
		         "uint32 and float32 with one sample per pixel can be sent: convert it",
		         path, page, t.samples, t.bits, t.format);
		return -EINVAL;
	}
	if (t.width == 0 || t.height == 0 || (uint64_t)t.width * t.height > UINT32_MAX) {
		snprintf(p->why, WHY_BYTES, "%s, page %" PRIu64 " is %" PRIu32 "x%" PRIu32, path,
		         page, t.width, t.height);
		return -EINVAL;
	}
	if (p->count == 0) {
		p->width = t.width;
		p->height = t.height;
		p->type = type;
		p->bytes = (size_t)t.width * t.height * pixel_bytes(type);
	}
	if (t.width != p->width || t.height != p->height || type != p->type) {
		snprintf(p->why, WHY_BYTES,
		         "%s, page %" PRIu64 " is %" PRIu32 "x%" PRIu32
		         " of %u bits, but %s begins "
		         "with %" PRIu32 "x%" PRIu32 " of %u bits: send them in separate streams",
		         path, page, t.width, t.height, t.bits, p->files[0], p->width, p->height,
		         8 * pixel_bytes(p->type));
		return -EINVAL;
	}
	return 0;
}

static int survey_file(struct tiff_pages *p, unsigned file)
{
	const char *path = p->files[file];
	char message[256];
	TIFF *tif = open_quietly(path, "rm", message);
	uint64_t page = 0;
	int err;

	if (!tif)
		return refuse_open(p, path, message);
	p->first[file] = p->count;
	do {
		err = check_page(p, tif, path, page++);
		if (!err)
			p->count++;
	} while (!err && TIFFReadDirectory(tif));
	TIFFClose(tif);
	return err;
}

int tiff_pages_open(struct tiff_pages *p, const char *const *files, unsigned file_count)
{
	int err = 0;

	*p = (struct tiff_pages){ .files = files, .file_count = file_count };
	p->first = calloc(file_count, sizeof *p->first);
	if (!p->first) {
		snprintf(p->why, sizeof p->why, "no memory for a list of %u files", file_count);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < file_count && !err; i++)
		err = survey_file(p, i);
	if (err)
		tiff_pages_close(p);
	return err;
}

void tiff_pages_close(struct tiff_pages *p)
{
	if (p->open)
		TIFFClose(p->open);
	free(p->first);
	p->open = NULL;
	p->first = NULL;
}

static unsigned file_of(const struct tiff_pages *p, uint64_t page)
{
	unsigned low = 0, high = p->file_count;

	while (high - low > 1) {
		unsigned middle = low + (high - low) / 2;

		if (p->first[middle] <= page)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static bool select_page(struct tiff_pages *p, unsigned file, uint64_t page)
{
	if (p->open && p->open_file != file) {
		TIFFClose(p->open);
		p->open = NULL;
	}
	if (!p->open) {
		p->open = open_quietly(p->files[file], "rm", p->message);
		p->open_file = file;
	}
	if (!p->open)
		return false;
	if (TIFFCurrentDirectory(p->open) == page)
		return true;
	return TIFFSetDirectory(p->open, (tdir_t)page);
}

static bool read_strips(TIFF *tif, uint8_t *pixels, size_t bytes)
{
	size_t at = 0;

	for (uint32_t strip = 0; strip < TIFFNumberOfStrips(tif) && at < bytes; strip++) {
		tmsize_t n = TIFFReadEncodedStrip(tif, strip, pixels + at, (tmsize_t)(bytes - at));

		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return at == bytes;
}

static void copy_tile(const struct tiff_pages *p, const uint8_t *tile, uint32_t x0, uint32_t y0,
                      uint32_t tile_width, uint32_t tile_height, uint8_t *pixels)
{
	size_t size = pixel_bytes(p->type);
	uint32_t width = p->width - x0 < tile_width ? p->width - x0 : tile_width;
	uint32_t height = p->height - y0 < tile_height ? p->height - y0 : tile_height;

	for (uint32_t y = 0; y < height; y++)
		memcpy(pixels + ((size_t)(y0 + y) * p->width + x0) * size,
		       tile + (size_t)y * tile_width * size, width * size);
}

static bool read_tiles(const struct tiff_pages *p, TIFF *tif, uint8_t *pixels)
{
	uint32_t tile_width = 0, tile_height = 0;
	tmsize_t tile_bytes = TIFFTileSize(tif);
	uint8_t *tile;
	bool good = true;

	TIFFGetField(tif, TIFFTAG_TILEWIDTH, &tile_width);
	TIFFGetField(tif, TIFFTAG_TILELENGTH, &tile_height);
	if (tile_bytes <= 0 ||
	    (uint64_t)tile_bytes < (uint64_t)tile_width * tile_height * pixel_bytes(p->type))
		return false;
	tile = malloc((size_t)tile_bytes);
	if (!tile)
		return false;
	for (uint32_t y = 0; y < p->height && good; y += tile_height)
		for (uint32_t x = 0; x < p->width && good; x += tile_width) {
			good = TIFFReadTile(tif, tile, x, y, 0, 0) == tile_bytes;
			if (good)
				copy_tile(p, tile, x, y, tile_width, tile_height, pixels);
		}
	free(tile);
	return good;
}

/* The file may have been replaced since it was surveyed. */
static bool still_fits(const struct tiff_pages *p, TIFF *tif)
{
	struct page_tags t = read_tags(tif);
	enum pixel_type type;

	return type_of(&t, &type) && type == p->type && t.width == p->width &&
	       t.height == p->height;
}

int tiff_pages_read(struct tiff_pages *p, uint64_t page, void *ret_pixels)
{
	unsigned file = file_of(p, page);
	uint64_t in_file = page - p->first[file];
	bool good = select_page(p, file, in_file) && still_fits(p, p->open);

	if (good && TIFFIsTiled(p->open))
		good = read_tiles(p, p->open, ret_pixels);
	else if (good)
		good = read_strips(p->open, ret_pixels, p->bytes);
	if (good)
		return 0;
	snprintf(p->why, sizeof p->why,
	         "%s, page %" PRIu64 " cannot be read: truncated, damaged or changed meanwhile",
	         p->files[file], in_file);
	return -EIO;
}

static bool write_image(TIFF *tif, const float *pixels, uint32_t width, uint32_t height)
{
	TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, width);
	TIFFSetField(tif, TIFFTAG_IMAGELENGTH, height);
	TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, 32);
	TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, 1);
	TIFFSetField(tif, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_IEEEFP);
	TIFFSetField(tif, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
	TIFFSetField(tif, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
	TIFFSetField(tif, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
	TIFFSetField(tif, TIFFTAG_ROWSPERSTRIP, height);
	for (uint32_t y = 0; y < height; y++)
		if (TIFFWriteScanline(tif, (void *)(uintptr_t)(pixels + (size_t)y * width), y, 0) <
		    0)
			return false;
	return TIFFFlush(tif);
}

int tiff_image_write(const char *path, const float *pixels, uint32_t width, uint32_t height,
                     char why[512])
{
	char message[256];
	TIFF *tif = open_quietly(path, "w", message);
	int err;

	if (!tif) {
		err = errno ? errno : EIO;
		snprintf(why, WHY_BYTES, "cannot write %s: %s", path, strerror(err));
		return -err;
	}
	errno = 0;
	if (write_image(tif, pixels, width, height)) {
		TIFFClose(tif);
		return 0;
	}
	err = errno ? errno : EIO;
	snprintf(why, WHY_BYTES, "cannot write %s: %s", path, message[0] ? message : strerror(err));
	TIFFClose(tif);
	return -err;
}
