/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/coefficients.h"
#include "kernels/cpu.h"
#include "kernels/mean.h"
#include "kernels/reduce.h"
#include "tests/fenced.h"
#include "tests/pixels.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>

#define FRAMES 5

/* The frames of one test with everything that is made of them. */
struct bench {
	struct reduce_plan plan;
	struct fence raw[FRAMES], reduced[FRAMES], source[FRAMES], regions[FRAMES], scratch;
	float *offset, *gain;
	struct reduce_job jobs[FRAMES];
	struct reduction results[FRAMES];
};

static size_t reduced_bytes(const struct reduce_plan *p)
{
	return (size_t)p->out_width * p->out_height * product_bytes(p->type);
}

/* A row below the region, when it is one. */
static size_t payload_pixels(const struct reduce_plan *p)
{
	size_t width = p->payload_width ? p->payload_width : p->width;

	return width * ((size_t)p->top + p->height + (p->top > 0));
}

static size_t raw_bytes(const struct reduce_plan *p)
{
	return raw_layout_bytes(p->layout, payload_pixels(p));
}

static size_t source_bytes(const struct reduce_plan *p)
{
	return (size_t)p->width * p->height * product_bytes(product_of_layout(p->layout));
}

static size_t regions_bytes(const struct reduce_plan *p)
{
	return p->region_count * sizeof(struct region_stats);
}

/* 64-byte aligned, as near to the fence as that allows. */
static void *place_aligned(struct fence *f, size_t bytes)
{
	return fence_place(f, bytes, (64 - bytes % 64) % 64);
}

/* Any bytes are packed pixels. */
static void fill_packed(unsigned char *raw, size_t bytes, uint64_t seed)
{
	for (size_t i = 0; i < bytes; i++)
		raw[i] = (unsigned char)(prng_next(&seed) >> 56);
}

/* Frames of usual pixels with some extreme ones; rows of bad pixels in the planes. */
static void fill(struct bench *b, uint64_t seed)
{
	const struct reduce_plan *p = &b->plan;
	size_t n = (size_t)p->width * p->height;

	for (unsigned f = 0; f < FRAMES; f++) {
		void *raw = fence_place(&b->raw[f], raw_bytes(p), 0);

		if (raw_layout_bits(p->layout) % 8)
			fill_packed(raw, raw_bytes(p), seed + f);
		else
			pixels_raw(raw, product_of_layout(p->layout), payload_pixels(p),
			           f == 3 ? PIXELS_EXTREME : PIXELS_USUAL, seed + f);
		b->jobs[f].raw = raw;
	}
	for (size_t i = 0; i < n; i++) {
		b->offset[i] = 90 + (float)(prng_next(&seed) % 64) / 8;
		b->gain[i] =
			prng_next(&seed) % 50 ? 1 / (90 + (float)(prng_next(&seed) % 64)) : NAN;
	}
}

static void bench_open(struct bench *b, const struct reduce_plan *plan, uint64_t seed)
{
	size_t n = (size_t)plan->width * plan->height;

	b->plan = *plan;
	b->offset = malloc(n * sizeof(float));
	b->gain = malloc(n * sizeof(float));
	for (unsigned f = 0; f < FRAMES; f++) {
		fence_open(&b->raw[f], raw_bytes(plan));
		fence_open(&b->reduced[f], n * 4);
		fence_open(&b->source[f], n * 4);
		fence_open(&b->regions[f], regions_bytes(plan));
		b->jobs[f].raw_counts = malloc(plan->raw_bins.bins * sizeof(uint32_t));
		b->jobs[f].normalised_counts =
			malloc(plan->normalised_bins.bins * sizeof(uint32_t));
		b->jobs[f].result = &b->results[f];
	}
	fill(b, seed);
	b->plan.offset = plan->offset ? b->offset : NULL;
	b->plan.gain = plan->gain ? b->gain : NULL;
}

static void bench_close(struct bench *b)
{
	for (unsigned f = 0; f < FRAMES; f++) {
		fence_close(&b->raw[f]);
		fence_close(&b->reduced[f]);
		fence_close(&b->source[f]);
		fence_close(&b->regions[f]);
		free(b->jobs[f].raw_counts);
		free(b->jobs[f].normalised_counts);
	}
	free(b->offset);
	free(b->gain);
}

/* Run all frames, `hand` at a time. */
static void run(struct bench *b, unsigned cpu, uint32_t tile_bytes, unsigned hand)
{
	struct reduce_plan *p = &b->plan;
	void *scratch;

	p->cpu = cpu;
	p->tile_bytes = tile_bytes;
	p->batch = hand;
	cr_assert(reduce_plan_init(p));
	cr_assert(p->hand >= 1 && p->hand <= hand);
	fence_open(&b->scratch, p->scratch_bytes);
	scratch = fence_place(&b->scratch, p->scratch_bytes, 0);
	for (unsigned f = 0; f < FRAMES; f++) {
		b->jobs[f].reduced = place_aligned(&b->reduced[f], reduced_bytes(p));
		b->jobs[f].source = place_aligned(&b->source[f], source_bytes(p));
		b->jobs[f].regions = fence_place(&b->regions[f], regions_bytes(p), 0);
		memset(&b->results[f], 0x5a, sizeof b->results[f]);
		memset(b->jobs[f].raw_counts, 0x5a, p->raw_bins.bins * sizeof(uint32_t));
		memset(b->jobs[f].normalised_counts, 0x5a,
		       p->normalised_bins.bins * sizeof(uint32_t));
	}
	for (unsigned f = 0; f < FRAMES; f += p->hand)
		reduce_hand(p, scratch, b->jobs + f, FRAMES - f < p->hand ? FRAMES - f : p->hand);
	cr_assert(fence_intact(&b->scratch, scratch, p->scratch_bytes));
	fence_close(&b->scratch);
}

