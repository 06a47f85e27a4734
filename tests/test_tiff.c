/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/format.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>
#include <time.h>
#include <unistd.h>

/* The tail of a TIFF as it comes, behind pages that are holes: files of many gigabytes cost
 * nothing here. */

static char path[64];

static void write_at(int fd, const void *bytes, size_t n, uint64_t at)
{
	cr_assert_eq(pwrite(fd, bytes, n, (off_t)at), (ssize_t)n);
}

static void make_file(const struct format_file *f)
{
	const char *where = getenv("TMPDIR");
	uint64_t end = format_tiff.head_bytes + f->frames * f->shape->bytes, start = end;
	unsigned char head[WRITER_ALIGN];
	struct tail *t;
	int fd;

	snprintf(path, sizeof path, "%.30s/openbeam-tiff-XXXXXX", where ? where : "/tmp");
	fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	cr_assert_eq(format_tiff.tail_open(&t, f), 0);
	for (;;) {
		const void *bytes = NULL;
		size_t n = 0;

		cr_assert_eq(format_tiff.tail_next(t, &bytes, &n), 0);
		if (n == 0)
			break;
		write_at(fd, bytes, n, end);
		end += n;
	}
	format_tiff.tail_head(t, head);
	format_tiff.tail_close(t);
	write_at(fd, head, sizeof head, 0);
	cr_assert_leq(end - start, format_tiff.tail_bytes(f->frames, f->large));
	close(fd);
}

static struct format_file sample(const struct sink_shape *shape, uint64_t frames, bool large)
{
	static struct format_place places[100000];

	cr_assert_leq(frames, sizeof places / sizeof *places);
	for (uint64_t i = 0; i < frames; i++)
		places[i] = (struct format_place){ 42 + 2 * i, 4096 + (i + 1) * shape->bytes };
	return (struct format_file){ .shape = shape,
		                     .frames = frames,
		                     .places = places,
		                     .large = large,
		                     .series = "wood-0001",
		                     .window = true,
		                     .window_high = 1.5,
		                     .made_ns = UINT64_C(1700000000000000000),
		                     .version = "1.2.3" };
}

static uint64_t strip_offset(TIFF *t)
{
	uint64_t *offsets = NULL;

	cr_assert(TIFFGetField(t, TIFFTAG_STRIPOFFSETS, &offsets));
	return offsets[0];
}

static void check_pages(const struct sink_shape *shape, uint64_t frames)
{
	TIFF *t = TIFFOpen(path, "rc");
	uint64_t n = 0;

	cr_assert_not_null(t);
	do {
		cr_assert_eq(strip_offset(t), WRITER_ALIGN + n * shape->bytes);
		n++;
	} while (TIFFReadDirectory(t));
	cr_assert_eq(n, frames);
	TIFFClose(t);
	unlink(path);
}

Test(tiff, pages_lie_back_to_back_from_the_first_aligned_block)
{
	static const uint64_t counts[] = { 1, 2, 255, 256, 257, 258, 512, 1000 };
	struct sink_shape odd = { .width = 33, .height = 31, .type = PRODUCT_UINT8, 33 * 31 };

	for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
		for (unsigned large = 0; large < 2; large++) {
			struct format_file f = sample(&odd, counts[i], large);

			make_file(&f);
			check_pages(&odd, counts[i]);
		}
	}
}

Test(tiff, a_hundred_thousand_pages_take_seconds_not_hours)
{
	struct sink_shape s = { .width = 32, .height = 32, .type = PRODUCT_UINT16, 2048 };
	struct format_file f = sample(&s, 100000, false);
	clock_t start = clock();

	make_file(&f);
	cr_assert_lt((clock() - start) / CLOCKS_PER_SEC, 20);
	check_pages(&s, 100000);
}

Test(tiff, bigtiff_reaches_beyond_four_gigabytes)
{
	struct sink_shape s = {
		.width = 4096, .height = 4096, .type = PRODUCT_FLOAT32, 4096u * 4096 * 4
	};
	struct format_file f = sample(&s, 200, true);

	make_file(&f);
	check_pages(&s, 200);
}

Test(tiff, classic_refuses_what_it_cannot_hold)
{
	struct sink_shape s = {
		.width = 4096, .height = 4096, .type = PRODUCT_FLOAT32, 4096u * 4096 * 4
	};
	struct format_file f = sample(&s, 65, false);
	const void *bytes;
	struct tail *t;
	size_t n;

	cr_assert_eq(format_tiff.tail_open(&t, &f), 0);
	cr_assert_eq(format_tiff.tail_next(t, &bytes, &n), -EFBIG);
	format_tiff.tail_close(t);
}

Test(tiff, the_first_page_says_what_the_file_is)
{
	struct sink_shape s = { .width = 8, .height = 4, .type = PRODUCT_UINT16, 64 };
	struct format_file f = sample(&s, 3, false);
	char *text = NULL;
	uint16_t count;
	TIFF *t;

	make_file(&f);
	t = TIFFOpen(path, "r");
	cr_assert_not_null(t);
	cr_assert(TIFFGetField(t, TIFFTAG_IMAGEDESCRIPTION, &text));
	cr_assert_eq(strncmp(text, "ImageJ=1.11a\nimages=3\nframes=3\n", 31), 0, "%s", text);
	cr_assert_not_null(
		strstr(text, "\nseries=wood-0001\nfirst_frame=42\nframe=42\nwindow=0,1.5\n"));
	cr_assert(TIFFGetField(t, TIFFTAG_SOFTWARE, &text));
	cr_assert_str_eq(text, "openbeam 1.2.3");
	cr_assert(TIFFGetField(t, TIFFTAG_DATETIME, &text));
	cr_assert_str_eq(text, "2023:11:14 22:13:20");
	cr_assert(TIFFGetField(t, TIFFTAG_SAMPLEFORMAT, &count));
	cr_assert_eq(count, SAMPLEFORMAT_UINT);
	cr_assert(TIFFReadDirectory(t));
	cr_assert(TIFFGetField(t, TIFFTAG_IMAGEDESCRIPTION, &text));
	cr_assert_str_eq(text, "frame=44");
	TIFFClose(t);
	unlink(path);
}

Test(tiff, bigtiff_makes_no_promise_to_imagej)
{
	struct sink_shape s = { .width = 8, .height = 4, .type = PRODUCT_FLOAT32, 128 };
	struct format_file f = sample(&s, 3, true);
	char *text = NULL;
	TIFF *t;

	make_file(&f);
	t = TIFFOpen(path, "r");
	cr_assert_not_null(t);
	cr_assert(TIFFGetField(t, TIFFTAG_IMAGEDESCRIPTION, &text));
	cr_assert_null(strstr(text, "ImageJ"));
	TIFFClose(t);
	unlink(path);
}
