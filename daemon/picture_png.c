/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/picture_png.h"

#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DECADES 1e5f /* that a logarithmic scale without a low has */

/* ---- from values to indices ---- */

/* i = (int)((v - low) * scale), as PNG_COLOURS has it. */
struct ramp {
	float low, scale;
};

static struct ramp ramp_of(const struct picture_style *s)
{
	float low = s->levels.low, high = s->levels.high;

	if (s->logarithmic) {
		low = logf(low > 0 ? low : high / DECADES);
		high = logf(high);
	}
	return (struct ramp){ low, (float)PNG_COLOURS / (high - low) };
}

/* False for NaN. */
static uint8_t index_of(float v, const struct ramp *r)
{
	float at = (v - r->low) * r->scale;

	return at >= 0 ? (uint8_t)(at < PNG_COLOURS - 1 ? at : PNG_COLOURS - 1) : 0;
}

static uint8_t log_index_of(float v, const struct ramp *r)
{
	return v > 0 ? index_of(logf(v), r) : 0;
}

/* Integers of one byte or two: each value once, then looked up. */
static void table_of(uint8_t *table, unsigned values, const struct ramp *r, bool logarithmic)
{
	for (unsigned v = 0; v < values; v++)
		table[v] = logarithmic ? log_index_of((float)v, r) : index_of((float)v, r);
}

static void index_floats(uint8_t *restrict out, const float *restrict v, size_t n,
                         const struct ramp *r, bool logarithmic)
{
	const struct ramp ramp = *r;

	if (logarithmic)
		for (size_t i = 0; i < n; i++)
			out[i] = log_index_of(v[i], &ramp);
	else
		for (size_t i = 0; i < n; i++)
			out[i] = index_of(v[i], &ramp);
}

static void index_pixels(const struct picture *p, const struct picture_style *s, uint8_t *out)
{
	size_t n = (size_t)p->grid.width * p->grid.height;
	const void *pixels = p->pixels[s->product];
	struct ramp ramp = ramp_of(s);
	uint8_t table[65536];

	switch (p->types[s->product]) {
	case PRODUCT_UINT8:
		table_of(table, 256, &ramp, s->logarithmic);
		for (size_t i = 0; i < n; i++)
			out[i] = table[((const uint8_t *)pixels)[i]];
		break;
	case PRODUCT_UINT16:
		table_of(table, 65536, &ramp, s->logarithmic);
		for (size_t i = 0; i < n; i++)
			out[i] = table[((const uint16_t *)pixels)[i]];
		break;
	default:
		index_floats(out, pixels, n, &ramp, s->logarithmic);
	}
}

static void index_marks(const struct picture *p, const struct picture_style *s, uint8_t *out)
{
	size_t n = (size_t)p->grid.width * p->grid.height;
	bool of_frame = s->product == PICTURE_NORMALISED || s->product == PICTURE_RAW;
	uint8_t shown = of_frame ? PICTURE_SATURATED | PICTURE_BAD : PICTURE_BAD;

	for (size_t i = 0; i < n; i++) {
		uint8_t marks = p->marks[i] & shown;

		out[i] = (uint8_t)(marks & PICTURE_SATURATED ? PNG_SATURATED
		                   : marks                   ? PNG_BAD
		                                             : out[i]);
	}
}

/* ---- the file ---- */

/* What is written so far. */
struct sheet {
	char *at;
	size_t bytes, room;
};

static void put_bytes(png_structp png, png_bytep from, size_t bytes)
{
	struct sheet *s = png_get_io_ptr(png);

	if (bytes > s->room - s->bytes) {
		size_t room = 2 * (s->room + bytes);
		char *more = realloc(s->at, room);

		if (!more)
			png_error(png, "no memory");
		s->at = more;
		s->room = room;
	}
	memcpy(s->at + s->bytes, from, bytes);
	s->bytes += bytes;
}

static void put_nothing(png_structp png)
{
	(void)png;
}

/* libpng's texts do not go to standard error. */
static void keep_quiet(png_structp png, png_const_charp text)
{
	(void)png;
	(void)text;
}

