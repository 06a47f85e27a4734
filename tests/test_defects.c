/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu.h"
#include "kernels/defects.h"
#include "kernels/reduce.h"
#include "tests/fenced.h"
#include "tests/isa_rows.h"
#include "tests/pixels.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>

#define WIDTH  203
#define HEIGHT 37

/* ---- the kernel ---- */

struct arrays {
	struct fence rows[3], hot, dead, expected_hot, expected_dead;
};

static void arrays_open(struct arrays *a, size_t pixels)
{
	for (unsigned i = 0; i < 3; i++)
		fence_open(&a->rows[i], (pixels + 2) * sizeof(float));
	fence_open(&a->hot, pixels / 8 + 8);
	fence_open(&a->dead, pixels / 8 + 8);
	fence_open(&a->expected_hot, pixels / 8 + 8);
	fence_open(&a->expected_dead, pixels / 8 + 8);
}

static void arrays_close(struct arrays *a)
{
	for (unsigned i = 0; i < 3; i++)
		fence_close(&a->rows[i]);
	fence_close(&a->hot);
	fence_close(&a->dead);
	fence_close(&a->expected_hot);
	fence_close(&a->expected_dead);
}

static void compare_row(struct arrays *a, const struct defects_impl *row, size_t n, size_t gap,
                        enum pixel_style style, float margin)
{
	size_t bytes = (n + 63) / 64 * sizeof(uint64_t);
	uint64_t *hot = fence_place(&a->hot, bytes, 0), *dead = fence_place(&a->dead, bytes, 0);
	uint64_t *expected_hot = fence_place(&a->expected_hot, bytes, 0);
	uint64_t *expected_dead = fence_place(&a->expected_dead, bytes, 0);
	float *rows[3];
	bool any, expected;

	for (unsigned i = 0; i < 3; i++) {
		rows[i] = fence_place(&a->rows[i], (n + 2) * sizeof(float), gap);
		pixels_flat(rows[i], n + 2, style, n + gap + i);
		rows[i]++;
	}
	expected = find_defects_scalar(expected_hot, expected_dead, rows[0], rows[1], rows[2],
	                               margin, n);
	any = row->fn(hot, dead, rows[0], rows[1], rows[2], margin, n);
	cr_assert_eq(any, expected, "%s, n %zu, style %d", row->name, n, (int)style);
	cr_assert(memcmp(hot, expected_hot, bytes) == 0, "%s, n %zu, style %d", row->name, n,
	          (int)style);
	cr_assert(memcmp(dead, expected_dead, bytes) == 0, "%s, n %zu, style %d", row->name, n,
	          (int)style);
	cr_assert(fence_intact(&a->hot, hot, bytes) && fence_intact(&a->dead, dead, bytes));
}

ParameterizedTestParameters(defects, of_a_row_are_the_same_on_every_isa)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(defects_impls));
}

ParameterizedTest(unsigned *at, defects, of_a_row_are_the_same_on_every_isa)
{
	static const float margins[] = { 0, 0.2f, 1000 };
	const struct defects_impl *row = &defects_impls[*at];
	struct arrays a;

	skip_unless(row->needs);
	arrays_open(&a, 140001);
	for (unsigned i = 0; pixels_length(i) != SIZE_MAX; i++)
		for (int style = 0; style < PIXELS_STYLE_COUNT; style++)
			compare_row(&a, row, pixels_length(i), 0, (enum pixel_style)style,
			            margins[i % 3]);
	for (size_t gap = 0; gap < 64; gap += 4)
		compare_row(&a, row, 77, gap, PIXELS_USUAL, 0.1f);
	arrays_close(&a);
}

Test(defects, of_a_row_are_bits_worked_by_hand)
{
	/* Columns -1 to 5. 0 is hot: 5, of 3 at most; 2 is bad; 3 is dead: 0, of 2 at least; 4 is
	 * hot: 4, of 2 at most, which are those of column 3. */
	const float above[7] = { 1, 2, 3, 2, 2, NAN, NAN };
	const float here[7] = { 3, 5, 2, NAN, 0, 4, NAN };
	const float below[7] = { 1, 2, 3, 2, 2, NAN, NAN };
	uint64_t hot, dead;

	cr_assert(find_defects_scalar(&hot, &dead, above + 1, here + 1, below + 1, 1, 5));
	cr_assert_eq(hot, 1 | 1 << 4);
	cr_assert_eq(dead, 1 << 3);
	cr_assert_not(find_defects_scalar(&hot, &dead, above + 1, here + 1, below + 1, 2, 5));
	cr_assert(hot == 0 && dead == 0, "a margin is not reached by what is equal to it");
}

