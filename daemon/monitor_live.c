/* SPDX-License-Identifier: Apache-2.0 */
/* The picture of the newest frame over HTTP, as pixels and as a PNG. What is found or made of one
 * picture serves everybody who asks for the same. */
#include "daemon/idle.h"
#include "daemon/monitor_parts.h"
#include "daemon/picture_png.h"
#include "daemon/pipeline.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES 64
#define VERSION      1
#define HAS_MARKS    1u        /* flag */
#define PNGS         8         /* kept: ways in which people look at one picture */
#define PNG_NS       50000000u /* spent on them in a tick of 100 ms: others have questions, too */
#define NO_PICTURE   "there is no picture yet: the first one comes with the next frame, ask again"

/* One PNG of a picture. */
struct kept_png {
	uint64_t serial; /* of the picture; 0: unused */
	struct picture_style style;
	struct shared_text *png;
};

/* The pixels of one, as they are sent. */
struct kept_pixels {
	uint64_t serial; /* 0: unused */
	bool marks;
	struct shared_text *pixels;
};

struct live {
	struct picture_counts counts;
	uint8_t indices[PICTURE_PIXELS_MAX];
	struct {
		uint64_t serial;
		struct picture_levels found;
	} levels[PICTURE_PRODUCTS];
	struct kept_pixels pixels[PICTURE_PRODUCTS];
	struct kept_png pngs[PNGS];
	unsigned next; /* of pngs, to be replaced */
};

void monitor_live_free(struct live *l)
{
	for (unsigned i = 0; l && i < PNGS; i++)
		shared_text_drop(l->pngs[i].png);
	for (unsigned i = 0; l && i < PICTURE_PRODUCTS; i++)
		shared_text_drop(l->pixels[i].pixels);
	free(l);
}

/* ---- parameters ---- */

/* A finite number that a float32 holds. False, having refused, when it is none; else *ret_given
 * says whether it was given. */
static bool take_number(const struct http_request *r, const char *name, float *ret, bool *ret_given,
                        struct http_answer *a)
{
	char sentence[200];

	for (unsigned i = 0; i < r->parameter_count; i++) {
		const char *value = r->parameters[i].value;
		char *end;
		double v;

		if (strcmp(r->parameters[i].name, name) != 0)
			continue;
		v = strtod(value, &end);
		if (end == value || *end || !(fabs(v) <= (double)FLT_MAX)) {
			snprintf(sentence, sizeof sentence, "%s takes a finite number, not '%.60s'",
			         name, value);
			http_refuse(a, 400, sentence);
			return false;
		}
		*ret = (float)v;
		*ret_given = true;
	}
	return true;
}

static bool take_product(const struct http_request *r, enum picture_product *ret,
                         struct http_answer *a)
{
	unsigned product = PICTURE_NORMALISED;

	if (!monitor_choose(r, "product", picture_product_names, "normalised, raw, dark or flat",
	                    &product, a))
		return false;
	*ret = (enum picture_product)product;
	return true;
}

static bool take_marks(const struct http_request *r, bool *ret, struct http_answer *a)
{
	static const char *const words[] = { "0", "1", NULL };
	unsigned marks = *ret;

	if (!monitor_choose(r, "marks", words, "0 or 1", &marks, a))
		return false;
	*ret = marks == 1;
	return true;
}

/* What is asked of a PNG. */
struct wish {
	struct picture_style style;
	bool low, high; /* style.levels has it */
};

static bool levels_make_sense(const struct wish *w, struct http_answer *a)
{
	const struct picture_levels *l = &w->style.levels;
	char sentence[200];

	if (w->low && w->high && !(l->low < l->high)) {
		snprintf(sentence, sizeof sentence, "low, %.9g, must be below high, %.9g",
		         (double)l->low, (double)l->high);
		http_refuse(a, 400, sentence);
		return false;
	}
	if (w->style.logarithmic && w->high && !(l->high > 0)) {
		snprintf(sentence, sizeof sentence, "scale=log needs a high above 0, not %.9g",
		         (double)l->high);
		http_refuse(a, 400, sentence);
		return false;
	}
	return true;
}