static void assert_same(struct bench *b, struct bench *reference, const char *level,
                        uint32_t tile_bytes, unsigned hand)
{
	const struct reduce_plan *p = &b->plan;

	for (unsigned f = 0; f < FRAMES; f++) {
		const struct reduce_job *job = &b->jobs[f], *expected = &reference->jobs[f];
		bool same = memcmp(job->reduced, expected->reduced, reduced_bytes(p)) == 0 &&
		            memcmp(job->source, expected->source, source_bytes(p)) == 0 &&
		            memcmp(job->raw_counts, expected->raw_counts,
		                   p->raw_bins.bins * sizeof(uint32_t)) == 0 &&
		            memcmp(job->normalised_counts, expected->normalised_counts,
		                   p->normalised_bins.bins * sizeof(uint32_t)) == 0 &&
		            memcmp(job->regions, expected->regions, regions_bytes(p)) == 0 &&
		            memcmp(job->result, expected->result, sizeof *job->result) == 0;

		cr_assert(same, "%s, %ux%u, layout %d, bin %u, tile %u, hand %u, frame %u", level,
		          p->width, p->height, (int)p->layout, p->bin, tile_bytes, hand, f);
		cr_assert(fence_intact(&b->reduced[f], job->reduced, reduced_bytes(p)));
		cr_assert(fence_intact(&b->source[f], job->source, source_bytes(p)));
		cr_assert(fence_intact(&b->regions[f], job->regions, regions_bytes(p)));
	}
}

/* Regions that overlap and touch every edge: all rows of the frame, up to some, its last pixel, its
 * left half, a rectangle about its middle. */
static void give_regions(struct reduce_plan *p)
{
	uint32_t w = p->width, h = p->height, rows = h < 300 ? h : 20;

	p->region_count = 4;
	p->regions[0] = (struct reduce_region){ 0, 0, w, rows };
	p->regions[1] = (struct reduce_region){ w - 1, h - 1, 1, 1 };
	p->regions[2] = (struct reduce_region){ 0, h / 5, (w + 1) / 2, rows - rows / 5 };
	p->regions[3] = (struct reduce_region){ w / 3, h / 3, (w + 2) / 3, (rows + 2) / 3 };
}

/* No dose, one that is recorded, of regions that overlap, or one that is applied. */
static void give_dose(struct reduce_plan *p, unsigned variant)
{
	p->open_beam = variant % 3 == 0 ? 0 : variant % 3 == 1 ? 0xd : 0xc;
	p->dose = variant % 3 == 1 ? DOSE_RECORD : DOSE_APPLY;
	p->least_dose = -1;
}

/* Every level, with tiles and hands of all sizes, against scalar, one frame at a time, in one
 * tile. */
static void compare_all(const struct reduce_plan *usual, uint64_t seed)
{
	struct reduce_plan with_regions = *usual;
	const struct reduce_plan *plan = &with_regions;
	static const struct {
		uint32_t tile;
		unsigned hand;
	} ways[] = { { 0, 1 },        { 0, FRAMES },       { 1, 2 }, { 9000, 1 }, { 9000, FRAMES },
		     { 1u << 30, 2 }, { 1u << 30, FRAMES } };
	static struct bench reference, b;

	give_regions(&with_regions);
	give_dose(&with_regions, (unsigned)seed);
	bench_open(&reference, plan, seed);
	bench_open(&b, plan, seed);
	run(&reference, 0, 1u << 30, 1);
	for (const struct cpu_level *l = cpu_levels; l->name; l++)
		for (unsigned w = 0; w < sizeof ways / sizeof *ways; w++) {
			if (l->flags & ~cpu_detect())
				continue;
			run(&b, l->flags, ways[w].tile, ways[w].hand);
			assert_same(&b, &reference, l->name, ways[w].tile, ways[w].hand);
		}
	bench_close(&b);
	bench_close(&reference);
}

static const float given[1]; /* marks a plane that is there */

static struct reduce_plan usual_plan(uint32_t width, uint32_t height, enum raw_layout layout)
{
	return (struct reduce_plan){
		.width = width,
		.height = height,
		.layout = layout,
		.offset = given,
		.gain = given,
		.saturation = 200,
		.bin = 1,
		.type = PRODUCT_FLOAT32,
		.window_low = 0,
		.window_high = 1.5f,
		.raw_bins = { 128, 0, 256 },
		.normalised_bins = { 256, 0, 1.5 },
		.batch = 1,
	};
}

static unsigned layouts[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };

_Static_assert(sizeof layouts / sizeof *layouts == RAW_LAYOUT_COUNT, "every layout is tried");

ParameterizedTestParameters(reduce, does_not_depend_on_isa_tile_or_hand)
{
	return cr_make_param_array(unsigned, layouts, RAW_LAYOUT_COUNT);
}

ParameterizedTest(unsigned *layout, reduce, does_not_depend_on_isa_tile_or_hand)
{
	static const uint32_t sizes[][2] = { { 1, 1 },   { 7, 3 },    { 64, 32 },  { 2016, 5 },
		                             { 35, 90 }, { 1023, 9 }, { 130, 131 } };
	static const enum product_type types[] = { PRODUCT_FLOAT32, PRODUCT_UINT16, PRODUCT_UINT8 };

	for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; s++)
		for (unsigned shift = 0; shift <= 5; shift++) {
			struct reduce_plan p =
				usual_plan(sizes[s][0], sizes[s][1], (enum raw_layout) * layout);

			p.bin = 1u << shift;
			if (p.width < p.bin || p.height < p.bin)
				continue;
			p.type = types[(s + shift) % 3];
			p.keep_source = (s + shift) % 2;
			p.bad_zero = s % 2;
			p.offset = shift % 3 == 1 ? NULL : given;
			p.gain = shift % 4 == 2 ? NULL : given;
			if (s % 3 == 1)
				p.raw_bins = (struct bins){ 4096, -3.5, 70000 };
			if (s % 3 == 2)
				p.normalised_bins = (struct bins){ 100, 0.1, 1.1 };
			if (s == 4)
				p.normalised_bins = (struct bins){ 20, -0.2, 3 };
			if (s == 6)
				p.normalised_bins = (struct bins){ 1000, 0, 1.5 };
			compare_all(&p, s + 1);
		}
}

ParameterizedTestParameters(reduce, of_a_region_does_not_depend_on_isa_tile_or_hand)
{
	return cr_make_param_array(unsigned, layouts, RAW_LAYOUT_COUNT);
}

ParameterizedTest(unsigned *layout, reduce, of_a_region_does_not_depend_on_isa_tile_or_hand)
{
	static const uint32_t regions[][4] = { { 0, 3, 131, 40 },
		                               { 7, 0, 61, 33 },
		                               { 1, 1, 129, 5 } };

	for (unsigned i = 0; i < 3; i++) {
		struct reduce_plan p =
			usual_plan(regions[i][2], regions[i][3], (enum raw_layout) * layout);

		p.left = regions[i][0];
		p.top = regions[i][1];
		p.payload_width = 131;
		p.bin = i == 1 ? 2 : 1;
		p.bad_median = i == 2;
		p.keep_source = i == 0;
		compare_all(&p, i + 11);
	}
}