/* ---- of a frame ---- */

/* The plain way: every pixel and its neighbours. */
static void expect_defects(const struct reduce_plan *p, const float *t, struct defects *ret)
{
	static struct moments_run m;
	struct moments some;
	float margin;

	moments_begin(&m);
	for (uint32_t y = 0; y < p->height; y += 16)
		moments_add(&m, moments_block_scalar, t + (size_t)y * p->width, p->width);
	moments_finish(&m, moments_block_scalar, &some);
	margin = (float)(0.5 * fabs(some.mean));
	ret->hot_count = ret->dead_count = 0;
	for (int64_t i = 0; i < (int64_t)p->width * p->height; i++) {
		int64_t x = i % p->width, y = i / p->width;
		float most = -INFINITY, least = INFINITY;
		unsigned good = 0;

		for (int64_t v = y - 1; v <= y + 1; v++)
			for (int64_t u = x - 1; u <= x + 1; u++) {
				float at = u < 0 || v < 0 || u >= p->width || v >= p->height
				                   ? NAN
				                   : t[v * p->width + u];

				if ((u == x && v == y) || isnan(at))
					continue;
				good++;
				most = fmaxf(most, at);
				least = fminf(least, at);
			}
		if (good >= 3 && t[i] > most + margin && ret->hot_count++ < DEFECTS_MAX)
			ret->hot[ret->hot_count - 1] = (uint32_t)i;
		if (good >= 3 && t[i] < least - margin && ret->dead_count++ < DEFECTS_MAX)
			ret->dead[ret->dead_count - 1] = (uint32_t)i;
	}
}

static bool same_list(const uint32_t *a, const uint32_t *b, uint64_t count)
{
	return memcmp(a, b, (count < DEFECTS_MAX ? count : DEFECTS_MAX) * sizeof *a) == 0;
}

static void assert_defects(const struct defects *got, const struct defects *expected,
                           const char *what)
{
	cr_assert_eq(got->hot_count, expected->hot_count, "%s: %llu hot, %llu expected", what,
	             (unsigned long long)got->hot_count, (unsigned long long)expected->hot_count);
	cr_assert_eq(got->dead_count, expected->dead_count, "%s: %llu dead, %llu expected", what,
	             (unsigned long long)got->dead_count, (unsigned long long)expected->dead_count);
	cr_assert(same_list(got->hot, expected->hot, got->hot_count), "%s", what);
	cr_assert(same_list(got->dead, expected->dead, got->dead_count), "%s", what);
}

static void find(struct reduce_plan *p, unsigned cpu, const struct reduce_job *job,
                 struct defects *ret)
{
	struct fence fence;
	void *scratch;

	p->cpu = cpu;
	cr_assert(reduce_plan_init(p));
	fence_open(&fence, p->scratch_bytes);
	scratch = fence_place(&fence, p->scratch_bytes, 0);
	memset(ret, 0x5a, sizeof *ret);
	reduce_defects(p, scratch, job, ret);
	cr_assert(fence_intact(&fence, scratch, p->scratch_bytes));
	fence_close(&fence);
}

static struct reduce_plan usual_plan(uint32_t width, uint32_t height, enum raw_layout layout)
{
	return (struct reduce_plan){
		.width = width,
		.height = height,
		.layout = layout,
		.bin = 1,
		.type = PRODUCT_FLOAT32,
		.window_high = 1.5f,
		.normalised_bins = { 256, 0, 1.5 },
		.tile_bytes = 1,
		.batch = 1,
	};
}

static float offset[WIDTH * HEIGHT], gain[WIDTH * HEIGHT];

static void fill_planes(uint64_t seed)
{
	for (size_t i = 0; i < WIDTH * HEIGHT; i++) {
		offset[i] = (float)(prng_next(&seed) % 64) / 8;
		gain[i] = prng_next(&seed) % 20 ? 1 / (90 + (float)(prng_next(&seed) % 8)) : NAN;
	}
}

static unsigned layouts[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };

