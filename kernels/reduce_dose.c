/* SPDX-License-Identifier: Apache-2.0 */
/* The dose: the mean of T in the open beam. It is needed before the first tile, so the regions in
 * the open beam are read once more than the rest; their pixels are in the cache when their tiles
 * come. */
#include "kernels/reduce_scratch.h"

#include <math.h>

#define ROWS_AHEAD 4 /* the hardware does not follow rows that are cut short */

static void fetch(const void *from, size_t bytes)
{
	const char *at = from;

	for (size_t i = 0; i < bytes; i += CACHE_LINE)
		__builtin_prefetch(at + i, 0, 2);
}

/* Start fetching what the next rows of a region need: of one frame, and of the planes. */
static void fetch_ahead(const struct reduce_plan *p, const struct reduce_job *job,
                        const struct reduce_region *r, uint32_t row, bool planes)
{
	uint32_t next = row + ROWS_AHEAD;
	size_t i = (size_t)next * p->width + r->left;

	if (next >= r->top + r->height)
		return;
	if (!p->port_columns)
		fetch((const char *)job->raw +
		              raw_layout_bytes(p->layout, payload_pixel(p, next) + r->left),
		      raw_layout_bytes(p->layout, r->width));
	if (planes && p->offset)
		fetch(p->offset + i, r->width * sizeof(float));
	if (planes && p->gain)
		fetch(p->gain + i, r->width * sizeof(float));
}

static bool in_open_beam(const struct reduce_plan *p, uint32_t region)
{
	return p->open_beam >> region & 1;
}

static void add_pixels(const struct reduce_plan *p, struct moments_run *m, float *t, size_t n)
{
	if (p->attenuation)
		p->kernels.attenuable(t, n);
	moments_add(m, p->kernels.moments, t, n);
}

/* One row of a region of all frames of the hand: its dark and gain are read once. */
static void add_row(const struct reduce_plan *p, struct scratch *s, const struct reduce_job *jobs,
                    unsigned n, const struct reduce_region *r, uint32_t row)
{
	for (unsigned i = 0; i < n; i++) {
		fetch_ahead(p, &jobs[i], r, row, i == 0);
		transmission_run(p, s, &jobs[i], row, r->left, r->width, s->groups);
		add_pixels(p, &s->runs[i].normalised, s->groups, r->width);
	}
}

/* A dose of which 1 / dose says nothing is none. */
static void set_dose(const struct reduce_plan *p, struct frame_run *f)
{
	float scale = (float)(1 / f->dose);

	f->dose_applied = p->dose == DOSE_APPLY && f->dose > 0 && !(f->dose < p->least_dose) &&
	                  isfinite(scale) && scale > 0;
	f->scale = f->dose_applied ? scale : 1;
}

static void finish_dose(const struct reduce_plan *p, struct frame_run *f)
{
	struct moments open_beam;

	moments_finish(&f->normalised, p->kernels.moments, &open_beam);
	f->dose = open_beam.mean;
	set_dose(p, f);
}

void find_doses(const struct reduce_plan *p, struct scratch *s, const struct reduce_job *jobs,
                unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		moments_begin(&s->runs[i].normalised);
	for (uint32_t i = 0; i < p->region_count; i++) {
		const struct reduce_region *r = &p->regions[i];

		for (uint32_t y = 0; in_open_beam(p, i) && y < r->height; y++)
			add_row(p, s, jobs, n, r, r->top + y);
	}
	for (unsigned i = 0; i < n; i++)
		finish_dose(p, &s->runs[i]);
}

void find_mean_dose(const struct reduce_plan *p, struct scratch *s)
{
	struct frame_run *f = &s->runs[0];

	moments_begin(&f->normalised);
	for (uint32_t i = 0; i < p->region_count; i++) {
		const struct reduce_region *r = &p->regions[i];

		for (uint32_t y = r->top; in_open_beam(p, i) && y < r->top + r->height; y++) {
			mean_transmission(p, s, (size_t)y * p->width + r->left, r->width,
			                  s->groups);
			add_pixels(p, &f->normalised, s->groups, r->width);
		}
	}
	finish_dose(p, f);
	s->scale = f->scale;
}
