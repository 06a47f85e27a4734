/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/pack_pixels.h"
#include "bench/pattern.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>
#include <unistd.h>

static struct pattern_options small(enum pattern_kind kind, enum pixel_type type, unsigned bits)
{
	return (struct pattern_options){ .kind = kind,
		                         .width = 37,
		                         .height = 23,
		                         .type = type,
		                         .bits = bits,
		                         .seed = 4,
		                         .memory_limit = 1 << 20 };
}

static uint32_t pixel_at(const struct pattern *p, const void *pixels, size_t at)
{
	switch (p->options.type) {
	case PIXEL_UINT8:
		return ((const uint8_t *)pixels)[at];
	case PIXEL_UINT16:
		return ((const uint16_t *)pixels)[at];
	case PIXEL_UINT32:
		return ((const uint32_t *)pixels)[at];
	default:
		return (uint32_t)((const float *)pixels)[at];
	}
}

static void expect_counter(struct pattern *p, uint64_t f)
{
	struct pattern_pixels pixels;
	uint32_t mask = (1u << p->options.bits) - 1;

	cr_assert_eq(pattern_take(p, f, 0, &pixels), 0);
	for (uint64_t y = 0; y < p->options.height; y++)
		for (uint64_t x = 0; x < p->options.width; x++) {
			/* by residues, since f * 7919 may pass 2^64 */
			uint64_t expected = (f % 4096 * 7919 + y * 131 + x * 31) % 4096;

			cr_assert_eq(pixel_at(p, pixels.data, y * p->options.width + x),
			             expected & mask, "frame %lu (%lu, %lu)", (unsigned long)f,
			             (unsigned long)y, (unsigned long)x);
		}
}

Test(send_pattern, counter_follows_the_formula_for_every_type_and_number)
{
	static const struct {
		enum pixel_type type;
		unsigned bits;
	} rows[] = { { PIXEL_UINT8, 8 },   { PIXEL_UINT16, 10 }, { PIXEL_UINT16, 12 },
		     { PIXEL_UINT16, 16 }, { PIXEL_UINT32, 16 }, { PIXEL_FLOAT32, 16 } };
	static const uint64_t numbers[] = { 0, 1, 2, 3, 4095, 4096, 7766800001, UINT64_MAX / 2 };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pattern_options o = small(PATTERN_COUNTER, rows[i].type, rows[i].bits);
		struct pattern p;

		cr_assert_eq(pattern_open(&p, &o), 0);
		for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
			expect_counter(&p, numbers[k]);
		pattern_close(&p);
	}
}

Test(send_pattern, packs_as_the_published_examples)
{
	static const struct {
		enum pixel_packing packing;
		size_t n, bytes;
		uint16_t pixels[4];
		uint8_t packed[7];
	} rows[] = {
		{ PACKING_MONO10P,
		  4,
		  5,
		  { 0x001, 0x155, 0x2aa, 0x3ff },
		  { 0x01, 0x54, 0xa5, 0xea, 0xff } },
		{ PACKING_MONO10_PACKED,
		  4,
		  6,
		  { 0x001, 0x155, 0x2aa, 0x3ff },
		  { 0x00, 0x11, 0x55, 0xaa, 0x32, 0xff } },
		{ PACKING_MONO12P,
		  4,
		  6,
		  { 0x123, 0xabc, 0x456, 0xfed },
		  { 0x23, 0xc1, 0xab, 0x56, 0xd4, 0xfe } },
		{ PACKING_MONO12_PACKED,
		  4,
		  6,
		  { 0x123, 0xabc, 0x456, 0xfed },
		  { 0x12, 0xc3, 0xab, 0x45, 0xd6, 0xfe } },
		{ PACKING_MONO14P,
		  4,
		  7,
		  { 1, 0x1555, 0x2aaa, 0x3fff },
		  { 0x01, 0x40, 0x55, 0xa5, 0xaa, 0xfe, 0xff } },
		{ PACKING_MONO10P, 3, 4, { 0x001, 0x155, 0x2aa }, { 0x01, 0x54, 0xa5, 0x2a } },
		{ PACKING_MONO12_PACKED,
		  3,
		  5,
		  { 0x123, 0xabc, 0x456 },
		  { 0x12, 0xc3, 0xab, 0x45, 0x06 } },
		{ PACKING_MONO14P, 1, 2, { 0x3fff }, { 0xff, 0x3f } },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint16_t pixels[4];
		uint8_t out[8];

		memset(out, 0xee, sizeof out);
		pack_pixels(out, rows[i].pixels, rows[i].n, rows[i].packing);
		cr_assert(memcmp(out, rows[i].packed, rows[i].bytes) == 0, "row %zu", i);
		cr_assert_eq(out[rows[i].bytes], 0xee, "row %zu", i);
		memcpy(pixels, rows[i].pixels, sizeof pixels);
		pack_pixels(pixels, pixels, rows[i].n, rows[i].packing);
		cr_assert(memcmp(pixels, rows[i].packed, rows[i].bytes) == 0, "row %zu", i);
	}
}