_Static_assert(sizeof layouts / sizeof *layouts == RAW_LAYOUT_COUNT, "every layout is tried");

ParameterizedTestParameters(defects, are_those_of_a_plain_loop)
{
	return cr_make_param_array(unsigned, layouts, RAW_LAYOUT_COUNT);
}

/* Frames of usual counts, some of them far off, and of any bytes; with and without a crop. */
ParameterizedTest(unsigned *at, defects, are_those_of_a_plain_loop)
{
	enum raw_layout layout = (enum raw_layout) * at;
	enum product_type type = product_of_layout(layout);
	size_t bytes = raw_layout_bytes(layout, WIDTH * HEIGHT);
	static unsigned char unpacked[4 * WIDTH * HEIGHT];
	static float t[WIDTH * HEIGHT];
	static struct defects expected, got;
	struct reduce_job job = { 0 };
	struct fence fence;

	fence_open(&fence, bytes);
	for (unsigned variant = 0; variant < 4; variant++) {
		struct reduce_plan p = usual_plan(WIDTH, HEIGHT, layout);
		unsigned char *raw = fence_place(&fence, bytes, 0);
		uint64_t seed = variant + 1;

		for (size_t i = 0; i < bytes; i++)
			raw[i] = (unsigned char)(prng_next(&seed) >> 56);
		if (raw_layout_bits(layout) % 8 == 0)
			pixels_raw(raw, type, WIDTH * HEIGHT,
			           variant % 2 ? PIXELS_EXTREME : PIXELS_USUAL, seed);
		for (size_t i = 0; i < bytes; i += 1 + prng_below(&seed, 200))
			raw[i] ^= 0xff;
		fill_planes(seed);
		p.offset = variant == 2 ? NULL : offset;
		p.gain = variant == 3 ? NULL : gain;
		p.attenuation = variant == 1;
		p.keep_source = variant == 2;
		p.has_no_value = variant == 1 && type != PRODUCT_FLOAT32;
		p.no_value = 1;
		if (variant > 1) {
			p.payload_width = WIDTH;
			p.left = 7;
			p.top = 3;
			p.width -= 20;
			p.height -= 5;
		}
		for (uint32_t y = 0; y < p.height; y++) {
			size_t n = (size_t)y * p.width;
			const float zeros[WIDTH] = { 0 };
			float ones[WIDTH];

			for (unsigned x = 0; x < WIDTH; x++)
				ones[x] = 1;
			unpack_impls[0].fn[layout](unpacked, raw,
			                           (size_t)(p.top + y) * WIDTH + p.left, p.width);
			flatten_impls[0].fn[type](t + n, unpacked, p.offset ? offset + n : zeros,
			                          p.gain ? gain + n : ones, p.width);
			if (p.has_no_value)
				invalidate_impls[0].fn[type](t + n, unpacked, 1, p.width);
		}
		expect_defects(&p, t, &expected);
		job.raw = raw;
		for (const struct cpu_level *l = cpu_levels; l->name; l++) {
			if (l->flags & ~cpu_detect())
				continue;
			find(&p, l->flags, &job, &got);
			assert_defects(&got, &expected, l->name);
		}
	}
	fence_close(&fence);
}

Test(defects, of_ports_are_those_of_the_frame_put_together)
{
	static uint8_t whole[12][16], ports[4][6][8];
	static struct defects expected, got;
	const void *pieces[4];
	struct reduce_plan p = usual_plan(16, 12, RAW_UINT8);
	struct reduce_job job = { .raw = whole };
	static float marked[12 * 16];
	uint64_t seed = 9;

	for (unsigned y = 0; y < 12; y++)
		for (unsigned x = 0; x < 16; x++) {
			unsigned port = y / 6 * 2 + x / 8;

			whole[y][x] = (uint8_t)(prng_below(&seed, 9) ? 20 : prng_below(&seed, 200));
			ports[port][y % 6][x % 8] = whole[y][x];
			marked[y * 16 + x] = port == 2 ? NAN : 1;
		}
	for (unsigned i = 0; i < 4; i++)
		pieces[i] = i == 2 ? NULL : ports[i];
	p.gain = marked;
	find(&p, cpu_detect(), &job, &expected);
	cr_assert_gt(expected.hot_count, 0);
	p.gain = NULL;
	p.payload_width = 16;
	p.payload_height = 12;
	p.port_columns = p.port_rows = 2;
	job = (struct reduce_job){ .pieces = pieces };
	find(&p, cpu_detect(), &job, &got);
	assert_defects(&got, &expected, "ports");
}

