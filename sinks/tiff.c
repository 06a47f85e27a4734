/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/format.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>
#include <time.h>

/* A multi-page TIFF:
 *
 *   0      header                              16 bytes, zeros up to WRITER_ALIGN
 *   4096   pages, back to back
 *   end    directories, one for each page
 *
 * libtiff composes the directories on memory. Its client sees a file of which only the header
 * and a window exist; what it writes of the pages is thrown away, since they are in the file
 * already. The last directory always stays in the window, because libtiff goes back to it to
 * link the next one; everything before is final and handed on.
 *
 * Pages back to back make ImageJ's `images=` line true: it reads page i at
 * first page + i * bytes, without looking at the other directories. */

#define HEADER_BYTES        16
#define CLASSIC_MAX         UINT32_MAX /* offsets have 32 bits */
#define DIRECTORY_BYTES     512        /* more than one takes, BigTIFF's too */
#define FIRST_EXTRA_BYTES   2048       /* what the first one has beyond: texts */
#define WINDOW_BYTES        (128u << 10)
#define DESCRIPTION_BYTES   1024
#define DIRECTORIES_AT_ONCE 256

struct tail {
	struct format_file file;
	TIFF *tiff;
	uint64_t position, end; /* as libtiff sees the file */
	uint64_t pages_end;     /* where directories begin */
	bool page;              /* libtiff is writing a page: not kept */
	bool overrun;           /* the window was too small */
	unsigned char header[HEADER_BYTES];
	uint64_t window_at; /* file offset of window[0] */
	size_t window_fill;
	uint64_t last_directory; /* file offset, must stay in the window */
	uint64_t composed;       /* directories */
	unsigned char window[WINDOW_BYTES];
};

static uint64_t tail_bytes(uint64_t frames, bool large)
{
	(void)large;
	return frames * DIRECTORY_BYTES + FIRST_EXTRA_BYTES;
}

static bool fits_classic(uint64_t frames, uint64_t frame_bytes)
{
	return frames <= CLASSIC_MAX / frame_bytes &&
	       WRITER_ALIGN + frames * frame_bytes + tail_bytes(frames, false) <= CLASSIC_MAX;
}

static uint64_t classic_frames(uint64_t frame_bytes)
{
	return (CLASSIC_MAX - WRITER_ALIGN - FIRST_EXTRA_BYTES) / (frame_bytes + DIRECTORY_BYTES);
}

static struct format_plan plan(const struct config_sink *c, const struct sink_shape *shape)
{
	struct format_plan p = {
		.frames = format_frames(c, shape->bytes, WRITER_ALIGN, tail_bytes, false),
	};
	bool asked = c->frames_per_file != CONFIG_AUTO || c->file_size != 0;

	if (fits_classic(p.frames, shape->bytes))
		return p;
	if (!asked && classic_frames(shape->bytes) > 0)
		p.frames = classic_frames(shape->bytes);
	else
		p.large = true;
	return p;
}

/* The client's side of libtiff. */

static tmsize_t client_read(thandle_t h, void *buffer, tmsize_t n)
{
	struct tail *t = h;
	uint64_t at = t->position, bytes = (uint64_t)n;

	if (at + bytes <= HEADER_BYTES) {
		memcpy(buffer, t->header + at, bytes);
	} else if (at >= t->window_at && at + bytes <= t->window_at + t->window_fill) {
		memcpy(buffer, t->window + (at - t->window_at), bytes);
	} else {
		return 0;
	}
	t->position += bytes;
	return n;
}

static void moved_past(struct tail *t, uint64_t bytes)
{
	t->position += bytes;
	if (t->position > t->end)
		t->end = t->position;
}