static void stop(png_structp png, png_const_charp text)
{
	(void)text;
	longjmp(png_jmpbuf(png), 1);
}

static void put_palette(png_structp png, png_infop info, enum colour_map map)
{
	png_color palette[256];

	for (unsigned i = 0; i < PNG_COLOURS; i++) {
		struct colour c = colour_map_at(map, i, PNG_COLOURS);

		palette[i] = (png_color){ c.red, c.green, c.blue };
	}
	palette[PNG_SATURATED] = (png_color){ 255, 0, 0 };
	palette[PNG_BAD] = (png_color){ 255, 0, 255 };
	png_set_PLTE(png, info, palette, 256);
}

static png_text text(char *key, char *value)
{
	return (png_text){ .compression = PNG_TEXT_COMPRESSION_NONE, .key = key, .text = value };
}

static void put_texts(png_structp png, png_infop info, const struct picture *p,
                      const struct picture_style *s)
{
	char frame[24], time_ns[24], levels[64], product[16], scale[16];
	png_text texts[5];

	snprintf(frame, sizeof frame, "%llu", (unsigned long long)p->frame);
	snprintf(time_ns, sizeof time_ns, "%llu", (unsigned long long)p->time_ns);
	snprintf(levels, sizeof levels, "%.9g %.9g", (double)s->levels.low, (double)s->levels.high);
	snprintf(product, sizeof product, "%s", picture_product_names[s->product]);
	snprintf(scale, sizeof scale, "%s", s->logarithmic ? "log" : "linear");
	texts[0] = text("Frame", frame);
	texts[1] = text("Time (ns)", time_ns);
	texts[2] = text("Product", product);
	texts[3] = text("Levels", levels);
	texts[4] = text("Scale", scale);
	png_set_text(png, info, texts, 5);
}

/* Pixels with noise hardly shrink: on 640 x 540 zlib's fastest takes 5 to 12 ms to save a sixth to
 * a third, Huffman codes alone 3 to 5 ms; storing them 0.2. */
static void write_file(png_structp png, png_infop info, const struct picture *p,
                       const struct picture_style *s, const uint8_t *indices)
{
	png_set_compression_level(png, 0);
	png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE);
	png_set_IHDR(png, info, p->grid.width, p->grid.height, 8, PNG_COLOR_TYPE_PALETTE,
	             PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	put_palette(png, info, s->map);
	put_texts(png, info, p, s);
	png_write_info(png, info);
	for (uint32_t y = 0; y < p->grid.height; y++)
		png_write_row(png, indices + (size_t)y * p->grid.width);
	png_write_end(png, info);
}

/* False where libpng gave up. */
static bool write_to(struct sheet *sheet, const struct picture *p, const struct picture_style *s,
                     const uint8_t *indices)
{
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, stop, keep_quiet);
	png_infop info = png ? png_create_info_struct(png) : NULL;
	bool good = false;

	if (info && setjmp(png_jmpbuf(png)) == 0) {
		png_set_write_fn(png, sheet, put_bytes, put_nothing);
		png_set_user_limits(png, 0x7fffffff, 0x7fffffff);
		write_file(png, info, p, s, indices);
		good = true;
	}
	png_destroy_write_struct(&png, &info);
	return good;
}

char *picture_png(const struct picture *p, const struct picture_style *style, uint8_t *indices,
                  size_t *ret_bytes)
{
	size_t pixels = (size_t)p->grid.width * p->grid.height;
	struct sheet sheet = { .room = pixels + pixels / 64 + p->grid.height + 4096 };

	sheet.at = malloc(sheet.room);
	if (!sheet.at)
		return NULL;
	index_pixels(p, style, indices);
	if (style->marks)
		index_marks(p, style, indices);
	if (!write_to(&sheet, p, style, indices)) {
		free(sheet.at);
		return NULL;
	}
	*ret_bytes = sheet.bytes;
	return sheet.at;
}

const char *const picture_product_names[] = { "normalised", "raw", "dark", "flat", NULL };