ParameterizedTestParameters(reduce, to_attenuation_does_not_depend_on_isa_tile_or_hand)
{
	return cr_make_param_array(unsigned, layouts, RAW_LAYOUT_COUNT);
}

ParameterizedTest(unsigned *layout, reduce, to_attenuation_does_not_depend_on_isa_tile_or_hand)
{
	for (unsigned i = 0; i < 4; i++) {
		struct reduce_plan p = usual_plan(133, 70, (enum raw_layout) * layout);

		p.attenuation = true;
		p.bad_median = i % 2;
		p.bin = i < 2 ? 1 : 4;
		p.type = i % 3 ? PRODUCT_FLOAT32 : PRODUCT_UINT16;
		p.normalised_bins = (struct bins){ 300, -1, 4 };
		compare_all(&p, i + 21);
	}
}

ParameterizedTestParameters(reduce, with_mended_pixels_does_not_depend_on_isa_tile_or_hand)
{
	return cr_make_param_array(unsigned, layouts, RAW_LAYOUT_COUNT);
}

ParameterizedTest(unsigned *layout, reduce, with_mended_pixels_does_not_depend_on_isa_tile_or_hand)
{
	struct reduce_plan p = usual_plan(201, 91, (enum raw_layout) * layout);

	p.bad_median = true;
	p.type = *layout % 2 ? PRODUCT_UINT16 : PRODUCT_FLOAT32;
	compare_all(&p, 32);
}

ParameterizedTestParameters(reduce, of_an_odd_frame_does_not_depend_on_isa_tile_or_hand)
{
	return cr_make_param_array(unsigned, layouts, RAW_LAYOUT_COUNT);
}

ParameterizedTest(unsigned *layout, reduce, of_an_odd_frame_does_not_depend_on_isa_tile_or_hand)
{
	struct reduce_plan p = usual_plan(897, 604, (enum raw_layout) * layout);

	p.bin = *layout % 2 ? 2 : 8;
	p.type = *layout % 3 ? PRODUCT_UINT16 : PRODUCT_FLOAT32;
	p.raw_bins = (struct bins){ 4096, 0, 65536 };
	compare_all(&p, 77);
}

ParameterizedTestParameters(reduce, to_source_does_not_depend_on_isa_tile_or_hand)
{
	return cr_make_param_array(unsigned, layouts, RAW_LAYOUT_COUNT);
}

ParameterizedTest(unsigned *layout, reduce, to_source_does_not_depend_on_isa_tile_or_hand)
{
	for (unsigned keep = 0; keep < 2; keep++) {
		struct reduce_plan p = usual_plan(131, 77, (enum raw_layout) * layout);

		p.source_only = true;
		p.keep_source = keep;
		compare_all(&p, keep + 1);
	}
}

/* Frame 0 of a plan in one hand, with the best instruction set. */
static void run_best(struct bench *b, const struct reduce_plan *plan)
{
	bench_open(b, plan, 5);
	run(b, cpu_detect(), 0, FRAMES);
}

/* The reference: pixel by pixel, in double, no tile. */
struct expectation {
	uint64_t good, saturated;
	double raw_sum, raw_min, raw_max, sum, min, max;
	uint32_t raw_counts[128], counts[256];
	struct histogram_tails raw_tails, tails;
};

static void expect_pixel(struct expectation *e, double raw, float t)
{
	float bin = t * (float)(256 / 1.5);

	if (raw > 256)
		e->raw_tails.above++;
	else
		e->raw_counts[raw == 256 ? 127 : (unsigned)(raw / 2)]++;
	if (isnan(t)) {
		e->tails.nan++;
		return;
	}
	if (t < 0)
		e->tails.below++;
	else if (t > 1.5f)
		e->tails.above++;
	else
		e->counts[bin < 255 ? (unsigned)bin : 255]++;
	e->good++;
	e->saturated += raw >= 200;
	e->raw_sum += raw;
	e->sum += t;
	e->raw_min = fmin(e->raw_min, raw);
	e->raw_max = fmax(e->raw_max, raw);
	e->min = fmin(e->min, t);
	e->max = fmax(e->max, t);
}

static void assert_expected(const struct bench *b, const struct expectation *e)
{
	const struct reduction *r = &b->results[0];
	double n = (double)e->good;

	cr_assert_eq(r->good, e->good);
	cr_assert_eq(r->good + r->bad, (uint64_t)b->plan.width * b->plan.height);
	cr_assert_eq(r->saturated, e->saturated);
	cr_assert(r->raw.min == e->raw_min && r->raw.max == e->raw_max);
	cr_assert(r->normalised.min == e->min && r->normalised.max == e->max);
	cr_assert(fabs(r->raw.mean - e->raw_sum / n) < 1e-9 * e->raw_sum / n);
	cr_assert(fabs(r->normalised.mean - e->sum / n) < 1e-6 * fabs(e->sum / n));
	cr_assert(memcmp(&r->raw_tails, &e->raw_tails, sizeof e->raw_tails) == 0);
	cr_assert(memcmp(&r->normalised_tails, &e->tails, sizeof e->tails) == 0);
	cr_assert(memcmp(b->jobs[0].raw_counts, e->raw_counts, sizeof e->raw_counts) == 0);
	cr_assert(memcmp(b->jobs[0].normalised_counts, e->counts, sizeof e->counts) == 0);
}

Test(reduce, gives_what_a_plain_loop_gives)
{
	static struct bench b;
	struct expectation e = {
		.raw_min = INFINITY, .raw_max = -INFINITY, .min = INFINITY, .max = -INFINITY
	};
	struct reduce_plan p = usual_plan(300, 211, RAW_UINT16);

	run_best(&b, &p);
	for (size_t i = 0; i < (size_t)300 * 211; i++) {
		uint16_t raw;
		float t, out;

		memcpy(&raw, (const char *)b.jobs[0].raw + 2 * i, sizeof raw);
		t = (float)((float)raw - b.offset[i]) * b.gain[i];
		memcpy(&out, (const float *)b.jobs[0].reduced + i, sizeof out);
		cr_assert(out == t || (isnan(out) && isnan(t)), "pixel %zu", i);
		expect_pixel(&e, raw, t);
	}
	assert_expected(&b, &e);
	cr_assert_gt(b.results[0].saturated, 0);
	cr_assert_gt(b.results[0].bad, 0);
	cr_assert_eq(b.results[0].reduced_crc32c,
	             crc32c_for(0)(0, b.jobs[0].reduced, reduced_bytes(&b.plan)));
	bench_close(&b);
}