/* Frames of both are the same, packed or not; the last byte may hold more than the frame. */
static void expect_packed(struct pattern_options o, enum pixel_packing packing)
{
	struct pattern words, packed;
	struct pattern_pixels a, b;
	uint8_t expected[37 * 23 * 2];

	cr_assert_eq(pattern_open(&words, &o), 0);
	o.packing = packing;
	cr_assert_eq(pattern_open(&packed, &o), 0);
	for (uint64_t number = 0; number < 5; number++) {
		size_t whole = (size_t)o.width * o.height * wire_bits(o.type, packing) / 8;

		cr_assert_eq(pattern_take(&words, number * 77, number, &a), 0);
		cr_assert_eq(pattern_take(&packed, number * 77, number, &b), 0);
		pack_pixels(expected, a.data, (size_t)o.width * o.height, packing);
		cr_assert(memcmp(expected, b.data, whole) == 0, "%s of %u, packing %d, frame %d",
		          pattern_name(o.kind), o.width, (int)packing, (int)number);
		cr_assert_not(a.owned);
		if (b.owned)
			free(b.data);
	}
	cr_assert_leq(packed.frame_bytes, words.frame_bytes);
	pattern_close(&words);
	pattern_close(&packed);
}

Test(send_pattern, packed_frames_are_those_in_words)
{
	static const uint32_t widths[] = { 37, 36, 34 };

	for (int kind = 0; kind < PATTERN_TIFF; kind++)
		for (int p = PACKING_NONE + 1; p < PACKING_COUNT; p++)
			for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
				enum pixel_packing packing = (enum pixel_packing)p;
				bool halves = packing == PACKING_NIBBLES;
				struct pattern_options o =
					small((enum pattern_kind)kind,
				              halves ? PIXEL_UINT8 : PIXEL_UINT16, halves ? 4 : 10);

				o.width = widths[i];
				expect_packed(o, packing);
			}
}

Test(send_pattern, packs_half_bytes_high_half_first)
{
	static const uint8_t pixels[] = { 1, 2, 3, 4, 15 }, packed[] = { 0x12, 0x34, 0xf0 };
	uint8_t out[4] = { 0xee, 0xee, 0xee, 0xee };

	pack_pixels(out, pixels, 5, PACKING_NIBBLES);
	cr_assert(memcmp(out, packed, 3) == 0);
	cr_assert_eq(out[3], 0xee);
}

Test(send_pattern, counter_has_the_value_worked_by_hand)
{
	struct pattern_options o = small(PATTERN_COUNTER, PIXEL_UINT16, 16);
	struct pattern_pixels pixels;
	struct pattern p;

	cr_assert_eq(pattern_open(&p, &o), 0);
	cr_assert_eq(pattern_take(&p, 5, 0, &pixels), 0);
	/* 5 * 7919 + 2 * 131 + 3 * 31 = 39595 + 262 + 93 = 39950 = 9 * 4096 + 3086 */
	cr_assert_eq(((const uint16_t *)pixels.data)[2 * 37 + 3], 3086);
	pattern_close(&p);
}

Test(send_pattern, big_endian_swaps_the_bytes_of_every_pixel)
{
	static const enum pixel_type types[] = { PIXEL_UINT8, PIXEL_UINT16, PIXEL_UINT32,
		                                 PIXEL_FLOAT32 };

	for (size_t i = 0; i < 4; i++) {
		struct pattern_options o = small(PATTERN_PHANTOM, types[i], 8);
		struct pattern little, big;
		struct pattern_pixels a, b;
		unsigned size = pixel_bytes(types[i]);

		cr_assert_eq(pattern_open(&little, &o), 0);
		o.big_endian = true;
		cr_assert_eq(pattern_open(&big, &o), 0);
		cr_assert_eq(pattern_take(&little, 0, 3, &a), 0);
		cr_assert_eq(pattern_take(&big, 0, 3, &b), 0);
		for (size_t at = 0; at < little.frame_bytes; at++)
			cr_assert_eq(
				((const uint8_t *)a.data)[at],
				((const uint8_t *)b.data)[at / size * size + size - 1 - at % size]);
		pattern_close(&little);
		pattern_close(&big);
	}
}

