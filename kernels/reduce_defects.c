/* SPDX-License-Identifier: Apache-2.0 */
/* Dead and hot pixels of one frame: three rows of T at a time. */
#include "kernels/reduce_scratch.h"

#include <math.h>

#define ROWS_APART    16 /* of those whose mean sets the margin */
#define LEAST_GOOD    3  /* neighbours */
#define MARGIN_OF_ALL 0.5

/* The rows around the one that is looked at, each with NaN at both ends. */
struct rows {
	const float *above, *here, *below;
};

static float *row_at(const struct reduce_plan *p, const struct scratch *s, uint32_t row)
{
	return s->rows + (size_t)(row % 3) * defects_stride(p) + DEFECTS_PAD;
}

/* Row y of the frame; beyond its edges there is nothing good. */
static const float *fill_row(const struct reduce_plan *p, struct scratch *s,
                             const struct reduce_job *job, int64_t y)
{
	float *t = row_at(p, s, (uint32_t)(y + 3));

	t[-1] = t[p->width] = NAN;
	if (y >= 0 && y < p->height) {
		transmission_run(p, s, job, (uint32_t)y, 0, p->width, t);
		return t;
	}
	for (uint32_t x = 0; x < p->width; x++)
		t[x] = NAN;
	return t;
}

/* Not above 0, or not finite: nothing stands out of this frame. */
static float margin_of(const struct reduce_plan *p, struct scratch *s, const struct reduce_job *job)
{
	struct moments_run *m = &s->runs[0].normalised;
	float *t = row_at(p, s, 0);
	struct moments some;

	moments_begin(m);
	for (uint32_t y = 0; y < p->height; y += ROWS_APART) {
		transmission_run(p, s, job, y, 0, p->width, t);
		moments_add(m, p->kernels.moments, t, p->width);
		if (p->height - y <= ROWS_APART)
			break;
	}
	moments_finish(m, p->kernels.moments, &some);
	return (float)(MARGIN_OF_ALL * fabs(some.mean));
}

static unsigned good_neighbours(const struct rows *r, uint32_t x)
{
	const float *rows[3] = { r->above + x, r->here + x, r->below + x };
	unsigned good = 0;

	for (unsigned y = 0; y < 3; y++)
		for (int i = -1; i <= 1; i++)
			good += (y != 1 || i != 0) && !isnan(rows[y][i]);
	return good;
}

/* Where found pixels go. */
struct list {
	uint32_t *pixels; /* [DEFECTS_MAX] */
	uint64_t *count;
};

/* The row's candidates that have enough neighbours. */
static void put_row(const struct reduce_plan *p, const uint64_t *found, const struct rows *r,
                    uint32_t row, struct list list)
{
	for (uint32_t first = 0; first < p->width; first += 64)
		for (uint64_t bits = found[first / 64]; bits; bits &= bits - 1) {
			uint32_t x = first + (uint32_t)__builtin_ctzll(bits);

			if (good_neighbours(r, x) < LEAST_GOOD)
				continue;
			if (*list.count < DEFECTS_MAX)
				list.pixels[*list.count] = row * p->width + x;
			(*list.count)++;
		}
}

void reduce_defects(const struct reduce_plan *p, void *scratch, const struct reduce_job *job,
                    struct defects *ret)
{
	const struct list hot = { ret->hot, &ret->hot_count };
	const struct list dead = { ret->dead, &ret->dead_count };
	struct scratch s;
	struct rows r;
	float margin;

	ret->dead_count = ret->hot_count = 0;
	scratch_open(p, scratch, &s);
	fill_planes(p, &s);
	margin = margin_of(p, &s, job);
	if (!(margin > 0) || isinf(margin))
		return;
	r.above = fill_row(p, &s, job, -1);
	r.here = fill_row(p, &s, job, 0);
	for (uint32_t y = 0; y < p->height; y++) {
		r.below = fill_row(p, &s, job, (int64_t)y + 1);
		if (p->kernels.find_defects(s.hot, s.dead, r.above, r.here, r.below, margin,
		                            p->width)) {
			put_row(p, s.hot, &r, y, hot);
			put_row(p, s.dead, &r, y, dead);
		}
		r.above = r.here;
		r.here = r.below;
	}
}
