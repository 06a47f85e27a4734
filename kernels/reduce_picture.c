/* SPDX-License-Identifier: Apache-2.0 */
/* A picture of a frame: few rows for its values; all rows for its marks, where there is something
 * to mark. */
#include "kernels/reduce_picture.h"
#include "kernels/reduce_scratch.h"

#include <math.h>
#include <string.h>

static uint32_t shrunk(uint32_t pixels, uint32_t step)
{
	return pixels / step + (pixels % step > 0);
}

struct picture_grid picture_grid_of(uint32_t width, uint32_t height, uint32_t step)
{
	return (struct picture_grid){ step, shrunk(width, step), shrunk(height, step) };
}

struct picture_grid picture_grid_for(uint32_t width, uint32_t height)
{
	struct picture_grid g = picture_grid_of(width, height, 1);

	while ((uint64_t)g.width * g.height > PICTURE_PIXELS_MAX)
		g = picture_grid_of(width, height, g.step + 1);
	return g;
}

enum product_type picture_raw_type(enum raw_layout l)
{
	enum product_type type = product_of_layout(l);

	return type == PRODUCT_UINT32 ? PRODUCT_FLOAT32 : type;
}

/* ---- values ---- */

/* Every step-th pixel of a row, of any alignment. */
#define PICK_ROW(name, type, made)                                                                 \
	static void name(const struct picture_grid *g, made *restrict out,                         \
	                 const char *restrict row)                                                 \
	{                                                                                          \
		for (uint32_t x = 0; x < g->width; x++) {                                          \
			type v;                                                                    \
                                                                                                   \
			memcpy(&v, row + (size_t)x * g->step * sizeof v, sizeof v);                \
			out[x] = (made)v;                                                          \
		}                                                                                  \
	}
PICK_ROW(pick_uint8, uint8_t, uint8_t)
PICK_ROW(pick_uint16, uint16_t, uint16_t)
PICK_ROW(pick_uint32, uint32_t, float)
PICK_ROW(pick_float32, float, float)

static void pick_raw(const struct reduce_plan *p, const struct picture_grid *g, void *out, size_t i,
                     const char *row)
{
	switch (product_of_layout(p->layout)) {
	case PRODUCT_UINT8:
		pick_uint8(g, (uint8_t *)out + i, row);
		break;
	case PRODUCT_UINT16:
		pick_uint16(g, (uint16_t *)out + i, row);
		break;
	case PRODUCT_UINT32:
		pick_uint32(g, (float *)out + i, row);
		break;
	default:
		pick_float32(g, (float *)out + i, row);
		break;
	}
}

/* What the pass does to T behind flatten. */
static void finish(const struct reduce_plan *p, const struct reduction *r, float *t, size_t n)
{
	float scale = r->dose_applied ? (float)(1 / r->dose) : 1;

	if (p->kernels.scale)
		p->kernels.scale(t, scale, n);
	if (!p->attenuation)
		return;
	p->kernels.attenuable(t, n);
	p->kernels.attenuate(t, t, n);
}

static void take_values(const struct reduce_plan *p, struct scratch *s,
                        const struct picture_job *job)
{
	const struct picture_grid *g = &job->grid;

	for (uint32_t y = 0; y < g->height; y++) {
		size_t i = (size_t)y * g->width;
		uint32_t row = y * g->step;
		const void *raw = raw_run(p, s, job->frame, row, 0, p->width);

		flatten_run(p, s, job->frame, raw, row, 0, p->width, s->rows);
		pick_raw(p, g, job->raw, i, raw);
		pick_float32(g, job->normalised + i, (const char *)s->rows);
		finish(p, job->frame->result, job->normalised + i, g->width);
	}
}

/* ---- marks ---- */

#define CHUNK 64 /* pixels that are looked at together: a bit each */