Test(reduce, gives_values_worked_by_hand)
{
	/* 3 x 2, binned by 2: the last column is left out. Big-endian counts. */
	const unsigned char raw[] = { 0, 110, 0, 120, 0, 99, 1, 44, 0, 130, 0, 100 };
	const float offset[] = { 100, 100, 100, 100, 100, 100 };
	const float gain[] = { 0.01f, 0.01f, 0.01f, NAN, 0.01f, 0.01f };
	struct reduce_plan p = {
		.width = 3,
		.height = 2,
		.layout = RAW_UINT16_BE,
		.offset = offset,
		.gain = gain,
		.saturation = 130,
		.keep_source = true,
		.bin = 2,
		.type = PRODUCT_UINT8,
		.window_low = 0,
		.window_high = 0.1f,
		.raw_bins = { 2, 100, 300 },
		.normalised_bins = { 3, 0, 0.3 },
		.batch = 4,
		.cpu = cpu_detect(),
	};
	_Alignas(64) unsigned char reduced[64] = { 0 };
	_Alignas(64) uint16_t source[32];
	uint32_t raw_counts[2], counts[3];
	struct reduction r;
	struct reduce_job job = { raw, reduced, source, raw_counts, counts, &r, NULL, NULL, 0 };
	void *scratch;

	cr_assert(reduce_plan_init(&p));
	cr_assert(p.out_width == 1 && p.out_height == 1);
	scratch = aligned_alloc(64, p.scratch_bytes);
	reduce_hand(&p, scratch, &job, 1);
	free(scratch);
	/* T: 0.1 0.2 -0.01 bad 0.3 0; the bin's mean is 0.2, outside the window. */
	cr_assert_eq(reduced[0], 254);
	cr_assert(r.good == 5 && r.bad == 1 && r.clipped == 1 && r.saturated == 1);
	cr_assert(source[0] == 110 && source[3] == 300 && source[5] == 100);
	cr_assert(r.raw.min == 99 && r.raw.max == 130 && fabs(r.raw.mean - 111.8) < 1e-12);
	cr_assert(fabs(r.normalised.mean - 0.118) < 1e-7);
	cr_assert(raw_counts[0] == 4 && raw_counts[1] == 1 && r.raw_tails.below == 1);
	cr_assert(r.normalised_tails.below == 1 && r.normalised_tails.nan == 1);
	cr_assert_eq(counts[0] + counts[1] + counts[2] + r.normalised_tails.above, 4);
	cr_assert_eq(r.source_crc32c, crc32c_for(0)(0, source, 12));
	cr_assert_eq(r.reduced_crc32c, crc32c_for(0)(0, reduced, 1));
}

/* One frame through a plan that keeps float32. */
static void reduce_floats(struct reduce_plan *p, const void *raw, float *ret,
                          struct reduction *ret_r)
{
	_Alignas(64) float reduced[64];
	uint32_t raw_counts[128], counts[256];
	struct reduce_job job = { raw, reduced, NULL, raw_counts, counts, ret_r, NULL, NULL, 0 };
	void *scratch;

	cr_assert(reduce_plan_init(p));
	scratch = aligned_alloc(64, p->scratch_bytes);
	reduce_hand(p, scratch, &job, 1);
	memcpy(ret, reduced, (size_t)p->out_width * p->out_height * sizeof *ret);
	free(scratch);
}

Test(reduce, mends_with_the_median_of_good_neighbours)
{
	/* Bad: a corner with three neighbours, two side by side, and one all of whose are bad. */
	const uint16_t raw[15] = { 0, 10, 3, 4, 90, 20, 30, 7, 0, 0, 1, 2, 6, 5, 0 };
	float gain[15], out[15];
	struct reduce_plan p = usual_plan(5, 3, RAW_UINT16);
	struct reduction r;

	for (unsigned i = 0; i < 15; i++)
		gain[i] = i == 0 || i == 7 || i == 8 || i == 3 || i == 9 || i == 13 || i == 14 ? NAN
		                                                                               : 1;
	p.offset = NULL;
	p.gain = gain;
	p.bad_median = true;
	p.cpu = cpu_detect();
	for (uint32_t tile = 1; tile < 100000; tile *= 50) {
		p.tile_bytes = tile;
		reduce_floats(&p, raw, out, &r);
		cr_assert_eq(out[0], 20);    /* of 10 20 30 */
		cr_assert_eq(out[7], 6);     /* of 10 3 30 2 6 */
		cr_assert_eq(out[8], 6);     /* of 3 90 6: 3 6 90 */
		cr_assert_eq(out[3], 46.5f); /* of 3 90 */
		cr_assert(isnan(out[14]));
		cr_assert_eq(out[6], 30);
		cr_assert_eq(r.bad, 7);
	}
}

Test(reduce, takes_minus_the_logarithm_last)
{
	/* T: 0.5 0.25 | -1 (bad) 0.5; the mean of the good ones is 1.25 / 3. */
	const uint16_t raw[4] = { 50, 25, 0, 50 };
	const float offset[4] = { 0, 0, 100, 0 }, gain[4] = { 0.01f, 0.01f, 0.01f, 0.01f };
	struct reduce_plan p = usual_plan(2, 2, RAW_UINT16);
	struct reduction r;
	float out[4];

	p.offset = offset;
	p.gain = gain;
	p.attenuation = true;
	p.cpu = cpu_detect();
	reduce_floats(&p, raw, out, &r);
	cr_assert(fabs(out[0] - log(2)) < 1e-6 && fabs(out[1] - log(4)) < 1e-6 && isnan(out[2]));
	cr_assert(r.good == 3 && r.bad == 1 && r.normalised_tails.nan == 1);
	cr_assert(fabs(r.normalised.mean - log(16) / 3) < 1e-6 && r.raw.min == 25);
	p.bin = 2;
	reduce_floats(&p, raw, out, &r);
	cr_assert(fabs(out[0] - -log(1.25 / 3)) < 1e-6);
	cr_assert(fabs(r.normalised.mean - log(16) / 3) < 1e-6);
}