Test(defects, are_pixels_worked_by_hand)
{
	/* The mean of row 0 is 10, the margin 5. Hot: a corner, which has three neighbours. Dead: 4
	 * among 10. Not hot: 15 beside 10. Nothing is said of the pixel with two good neighbours.
	 */
	const uint16_t raw[6][8] = {
		{ 10, 10, 10, 10, 10, 10, 10, 10 }, { 10, 4, 10, 10, 10, 10, 10, 10 },
		{ 10, 10, 10, 10, 15, 10, 10, 10 }, { 10, 10, 10, 10, 10, 10, 10, 10 },
		{ 10, 10, 10, 10, 10, 10, 10, 10 }, { 99, 10, 10, 10, 10, 10, 10, 99 },
	};
	static float gains[48];
	static struct defects got;
	struct reduce_plan p = usual_plan(8, 6, RAW_UINT16);
	const struct reduce_job job = { .raw = raw };

	for (unsigned i = 0; i < 48; i++)
		gains[i] = i == 38 ? NAN : 1;
	p.gain = gains;
	find(&p, cpu_detect(), &job, &got);
	cr_assert(got.hot_count == 1 && got.hot[0] == 40);
	cr_assert(got.dead_count == 1 && got.dead[0] == 9);
	gains[38] = 1;
	find(&p, cpu_detect(), &job, &got);
	cr_assert(got.hot_count == 2 && got.hot[0] == 40 && got.hot[1] == 47);
}

Test(defects, are_none_where_there_is_no_mean)
{
	static float gains[64];
	uint16_t raw[64] = { [27] = 500 };
	static struct defects got;
	struct reduce_plan p = usual_plan(8, 8, RAW_UINT16);
	const struct reduce_job job = { .raw = raw };

	find(&p, cpu_detect(), &job, &got);
	cr_assert(got.hot_count == 0 && got.dead_count == 0, "row 0 is 0");
	raw[0] = 8;
	find(&p, cpu_detect(), &job, &got);
	cr_assert(got.hot_count == 2 && got.hot[0] == 0 && got.hot[1] == 27);
	for (unsigned i = 0; i < 64; i++)
		gains[i] = NAN;
	p.gain = gains;
	find(&p, cpu_detect(), &job, &got);
	cr_assert(got.hot_count == 0 && got.dead_count == 0, "nothing is good");
}

Test(defects, are_counted_beyond_the_list)
{
	static uint8_t raw[400][400];
	static struct defects got;
	struct reduce_plan p = usual_plan(400, 400, RAW_UINT8);
	const struct reduce_job job = { .raw = raw };

	for (unsigned y = 0; y < 400; y++)
		for (unsigned x = 0; x < 400; x++)
			raw[y][x] = y % 3 == 1 && x % 3 == 1 ? 100 : 10;
	find(&p, cpu_detect(), &job, &got);
	cr_assert_eq(got.hot_count, 133 * 133);
	cr_assert_eq(got.hot[0], 401);
	for (unsigned i = 1; i < DEFECTS_MAX; i++)
		cr_assert_gt(got.hot[i], got.hot[i - 1]);
	cr_assert_eq(got.hot[133], 4 * 400 + 1);
}

/* One row or column has at most two neighbours. */
Test(defects, are_not_found_in_a_line)
{
	const uint8_t raw[9] = { 10, 10, 10, 10, 90, 10, 10, 10, 10 };
	static struct defects got;
	const struct reduce_job job = { .raw = raw };
	struct reduce_plan p = usual_plan(9, 1, RAW_UINT8);

	find(&p, cpu_detect(), &job, &got);
	cr_assert(got.hot_count == 0 && got.dead_count == 0);
	p = usual_plan(1, 9, RAW_UINT8);
	find(&p, cpu_detect(), &job, &got);
	cr_assert(got.hot_count == 0 && got.dead_count == 0);
	p = usual_plan(3, 3, RAW_UINT8);
	find(&p, cpu_detect(), &job, &got);
	cr_assert(got.hot_count == 1 && got.hot[0] == 4);
}
