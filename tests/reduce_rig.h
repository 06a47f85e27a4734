/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_REDUCE_RIG_H
#define TESTS_REDUCE_RIG_H

#include "kernels/coefficients.h"
#include "kernels/cpu.h"
#include "kernels/reduce.h"
#include "tests/fenced.h"
#include "tests/pixels.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* Frames for the pass, each array ending at a page that is not there, and plans to put them
 * through. */

#define FRAMES 5

/* The frames of one test with everything that is made of them. */
struct bench {
	struct reduce_plan plan;
	struct fence raw[FRAMES], reduced[FRAMES], source[FRAMES], regions[FRAMES], scratch;
	float *offset, *gain;
	struct reduce_job jobs[FRAMES];
	struct reduction results[FRAMES];
};

static inline size_t reduced_bytes(const struct reduce_plan *p)
{
	return (size_t)p->out_width * p->out_height * product_bytes(p->type);
}

/* A row below the region, when it is one. */
static inline size_t payload_pixels(const struct reduce_plan *p)
{
	size_t width = p->payload_width ? p->payload_width : p->width;

	return width * ((size_t)p->top + p->height + (p->top > 0));
}

static inline size_t raw_bytes(const struct reduce_plan *p)
{
	return raw_layout_bytes(p->layout, payload_pixels(p));
}

static inline size_t source_bytes(const struct reduce_plan *p)
{
	return (size_t)p->width * p->height * product_bytes(product_of_layout(p->layout));
}

static inline size_t regions_bytes(const struct reduce_plan *p)
{
	return p->region_count * sizeof(struct region_stats);
}

/* 64-byte aligned, as near to the fence as that allows. */
static inline void *place_aligned(struct fence *f, size_t bytes)
{
	return fence_place(f, bytes, (64 - bytes % 64) % 64);
}

/* Any bytes are packed pixels. */
static inline void fill_packed(unsigned char *raw, size_t bytes, uint64_t seed)
{
	for (size_t i = 0; i < bytes; i++)
		raw[i] = (unsigned char)(prng_next(&seed) >> 56);
}

/* Frames of usual pixels with some extreme ones; rows of bad pixels in the planes. */
static inline void fill(struct bench *b, uint64_t seed)
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

static inline void bench_open(struct bench *b, const struct reduce_plan *plan, uint64_t seed)
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

static inline void bench_close(struct bench *b)
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
static inline void run(struct bench *b, unsigned cpu, uint32_t tile_bytes, unsigned hand)
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

/* Regions that overlap and touch every edge: all rows of the frame, up to some, its last pixel, its
 * left half, a rectangle about its middle. */
static inline void give_regions(struct reduce_plan *p)
{
	uint32_t w = p->width, h = p->height, rows = h < 300 ? h : 20;

	p->region_count = 4;
	p->regions[0] = (struct reduce_region){ 0, 0, w, rows };
	p->regions[1] = (struct reduce_region){ w - 1, h - 1, 1, 1 };
	p->regions[2] = (struct reduce_region){ 0, h / 5, (w + 1) / 2, rows - rows / 5 };
	p->regions[3] = (struct reduce_region){ w / 3, h / 3, (w + 2) / 3, (rows + 2) / 3 };
}

static const float given[1]; /* marks a plane that is there */

static inline struct reduce_plan usual_plan(uint32_t width, uint32_t height, enum raw_layout layout)
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

/* Frame 0 of a plan in one hand, with the best instruction set. */
static inline void run_best(struct bench *b, const struct reduce_plan *plan)
{
	bench_open(b, plan, 5);
	run(b, cpu_detect(), 0, FRAMES);
}

#endif