/* Pixels of a row of the frame, in the machine's order. */
struct row {
	const char *raw;   /* NULL: nothing is saturated */
	const float *good; /* NaN where they are bad */
	bool look_for_bad; /* else the marks of bad pixels are known */
};

static uint64_t bits_of(const uint8_t flags[CHUNK])
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < CHUNK / 8; i++) {
		uint64_t eight = 0; /* the first in its lowest byte, each 0 or 1 */

		for (unsigned k = 0; k < 8; k++)
			eight |= (uint64_t)flags[8 * i + k] << 8 * k;
		bits |= (eight * 0x0102040810204080u >> 56) << 8 * i;
	}
	return bits;
}

/* Which of the first n <= CHUNK are bad. */
static uint64_t bad_bits(const float *good, size_t n)
{
	uint8_t flags[CHUNK] = { 0 };

	for (size_t i = 0; i < n; i++)
		flags[i] = (uint8_t)(isnan(good[i]) ? 1 : 0);
	return bits_of(flags);
}

/* Which of them reach saturation; and whether any of a row does, which compilers do with many at
 * once. */
#define AT_LEAST(name, type, flag)                                                                 \
	static bool name##_any(const char *raw, type saturation, size_t n)                         \
	{                                                                                          \
		flag any = 0;                                                                      \
                                                                                                   \
		for (size_t i = 0; i < n; i++) {                                                   \
			type v;                                                                    \
                                                                                                   \
			memcpy(&v, raw + i * sizeof v, sizeof v);                                  \
			any |= v >= saturation;                                                    \
		}                                                                                  \
		return any;                                                                        \
	}                                                                                          \
                                                                                                   \
	static uint64_t name##_at_least(const char *raw, type saturation, size_t n)                \
	{                                                                                          \
		uint8_t flags[CHUNK] = { 0 };                                                      \
                                                                                                   \
		for (size_t i = 0; i < n; i++) {                                                   \
			type v;                                                                    \
                                                                                                   \
			memcpy(&v, raw + i * sizeof v, sizeof v);                                  \
			flags[i] = v >= saturation;                                                \
		}                                                                                  \
		return bits_of(flags);                                                             \
	}
AT_LEAST(uint8, uint8_t, uint8_t)
AT_LEAST(uint16, uint16_t, uint16_t)
AT_LEAST(uint32, uint32_t, uint32_t)
AT_LEAST(float32, float, int32_t)

static bool any_saturated(const struct reduce_plan *p, const char *raw, size_t n)
{
	switch (product_of_layout(p->layout)) {
	case PRODUCT_UINT8:
		return uint8_any(raw, (uint8_t)p->raw_saturation, n);
	case PRODUCT_UINT16:
		return uint16_any(raw, (uint16_t)p->raw_saturation, n);
	case PRODUCT_UINT32:
		return uint32_any(raw, p->raw_saturation, n);
	default:
		return float32_any(raw, p->float_saturation, n);
	}
}

static uint64_t saturated_bits(const struct reduce_plan *p, const char *raw, size_t n)
{
	switch (product_of_layout(p->layout)) {
	case PRODUCT_UINT8:
		return uint8_at_least(raw, (uint8_t)p->raw_saturation, n);
	case PRODUCT_UINT16:
		return uint16_at_least(raw, (uint16_t)p->raw_saturation, n);
	case PRODUCT_UINT32:
		return uint32_at_least(raw, p->raw_saturation, n);
	default:
		return float32_at_least(raw, p->float_saturation, n);
	}
}

/* Mark the blocks that pixels x to x + n of a row go through. */
static void mark_blocks(uint8_t *marks, uint32_t step, size_t x, size_t n, uint64_t saturated,
                        uint64_t bad)
{
	size_t block = x / step, from = 0;

	while (from < n) {
		size_t next = (block + 1) * step - x, to = next < n ? next : n;
		uint64_t here = UINT64_MAX >> (CHUNK - (to - from)) << from;

		marks[block++] |= (uint8_t)((saturated & here ? PICTURE_SATURATED : 0) |
		                            (bad & here ? PICTURE_BAD : 0));
		from = to;
	}
}

