/* SPDX-License-Identifier: Apache-2.0 */
/* Regions with statistics of their own, while a tile of the frame is in the cache. */
#include "kernels/reduce_scratch.h"

/* A run of pixels of the tile. */
struct run {
	size_t at, n; /* from the tile's first */
};

static void add_raw(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                    uint32_t region, const char *raw, const float *t, struct run run)
{
	struct region_run *r = &f->regions[region];
	const struct reduce_kernels *k = &p->kernels;

	raw += run.at * product_bytes(product_of_layout(p->layout));
	if (k->raw_sums) {
		k->raw_sums(&r->raw, raw, t + run.at, p->raw_saturation, run.n);
		return;
	}
	r->saturated += k->raw_screen(s->screened, raw, t + run.at, p->float_saturation, run.n);
	moments_add(&f->region_floats[region], k->moments, s->screened, run.n);
}

static void add_run(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                    uint32_t region, const char *raw, const float *t, struct run run)
{
	add_raw(p, s, f, region, raw, t, run);
	moments_add(&f->regions[region].normalised, p->kernels.moments, t + run.at, run.n);
}

/* Rows first to last of the region; rows that fill the frame are one run. */
static void add_rows(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                     uint32_t region, const char *raw, const float *t, const struct tile *tile,
                     uint32_t first, uint32_t last)
{
	const struct reduce_region *r = &p->regions[region];
	struct run run = { (size_t)(first - tile->row) * p->width + r->left, r->width };

	if (r->width == p->width) {
		run.n *= last - first;
		add_run(p, s, f, region, raw, t, run);
		return;
	}
	for (uint32_t y = first; y < last; y++, run.at += p->width)
		add_run(p, s, f, region, raw, t, run);
}

void regions_begin(const struct reduce_plan *p, struct frame_run *f)
{
	for (uint32_t i = 0; i < p->region_count; i++) {
		f->regions[i].raw = (struct raw_sums){ .min = UINT32_MAX };
		f->regions[i].saturated = 0;
		moments_begin(&f->regions[i].normalised);
		if (!p->kernels.raw_sums)
			moments_begin(&f->region_floats[i]);
	}
}

void regions_add(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                 const void *raw, const float *t, const struct tile *tile)
{
	uint32_t end = tile->row + tile->rows;

	for (uint32_t i = 0; i < p->region_count; i++) {
		uint32_t top = p->regions[i].top, bottom = top + p->regions[i].height;
		uint32_t first = top > tile->row ? top : tile->row;
		uint32_t last = bottom < end ? bottom : end;

		if (first < last)
			add_rows(p, s, f, i, raw, t, tile, first, last);
	}
}

void regions_end(const struct reduce_plan *p, struct frame_run *f, struct region_stats *ret)
{
	for (uint32_t i = 0; i < p->region_count; i++) {
		struct region_run *r = &f->regions[i];

		moments_finish(&r->normalised, p->kernels.moments, &ret[i].normalised);
		ret[i].good = r->normalised.good;
		if (p->kernels.raw_sums) {
			raw_moments_finish(&r->raw, &ret[i].raw);
			ret[i].saturated = p->can_saturate ? r->raw.saturated : 0;
			continue;
		}
		moments_finish(&f->region_floats[i], p->kernels.moments, &ret[i].raw);
		ret[i].saturated = r->saturated;
	}
}
