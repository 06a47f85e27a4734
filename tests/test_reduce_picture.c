/* SPDX-License-Identifier: Apache-2.0 */
/* The picture of a frame against what the pass itself makes of every pixel. */
#include "kernels/reduce_picture.h"
#include "tests/reduce_rig.h"

#include <criterion/parameterized.h>
#include <math.h>

#define POISON 0x5a

/* What one picture is made into. */
struct drawing {
	struct picture_grid grid;
	size_t pixels;
	struct fence raw, normalised, marks;
	uint8_t *known;
	struct picture_job job;
};

static void drawing_open(struct drawing *d, const struct reduce_plan *p, uint32_t step)
{
	d->grid = picture_grid_of(p->width, p->height, step);
	d->pixels = (size_t)d->grid.width * d->grid.height;
	fence_open(&d->raw, d->pixels * 4);
	fence_open(&d->normalised, d->pixels * 4);
	fence_open(&d->marks, d->pixels);
	d->known = malloc(d->pixels);
	d->job = (struct picture_job){
		.grid = d->grid,
		.known_marks = d->known,
		.raw = fence_place(&d->raw, d->pixels * product_bytes(picture_raw_type(p->layout)),
		                   0),
		.normalised = fence_place(&d->normalised, d->pixels * 4, 0),
		.marks = fence_place(&d->marks, d->pixels, 0),
	};
}

static void drawing_close(struct drawing *d)
{
	fence_close(&d->raw);
	fence_close(&d->normalised);
	fence_close(&d->marks);
	free(d->known);
}

static void draw(struct drawing *d, const struct reduce_plan *p, const struct reduce_job *job)
{
	struct fence fence;
	void *scratch;

	fence_open(&fence, p->scratch_bytes);
	scratch = fence_place(&fence, p->scratch_bytes, 0);
	memset(d->known, POISON, d->pixels);
	memset(d->job.normalised, POISON, d->pixels * 4);
	memset(d->job.marks, POISON, d->pixels);
	d->job.frame = job;
	d->job.known_bad = picture_known_bad(p, &d->grid, d->known);
	reduce_picture(p, scratch, &d->job);
	cr_assert(fence_intact(&fence, scratch, p->scratch_bytes));
	fence_close(&fence);
}

/* Pixel i of the unpacked frame, and of the picture, which has no uint32. */
static double value_at(const void *pixels, enum product_type type, size_t i)
{
	switch (type) {
	case PRODUCT_UINT8:
		return ((const uint8_t *)pixels)[i];
	case PRODUCT_UINT16:
		return ((const uint16_t *)pixels)[i];
	case PRODUCT_UINT32:
		return (double)(float)((const uint32_t *)pixels)[i];
	default:
		return (double)((const float *)pixels)[i];
	}
}

static bool same(double a, double b)
{
	return a == b || (isnan(a) && isnan(b));
}

/* By the definition, pixel by pixel. */
static unsigned marks_at(const struct reduce_plan *p, const struct reduce_job *job, uint32_t step,
                         uint32_t left, uint32_t top)
{
	const float *t = job->reduced;
	unsigned marks = 0;

	for (uint32_t y = top; y < top + step && y < p->height; y++)
		for (uint32_t x = left; x < left + step && x < p->width; x++) {
			size_t i = (size_t)y * p->width + x;
			double raw = value_at(job->source, product_of_layout(p->layout), i);

			marks |= isnan(t[i])            ? PICTURE_BAD
			         : raw >= p->saturation ? PICTURE_SATURATED
			                                : 0;
		}
	return marks;
}

static void compare(const struct drawing *d, const struct reduce_plan *p,
                    const struct reduce_job *job, const char *what)
{
	enum product_type type = product_of_layout(p->layout);
	const float *t = job->reduced;

	for (size_t i = 0; i < d->pixels; i++) {
		uint32_t x = (uint32_t)(i % d->grid.width) * d->grid.step;
		uint32_t y = (uint32_t)(i / d->grid.width) * d->grid.step;
		size_t from = (size_t)y * p->width + x;
		unsigned marks = marks_at(p, job, d->grid.step, x, y);

		cr_assert(same(value_at(d->job.raw, picture_raw_type(p->layout), i),
		               value_at(job->source, type, from)),
		          "%s: layout %d, step %u, raw of row %u, column %u", what, (int)p->layout,
		          d->grid.step, y, x);
		cr_assert(same((double)d->job.normalised[i], (double)t[from]),
		          "%s: layout %d, step %u, row %u, column %u: %g, expected %g", what,
		          (int)p->layout, d->grid.step, y, x, (double)d->job.normalised[i],
		          (double)t[from]);
		cr_assert_eq(d->job.marks[i], marks,
		             "%s: layout %d, step %u, row %u, column %u: marks %u, expected %u",
		             what, (int)p->layout, d->grid.step, y, x, d->job.marks[i], marks);
	}
}

/* Every frame of the bench, as the plan of its last run() has it. */
static void compare_frames(struct bench *b, uint32_t step, const char *what)
{
	for (unsigned f = 0; f < FRAMES; f++) {
		struct drawing d;

		drawing_open(&d, &b->plan, step);
		draw(&d, &b->plan, &b->jobs[f]);
		compare(&d, &b->plan, &b->jobs[f], what);
		drawing_close(&d);
	}
}