Test(send_pattern, noise_differs_by_frame_and_stays_in_its_bits)
{
	struct pattern_options o = small(PATTERN_NOISE, PIXEL_UINT16, 10);
	struct pattern_pixels a, b;
	struct pattern p;
	uint32_t most = 0;
	double sum = 0;

	cr_assert_eq(pattern_open(&p, &o), 0);
	cr_assert_eq(pattern_take(&p, 1, 0, &a), 0);
	cr_assert_eq(pattern_take(&p, 2, 1, &b), 0);
	cr_assert_neq(memcmp(a.data, b.data, p.frame_bytes), 0);
	for (size_t at = 0; at < 37 * 23; at++) {
		most = pixel_at(&p, a.data, at) > most ? pixel_at(&p, a.data, at) : most;
		sum += pixel_at(&p, a.data, at);
	}
	cr_assert(most > 900 && most <= 1023);
	cr_assert_float_eq(sum / (37 * 23), 511.5, 40);
	pattern_close(&p);
}

Test(send_pattern, keeps_to_its_memory_and_repeats)
{
	struct pattern_options o = small(PATTERN_PHANTOM, PIXEL_UINT16, 12);
	struct pattern_pixels a, b;
	struct pattern p;

	o.memory_limit = 5 * 37 * 23 * 2 + 1;
	cr_assert_eq(pattern_open(&p, &o), 0);
	cr_assert_eq(pattern_period(&p), 5);
	cr_assert_eq(pattern_take(&p, 0, 1, &a), 0);
	cr_assert_eq(pattern_take(&p, 0, 6, &b), 0);
	cr_assert_eq(a.data, b.data);
	pattern_close(&p);
	o.memory_limit = 1;
	cr_assert_eq(pattern_open(&p, &o), 0);
	cr_assert_eq(pattern_period(&p), 1, "one frame at least");
	pattern_close(&p);
}

/* Pages of width x height, 16 bit, page n filled with base + n; big-endian, strips or tiles. */
static void write_pages(const char *path, uint32_t width, uint32_t height, unsigned pages,
                        unsigned base, bool tiled)
{
	TIFF *tif = TIFFOpen(path, "wb");
	uint16_t *pixels = calloc((size_t)width * height + 64 * 64, sizeof *pixels);

	cr_assert(tif && pixels);
	for (unsigned n = 0; n < pages; n++) {
		TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, width);
		TIFFSetField(tif, TIFFTAG_IMAGELENGTH, height);
		TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, 16);
		TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, 1);
		TIFFSetField(tif, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
		TIFFSetField(tif, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
		if (tiled) {
			TIFFSetField(tif, TIFFTAG_TILEWIDTH, 16);
			TIFFSetField(tif, TIFFTAG_TILELENGTH, 16);
		} else {
			TIFFSetField(tif, TIFFTAG_ROWSPERSTRIP, 5);
		}
		for (uint32_t y = 0; y < height; y += tiled ? 16 : 1)
			for (uint32_t x = 0; x < width; x += tiled ? 16 : width) {
				for (size_t i = 0; i < (tiled ? 256 : width); i++) {
					uint32_t column = x + (uint32_t)(tiled ? i % 16 : i);
					uint32_t row = y + (uint32_t)(tiled ? i / 16 : 0);

					pixels[i] = (uint16_t)(base + n + 100 * row + column);
				}
				if (tiled)
					TIFFWriteTile(tif, pixels, x, y, 0, 0);
				else
					TIFFWriteScanline(tif, pixels, y, 0);
			}
		cr_assert(TIFFWriteDirectory(tif));
	}
	TIFFClose(tif);
	free(pixels);
}

