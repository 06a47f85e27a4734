/* SPDX-License-Identifier: Apache-2.0 */
/* Frames that come as one piece from each port of a detector: the pass must make of them what it
 * makes of the frame that is put together by hand. */
#include "kernels/cpu.h"
#include "kernels/reduce.h"
#include "tests/fenced.h"
#include "tests/pixels.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>

#define FRAMES    4
#define PORTS     6    /* at most */
#define PIXELS    2048 /* of a frame, at most */
#define RAW_BINS  128
#define FLAT_BINS 256

/* What is made of one frame. */
struct output {
	_Alignas(64) unsigned char reduced[4 * PIXELS], source[4 * PIXELS];
	uint32_t raw_counts[RAW_BINS], counts[FLAT_BINS];
	struct reduction result;
	struct region_stats regions[2];
};

struct grid {
	uint32_t columns, rows; /* of ports */
	uint32_t width, height; /* of a port, pixels */
	uint32_t left, top;     /* of the region, */
	uint32_t across, down;  /* and its size; 0: all */
};

static const struct grid grids[] = {
	{ 2, 2, 23, 9, 0, 0, 0, 0 },      { 1, 3, 23, 7, 0, 0, 0, 0 },
	{ 3, 1, 16, 8, 0, 0, 0, 0 },      { 1, 1, 33, 5, 0, 0, 0, 0 },
	{ 2, 2, 23, 9, 5, 3, 33, 13 },    { 2, 3, 13, 5, 12, 4, 3, 7 },
	{ 2, 2, 17, 11, 17, 11, 17, 11 }, { 6, 1, 1, 9, 1, 2, 4, 6 },
};

#define GRIDS (sizeof grids / sizeof *grids)

static struct fence fences[FRAMES][PORTS];
static const void *pieces[FRAMES][PORTS];
static uint64_t flipped[FRAMES];
static float offset[PIXELS], gain[PIXELS];
static struct output expected[FRAMES], got[FRAMES];

static bool is_float(enum raw_layout layout)
{
	return product_of_layout(layout) == PRODUCT_FLOAT32;
}

/* Frame 0 is whole, 1 and 2 lack ports, of 3 there is nothing. */
static void make_pieces(const struct grid *g, enum raw_layout layout, uint64_t seed)
{
	size_t n = (size_t)g->width * g->height, bytes = raw_layout_bytes(layout, n);
	unsigned ports = g->columns * g->rows;

	for (unsigned f = 0; f < FRAMES; f++) {
		flipped[f] = f * 0x2d % 64;
		for (unsigned p = 0; p < ports; p++) {
			unsigned char *at = fence_place(&fences[f][p], bytes, 0);
			uint64_t state = seed * 64 + f * 8 + p;

			if (is_float(layout))
				pixels_raw(at, PRODUCT_FLOAT32, n, PIXELS_USUAL, state);
			for (size_t i = 0; !is_float(layout) && i < bytes; i++)
				at[i] = (unsigned char)(prng_next(&state) >> 56);
			pieces[f][p] = f == 3 || (f > 0 && (p + f) % 3 == 0) ? NULL : at;
		}
	}
	for (size_t i = 0; i < PIXELS; i++) {
		offset[i] = (float)(prng_next(&seed) % 64) / 8;
		gain[i] = prng_next(&seed) % 40 ? 1 / (90 + (float)(prng_next(&seed) % 64)) : NAN;
	}
}

/* Put a frame together pixel by pixel, in the machine's order; where its pieces lack, all bits are
 * set and there[] is false. */
static void join(const struct grid *g, enum raw_layout layout, unsigned frame, unsigned char *out,
                 bool *there)
{
	size_t pixel = product_bytes(product_of_layout(layout));
	uint32_t width = g->columns * g->width, height = g->rows * g->height;

	for (uint32_t y = 0; y < height; y++)
		for (uint32_t x = 0; x < width; x++) {
			unsigned port = y / g->height * g->columns + x / g->width;
			uint32_t row = y % g->height;
			size_t i = (size_t)y * width + x;

			if (flipped[frame] >> port & 1)
				row = g->height - 1 - row;
			there[i] = pieces[frame][port] != NULL;
			if (there[i])
				unpack_impls[0].fn[layout](out + i * pixel, pieces[frame][port],
				                           (size_t)row * g->width + x % g->width,
				                           1);
			else
				memset(out + i * pixel, 0xff, pixel);
		}
}

static enum raw_layout native_layout(enum raw_layout layout)
{
	static const enum raw_layout natives[PRODUCT_TYPE_COUNT] = { RAW_UINT8, RAW_UINT16,
		                                                     RAW_UINT32, RAW_FLOAT32 };

	return natives[product_of_layout(layout)];
}

static struct reduce_job job_of(struct output *o)
{
	memset(o, 0x5a, sizeof *o);
	return (struct reduce_job){ .reduced = o->reduced,
		                    .source = o->source,
		                    .raw_counts = o->raw_counts,
		                    .normalised_counts = o->counts,
		                    .result = &o->result,
		                    .regions = o->regions };
}

