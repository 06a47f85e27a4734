/* SPDX-License-Identifier: Apache-2.0 */
/* What the pass says of a frame's quality: regions, percentiles, dose. That none of it depends on
 * instruction set, tile or hand is in test_reduce.c. */
#include "kernels/mean.h"
#include "tests/reduce_rig.h"

#include <criterion/parameterized.h>

Test(reduce_quality, gives_statistics_of_regions_worked_by_hand)
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

Test(reduce_quality, finds_percentiles_of_both_histograms)
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

Test(reduce_quality, knows_when_each_count_has_a_bin_of_its_own)
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

static bool same_moments(const struct moments *a, const struct moments *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

static unsigned whole_layouts[] = { RAW_UINT8, RAW_UINT16_BE, RAW_UINT32, RAW_FLOAT32,
	                            RAW_MONO12P };

#define WHOLE_LAYOUTS (sizeof whole_layouts / sizeof *whole_layouts)

ParameterizedTestParameters(reduce_quality, of_a_region_of_the_whole_frame_is_that_of_the_frame)
{
	return cr_make_param_array(unsigned, whole_layouts, WHOLE_LAYOUTS);
}

ParameterizedTest(unsigned *layout, reduce_quality,
                  of_a_region_of_the_whole_frame_is_that_of_the_frame)
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
Test(reduce_quality, of_a_region_is_that_of_a_frame_of_its_pixels)
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

ParameterizedTestParameters(reduce_quality, records_the_mean_of_the_open_beam)
{
	return cr_make_param_array(unsigned, layouts, RAW_LAYOUT_COUNT);
}

ParameterizedTest(unsigned *layout, reduce_quality, records_the_mean_of_the_open_beam)
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
Test(reduce_quality, divides_by_the_dose)
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

Test(reduce_quality, does_not_apply_a_dose_that_is_none)
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
Test(reduce_quality, divides_a_mean_by_its_own_dose)
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

Test(reduce_quality, refuses_regions_that_leave_the_frame)
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