Test(reduce, gives_statistics_of_regions_worked_by_hand)
{
	/* T: 1 2 3 | 4 bad 6; columns 1 and 2, and the first pixel. */
	const uint16_t raw[6] = { 100, 200, 300, 400, 900, 600 };
	const float gain[6] = { 0.01f, 0.01f, 0.01f, 0.01f, NAN, 0.01f };
	struct reduce_plan p = usual_plan(3, 2, RAW_UINT16);
	_Alignas(64) float reduced[16];
	uint32_t raw_counts[128], counts[256];
	struct region_stats regions[2];
	struct reduction r;
	struct reduce_job job = { .raw = raw,
		                  .reduced = reduced,
		                  .raw_counts = raw_counts,
		                  .normalised_counts = counts,
		                  .result = &r,
		                  .regions = regions };
	void *scratch;

	p.offset = NULL;
	p.gain = gain;
	p.saturation = 300;
	p.cpu = cpu_detect();
	p.region_count = 2;
	p.regions[0] = (struct reduce_region){ 1, 0, 2, 2 };
	p.regions[1] = (struct reduce_region){ 0, 0, 1, 1 };
	cr_assert(reduce_plan_init(&p));
	scratch = aligned_alloc(64, p.scratch_bytes);
	reduce_hand(&p, scratch, &job, 1);
	free(scratch);
	cr_assert(regions[0].good == 3 && regions[0].saturated == 2);
	cr_assert(regions[0].raw.min == 200 && regions[0].raw.max == 600);
	cr_assert(fabs(regions[0].raw.mean - 1100.0 / 3) < 1e-9);
	cr_assert(fabs(regions[0].normalised.mean - 11.0 / 3) < 1e-6);
	cr_assert(fabs(regions[0].normalised.std - sqrt(26.0 / 9)) < 1e-6);
	cr_assert(regions[1].good == 1 && regions[1].saturated == 0);
	cr_assert(regions[1].raw.mean == 100 && regions[1].raw.std == 0);
	cr_assert(regions[1].normalised.min == 1 && regions[1].normalised.max == 1);
}

Test(reduce, keeps_the_region_only)
{
	const uint8_t raw[12] = { 0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23 };
	struct reduce_plan p = usual_plan(2, 2, RAW_UINT8);
	struct reduction r;
	float out[4];

	p.payload_width = 4;
	p.left = p.top = 1;
	p.offset = p.gain = NULL;
	p.cpu = cpu_detect();
	reduce_floats(&p, raw, out, &r);
	cr_assert(out[0] == 11 && out[1] == 12 && out[2] == 21 && out[3] == 22);
	cr_assert(r.good == 4 && r.raw.min == 11 && r.raw.max == 22);
	p.payload_width = 2; /* column 1 and 2 of two */
	cr_assert_not(reduce_plan_init(&p));
}

Test(reduce, counts_every_pixel_in_each_histogram)
{
	static struct bench b;

	for (int layout = 0; layout < RAW_LAYOUT_COUNT; layout++) {
		struct reduce_plan p = usual_plan(300, 201, (enum raw_layout)layout);

		run_best(&b, &p);
		for (unsigned f = 0; f < FRAMES; f++) {
			const struct histogram_tails *raw = &b.results[f].raw_tails;
			const struct histogram_tails *flat = &b.results[f].normalised_tails;
			uint64_t raws = raw->below + raw->above + raw->nan;
			uint64_t flats = flat->below + flat->above + flat->nan;

			for (unsigned i = 0; i < 128; i++)
				raws += b.jobs[f].raw_counts[i];
			for (unsigned i = 0; i < 256; i++)
				flats += b.jobs[f].normalised_counts[i];
			cr_assert_eq(raws, 300 * 201);
			cr_assert_eq(flats, 300 * 201);
			cr_assert_eq(flat->nan, b.results[f].bad);
		}
		bench_close(&b);
	}
}

Test(reduce, finds_percentiles_of_both_histograms)
{
	/* T is the count / 128: bins of the same width. */
	static uint16_t raw[256];
	static float gain[256];
	struct reduce_plan p = usual_plan(16, 16, RAW_UINT16);
	_Alignas(64) float reduced[256];
	uint32_t raw_counts[256], counts[256];
	struct reduction r;
	struct reduce_job job = { .raw = raw,
		                  .reduced = reduced,
		                  .raw_counts = raw_counts,
		                  .normalised_counts = counts,
		                  .result = &r };
	_Alignas(64) static char scratch[1 << 20];

	for (unsigned i = 0; i < 256; i++) {
		raw[i] = (uint16_t)(i * 7 % 256);
		gain[i] = i < 6 ? NAN : 1.0f / 128;
	}
	p.offset = NULL;
	p.gain = gain;
	p.raw_bins = (struct bins){ 256, 0, 256 };
	p.normalised_bins = (struct bins){ 256, 0, 2 };
	cr_assert(reduce_plan_init(&p) && p.scratch_bytes <= sizeof scratch && p.raw_whole);
	reduce_hand(&p, scratch, &job, 1);
	/* Ranks 1, 3, 128, 254, 256 of 256; of the 250 good ones, 0 7 ... 35 being bad, 125. */
	cr_assert(r.raw_percentiles[0] == 0 && r.raw_percentiles[1] == 2);
	cr_assert(r.raw_percentiles[2] == 127 && r.raw_percentiles[3] == 253);
	cr_assert_eq(r.raw_percentiles[4], 255);
	cr_assert_eq(r.percentiles[2], 130.5f / 128);
	p.raw_bins.bins = 0;
	cr_assert(reduce_plan_init(&p) && !p.raw_whole);
	reduce_hand(&p, scratch, &job, 1);
	cr_assert(isnan(r.raw_percentiles[0]) && isnan(r.raw_percentiles[4]));
	cr_assert_eq(r.percentiles[2], 130.5f / 128);
}

Test(reduce, knows_when_each_count_has_a_bin_of_its_own)
{
	static const struct {
		struct bins bins;
		enum raw_layout layout;
		bool whole;
	} rows[] = {
		{ { 4096, 0, 4096 }, RAW_UINT16, true },  { { 4096, 0, 65536 }, RAW_UINT16, false },
		{ { 256, 0, 256 }, RAW_FLOAT32, false },  { { 300, 100, 200 }, RAW_MONO12P, true },
		{ { 300, 100, 201 }, RAW_UINT16, false }, { { 10, 0.5, 10.5 }, RAW_UINT16, false },
		{ { 10, -5, 5 }, RAW_UINT8, true },       { { 2, 0, 1 }, RAW_UINT8, true },
	};

	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct reduce_plan p = usual_plan(16, 16, rows[i].layout);

		p.raw_bins = rows[i].bins;
		cr_assert(reduce_plan_init(&p));
		cr_assert_eq(p.raw_whole, rows[i].whole, "row %u", i);
	}
}