/* What the pass makes of frame f when it is put together first. */
static void run_joined(const struct reduce_plan *plan, const struct grid *g, unsigned f)
{
	static unsigned char raw[4 * PIXELS];
	static float marked[PIXELS];
	static bool there[PIXELS];
	struct reduce_plan p = *plan;
	struct reduce_job job = job_of(&expected[f]);
	void *scratch;

	join(g, plan->layout, f, raw, there);
	for (uint32_t y = 0; y < p.height; y++)
		for (uint32_t x = 0; x < p.width; x++) {
			size_t i = (size_t)y * p.width + x;
			size_t in = ((size_t)p.top + y) * p.payload_width + p.left + x;

			marked[i] = !there[in] ? NAN : p.gain ? p.gain[i] : 1;
		}
	p.gain = marked;
	p.layout = native_layout(plan->layout);
	p.port_columns = p.port_rows = 0;
	p.cpu = 0;
	p.tile_bytes = 1u << 30;
	p.batch = 1;
	cr_assert(reduce_plan_init(&p));
	scratch = aligned_alloc(64, (p.scratch_bytes + 63) / 64 * 64);
	job.raw = raw;
	reduce_hand(&p, scratch, &job, 1);
	free(scratch);
}

static void run_ports(const struct reduce_plan *plan, unsigned cpu, uint32_t tile, unsigned hand)
{
	struct reduce_plan p = *plan;
	struct reduce_job jobs[FRAMES];
	struct fence fence;
	void *scratch;

	p.cpu = cpu;
	p.tile_bytes = tile;
	p.batch = hand;
	cr_assert(reduce_plan_init(&p));
	fence_open(&fence, p.scratch_bytes);
	scratch = fence_place(&fence, p.scratch_bytes, 0);
	for (unsigned f = 0; f < FRAMES; f++) {
		jobs[f] = job_of(&got[f]);
		jobs[f].pieces = pieces[f];
		jobs[f].flipped = flipped[f];
	}
	for (unsigned f = 0; f < FRAMES; f += p.hand)
		reduce_hand(&p, scratch, jobs + f, FRAMES - f < p.hand ? FRAMES - f : p.hand);
	cr_assert(fence_intact(&fence, scratch, p.scratch_bytes));
	fence_close(&fence);
}

/* Every level, tile and hand. */
static void compare_all(const struct reduce_plan *plan, const struct grid *g, unsigned row)
{
	static const uint32_t tiles[] = { 0, 1, 700, 1u << 30 };
	static const unsigned hands[] = { 1, FRAMES };

	for (unsigned f = 0; f < FRAMES; f++)
		run_joined(plan, g, f);
	for (const struct cpu_level *l = cpu_levels; l->name; l++)
		for (unsigned t = 0; t < 8; t++) {
			if (l->flags & ~cpu_detect())
				continue;
			run_ports(plan, l->flags, tiles[t / 2], hands[t % 2]);
			for (unsigned f = 0; f < FRAMES; f++)
				cr_assert_eq(
					memcmp(&got[f], &expected[f], sizeof got[f]), 0,
					"%s, layout %d, grid %td, variant %u, tile %u, hand %u, "
					"frame %u: %llu bad, %llu expected",
					l->name, (int)plan->layout, g - grids, row, tiles[t / 2],
					hands[t % 2], f, (unsigned long long)got[f].result.bad,
					(unsigned long long)expected[f].result.bad);
		}
}

static struct reduce_plan plan_of(const struct grid *g, enum raw_layout layout)
{
	uint32_t width = g->columns * g->width, height = g->rows * g->height;
	uint32_t across = g->across ? g->across : width, down = g->down ? g->down : height;

	return (struct reduce_plan){
		.width = across,
		.height = down,
		.left = g->left,
		.top = g->top,
		.payload_width = width,
		.payload_height = height,
		.layout = layout,
		.offset = offset,
		.gain = gain,
		.saturation = 200,
		.port_columns = g->columns,
		.port_rows = g->rows,
		.bin = 1,
		.type = PRODUCT_FLOAT32,
		.window_high = 1.5f,
		.raw_bins = { RAW_BINS, 0, 256 },
		.normalised_bins = { FLAT_BINS, 0, 1.5 },
		.regions = { { 0, 0, across, down }, { across / 3, 0, across / 3 + 1, down } },
		.region_count = 2,
		.open_beam = 2,
		.batch = 1,
	};
}