static const struct variant {
	const char *what;
	bool no_dark, no_gain, attenuation, dose, no_value;
	double saturation;
} variants[] = {
	{ .what = "usual", .saturation = 200 },
	{ .what = "counts", .no_dark = true, .no_gain = true, .saturation = 250 },
	{ .what = "nothing saturates", .saturation = 1e12 },
	{ .what = "no value", .no_value = true, .saturation = 200 },
	{ .what = "dose", .dose = true, .saturation = 230 },
	{ .what = "attenuation", .attenuation = true, .dose = true, .saturation = 1e12 },
};

static void vary(struct reduce_plan *p, const struct variant *v)
{
	p->offset = v->no_dark ? NULL : given;
	p->gain = v->no_gain ? NULL : given;
	p->attenuation = v->attenuation;
	p->has_no_value = v->no_value && product_of_layout(p->layout) != PRODUCT_FLOAT32;
	p->no_value = 255;
	p->saturation = v->saturation;
	p->keep_source = true;
	give_regions(p);
	p->open_beam = v->dose ? 1 : 0;
	p->dose = v->dose ? DOSE_APPLY : DOSE_RECORD;
}

ParameterizedTestParameters(reduce_picture, shows_what_the_pass_makes)
{
	return cr_make_param_array(unsigned, layouts, RAW_LAYOUT_COUNT);
}

ParameterizedTest(unsigned *layout, reduce_picture, shows_what_the_pass_makes)
{
	static const uint32_t steps[] = { 1, 2, 3, 7, 100 };
	static const struct {
		uint32_t width, height, payload_width, left, top;
	} shapes[] = { { 61, 23, 61, 0, 0 }, { 41, 17, 53, 7, 3 }, { 64, 14, 64, 0, 0 } };

	for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
		for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
			struct reduce_plan p = usual_plan(shapes[s].width, shapes[s].height,
			                                  (enum raw_layout) * layout);
			struct bench b;

			p.payload_width = shapes[s].payload_width;
			p.left = shapes[s].left;
			p.top = shapes[s].top;
			vary(&p, &variants[v]);
			bench_open(&b, &p, 3 + s);
			for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
				run(&b, i % 2 ? 0 : cpu_detect(), i == 3 ? 1 : 0,
				    1 + (unsigned)i % 3);
				compare_frames(&b, steps[i], variants[v].what);
			}
			bench_close(&b);
		}
}

/* 2 x 2 ports, the lower left one upside down, the upper right one missing. */
Test(reduce_picture, is_put_together_of_ports)
{
	enum { WIDTH = 26, HEIGHT = 14, ACROSS = 2 * WIDTH, DOWN = 2 * HEIGHT };
	static uint16_t ports[4][HEIGHT * WIDTH], source[DOWN * ACROSS];
	static float reduced[DOWN * ACROSS] __attribute__((aligned(64)));
	static uint32_t raw_counts[128], counts[256];
	const void *pieces[4] = { ports[0], NULL, ports[2], ports[3] };
	struct reduce_plan p = usual_plan(ACROSS, DOWN, RAW_UINT16);
	struct reduction result;
	struct reduce_job job = { .pieces = pieces,
		                  .flipped = 4,
		                  .reduced = reduced,
		                  .source = source,
		                  .raw_counts = raw_counts,
		                  .normalised_counts = counts,
		                  .result = &result };
	struct drawing d;
	void *scratch;

	for (unsigned i = 0; i < 4; i++)
		for (unsigned j = 0; j < HEIGHT * WIDTH; j++)
			ports[i][j] = (uint16_t)((i * 1000 + j) % 211);
	p.payload_height = DOWN;
	p.port_columns = p.port_rows = 2;
	p.keep_source = true;
	p.offset = p.gain = NULL;
	cr_assert(reduce_plan_init(&p));
	scratch = aligned_alloc(64, (p.scratch_bytes + 63) / 64 * 64);
	reduce_hand(&p, scratch, &job, 1);
	for (uint32_t step = 1; step < 6; step++) {
		drawing_open(&d, &p, step);
		draw(&d, &p, &job);
		compare(&d, &p, &job, "ports");
		drawing_close(&d);
	}
	free(scratch);
}

Test(reduce_picture, takes_the_smallest_step_that_fits)
{
	static const struct {
		uint32_t width, height;
		struct picture_grid grid;
	} rows[] = {
		{ 1, 1, { 1, 1, 1 } },           { 572, 572, { 1, 572, 572 } },
		{ 573, 573, { 2, 287, 287 } },   { 2560, 2160, { 5, 512, 432 } },
		{ 327680, 1, { 1, 327680, 1 } }, { 327681, 1, { 2, 163841, 1 } },
		{ 3108, 3262, { 6, 518, 544 } }, { 4096, 4096, { 8, 512, 512 } },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct picture_grid g = picture_grid_for(rows[i].width, rows[i].height);

		cr_assert(g.step == rows[i].grid.step && g.width == rows[i].grid.width &&
		                  g.height == rows[i].grid.height,
		          "%u x %u: by %u to %u x %u", rows[i].width, rows[i].height, g.step,
		          g.width, g.height);
	}
}

/* By hand: 3 x 2 of a 5 x 3 frame, of a region one pixel in. */
Test(reduce_picture, of_an_image_is_every_step_th_pixel)
{
	struct reduce_plan p = { .width = 4, .payload_width = 5, .left = 1, .top = 1 };
	struct picture_grid g = picture_grid_of(4, 2, 2);
	float image[15], got[2];

	for (unsigned i = 0; i < 15; i++)
		image[i] = (float)i;
	cr_assert(g.width == 2 && g.height == 1);
	picture_of_image(&p, &g, image, got);
	cr_assert(got[0] == 6 && got[1] == 8);
}