Test(reduce, keeps_the_unpacked_pixels)
{
	static struct bench b;

	for (int layout = 0; layout < RAW_LAYOUT_COUNT; layout++) {
		struct reduce_plan p = usual_plan(61, 47, (enum raw_layout)layout);
		size_t n = (size_t)61 * 47;
		size_t bytes = n * product_bytes(product_of_layout((enum raw_layout)layout));
		unsigned char *expected = malloc(n * 4);

		p.keep_source = true;
		run_best(&b, &p);
		unpack_impls[0].fn[layout](expected, b.jobs[2].raw, 0, n);
		cr_assert(memcmp(b.jobs[2].source, expected, bytes) == 0);
		cr_assert_eq(b.results[2].source_crc32c, crc32c_for(0)(0, expected, bytes));
		bench_close(&b);

		p.source_only = true;
		run_best(&b, &p);
		cr_assert_eq(b.plan.type, product_of_layout((enum raw_layout)layout));
		cr_assert(memcmp(b.jobs[2].reduced, expected, bytes) == 0);
		cr_assert(memcmp(b.jobs[2].source, expected, bytes) == 0);
		cr_assert_eq(b.results[2].reduced_crc32c, b.results[2].source_crc32c);
		cr_assert_gt(b.results[2].bad, 0);
		bench_close(&b);
		free(expected);
	}
}

