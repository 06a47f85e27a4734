/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/reduce_rig.h"

#include <criterion/parameterized.h>

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

/* Bins of one count, of several, of a part of one, and with values on both sides of them. */
Test(reduce, counts_the_values_of_8_bits_as_their_bins_say)
{
	static const struct bins rows[] = {
		{ 256, 0, 256 },    { 4096, 0, 256 }, { 7, 10, 200 },
		{ 3, -5.5, 99.25 }, { 16, 100, 101 }, { 9, 240.5, 250 },
	};
	static struct bench b;
	uint64_t all_below = 0, all_above = 0;

	for (unsigned row = 0; row < sizeof rows / sizeof *rows; row++) {
		struct reduce_plan p = usual_plan(131, 77, RAW_UINT8);
		uint32_t wanted[4096] = { 0 };
		uint64_t below = 0, above = 0;
		const uint8_t *raw;

		p.raw_bins = rows[row];
		run_best(&b, &p);
		raw = b.jobs[1].raw;
		for (unsigned i = 0; i < 131 * 77; i++) {
			double at = (raw[i] - rows[row].low) * rows[row].bins /
			            (rows[row].high - rows[row].low);

			below += at < 0;
			above += raw[i] > rows[row].high;
			if (at >= 0 && raw[i] <= rows[row].high)
				wanted[at < rows[row].bins ? (unsigned)at : rows[row].bins - 1]++;
		}
		cr_expect_eq(b.results[1].raw_tails.below, below, "row %u", row);
		cr_expect_eq(b.results[1].raw_tails.above, above, "row %u", row);
		cr_expect_eq(memcmp(b.jobs[1].raw_counts, wanted, rows[row].bins * sizeof *wanted),
		             0, "row %u", row);
		all_below += below;
		all_above += above;
		bench_close(&b);
	}
	cr_expect(all_below > 0 && all_above > 0, "no pixel is beside the bins");
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