/* The variants of what is made of the frames. */
static bool vary(struct reduce_plan *p, unsigned variant)
{
	switch (variant) {
	case 0:
		p->dose = DOSE_APPLY;
		p->keep_source = true;
		return true;
	case 1:
		p->bin = 2;
		p->type = PRODUCT_UINT16;
		return p->width >= 2;
	case 2:
		p->attenuation = true;
		p->gain = NULL;
		return true;
	case 3:
		p->dose = DOSE_APPLY;
		p->bad_median = true;
		p->has_no_value = !is_float(p->layout);
		p->no_value = 3;
		return true;
	case 4:
		p->bad_median = true;
		p->attenuation = true;
		p->offset = NULL;
		p->type = PRODUCT_UINT8;
		return true;
	case 5:
		p->source_only = true;
		p->keep_source = true;
		return true;
	case 6:
		p->dose = DOSE_APPLY;
		p->bin = 4;
		p->attenuation = true;
		p->has_no_value = !is_float(p->layout);
		p->no_value = UINT8_MAX;
		return p->width >= 4 && p->height >= 4;
	case 7:
		p->averaged = true;
		p->keep_source = true;
		return true;
	default:
		return false;
	}
}

static unsigned layouts[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };

_Static_assert(sizeof layouts / sizeof *layouts == RAW_LAYOUT_COUNT, "every layout is tried");

ParameterizedTestParameters(reduce_ports, are_as_the_frame_put_together_by_hand)
{
	return cr_make_param_array(unsigned, layouts, RAW_LAYOUT_COUNT);
}

ParameterizedTest(unsigned *layout, reduce_ports, are_as_the_frame_put_together_by_hand)
{
	for (unsigned f = 0; f < FRAMES; f++)
		for (unsigned p = 0; p < PORTS; p++)
			fence_open(&fences[f][p], 4096);
	for (size_t i = 0; i < GRIDS; i++) {
		make_pieces(&grids[i], (enum raw_layout) * layout, i + 1);
		for (unsigned variant = 0; variant < 8; variant++) {
			struct reduce_plan p = plan_of(&grids[i], (enum raw_layout) * layout);

			if (vary(&p, variant))
				compare_all(&p, &grids[i], variant);
		}
	}
	for (unsigned f = 0; f < FRAMES; f++)
		for (unsigned p = 0; p < PORTS; p++)
			fence_close(&fences[f][p]);
}

/* Equality proves nothing about the reference: 2 x 2 ports of 2 x 2 pixels, by hand. */
Test(reduce_ports, have_their_places)
{
	static const uint8_t ports[4][4] = {
		{ 1, 2, 3, 4 }, { 5, 6, 7, 8 }, { 9, 10, 11, 12 }, { 13, 14, 15, 16 }
	};
	static const float whole[16] = { 1, 2, 5, 6, 3, 4, 7, 8, 11, 12, 13, 14, 9, 10, 15, 16 };
	const void *const all[4] = { ports[0], ports[1], ports[2], ports[3] };
	const void *const three[4] = { ports[0], NULL, ports[2], ports[3] };
	struct grid g = { .columns = 2, .rows = 2, .width = 2, .height = 2 };
	struct reduce_plan p = plan_of(&g, RAW_UINT8);
	struct reduce_job job = job_of(&got[0]);
	const float *out = (const float *)(const void *)got[0].reduced;
	void *scratch;

	p.offset = p.gain = NULL;
	cr_assert(reduce_plan_init(&p));
	scratch = aligned_alloc(64, (p.scratch_bytes + 63) / 64 * 64);
	job.pieces = all;
	job.flipped = 4; /* the lower left one */
	reduce_hand(&p, scratch, &job, 1);
	for (unsigned i = 0; i < 16; i++)
		cr_assert_eq(out[i], whole[i], "pixel %u: %f", i, (double)out[i]);
	cr_assert(got[0].result.good == 16 && got[0].result.bad == 0);
	job.pieces = three;
	reduce_hand(&p, scratch, &job, 1);
	for (unsigned i = 0; i < 16; i++) {
		bool missing = i < 8 && i % 4 >= 2;

		cr_assert(missing ? isnan(out[i]) : out[i] == whole[i], "pixel %u", i);
	}
	cr_assert(got[0].result.good == 12 && got[0].result.bad == 4);
	cr_assert_eq(got[0].result.saturated, 0, "missing pixels are not saturated");
	free(scratch);
}

Test(reduce_ports, of_plans_that_make_no_sense_are_refused)
{
	const struct reduce_plan good = plan_of(&grids[0], RAW_UINT16);
	struct reduce_plan p = good;

	cr_assert(reduce_plan_init(&p));
	p = good, p.port_rows = 0;
	cr_assert_not(reduce_plan_init(&p));
	p = good, p.port_columns = 3;
	cr_assert_not(reduce_plan_init(&p));
	p = good, p.port_rows = 5;
	cr_assert_not(reduce_plan_init(&p));
	p = good, p.payload_height = 0;
	cr_assert_not(reduce_plan_init(&p), "ports without rows");
	p = good, p.top = 1;
	cr_assert_not(reduce_plan_init(&p), "the region leaves the lowest ports");
	p = good, p.top = UINT32_MAX;
	cr_assert_not(reduce_plan_init(&p));
	p = good, p.height = UINT32_MAX;
	cr_assert_not(reduce_plan_init(&p));
}