static tmsize_t client_write(thandle_t h, void *buffer, tmsize_t n)
{
	struct tail *t = h;
	uint64_t at = t->position, bytes = (uint64_t)n;

	if (t->page) {
		moved_past(t, bytes);
		return n;
	}
	if (at + bytes <= HEADER_BYTES) {
		memcpy(t->header + at, buffer, bytes);
	} else if (at >= t->window_at && at + bytes <= t->window_at + WINDOW_BYTES) {
		size_t behind = (size_t)(at + bytes - t->window_at);

		memcpy(t->window + (at - t->window_at), buffer, bytes);
		t->window_fill = behind > t->window_fill ? behind : t->window_fill;
	} else {
		t->overrun = true;
		return 0;
	}
	moved_past(t, bytes);
	return n;
}

static toff_t client_seek(thandle_t h, toff_t offset, int whence)
{
	struct tail *t = h;

	t->position = whence == SEEK_SET   ? offset
	              : whence == SEEK_CUR ? t->position + offset
	                                   : t->end + offset;
	return t->position;
}

static int client_close(thandle_t h)
{
	(void)h;
	return 0;
}

static toff_t client_size(thandle_t h)
{
	return ((struct tail *)h)->end;
}

/* Errors show in return values; libtiff's texts tell users of this program nothing. */
static int quiet(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments)
{
	(void)tiff;
	(void)user;
	(void)module;
	(void)format;
	(void)arguments;
	return 1;
}

static TIFF *client_open(struct tail *t)
{
	TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
	TIFF *tiff = NULL;

	if (!options)
		return NULL;
	TIFFOpenOptionsSetErrorHandlerExtR(options, quiet, NULL);
	TIFFOpenOptionsSetWarningHandlerExtR(options, quiet, NULL);
	tiff = TIFFClientOpenExt("directories", t->file.large ? "w8lm" : "wlm", t, client_read,
	                         client_write, client_seek, client_close, client_size, NULL, NULL,
	                         options);
	TIFFOpenOptionsFree(options);
	return tiff;
}

/* Of the first page; each further one has its frame's number. */
static void describe(const struct format_file *f, char text[DESCRIPTION_BYTES])
{
	int n = 0;

	/* ImageJ does not read BigTIFF, and others would take the line for a promise. */
	if (!f->large)
		n = snprintf(text, DESCRIPTION_BYTES,
		             "ImageJ=1.11a\nimages=%" PRIu64 "\nframes=%" PRIu64
		             "\nhyperstack=true\nmode=grayscale\nloop=false\n",
		             f->frames, f->frames);
	if (!f->large && f->display)
		n += snprintf(text + n, DESCRIPTION_BYTES - (size_t)n, "min=%.9g\nmax=%.9g\n",
		              f->window_low, f->window_high);
	n += snprintf(text + n, DESCRIPTION_BYTES - (size_t)n,
	              "series=%.200s\nfirst_frame=%" PRIu64 "\nframe=%" PRIu64 "\n", f->series,
	              f->places[0].number, f->places[0].number);
	if (f->window)
		snprintf(text + n, DESCRIPTION_BYTES - (size_t)n, "window=%.9g,%.9g\n",
		         f->window_low, f->window_high);
}

static void set_first_tags(TIFF *tiff, const struct format_file *f)
{
	char text[DESCRIPTION_BYTES], software[64], date[32];
	time_t seconds = (time_t)(f->made_ns / 1000000000u);
	struct tm utc;

	describe(f, text);
	TIFFSetField(tiff, TIFFTAG_IMAGEDESCRIPTION, text);
	snprintf(software, sizeof software, "openbeam %.40s", f->version ? f->version : "");
	TIFFSetField(tiff, TIFFTAG_SOFTWARE, software);
	gmtime_r(&seconds, &utc);
	if (strftime(date, sizeof date, "%Y:%m:%d %H:%M:%S", &utc) == 19)
		TIFFSetField(tiff, TIFFTAG_DATETIME, date);
}

static void set_number(TIFF *tiff, uint64_t number)
{
	char text[40];

	snprintf(text, sizeof text, "frame=%" PRIu64, number);
	TIFFSetField(tiff, TIFFTAG_IMAGEDESCRIPTION, text);
}