static bool take_wish(const struct http_request *r, struct wish *ret, struct http_answer *a)
{
	static const char *const names[] = {
		"product", "map", "low", "high", "scale", "marks", NULL
	};
	static const char *const scales[] = { "linear", "log", NULL };
	unsigned map = COLOUR_VIRIDIS, scale = 0;

	*ret = (struct wish){ .style.marks = true };
	if (!monitor_all_known(r, names, a) || !take_product(r, &ret->style.product, a) ||
	    !monitor_choose(r, "map", colour_map_names, "viridis, grey or inferno", &map, a) ||
	    !monitor_choose(r, "scale", scales, "linear or log", &scale, a) ||
	    !take_marks(r, &ret->style.marks, a) ||
	    !take_number(r, "low", &ret->style.levels.low, &ret->low, a) ||
	    !take_number(r, "high", &ret->style.levels.high, &ret->high, a))
		return false;
	ret->style.map = (enum colour_map)map;
	ret->style.logarithmic = scale == 1;
	return levels_make_sense(ret, a);
}

/* ---- the picture ---- */

/* Somebody looks. NULL, having refused, while there is nothing to see. */
static const struct picture *look(struct monitor *m, enum picture_product product,
                                  struct http_answer *a)
{
	struct pictures *pictures = m->pipeline->pictures;
	const struct picture *picture;
	char sentence[200];

	if (!m->live)
		m->live = calloc(1, sizeof *m->live);
	if (!pictures || !m->live) {
		http_refuse(a, 503, "no memory for the picture");
		return NULL;
	}
	pictures_want(pictures, clock_monotonic_ns());
	picture = pictures_look(pictures);
	if (!picture) {
		http_refuse(a, 503, NO_PICTURE);
		return NULL;
	}
	if (!picture->pixels[product]) {
		snprintf(sentence, sizeof sentence, "frame %llu was reduced without a %s",
		         (unsigned long long)picture->frame, picture_product_names[product]);
		http_refuse(a, 503, sentence);
		return NULL;
	}
	return picture;
}

static struct picture_levels levels_of(struct live *l, const struct picture *p,
                                       enum picture_product product)
{
	if (l->levels[product].serial != p->serial)
		picture_levels_find(p, product, &l->counts, &l->levels[product].found);
	l->levels[product].serial = p->serial;
	return l->levels[product].found;
}

/* ---- as pixels ---- */

static void put_uint(char *at, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (char)(v >> 8 * i);
}

static void put_float(char *at, float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof bits);
	put_uint(at, bits, sizeof bits);
}

static void put_header(char *h, const struct picture *p, enum picture_product product,
                       const struct picture_levels *levels, bool marks)
{
	static const uint16_t types[PRODUCT_TYPE_COUNT] = {
		[PRODUCT_UINT8] = 0, [PRODUCT_UINT16] = 1, [PRODUCT_FLOAT32] = 2
	};

	memset(h, 0, HEADER_BYTES);
	memcpy(h, "OBLV", 4);
	put_uint(h + 4, VERSION, 2);
	put_uint(h + 6, types[p->types[product]], 2);
	put_uint(h + 8, p->grid.width, 4);
	put_uint(h + 12, p->grid.height, 4);
	put_uint(h + 16, p->frame, 8);
	put_uint(h + 24, p->time_ns, 8);
	put_float(h + 32, levels->low);
	put_float(h + 36, levels->high);
	put_uint(h + 40, p->grid.step, 4);
	put_uint(h + 44, p->full_width, 4);
	put_uint(h + 48, p->full_height, 4);
	put_uint(h + 52, marks ? HAS_MARKS : 0, 4);
}

/* Of dark and flat only the bad pixels are of interest. */
static void put_marks(char *at, const struct picture *p, enum picture_product product)
{
	size_t n = (size_t)p->grid.width * p->grid.height;
	bool of_frame = product == PICTURE_NORMALISED || product == PICTURE_RAW;

	memcpy(at, p->marks, n);
	for (size_t i = 0; !of_frame && i < n; i++)
		at[i] &= PICTURE_BAD;
}

static struct shared_text *make_pixels(struct live *l, const struct picture *p,
                                       enum picture_product product, bool marks)
{
	struct picture_levels levels = levels_of(l, p, product);
	size_t pixels = (size_t)p->grid.width * p->grid.height;
	size_t bytes = pixels * product_bytes(p->types[product]);
	size_t all = HEADER_BYTES + bytes + (marks ? pixels : 0);
	char *at = malloc(all);

