/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/mean.h"
#include "kernels/reduce_scratch.h"

#include <math.h>
#include <string.h>

#define NEIGHBOURS 8

void mean_transmission(const struct reduce_plan *p, const struct scratch *s, size_t first, size_t n,
                       float *ret)
{
	enum product_type type = product_of_layout(p->layout);

	mean_flatten(ret, (const char *)s->mean->sums + first * mean_sum_bytes(type), type,
	             s->mean->frames, p->offset ? p->offset + first : NULL,
	             p->gain ? p->gain + first : NULL, n);
}

/* From there to what is binned: divided by the dose, without what has no -ln. */
static void finish_values(const struct reduce_plan *p, const struct scratch *s, float *t, size_t n)
{
	if (p->kernels.scale)
		p->kernels.scale(t, s->scale, n);
	if (p->attenuation)
		p->kernels.attenuable(t, n);
}

/* T of a pixel outside the tile, from the payload or the mean. */
static float transmission_at(const struct reduce_plan *p, struct scratch *s,
                             const struct reduce_job *job, uint32_t row, uint32_t column)
{
	float t;

	if (s->mean)
		mean_transmission(p, s, (size_t)row * p->width + column, 1, &t);
	else
		transmission_run(p, s, job, row, column, 1, &t);
	finish_values(p, s, &t, 1);
	return t;
}

/* Put t among the `n` that are in order. Returns how many there are then; NaN is left out. */
static unsigned put_in_order(float *values, unsigned n, float t)
{
	unsigned at = n;

	if (isnan(t))
		return n;
	for (; at > 0 && values[at - 1] > t; at--)
		values[at] = values[at - 1];
	values[at] = t;
	return n + 1;
}

/* The median of the good ones of a pixel's neighbours, or NaN. `column` and `row` are in the frame;
 * rows outside the tile are computed anew, so that no tile needs its neighbours. */
static float median_about(const struct reduce_plan *p, struct scratch *s,
                          const struct reduce_job *job, const struct tile *tile, uint32_t row,
                          uint32_t column)
{
	float good[NEIGHBOURS];
	uint32_t top = row ? row - 1 : 0, bottom = row + 1 < p->height ? row + 1 : row;
	uint32_t left = column ? column - 1 : 0,
		 right = column + 1 < p->width ? column + 1 : column;
	unsigned n = 0;

	for (uint32_t y = top; y <= bottom; y++)
		for (uint32_t x = left; x <= right; x++) {
			bool here = y >= tile->row && y - tile->row < tile->rows;
			float t;

			if (y == row && x == column)
				continue;
			if (here)
				t = s->t[(size_t)(y - tile->row) * p->width + x];
			else
				t = transmission_at(p, s, job, y, x);
			n = put_in_order(good, n, t);
		}
	if (n == 0)
		return NAN;
	return n % 2 ? good[n / 2] : (good[n / 2 - 1] + good[n / 2]) / 2;
}

/* Whether one of n pixels is NaN; made so that it vectorises. */
static bool any_bad(const float *t, size_t n)
{
	uint32_t bad = 0;

	for (size_t i = 0; i < n; i++)
		bad |= (uint32_t)(t[i] != t[i]);
	return bad;
}

/* The tile's T with its bad pixels replaced. */
static const float *mend_tile(const struct reduce_plan *p, struct scratch *s,
                              const struct reduce_job *job, const struct tile *tile)
{
	for (uint32_t y = 0; y < tile->rows; y++) {
		const float *t = s->t + (size_t)y * p->width;
		float *out = s->binned + (size_t)y * p->width;

		memcpy(out, t, p->width * sizeof *out);
		if (!any_bad(t, p->width))
			continue;
		for (uint32_t x = 0; x < p->width; x++)
			if (isnan(t[x]))
				out[x] = median_about(p, s, job, tile, tile->row + y, x);
	}
	return s->binned;
}

static const float *bin_tile(const struct reduce_plan *p, struct scratch *s, uint32_t out_rows)
{
	for (size_t y = 0; y < out_rows; y++)
		p->kernels.bin_rows(s->binned + y * p->out_width, s->t + y * p->bin * p->width,
		                    s->sum, s->count, p->width, p->bin);
	return s->binned;
}

/* The tile's pixels as they are converted: bad pixels replaced, binned, -ln. */
static const float *tile_values(const struct reduce_plan *p, struct scratch *s,
                                const struct reduce_job *job, const struct tile *tile)
{
	uint32_t out_rows = tile->rows / p->bin;

	if (p->bin == 1 && !p->bad_median)
		return p->attenuation ? s->attenuation : s->t;
	if (p->bin == 1)
		mend_tile(p, s, job, tile);
	else
		bin_tile(p, s, out_rows);
	if (p->attenuation)
		p->kernels.attenuate(s->binned, s->binned, (size_t)out_rows * p->out_width);
	return s->binned;
}

void reduce_product(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                    const struct reduce_job *job, const struct tile *tile)
{
	size_t n = (size_t)(tile->rows / p->bin) * p->out_width;
	size_t first = (size_t)(tile->row / p->bin) * p->out_width;
	void *out = (char *)job->reduced + first * product_bytes(p->type);

	f->clipped += p->kernels.convert(out, tile_values(p, s, job, tile), n, &p->window);
	f->reduced_crc32c = p->kernels.crc32c(f->reduced_crc32c, out, n * product_bytes(p->type));
}

void reduce_mean(const struct reduce_plan *p, void *scratch, const struct reduce_mean_job *job,
                 uint64_t *ret_clipped, uint32_t *ret_crc32c)
{
	const struct reduce_job out = { .reduced = job->reduced };
	struct frame_run *f;
	struct scratch s;

	scratch_open(p, scratch, &s);
	s.t = s.groups;
	s.mean = job;
	find_mean_dose(p, &s);
	f = &s.runs[0];
	f->clipped = 0;
	f->reduced_crc32c = 0;
	for (uint32_t row = 0; row < p->height; row += p->tile_rows) {
		uint32_t left = p->height - row;
		struct tile tile = { .row = row,
			             .rows = left < p->tile_rows ? left : p->tile_rows };

		tile.first = (size_t)row * p->width;
		tile.pixels = (size_t)tile.rows * p->width;
		mean_transmission(p, &s, tile.first, tile.pixels, s.t);
		finish_values(p, &s, s.t, tile.pixels);
		if (p->attenuation)
			p->kernels.attenuate(s.attenuation, s.t, tile.pixels);
		reduce_product(p, &s, f, &out, &tile);
	}
	*ret_clipped = f->clipped;
	*ret_crc32c = f->reduced_crc32c;
}
