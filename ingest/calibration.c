/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/calibration.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tiffio.h>
#include <unistd.h>

enum sample { UNSIGNED8, UNSIGNED16, UNSIGNED32, SIGNED16, SIGNED32, FLOAT32, FLOAT64 };

/* The directory that libtiff is at, as its tags describe it. A block is a tile, or a strip. */
struct page {
	uint32_t width, height;
	enum sample sample;
	unsigned sample_bytes;
	bool tiled;
	uint32_t block_width, block_height;
	uint64_t block_bytes;
};

/* One reading, half-built or whole. */
struct reader {
	TIFF *tif;
	const char *path;
	uint64_t limit_bytes;
	unsigned directories;  /* seen so far, thumbnails too */
	struct page first;     /* every page has this shape */
	unsigned pages;        /* surveyed, without thumbnails */
	unsigned planes;       /* images that the mean is of; more than pages in ImageJ's stacks */
	unsigned added;        /* planes in the sums */
	uint32_t block_width;  /* of the widest block of any page */
	uint64_t block_bytes;  /* of the largest block of any page */
	float *pixels;         /* [height][width] */
	double *sums;          /* [height][width], with more than one plane */
	double *line;          /* [block_width], one row of a block */
	void *block;           /* [block_bytes] */
	char library_text[96]; /* libtiff's first complaint */
	char why[256];
};

/* Put "path: sentence" into why[] and return err. Of a long path, the end. */
__attribute__((format(printf, 3, 4))) static int complain(struct reader *r, int err,
                                                          const char *format, ...)
{
	size_t length = strlen(r->path);
	bool cut = length > 100;
	int used = snprintf(r->why, sizeof r->why, "%s%s: ", cut ? "..." : "",
	                    r->path + (cut ? length - 97 : 0));
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(r->why + used, sizeof r->why - (size_t)used, format, arguments);
	va_end(arguments);
	return err;
}

/* Like complain(), about the page that libtiff is at, with libtiff's reason. */
static int complain_library(struct reader *r, const char *what)
{
	return complain(r, errno == EIO ? -EIO : -EINVAL, "page %u: %s: %s", r->directories, what,
	                r->library_text[0] ? r->library_text : "the file is damaged");
}

static int take_error(TIFF *tif, void *user, const char *module, const char *format,
                      va_list arguments)
{
	struct reader *r = user;

	(void)tif;
	(void)module;
	if (!r->library_text[0])
		vsnprintf(r->library_text, sizeof r->library_text, format, arguments);
	return 1; /* handled: the process-wide handlers, which print, are left out */
}

static int ignore_warning(TIFF *tif, void *user, const char *module, const char *format,
                          va_list arguments)
{
	(void)tif;
	(void)user;
	(void)module;
	(void)format;
	(void)arguments;
	return 1;
}