static void expect_page(struct pattern *p, uint64_t index, unsigned value)
{
	struct pattern_pixels pixels;

	cr_assert_eq(pattern_take(p, 0, index, &pixels), 0, "%s", p->why);
	for (uint32_t y = 0; y < p->options.height; y++)
		for (uint32_t x = 0; x < p->options.width; x++)
			cr_assert_eq(pixel_at(p, pixels.data, (size_t)y * p->options.width + x),
			             value + 100 * y + x);
	if (pixels.owned)
		free(pixels.data);
}

Test(send_pattern, goes_round_the_pages_of_files_in_memory_or_not)
{
	char first[] = "/tmp/openbeam-pages-XXXXXX", second[] = "/tmp/openbeam-pages-XXXXXX";
	const char *files[] = { first, second };

	close(mkstemp(first));
	close(mkstemp(second));
	write_pages(first, 40, 21, 3, 1000, false);
	write_pages(second, 40, 21, 2, 2000, true);
	for (uint64_t limit = 1; limit < 1 << 20; limit += (1 << 20) - 2) {
		struct pattern_options o = {
			.kind = PATTERN_TIFF, .files = files, .file_count = 2, .memory_limit = limit
		};
		struct pattern p;

		cr_assert_eq(pattern_open(&p, &o), 0, "%s", p.why);
		cr_assert_eq(pattern_period(&p), 5);
		cr_assert_eq(p.prepared, limit == 1 ? 0 : 5);
		cr_assert(p.options.width == 40 && p.options.height == 21);
		cr_assert_eq(p.options.type, PIXEL_UINT16);
		for (unsigned i = 0; i < 11; i++)
			expect_page(&p, i, i % 5 < 3 ? 1000 + i % 5 : 2000 + i % 5 - 3);
		expect_page(&p, 1, 1001); /* back, as swapped frames need */
		pattern_close(&p);
	}
	unlink(first);
	unlink(second);
}

static void expect_refusal(const char *const *files, unsigned count, int err, const char *part)
{
	struct pattern_options o = {
		.kind = PATTERN_TIFF, .files = files, .file_count = count, .memory_limit = 1 << 20
	};
	struct pattern p;

	cr_assert_eq(pattern_open(&p, &o), err);
	cr_assert(strstr(p.why, part), "%s", p.why);
	cr_assert(strstr(p.why, files[count - 1]), "%s", p.why);
}

Test(send_pattern, refuses_files_that_do_not_fit)
{
	char good[] = "/tmp/openbeam-pages-XXXXXX", other[] = "/tmp/openbeam-pages-XXXXXX";
	char text[] = "/tmp/openbeam-pages-XXXXXX";
	int fd = mkstemp(text);

	close(mkstemp(good));
	close(mkstemp(other));
	cr_assert_eq(write(fd, "no image", 8), 8);
	close(fd);
	write_pages(good, 40, 21, 1, 0, false);
	write_pages(other, 40, 22, 1, 0, false);
	expect_refusal((const char *[]){ "/nowhere/x.tif" }, 1, -ENOENT, "No such file");
	expect_refusal((const char *[]){ text }, 1, -EINVAL, "not a TIFF");
	expect_refusal((const char *[]){ good, other }, 2, -EINVAL, "40x22");
	cr_assert_eq(truncate(good, 300), 0);
	expect_refusal((const char *[]){ good }, 1, -EINVAL, "TIFF");
	unlink(good);
	unlink(other);
	unlink(text);
}

Test(send_pattern, writes_images_that_libtiff_reads_back)
{
	char path[] = "/tmp/openbeam-image-XXXXXX", why[512];
	const char *files[] = { path };
	float image[6] = { 0.5f, 1.25f, -2.0f, 3e9f, 0.0f, 7.0f };
	struct pattern_options o = {
		.kind = PATTERN_TIFF, .files = files, .file_count = 1, .memory_limit = 1 << 20
	};
	struct pattern_pixels pixels;
	struct pattern p;

	close(mkstemp(path));
	cr_assert_eq(tiff_image_write(path, image, 3, 2, why), 0, "%s", why);
	cr_assert_eq(pattern_open(&p, &o), 0, "%s", p.why);
	cr_assert_eq(pattern_take(&p, 0, 0, &pixels), 0);
	cr_assert_eq(memcmp(pixels.data, image, sizeof image), 0);
	pattern_close(&p);
	unlink(path);
	cr_assert_eq(tiff_image_write("/nowhere/d.tif", image, 3, 2, why), -ENOENT);
	cr_assert(strstr(why, "/nowhere/d.tif"), "%s", why);
}