static void set_tags(TIFF *tiff, const struct sink_shape *shape)
{
	TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, shape->width);
	TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, shape->height);
	TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, product_bytes(shape->type) * 8);
	TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT,
	             shape->type == PRODUCT_FLOAT32 ? SAMPLEFORMAT_IEEEFP : SAMPLEFORMAT_UINT);
	TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
	TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
	TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
	TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
	TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, shape->height);
	TIFFSetField(tiff, TIFFTAG_XRESOLUTION, 1.0);
	TIFFSetField(tiff, TIFFTAG_YRESOLUTION, 1.0);
	TIFFSetField(tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_NONE);
}

/* Tell libtiff that the page is where it is: it appends its only strip at the end of the file,
 * which is made to be there for the moment. */
static bool place_page(struct tail *t, uint64_t index)
{
	static unsigned char nowhere[1];
	uint64_t bytes = t->file.shape->bytes;
	tmsize_t written;

	t->page = true;
	t->end = WRITER_ALIGN + index * bytes;
	written = TIFFWriteRawStrip(t->tiff, 0, nowhere, (tmsize_t)bytes);
	t->page = false;
	t->end = t->window_at + t->window_fill;
	return written == (tmsize_t)bytes;
}

static bool compose_one(struct tail *t)
{
	set_tags(t->tiff, t->file.shape);
	if (t->composed == 0)
		set_first_tags(t->tiff, &t->file);
	else
		set_number(t->tiff, t->file.places[t->composed].number);
	if (!place_page(t, t->composed))
		return false;
	t->last_directory = (t->end + 1) & ~UINT64_C(1); /* libtiff aligns them so */
	return TIFFWriteDirectory(t->tiff) && !t->overrun;
}

/* Drop from the window what was handed on. */
static void slide_window(struct tail *t)
{
	size_t gone;

	if (t->composed == 0)
		return;
	gone = (size_t)(t->last_directory - t->window_at);
	memmove(t->window, t->window + gone, t->window_fill - gone);
	t->window_fill -= gone;
	t->window_at += gone;
	memset(t->window + t->window_fill, 0, WINDOW_BYTES - t->window_fill);
}

static void tail_close(struct tail *t)
{
	if (!t)
		return;
	if (t->tiff)
		TIFFClose(t->tiff);
	free(t);
}

static int tail_open(struct tail **ret, const struct format_file *f)
{
	struct tail *t = calloc(1, sizeof *t);

	if (!t)
		return -ENOMEM;
	t->file = *f;
	t->window_at = t->pages_end = WRITER_ALIGN + f->frames * f->shape->bytes;
	t->tiff = client_open(t);
	if (!t->tiff) {
		tail_close(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

static int tail_next(struct tail *t, const void **ret_bytes, size_t *ret_length)
{
	bool last;

	if (t->composed == t->file.frames) {
		*ret_length = 0;
		return 0;
	}
	slide_window(t);
	for (unsigned i = 0; i < DIRECTORIES_AT_ONCE && t->composed < t->file.frames; i++) {
		if (t->window_fill + DIRECTORY_BYTES + FIRST_EXTRA_BYTES > WINDOW_BYTES)
			break;
		if (!compose_one(t))
			return -EFBIG;
		t->composed++;
	}
	last = t->composed == t->file.frames;
	*ret_bytes = t->window;
	*ret_length = last ? t->window_fill : (size_t)(t->last_directory - t->window_at);
	return 0;
}

static void tail_head(const struct tail *t, unsigned char *ret_head)
{
	memset(ret_head, 0, WRITER_ALIGN);
	memcpy(ret_head, t->header, HEADER_BYTES);
}

const struct format format_tiff = {
	.id = SINK_TIFF,
	.name = "tiff",
	.suffix = ".tif",
	.head_bytes = WRITER_ALIGN,
	.plan = plan,
	.tail_bytes = tail_bytes,
	.tail_open = tail_open,
	.tail_next = tail_next,
	.tail_head = tail_head,
	.tail_close = tail_close,
};