static bool same_moments(const struct moments *a, const struct moments *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

static unsigned whole_layouts[] = { RAW_UINT8, RAW_UINT16_BE, RAW_UINT32, RAW_FLOAT32,
	                            RAW_MONO12P };

#define WHOLE_LAYOUTS (sizeof whole_layouts / sizeof *whole_layouts)

ParameterizedTestParameters(reduce, of_a_region_of_the_whole_frame_is_that_of_the_frame)
{
	return cr_make_param_array(unsigned, whole_layouts, WHOLE_LAYOUTS);
}

ParameterizedTest(unsigned *layout, reduce, of_a_region_of_the_whole_frame_is_that_of_the_frame)
{
	static struct bench b;
	struct reduce_plan p = usual_plan(301, 211, (enum raw_layout) * layout);

	give_regions(&p);
	for (unsigned attenuation = 0; attenuation < 2; attenuation++) {
		p.attenuation = attenuation;
		run_best(&b, &p);
		for (unsigned f = 0; f < FRAMES; f++) {
			const struct region_stats *all = &b.jobs[f].regions[0];
			const struct reduction *r = &b.results[f];

			cr_assert(same_moments(&all->raw, &r->raw));
			cr_assert(same_moments(&all->normalised, &r->normalised));
			cr_assert(all->good == r->good && all->saturated == r->saturated);
		}
		bench_close(&b);
	}
}

/* A region has what a frame of its pixels has. */
Test(reduce, of_a_region_is_that_of_a_frame_of_its_pixels)
{
	static struct bench all, cut;
	struct reduce_plan p = usual_plan(300, 211, RAW_UINT16);
	const struct reduce_region r = { 37, 19, 101, 150 };

	p.regions[0] = r;
	p.region_count = 1;
	run_best(&all, &p);
	p.region_count = 0;
	p.width = r.width;
	p.height = r.height;
	p.left = r.left;
	p.top = r.top;
	p.payload_width = 300;
	bench_open(&cut, &p, 5);
	for (unsigned f = 0; f < FRAMES; f++)
		cut.jobs[f].raw = all.jobs[f].raw;
	for (size_t i = 0; i < (size_t)r.width * r.height; i++) {
		size_t of = (r.top + i / r.width) * 300 + r.left + i % r.width;

		cut.offset[i] = all.offset[of];
		cut.gain[i] = all.gain[of];
	}
	run(&cut, cpu_detect(), 0, FRAMES);
	for (unsigned f = 0; f < FRAMES; f++) {
		cr_assert(same_moments(&all.jobs[f].regions[0].raw, &cut.results[f].raw));
		cr_assert(same_moments(&all.jobs[f].regions[0].normalised,
		                       &cut.results[f].normalised));
		cr_assert_eq(all.jobs[f].regions[0].good, cut.results[f].good);
		cr_assert_eq(all.jobs[f].regions[0].saturated, cut.results[f].saturated);
	}
	bench_close(&all);
	bench_close(&cut);
}

/* T of a frame of usual_plan(), in a plain loop. */
static void flatten_frame(const struct bench *b, unsigned frame, float *ret)
{
	size_t n = (size_t)b->plan.width * b->plan.height;
	unsigned char *raw = malloc(n * 4);

	unpack_impls[0].fn[b->plan.layout](raw, b->jobs[frame].raw, 0, n);
	flatten_impls[0].fn[product_of_layout(b->plan.layout)](ret, raw, b->offset, b->gain, n);
	for (size_t i = 0; i < n && b->plan.attenuation; i++)
		ret[i] = ret[i] > 0 ? ret[i] : NAN;
	free(raw);
}

static void moments_of(const float *t, size_t n, struct moments *ret)
{
	static struct moments_run m;

	moments_begin(&m);
	moments_add(&m, moments_block_scalar, t, n);
	moments_finish(&m, moments_block_scalar, ret);
}

/* Mean of a frame's T in its regions 2 and 3, one behind the other. */
static double dose_of(const struct reduce_plan *p, const float *t)
{
	float *open_beam = malloc((size_t)2 * p->width * p->height * sizeof *open_beam);
	struct moments m;
	size_t n = 0;

	for (unsigned i = 2; i < 4; i++)
		for (uint32_t y = 0; y < p->regions[i].height; y++) {
			const struct reduce_region *r = &p->regions[i];

			memcpy(open_beam + n, t + (size_t)(r->top + y) * p->width + r->left,
			       r->width * sizeof *t);
			n += r->width;
		}
	moments_of(open_beam, n, &m);
	free(open_beam);
	return m.mean;
}

static bool same_bits(double a, double b)
{
	return memcmp(&a, &b, sizeof a) == 0;
}

ParameterizedTestParameters(reduce, records_the_mean_of_the_open_beam)
{
	return cr_make_param_array(unsigned, layouts, RAW_LAYOUT_COUNT);
}

ParameterizedTest(unsigned *layout, reduce, records_the_mean_of_the_open_beam)
{
	static struct bench record, apply;
	static float t[201 * 91];
	struct reduce_plan p = usual_plan(201, 91, (enum raw_layout) * layout);

	give_regions(&p);
	p.attenuation = *layout % 2;
	p.open_beam = 0xc;
	run_best(&record, &p);
	p.dose = DOSE_APPLY;
	run_best(&apply, &p);
	for (unsigned f = 0; f < FRAMES; f++) {
		flatten_frame(&record, f, t);
		cr_assert(same_bits(record.results[f].dose, dose_of(&p, t)), "frame %u", f);
		cr_assert(same_bits(record.results[f].dose, apply.results[f].dose));
		cr_assert_not(record.results[f].dose_applied);
	}
	bench_close(&record);
	bench_close(&apply);
}

/* Pixels, moments and regions are those of T times the inverse of the dose. */
Test(reduce, divides_by_the_dose)
{
	static struct bench b;
	static float t[300 * 211];
	struct reduce_plan p = usual_plan(300, 211, RAW_UINT16);
	struct moments all;

	give_regions(&p);
	p.open_beam = 0xc;
	p.dose = DOSE_APPLY;
	p.least_dose = 0.01f;
	run_best(&b, &p);
	for (unsigned f = 0; f < 3; f++) {
		const struct reduction *r = &b.results[f];
		float scale = (float)(1 / r->dose);

		cr_assert(r->dose_applied && r->dose > 0.01 && scale != 1);
		flatten_frame(&b, f, t);
		for (size_t i = 0; i < sizeof t / sizeof *t; i++)
			t[i] *= scale;
		cr_assert(floats_equal(b.jobs[f].reduced, t, sizeof t / sizeof *t));
		moments_of(t, sizeof t / sizeof *t, &all);
		cr_assert(same_moments(&r->normalised, &all));
		cr_assert(same_moments(&b.jobs[f].regions[0].normalised, &all));
	}
	bench_close(&b);
}

/* One frame of 4 x 1 float32 pixels, the first two in the open beam. */
static struct reduction reduce_dosed(const float raw[4], float least, float out[4])
{
	struct reduce_plan p = usual_plan(4, 1, RAW_FLOAT32);
	_Alignas(64) float reduced[16];
	uint32_t raw_counts[128], counts[256];
	struct region_stats region;
	struct reduction r;
	struct reduce_job job = { .raw = raw,
		                  .reduced = reduced,
		                  .raw_counts = raw_counts,
		                  .normalised_counts = counts,
		                  .result = &r,
		                  .regions = &region };
	void *scratch;

	p.offset = p.gain = NULL;
	p.regions[0] = (struct reduce_region){ 0, 0, 2, 1 };
	p.region_count = 1;
	p.open_beam = 1;
	p.dose = DOSE_APPLY;
	p.least_dose = least;
	p.cpu = cpu_detect();
	cr_assert(reduce_plan_init(&p));
	scratch = aligned_alloc(64, p.scratch_bytes);
	reduce_hand(&p, scratch, &job, 1);
	memcpy(out, reduced, 4 * sizeof *out);
	free(scratch);
	return r;
}

Test(reduce, does_not_apply_a_dose_that_is_none)
{
	float out[4];
	struct reduction r = reduce_dosed((const float[]){ 3, 5, 2, 6 }, 4, out);

	cr_assert(r.dose == 4 && r.dose_applied && out[0] == 0.75f && out[3] == 1.5f);
	r = reduce_dosed((const float[]){ NAN, 5, 2, 10 }, 0, out);
	cr_assert(r.dose == 5 && r.dose_applied && isnan(out[0]) && out[3] == 2);
	r = reduce_dosed((const float[]){ 3, 5, 2, 6 }, 4.01f, out);
	cr_assert(r.dose == 4 && !r.dose_applied && out[0] == 3 && out[3] == 6);
	r = reduce_dosed((const float[]){ NAN, INFINITY, 2, 6 }, 0, out);
	cr_assert(isnan(r.dose) && !r.dose_applied && out[3] == 6);
	r = reduce_dosed((const float[]){ 0, 0, 2, 6 }, 0, out);
	cr_assert(r.dose == 0 && !r.dose_applied && out[3] == 6);
	r = reduce_dosed((const float[]){ -3, 1, 2, 6 }, -5, out);
	cr_assert(r.dose == -1 && !r.dose_applied && out[3] == 6);
	r = reduce_dosed((const float[]){ 1e-45f, 1e-45f, 2, 6 }, 0, out);
	cr_assert(r.dose > 0 && !r.dose_applied && out[3] == 6);
}

/* Sums of the frames of a bench. */
static uint32_t *sums_of(const struct bench *b, unsigned frames)
{
	size_t n = (size_t)b->plan.width * b->plan.height;
	uint32_t *sums = malloc(n * sizeof *sums);
	uint16_t *pixels = malloc(n * sizeof *pixels);

	for (unsigned f = 0; f < frames; f++) {
		memcpy(pixels, b->jobs[f].raw, n * sizeof *pixels);
		mean_add(sums, pixels, PRODUCT_UINT16, n, f == 0);
	}
	free(pixels);
	return sums;
}

/* A page of the mean of frames has the mean's dose, on every instruction set and for every tile. */
Test(reduce, divides_a_mean_by_its_own_dose)
{
	static struct bench b;
	static float t[201 * 91];
	_Alignas(64) static float page[201 * 91];
	struct reduce_plan p = usual_plan(201, 91, RAW_UINT16);
	struct reduce_mean_job job = { .frames = 3, .reduced = page };
	uint64_t clipped;
	uint32_t crc32c;

	give_regions(&p);
	p.averaged = true;
	p.open_beam = 0xc;
	p.dose = DOSE_APPLY;
	run_best(&b, &p);
	job.sums = sums_of(&b, 3);
	mean_flatten(t, job.sums, PRODUCT_UINT16, 3, b.offset, b.gain, sizeof t / sizeof *t);
	scale_scalar(t, (float)(1 / dose_of(&p, t)), sizeof t / sizeof *t);
	for (const struct cpu_level *l = cpu_levels; l->name; l++)
		for (uint32_t tile = 1; tile < 1000000; tile *= 30) {
			struct reduce_plan plan = b.plan;
			void *scratch;

			if (l->flags & ~cpu_detect())
				continue;
			plan.cpu = l->flags;
			plan.tile_bytes = tile;
			cr_assert(reduce_plan_init(&plan));
			scratch = aligned_alloc(64, plan.scratch_bytes);
			memset(page, 0x5a, sizeof page);
			reduce_mean(&plan, scratch, &job, &clipped, &crc32c);
			cr_assert(floats_equal(page, t, sizeof t / sizeof *t), "%s, tile %u",
			          l->name, tile);
			free(scratch);
		}
	free((void *)job.sums);
	bench_close(&b);
}

Test(reduce, refuses_regions_that_leave_the_frame)
{
	static const struct reduce_region none[] = {
		{ 0, 0, 0, 1 },  { 0, 0, 1, 0 },          { 0, 0, 65, 1 },         { 0, 0, 1, 49 },
		{ 64, 0, 1, 1 }, { 0, 48, 1, 1 },         { UINT32_MAX, 0, 2, 1 }, { 65, 0, 1, 1 },
		{ 0, 49, 1, 1 }, { 1, 0, UINT32_MAX, 1 }, { 0, 1, 1, UINT32_MAX },
	};
	struct reduce_plan p = usual_plan(64, 48, RAW_UINT16);

	give_regions(&p);
	cr_assert(reduce_plan_init(&p));
	for (unsigned i = 0; i < sizeof none / sizeof *none; i++) {
		p.regions[2] = none[i];
		cr_assert_not(reduce_plan_init(&p), "row %u", i);
	}
	p.region_count = 2;
	cr_assert(reduce_plan_init(&p));
	p.open_beam = 4;
	cr_assert_not(reduce_plan_init(&p), "no such region");
	p.open_beam = 0;
	p.region_count = REDUCE_REGIONS_MAX + 1;
	cr_assert_not(reduce_plan_init(&p));
}

static uint64_t count_saturated(enum raw_layout layout, double saturation)
{
	static struct bench b;
	struct reduce_plan p = usual_plan(64, 64, layout);

	p.gain = NULL; /* nothing is bad */
	p.saturation = saturation;
	run_best(&b, &p);
	bench_close(&b);
	return b.results[0].saturated;
}

Test(reduce, counts_saturated_pixels_of_any_threshold)
{
	/* Usual counts are 100 to 219. */
	cr_assert_eq(count_saturated(RAW_UINT8, 0), 64 * 64);
	cr_assert_eq(count_saturated(RAW_UINT8, -5), 64 * 64);
	cr_assert_eq(count_saturated(RAW_UINT8, 256), 0);
	cr_assert_eq(count_saturated(RAW_UINT16, 65536), 0);
	cr_assert_eq(count_saturated(RAW_UINT16, 4294967296.0), 0);
	cr_assert_eq(count_saturated(RAW_UINT16, NAN), 0);
	cr_assert_eq(count_saturated(RAW_UINT32, 4294967296.0), 0);
	cr_assert_eq(count_saturated(RAW_UINT32, 100), 64 * 64);
	cr_assert_eq(count_saturated(RAW_FLOAT32, INFINITY), 0);
	cr_assert_eq(count_saturated(RAW_FLOAT32, -1e300), 64 * 64);
	cr_assert_eq(count_saturated(RAW_UINT16, 149.5), count_saturated(RAW_UINT16, 150));
	cr_assert_gt(count_saturated(RAW_UINT16, 150), count_saturated(RAW_UINT16, 151));
}

Test(reduce, takes_a_threshold_between_two_floats_for_the_upper_one)
{
	const float raw[] = { 0.1f, nextafterf(0.1f, 1), 0.2f };
	struct reduce_plan p = usual_plan(3, 1, RAW_FLOAT32);
	_Alignas(64) float reduced[16];
	uint32_t raw_counts[128], counts[256];
	struct reduction r;
	struct reduce_job job = { raw, reduced, NULL, raw_counts, counts, &r, NULL, NULL, 0 };
	void *scratch;

	p.offset = p.gain = NULL;
	p.saturation = (double)0.1f + 1e-12; /* rounds to 0.1f */
	cr_assert(reduce_plan_init(&p));
	scratch = aligned_alloc(64, p.scratch_bytes);
	reduce_hand(&p, scratch, &job, 1);
	free(scratch);
	cr_assert_eq(r.saturated, 2);
}

Test(reduce, refuses_plans_that_make_no_sense)
{
	const struct reduce_plan good = usual_plan(64, 48, RAW_UINT16);
	struct reduce_plan p = good;

	cr_assert(reduce_plan_init(&p));
	p = good, p.width = 0;
	cr_assert_not(reduce_plan_init(&p));
	p = good, p.height = 0;
	cr_assert_not(reduce_plan_init(&p));
	p = good, p.bin = 3;
	cr_assert_not(reduce_plan_init(&p));
	p = good, p.bin = 0;
	cr_assert_not(reduce_plan_init(&p));
	p = good, p.bin = 64;
	cr_assert_not(reduce_plan_init(&p));
	p = good, p.bin = 32, p.height = 31;
	cr_assert_not(reduce_plan_init(&p));
	p = good, p.bin = 2, p.source_only = true;
	cr_assert_not(reduce_plan_init(&p));
	p = good, p.normalised_bins.low = 1.5;
	cr_assert_not(reduce_plan_init(&p));
	p = good, p.type = PRODUCT_UINT32;
	cr_assert_not(reduce_plan_init(&p));
	p = good, p.type = PRODUCT_UINT16, p.window_high = 0;
	cr_assert_not(reduce_plan_init(&p));
	p = good, p.batch = 0;
	cr_assert_not(reduce_plan_init(&p));
}

Test(reduce, chooses_tiles_of_whole_bins_and_hands_that_fit)
{
	struct reduce_plan p = usual_plan(2560, 2160, RAW_UINT16);

	p.bin = 2;
	p.batch = 8;
	p.raw_bins = (struct bins){ 4096, 0, 65536 };
	cr_assert(reduce_plan_init(&p));
	cr_assert(p.out_width == 1280 && p.out_height == 1080);
	cr_assert(p.tile_rows % 2 == 0 && p.tile_rows >= 2);
	cr_assert(p.hand >= 1 && p.hand <= 8);
	p.bin = 32;
	p.tile_bytes = 1;
	p.batch = 1000000;
	cr_assert(reduce_plan_init(&p));
	cr_assert_eq(p.tile_rows, 32);
	cr_assert_lt(p.scratch_bytes, 2 * cpu_l2_bytes());
}