/* A descriptor of a regular file that is not empty, or negative errno. */
static int open_file(struct reader *r)
{
	/* Non-blocking, for a named pipe would wait for its writer. */
	int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	int err = 0;

	if (fd < 0)
		return complain(r, -errno, "%s", strerror(errno));
	if (fstat(fd, &status) != 0)
		err = complain(r, -errno, "%s", strerror(errno));
	else if (S_ISDIR(status.st_mode))
		err = complain(r, -EISDIR, "is a directory; give the path of a TIFF file");
	else if (!S_ISREG(status.st_mode))
		err = complain(r, -EINVAL, "is no regular file; give the path of a TIFF file");
	else if (status.st_size == 0)
		err = complain(r, -EINVAL, "the file is empty; give the path of a TIFF file");
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

/* What libtiff may allocate at once: a compressed strip, its own lists. */
static tmsize_t library_limit(uint64_t limit_bytes)
{
	const uint64_t lists = 1 << 20;

	return (tmsize_t)(limit_bytes < INT64_MAX - lists ? limit_bytes + lists : INT64_MAX);
}

static int open_tiff(struct reader *r)
{
	TIFFOpenOptions *options;
	int fd = open_file(r);

	if (fd < 0)
		return fd;
	options = TIFFOpenOptionsAlloc();
	if (options) {
		TIFFOpenOptionsSetErrorHandlerExtR(options, take_error, r);
		TIFFOpenOptionsSetWarningHandlerExtR(options, ignore_warning, r);
		TIFFOpenOptionsSetMaxSingleMemAlloc(options, library_limit(r->limit_bytes));
		/* m: not mapped, for a file cut short while it is read would be a SIGBUS. */
		r->tif = TIFFFdOpenExt(fd, r->path, "rm", options);
		TIFFOpenOptionsFree(options);
	}
	if (r->tif)
		return 0;
	close(fd);
	return complain(r, -EINVAL, "not a readable TIFF: %s",
	                r->library_text[0] ? r->library_text : "no memory");
}

/* The sample type of the page that libtiff is at. */
static int read_sample(struct reader *r, struct page *page)
{
	static const struct {
		uint16_t format, bits;
		enum sample sample;
	} samples[] = {
		{ SAMPLEFORMAT_UINT, 8, UNSIGNED8 },   { SAMPLEFORMAT_UINT, 16, UNSIGNED16 },
		{ SAMPLEFORMAT_UINT, 32, UNSIGNED32 }, { SAMPLEFORMAT_INT, 16, SIGNED16 },
		{ SAMPLEFORMAT_INT, 32, SIGNED32 },    { SAMPLEFORMAT_IEEEFP, 32, FLOAT32 },
		{ SAMPLEFORMAT_IEEEFP, 64, FLOAT64 },
	};
	static const char *const names[] = { "", "unsigned", "signed", "floating-point" };
	uint16_t format = SAMPLEFORMAT_UINT, bits = 1;

	TIFFGetFieldDefaulted(r->tif, TIFFTAG_SAMPLEFORMAT, &format);
	TIFFGetFieldDefaulted(r->tif, TIFFTAG_BITSPERSAMPLE, &bits);
	if (format == SAMPLEFORMAT_VOID)
		format = SAMPLEFORMAT_UINT;
	for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
		if (samples[i].format == format && samples[i].bits == bits) {
			page->sample = samples[i].sample;
			page->sample_bytes = bits / 8;
			return 0;
		}
	return complain(r, -EINVAL,
	                "page %u has %u-bit %s pixels; 8, 16, 32 bit unsigned, 16, 32 bit signed "
	                "and 32, 64 bit floating-point are read",
	                r->directories, bits, format <= 3 ? names[format] : "complex");
}

static int check_grey(struct reader *r)
{
	uint16_t samples = 1, photometric = PHOTOMETRIC_MINISBLACK;

	TIFFGetFieldDefaulted(r->tif, TIFFTAG_SAMPLESPERPIXEL, &samples);
	TIFFGetField(r->tif, TIFFTAG_PHOTOMETRIC, &photometric);
	if (samples != 1)
		return complain(r, -EINVAL,
		                "page %u has %u values per pixel; convert it to one grey value",
		                r->directories, samples);
	if (photometric != PHOTOMETRIC_MINISBLACK && photometric != PHOTOMETRIC_MINISWHITE)
		return complain(r, -EINVAL,
		                "page %u is a colour or palette image (photometric %u); convert it "
		                "to grey values",
		                r->directories, photometric);
	return 0;
}

static void read_layout(TIFF *tif, struct page *page)
{
	page->tiled = TIFFIsTiled(tif) != 0;
	if (page->tiled) {
		TIFFGetField(tif, TIFFTAG_TILEWIDTH, &page->block_width);
		TIFFGetField(tif, TIFFTAG_TILELENGTH, &page->block_height);
		page->block_bytes = TIFFTileSize64(tif);
		return;
	}
	TIFFGetFieldDefaulted(tif, TIFFTAG_ROWSPERSTRIP, &page->block_height);
	if (page->block_height > page->height)
		page->block_height = page->height;
	page->block_width = page->width;
	page->block_bytes = TIFFStripSize64(tif);
}

/* Describe the page that libtiff is at, and refuse what cannot be read. */
static int read_page(struct reader *r, struct page *ret)
{
	struct page page = { 0 };
	int err;

	errno = 0;
	if (!TIFFGetField(r->tif, TIFFTAG_IMAGEWIDTH, &page.width) ||
	    !TIFFGetField(r->tif, TIFFTAG_IMAGELENGTH, &page.height) || page.width == 0 ||
	    page.height == 0)
		return complain(r, -EINVAL, "page %u has no width or height", r->directories);
	err = check_grey(r);
	if (err == 0)
		err = read_sample(r, &page);
	if (err != 0)
		return err;
	read_layout(r->tif, &page);
	if (page.block_width == 0 || page.block_height == 0 ||
	    page.block_bytes / page.block_height / page.sample_bytes < page.block_width)
		return complain_library(r, "tiles or strips of no size");
	*ret = page;
	return 0;
}

/* Take one page into account before anything is allocated. */
static int survey_page(struct reader *r)
{
	struct page page;
	int err = read_page(r, &page);

	if (err != 0)
		return err;
	if (r->pages == 0)
		r->first = page;
	if (page.width != r->first.width || page.height != r->first.height)
		return complain(r, -EINVAL,
		                "page %u has %u x %u pixels, page 1 %u x %u; pages that are "
		                "averaged must have one shape",
		                r->directories, page.width, page.height, r->first.width,
		                r->first.height);
	if (page.block_width > r->block_width)
		r->block_width = page.block_width;
	if (page.block_bytes > r->block_bytes)
		r->block_bytes = page.block_bytes;
	r->pages++;
	return 0;
}

/* Call `visit` at each page, thumbnails and masks left out. */
static int visit_pages(struct reader *r, int (*visit)(struct reader *))
{
	const uint32_t no_page = FILETYPE_REDUCEDIMAGE | FILETYPE_MASK;

	r->directories = 0;
	for (;;) {
		uint32_t kind = 0;
		int err;

		r->directories++;
		TIFFGetField(r->tif, TIFFTAG_SUBFILETYPE, &kind);
		err = kind & no_page ? 0 : visit(r);
		if (err != 0)
			return err;
		if (TIFFLastDirectory(r->tif))
			return 0;
		errno = 0;
		if (!TIFFReadDirectory(r->tif))
			return complain_library(r, "the page after it cannot be read");
	}
}

/* The number in ImageJ's description line "images=", or 1. */
static unsigned imagej_images(TIFF *tif)
{
	const char *description = NULL, *line;
	unsigned images = 1;

	if (!TIFFGetField(tif, TIFFTAG_IMAGEDESCRIPTION, &description) || !description ||
	    strncmp(description, "ImageJ=", 7) != 0)
		return 1;
	line = strstr(description, "\nimages=");
	if (line && sscanf(line, "\nimages=%9u", &images) != 1)
		images = 1;
	return images > 1 ? images : 1;
}

/* True when the page's pixels lie in the file as in memory, from *ret_offset on. */
static bool is_contiguous(struct reader *r, uint64_t *ret_offset)
{
	uint16_t compression = COMPRESSION_NONE;
	uint32_t strips = TIFFNumberOfStrips(r->tif);
	uint64_t first = TIFFGetStrileOffset(r->tif, 0);

	TIFFGetFieldDefaulted(r->tif, TIFFTAG_COMPRESSION, &compression);
	if (compression != COMPRESSION_NONE || r->first.tiled)
		return false;
	for (uint32_t i = 1; i < strips; i++)
		if (TIFFGetStrileOffset(r->tif, i) != first + i * r->first.block_bytes)
			return false;
	*ret_offset = first;
	return true;
}

static uint64_t plane_bytes(const struct reader *r)
{
	return (uint64_t)r->first.width * r->first.height * r->first.sample_bytes;
}

/* ImageJ writes large stacks as one page, with the other planes behind it and a line in the
 * description. See whether this is one, and that the planes are there. */
static int survey_planes(struct reader *r)
{
	unsigned images = r->directories == 1 ? imagej_images(r->tif) : 1;
	uint64_t offset, bytes;
	struct stat status;

	r->planes = r->pages;
	if (images == 1)
		return 0;
	if (!is_contiguous(r, &offset) || fstat(TIFFFileno(r->tif), &status) != 0 ||
	    __builtin_mul_overflow(plane_bytes(r), images, &bytes) ||
	    __builtin_add_overflow(bytes, offset, &bytes) || bytes > (uint64_t)status.st_size)
		return complain(r, -EINVAL,
		                "the description says images=%u, the file does not hold so many; "
		                "save it again, one page per image",
		                images);
	r->planes = images;
	return 0;
}

static int survey(struct reader *r)
{
	int err = visit_pages(r, survey_page);

	if (err != 0)
		return err;
	if (r->pages == 0)
		return complain(r, -EINVAL, "only thumbnails or masks are in it, no image");
	return survey_planes(r);
}

/* Allocate what reading needs, within the limit. */
static int allocate(struct reader *r)
{
	uint64_t pixels = (uint64_t)r->first.width * r->first.height;
	uint64_t line = (uint64_t)r->block_width * sizeof *r->line;
	unsigned pixel = sizeof *r->pixels + (r->planes > 1 ? sizeof *r->sums : 0);
	uint64_t bytes;

	if (__builtin_mul_overflow(pixels, pixel, &bytes) ||
	    __builtin_add_overflow(bytes, r->block_bytes, &bytes) ||
	    __builtin_add_overflow(bytes, line + 64, &bytes) || bytes > r->limit_bytes)
		return complain(
			r, -EFBIG, "%u x %u pixels need more memory than the limit of %llu bytes",
			r->first.width, r->first.height, (unsigned long long)r->limit_bytes);
	r->pixels = aligned_alloc(64, (pixels * sizeof *r->pixels + 63) / 64 * 64);
	r->sums = r->planes > 1 ? calloc(pixels, sizeof *r->sums) : NULL;
	r->line = malloc(line);
	r->block = malloc(r->block_bytes);
	if (!r->pixels || !r->line || !r->block || (r->planes > 1 && !r->sums))
		return complain(r, -ENOMEM, "no memory for %u x %u pixels", r->first.width,
		                r->first.height);
	return 0;
}

#define CONVERT(type)                                                                              \
	for (size_t i = 0; i < n; i++)                                                             \
		line[i] = ((const type *)raw)[i];                                                  \
	break

static void convert(double *line, const void *raw, size_t n, enum sample sample)
{
	switch (sample) {
	case UNSIGNED8:
		CONVERT(uint8_t);
	case UNSIGNED16:
		CONVERT(uint16_t);
	case UNSIGNED32:
		CONVERT(uint32_t);
	case SIGNED16:
		CONVERT(int16_t);
	case SIGNED32:
		CONVERT(int32_t);
	case FLOAT32:
		CONVERT(float);
	case FLOAT64:
		CONVERT(double);
	}
}

/* Add n pixels of one row to the image, from `at` on. */
static void add_run(struct reader *r, size_t at, const void *raw, size_t n, enum sample sample)
{
	convert(r->line, raw, n, sample);
	if (r->sums)
		for (size_t i = 0; i < n; i++)
			r->sums[at + i] += r->line[i];
	else
		for (size_t i = 0; i < n; i++)
			r->pixels[at + i] = (float)r->line[i];
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Read the block whose first pixel is at (row, column) and add it. */
static int add_block(struct reader *r, const struct page *page, uint32_t row, uint32_t column)
{
	uint32_t rows = smaller(page->block_height, page->height - row);
	uint32_t columns = smaller(page->block_width, page->width - column);
	size_t stride = (size_t)page->block_width * page->sample_bytes;
	tmsize_t got;

	errno = 0;
	if (page->tiled)
		got = TIFFReadEncodedTile(r->tif, TIFFComputeTile(r->tif, column, row, 0, 0),
		                          r->block, (tmsize_t)page->block_bytes);
	else
		got = TIFFReadEncodedStrip(r->tif, TIFFComputeStrip(r->tif, row, 0), r->block,
		                           (tmsize_t)page->block_bytes);
	if (got < 0 || (size_t)got < rows * stride)
		return complain_library(r, "the file is truncated or damaged");
	for (uint32_t i = 0; i < rows; i++)
		add_run(r, (size_t)(row + i) * page->width + column,
		        (const char *)r->block + i * stride, columns, page->sample);
	return 0;
}

static int complain_change(struct reader *r)
{
	return complain(r, -EINVAL,
	                "page %u is not what it was a moment ago; read the file when it is no "
	                "longer written",
	                r->directories);
}

/* See that the page is within what was surveyed and allocated for: libtiff reads its tags from
 * the file again. */
static int check_surveyed(struct reader *r, const struct page *page)
{
	bool fits = page->width == r->first.width && page->height == r->first.height &&
	            page->block_width <= r->block_width && page->block_bytes <= r->block_bytes;

	return fits && r->added < r->pages ? 0 : complain_change(r);
}

static int add_page(struct reader *r)
{
	struct page page;
	int err = read_page(r, &page);

	if (err == 0)
		err = check_surveyed(r, &page);
	for (uint32_t row = 0; err == 0 && row < page.height;) {
		for (uint32_t column = 0; err == 0 && column < page.width;) {
			err = add_block(r, &page, row, column);
			column += smaller(page.block_width, page.width - column);
		}
		row += smaller(page.block_height, page.height - row);
	}
	r->added++;
	return err;
}

static void swap_bytes(void *raw, size_t n, unsigned sample_bytes)
{
	if (sample_bytes == 2)
		TIFFSwabArrayOfShort(raw, (tmsize_t)n);
	else if (sample_bytes == 4)
		TIFFSwabArrayOfLong(raw, (tmsize_t)n);
	else if (sample_bytes == 8)
		TIFFSwabArrayOfLong8(raw, (tmsize_t)n);
}

/* Add one of the planes that lie behind ImageJ's page, a row at a time. That page is in strips,
 * so a block and the line have a row's room at least. */
static int add_plane(struct reader *r, uint64_t offset)
{
	const struct page *page = &r->first;
	size_t row_bytes = (size_t)page->width * page->sample_bytes;

	for (uint32_t row = 0; row < page->height; row++) {
		ssize_t got = pread(TIFFFileno(r->tif), r->block, row_bytes,
		                    (off_t)(offset + row * row_bytes));

		if (got != (ssize_t)row_bytes)
			return complain(r, got < 0 ? -EIO : -EINVAL, "%s",
			                got < 0 ? strerror(errno) : "the file is truncated");
		if (TIFFIsByteSwapped(r->tif))
			swap_bytes(r->block, page->width, page->sample_bytes);
		add_run(r, (size_t)row * page->width, r->block, page->width, page->sample);
	}
	return 0;
}

/* Add the planes for which there are no pages, if any. */
static int add_planes(struct reader *r)
{
	uint64_t offset = 0;
	int err = 0;

	if (r->planes > r->pages && !is_contiguous(r, &offset))
		return complain_change(r);
	for (; err == 0 && r->added < r->planes; r->added++)
		err = add_plane(r, offset + r->added * plane_bytes(r));
	return err;
}

static int add_all(struct reader *r)
{
	int err;

	errno = 0;
	if (!TIFFSetDirectory(r->tif, 0))
		return complain_library(r, "cannot be read again");
	err = visit_pages(r, add_page);
	if (err == 0 && r->added < r->pages)
		err = complain_change(r);
	if (err == 0)
		err = add_planes(r);
	if (err == 0 && r->sums)
		for (size_t i = 0; i < (size_t)r->first.width * r->first.height; i++)
			r->pixels[i] = (float)(r->sums[i] / r->planes);
	return err;
}

static void close_reader(struct reader *r)
{
	if (r->tif)
		TIFFClose(r->tif);
	free(r->pixels);
	free(r->sums);
	free(r->line);
	free(r->block);
}

int image_read(struct image *ret, const char *path, uint64_t limit_bytes)
{
	struct reader r = { .path = path, .limit_bytes = limit_bytes };
	struct image image = { 0 };
	int err = open_tiff(&r);

	if (err == 0)
		err = survey(&r);
	if (err == 0)
		err = allocate(&r);
	if (err == 0)
		err = add_all(&r);
	if (err == 0) {
		image.path = strdup(path);
		if (!image.path)
			err = complain(&r, -ENOMEM, "no memory");
	}
	if (err == 0) {
		image.width = r.first.width;
		image.height = r.first.height;
		image.pages = r.planes;
		image.pixels = r.pixels;
		r.pixels = NULL;
	} else {
		memcpy(image.why, r.why, sizeof image.why);
	}
	close_reader(&r);
	*ret = image;
	return err;
}

void image_done(struct image *i)
{
	free(i->pixels);
	free(i->path);
	*i = (struct image){ 0 };
}