/* Mark the blocks that a row goes through. Returns how many of its pixels are bad, where that is
 * looked for. */
static size_t mark_row(const struct reduce_plan *p, const struct row *row, uint32_t step,
                       uint8_t *marks)
{
	size_t pixel = product_bytes(product_of_layout(p->layout)), count = 0;

	if (!row->look_for_bad && !any_saturated(p, row->raw, p->width))
		return 0;
	for (size_t x = 0; x < p->width; x += CHUNK) {
		size_t n = p->width - x < CHUNK ? p->width - x : CHUNK;
		uint64_t bad = row->look_for_bad ? bad_bits(row->good + x, n) : 0;
		uint64_t saturated = row->raw ? saturated_bits(p, row->raw + x * pixel, n) : 0;

		if (!bad && !saturated)
			continue;
		if (!row->look_for_bad)
			bad = bad_bits(row->good + x, n);
		mark_blocks(marks, step, x, n, saturated & ~bad, bad);
		count += (size_t)__builtin_popcountll(bad);
	}
	return count;
}

static const float *gain_row(const struct reduce_plan *p, const struct scratch *s, uint32_t row)
{
	return p->gain ? p->gain + (size_t)row * p->width : s->gain;
}

/* T of a row, as far as it matters which pixels are bad. */
static const float *bad_row(const struct reduce_plan *p, struct scratch *s,
                            const struct reduce_job *frame, const void *raw, uint32_t row)
{
	flatten_run(p, s, frame, raw, row, 0, p->width, s->rows);
	if (p->attenuation)
		p->kernels.attenuable(s->rows, p->width);
	return s->rows;
}

/* Where the plan knows all bad pixels of the frame, there is no need to normalise it again. */
static void take_marks(const struct reduce_plan *p, struct scratch *s,
                       const struct picture_job *job)
{
	const struct reduce_job *frame = job->frame;
	bool unknown = frame->result->bad != job->known_bad;

	for (uint32_t y = 0; y < p->height; y++) {
		const void *raw = raw_run(p, s, frame, y, 0, p->width);
		const struct row row = {
			.raw = frame->result->saturated ? raw : NULL,
			.good = unknown ? bad_row(p, s, frame, raw, y) : gain_row(p, s, y),
			.look_for_bad = unknown,
		};

		mark_row(p, &row, job->grid.step,
		         job->marks + (size_t)(y / job->grid.step) * job->grid.width);
	}
}

uint64_t picture_known_bad(const struct reduce_plan *p, const struct picture_grid *g,
                           uint8_t *ret_marks)
{
	uint64_t bad = 0;

	memset(ret_marks, 0, (size_t)g->width * g->height);
	for (uint32_t y = 0; p->gain && y < p->height; y++) {
		const struct row row = { .good = p->gain + (size_t)y * p->width,
			                 .look_for_bad = true };

		bad += mark_row(p, &row, g->step, ret_marks + (size_t)(y / g->step) * g->width);
	}
	return bad;
}

void reduce_picture(const struct reduce_plan *p, void *scratch, const struct picture_job *job)
{
	const struct reduction *r = job->frame->result;
	struct scratch s;

	scratch_open(p, scratch, &s);
	fill_planes(p, &s);
	take_values(p, &s, job);
	memcpy(job->marks, job->known_marks, (size_t)job->grid.width * job->grid.height);
	if (r->saturated > 0 || r->bad != job->known_bad)
		take_marks(p, &s, job);
}

void picture_of_image(const struct reduce_plan *p, const struct picture_grid *g, const float *image,
                      float *ret)
{
	for (uint32_t y = 0; y < g->height; y++)
		pick_float32(g, ret + (size_t)y * g->width,
		             (const char *)(image + payload_pixel(p, y * g->step)));
}