	if (!at)
		return NULL;
	put_header(at, p, product, &levels, marks);
	memcpy(at + HEADER_BYTES, p->pixels[product], bytes);
	if (marks)
		put_marks(at + HEADER_BYTES + bytes, p, product);
	return shared_text_new(at, all);
}

/* Those that are kept of this picture, or made. NULL without memory. */
static struct shared_text *pixels_of(struct live *l, const struct picture *p,
                                     enum picture_product product, bool marks)
{
	struct kept_pixels *k = &l->pixels[product];

	if (k->serial == p->serial && k->marks == marks)
		return k->pixels;
	shared_text_drop(k->pixels);
	*k = (struct kept_pixels){ .marks = marks };
	k->pixels = make_pixels(l, p, product, marks);
	if (k->pixels)
		k->serial = p->serial;
	return k->pixels;
}

void monitor_get_live(struct monitor *m, const struct http_request *r, struct http_answer *a)
{
	static const char *const names[] = { "product", "marks", NULL };
	enum picture_product product;
	const struct picture *p;
	struct shared_text *pixels;
	bool marks = false;

	if (!monitor_all_known(r, names, a) || !take_product(r, &product, a) ||
	    !take_marks(r, &marks, a))
		return;
	p = look(m, product, a);
	if (!p)
		return;
	pixels = pixels_of(m->live, p, product, marks);
	a->status = 200;
	a->type = "application/octet-stream";
	a->shared = pixels ? shared_text_hold(pixels) : NULL;
}

/* ---- as a PNG ---- */

/* Levels that were not given are found, and give way to one that was. */
static void complete(struct wish *w, struct live *live, const struct picture *p)
{
	struct picture_levels *l = &w->style.levels, found;

	if (w->low && w->high)
		return;
	found = levels_of(live, p, w->style.product);
	if (!w->low)
		l->low = found.low;
	if (!w->high)
		l->high = found.high;
	if (w->style.logarithmic && !w->high && !(l->high > 0))
		l->high = 1;
	if (!w->high && !(l->low < l->high))
		l->high = fmaxf(l->low + 1, nextafterf(l->low, INFINITY));
	if (!w->low && !(l->low < l->high))
		l->low = fminf(l->high - 1, nextafterf(l->high, -INFINITY));
}

static bool same_style(const struct picture_style *a, const struct picture_style *b)
{
	return a->product == b->product && a->map == b->map && a->logarithmic == b->logarithmic &&
	       a->marks == b->marks && a->levels.low == b->levels.low &&
	       a->levels.high == b->levels.high;
}

/* The one that is kept of this picture; NULL: none. */
static struct shared_text *kept_png(struct live *l, const struct picture *p,
                                    const struct picture_style *style)
{
	for (unsigned i = 0; i < PNGS; i++)
		if (l->pngs[i].serial == p->serial && same_style(&l->pngs[i].style, style))
			return l->pngs[i].png;
	return NULL;
}

/* Make it, and keep it. NULL without memory. */
static struct shared_text *make_png(struct monitor *m, const struct picture *p,
                                    const struct picture_style *style)
{
	struct live *l = m->live;
	struct kept_png *k = &l->pngs[l->next++ % PNGS];
	uint64_t began_ns = clock_monotonic_ns();
	size_t bytes = 0;

	shared_text_drop(k->png);
	*k = (struct kept_png){ .style = *style };
	char *png = picture_png(p, style, l->indices, &bytes);
	k->png = shared_text_new(png, bytes);
	if (k->png)
		k->serial = p->serial;
	m->spent_ns += clock_monotonic_ns() - began_ns;
	return k->png;
}

void monitor_get_live_png(struct monitor *m, const struct http_request *r, struct http_answer *a)
{
	const struct picture *p;
	struct shared_text *png;
	struct wish wish;

	if (!take_wish(r, &wish, a))
		return;
	p = look(m, wish.style.product, a);
	if (!p)
		return;
	complete(&wish, m->live, p);
	png = kept_png(m->live, p, &wish.style);
	if (!png && m->spent_ns > PNG_NS)
		return http_refuse(a, 503, "many different pictures are asked for: ask again");
	if (!png)
		png = make_png(m, p, &wish.style);
	a->status = 200;
	a->type = "image/png";
	a->shared = png ? shared_text_hold(png) : NULL;
}
