/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/registry.h"

#include "kernels/invalidate.h"
#include "kernels/pack.h"
#include "kernels/reduce.h"
#include "kernels/shuffle.h"
#include "kernels/unshuffle.h"

#include <string.h>

/* Each family below describes the implementation `impl` of its kernel number `which`, or says
 * that there is no such kernel (-1) or no such implementation (0). */
enum { NO_KERNEL = -1, NO_IMPL = 0, FOUND = 1 };

typedef int family_fn(unsigned which, unsigned impl, struct kernel_bench *ret);

/* The map and windows the timings use: those of the default configuration. */
static const struct bins raw_bins = { 4096, 0, 65536 };
static const struct bins flat_bins = { 256, 0.0, 1.5 };

#define BENCH_BLOCK 8192 /* bytes: bitshuffle's where nobody says otherwise */

/* Of either direction: both functions have the same type. */
static void run_transpose(const struct kernel_bench *self, const struct kernel_bench_args *a,
                          size_t n)
{
	size_t elem_bytes = (size_t)self->bytes_per_pixel / 2;

	for (size_t i = 0; i < n * elem_bytes; i += BENCH_BLOCK) {
		size_t left = n * elem_bytes - i, bytes = left < BENCH_BLOCK ? left : BENCH_BLOCK;

		((unshuffle_fn *)self->fn)((char *)a->out + i, (const char *)a->raw + i,
		                           bytes / elem_bytes);
	}
}

static int unshuffle_family(unsigned which, unsigned impl, struct kernel_bench *ret)
{
	static const char *const names[] = { "unshuffle uint8", "unshuffle uint16",
		                             "unshuffle uint32" };
	const struct unshuffle_impl *row = &unshuffle_impls[impl];

	if (which >= sizeof names / sizeof *names)
		return NO_KERNEL;
	if (!row->name)
		return NO_IMPL;
	*ret = (struct kernel_bench){
		.kernel = names[which],
		.isa = row->name,
		.needs = row->needs,
		.bytes_per_pixel = 2u << which,
		.run = run_transpose,
		.fn = (void (*)(void))row->fn[which],
	};
	return FOUND;
}

static void run_unpack(const struct kernel_bench *self, const struct kernel_bench_args *a, size_t n)
{
	((unpack_fn *)self->fn)(a->out, a->raw, 0, n);
}

static int unpack_family(unsigned which, unsigned impl, struct kernel_bench *ret)
{
	static const struct {
		const char *name;
		enum raw_layout layout;
	} kernels[] = {
		{ "swap uint16", RAW_UINT16_BE },  { "swap uint32", RAW_UINT32_BE },
		{ "unpack Mono10p", RAW_MONO10P }, { "unpack Mono10Packed", RAW_MONO10_PACKED },
		{ "unpack Mono12p", RAW_MONO12P }, { "unpack Mono12Packed", RAW_MONO12_PACKED },
		{ "unpack Mono14p", RAW_MONO14P }
	};
	const struct unpack_impl *row = &unpack_impls[impl];
	enum raw_layout layout;

	if (which >= sizeof kernels / sizeof *kernels)
		return NO_KERNEL;
	if (!row->name)
		return NO_IMPL;
	layout = kernels[which].layout;
	*ret = (struct kernel_bench){
		.kernel = kernels[which].name,
		.isa = row->name,
		.needs = row->needs,
		.bytes_per_pixel =
			raw_layout_bits(layout) / 8.0 + product_bytes(product_of_layout(layout)),
		.run = run_unpack,
		.fn = (void (*)(void))row->fn[layout],
	};
	return FOUND;
}

static void run_flatten(const struct kernel_bench *self, const struct kernel_bench_args *a,
                        size_t n)
{
	((flatten_fn *)self->fn)(a->out, a->raw, a->offset, a->gain, n);
}

static int flatten_family(unsigned which, unsigned impl, struct kernel_bench *ret)
{
	static const char *const names[PRODUCT_TYPE_COUNT] = { "flatten uint8", "flatten uint16",
		                                               "flatten uint32",
		                                               "flatten float32" };
	const struct flatten_impl *row = &flatten_impls[impl];

	if (which >= PRODUCT_TYPE_COUNT)
		return NO_KERNEL;
	if (!row->name)
		return NO_IMPL;
	*ret = (struct kernel_bench){
		.kernel = names[which],
		.isa = row->name,
		.needs = row->needs,
		.bytes_per_pixel = product_bytes(which) + 3 * (unsigned)sizeof(float),
		.run = run_flatten,
		.fn = (void (*)(void))row->fn[which],
	};
	return FOUND;
}

static void run_scale(const struct kernel_bench *self, const struct kernel_bench_args *a, size_t n)
{
	((scale_fn *)self->fn)(a->out, 1.0f, n);
}

static int scale_family(unsigned which, unsigned impl, struct kernel_bench *ret)
{
	const struct flatten_impl *row = &flatten_impls[impl];

	if (which > 0)
		return NO_KERNEL;
	if (!row->name)
		return NO_IMPL;
	*ret = (struct kernel_bench){
		.kernel = "scale",
		.isa = row->name,
		.needs = row->needs,
		.bytes_per_pixel = 8,
		.run = run_scale,
		.fn = (void (*)(void))row->scale,
	};
	return FOUND;
}

/* The mark is the type's maximum, as detectors have it. */
static void run_invalidate(const struct kernel_bench *self, const struct kernel_bench_args *a,
                           size_t n)
{
	uint32_t mark = UINT32_MAX >> (32 - 8 * (unsigned)self->bytes_per_pixel);

	((invalidate_fn *)self->fn)(a->out, a->raw, mark, n);
}

static int invalidate_family(unsigned which, unsigned impl, struct kernel_bench *ret)
{
	static const char *const names[] = { "invalidate uint8", "invalidate uint16",
		                             "invalidate uint32" };
	const struct invalidate_impl *row = &invalidate_impls[impl];

	if (which >= sizeof names / sizeof *names)
		return NO_KERNEL;
	if (!row->name)
		return NO_IMPL;
	*ret = (struct kernel_bench){
		.kernel = names[which],
		.isa = row->name,
		.needs = row->needs,
		.bytes_per_pixel = product_bytes(which), /* few of t's are written */
		.run = run_invalidate,
		.fn = (void (*)(void))row->fn[which],
	};
	return FOUND;
}

static void run_raw_sums(const struct kernel_bench *self, const struct kernel_bench_args *a,
                         size_t n)
{
	struct raw_sums *sums = a->scratch;

	*sums = (struct raw_sums){ .min = UINT32_MAX };
	((raw_sums_fn *)self->fn)(sums, a->raw, a->t, 255, n);
}

static void run_raw_screen(const struct kernel_bench *self, const struct kernel_bench_args *a,
                           size_t n)
{
	*(uint64_t *)a->scratch = ((raw_screen_fn *)self->fn)(a->out, a->raw, a->t, 255, n);
}

static int raw_moments_family(unsigned which, unsigned impl, struct kernel_bench *ret)
{
	static const char *const names[PRODUCT_TYPE_COUNT] = { "raw moments uint8",
		                                               "raw moments uint16",
		                                               "raw moments uint32",
		                                               "raw screen float32" };
	const struct raw_moments_impl *row = &raw_moments_impls[impl];
	bool sums = which < PRODUCT_FLOAT32;

	if (which >= PRODUCT_TYPE_COUNT)
		return NO_KERNEL;
	if (!row->name)
		return NO_IMPL;
	*ret = (struct kernel_bench){
		.kernel = names[which],
		.isa = row->name,
		.needs = row->needs,
		.bytes_per_pixel = product_bytes(which) + (sums ? 1 : 2) * (unsigned)sizeof(float),
		.run = sums ? run_raw_sums : run_raw_screen,
		.fn = sums ? (void (*)(void))row->sums[which] : (void (*)(void))row->screen,
	};
	return FOUND;
}

static void run_moments(const struct kernel_bench *self, const struct kernel_bench_args *a,
                        size_t n)
{
	struct moments_run *run = a->scratch;

	moments_begin(run);
	moments_add(run, (moments_block_fn *)self->fn, a->t, n);
}

static int moments_family(unsigned which, unsigned impl, struct kernel_bench *ret)
{
	const struct moments_impl *row = &moments_impls[impl];

	if (which > 0)
		return NO_KERNEL;
	if (!row->name)
		return NO_IMPL;
	*ret = (struct kernel_bench){
		.kernel = "moments",
		.isa = row->name,
		.needs = row->needs,
		.bytes_per_pixel = sizeof(float),
		.run = run_moments,
		.fn = (void (*)(void))row->fn,
	};
	return FOUND;
}

static void bin_raw(const struct kernel_bench *self, const struct kernel_bench_args *a, size_t n,
                    enum product_type type)
{
	struct histogram_tails *tails = a->scratch;
	struct bin_map map;

	bin_map_init_raw(&map, &raw_bins, type);
	*tails = (struct histogram_tails){ 0 };
	((bin_raw_fn *)self->fn)(a->out, tails, a->raw, n, &map);
}

static void run_bin_uint8(const struct kernel_bench *self, const struct kernel_bench_args *a,
                          size_t n)
{
	bin_raw(self, a, n, PRODUCT_UINT8);
}

static void run_bin_uint16(const struct kernel_bench *self, const struct kernel_bench_args *a,
                           size_t n)
{
	bin_raw(self, a, n, PRODUCT_UINT16);
}

static void run_bin_uint32(const struct kernel_bench *self, const struct kernel_bench_args *a,
                           size_t n)
{
	bin_raw(self, a, n, PRODUCT_UINT32);
}

static void run_bin_float32(const struct kernel_bench *self, const struct kernel_bench_args *a,
                            size_t n)
{
	bin_raw(self, a, n, PRODUCT_FLOAT32);
}

static void run_bin_flat(const struct kernel_bench *self, const struct kernel_bench_args *a,
                         size_t n)
{
	struct histogram_tails *tails = a->scratch;
	struct bin_map map;

	bin_map_init_flat(&map, &flat_bins);
	*tails = (struct histogram_tails){ 0 };
	((bin_flat_fn *)self->fn)(a->out, tails, a->t, n, &map);
}

static int bin_family(unsigned which, unsigned impl, struct kernel_bench *ret)
{
	static const struct kernel_bench kernels[] = {
		{ .kernel = "bin numbers uint8", .run = run_bin_uint8, .bytes_per_pixel = 3 },
		{ .kernel = "bin numbers uint16", .run = run_bin_uint16, .bytes_per_pixel = 4 },
		{ .kernel = "bin numbers uint32", .run = run_bin_uint32, .bytes_per_pixel = 6 },
		{ .kernel = "bin numbers float32", .run = run_bin_float32, .bytes_per_pixel = 6 },
		{ .kernel = "bin numbers flattened", .run = run_bin_flat, .bytes_per_pixel = 6 },
	};
	const struct histogram_impl *row = &histogram_impls[impl];

	if (which >= sizeof kernels / sizeof *kernels)
		return NO_KERNEL;
	if (!row->name)
		return NO_IMPL;
	*ret = kernels[which];
	ret->isa = row->name;
	ret->needs = row->needs;
	ret->fn = which < PRODUCT_TYPE_COUNT ? (void (*)(void))row->raw[which]
	                                     : (void (*)(void))row->flat;
	return FOUND;
}

/* A whole survey, block by block, as the pass does it. */
static void survey_pixels(const struct kernel_bench *self, const struct kernel_bench_args *a,
                          size_t n, size_t pixel_bytes)
{
	struct survey *s = a->scratch;
	uint64_t *bad = (uint64_t *)((char *)a->scratch + sizeof *s);
	struct bin_map map;

	bin_map_init_flat(&map, &flat_bins);
	memset(bad, 0, survey_groups(0, MOMENTS_BLOCK) * sizeof *bad);
	survey_begin(s);
	for (size_t i = 0; i < n; i += MOMENTS_BLOCK) {
		const char *raw = (const char *)a->raw + i * pixel_bytes;
		const struct survey_run run = { .t = (float *)a->out + i,
			                        .codes = (uint8_t *)(bad + 64),
			                        .raw = raw,
			                        .offset = a->offset + i,
			                        .gain = a->gain + i,
			                        .bad = bad,
			                        .first = i,
			                        .n = MOMENTS_BLOCK,
			                        .shift = 0.5f,
			                        .scale = 1,
			                        .map = &map,
			                        .saturation = UINT32_MAX,
			                        .ahead = raw };

		survey_begin_block(s);
		((survey_fn *)self->fn)(s, &run);
	}
}

static void run_survey_uint8(const struct kernel_bench *self, const struct kernel_bench_args *a,
                             size_t n)
{
	survey_pixels(self, a, n, 1);
}

static void run_survey_uint16(const struct kernel_bench *self, const struct kernel_bench_args *a,
                              size_t n)
{
	survey_pixels(self, a, n, 2);
}

static int survey_family(unsigned which, unsigned impl, struct kernel_bench *ret)
{
	static const struct kernel_bench kernels[] = {
		{ .kernel = "survey uint8", .run = run_survey_uint8, .bytes_per_pixel = 13 },
		{ .kernel = "survey uint16", .run = run_survey_uint16, .bytes_per_pixel = 14 },
		{ .kernel = "survey scaled uint8", .run = run_survey_uint8, .bytes_per_pixel = 13 },
		{ .kernel = "survey scaled uint16",
		  .run = run_survey_uint16,
		  .bytes_per_pixel = 14 },
	};
	const struct survey_impl *row = &survey_impls[impl];

	if (which >= sizeof kernels / sizeof *kernels)
		return NO_KERNEL;
	if (!row->name)
		return NO_IMPL;
	*ret = kernels[which];
	ret->isa = row->name;
	ret->needs = row->needs;
	ret->fn = (void (*)(void))(which < PRODUCT_UINT32 ? row->fn[which]
	                                                  : row->scaled[which - PRODUCT_UINT32]);
	return FOUND;
}

static void run_attenuate(const struct kernel_bench *self, const struct kernel_bench_args *a,
                          size_t n)
{
	((attenuate_fn *)self->fn)(a->out, a->t, n);
}

static int attenuate_family(unsigned which, unsigned impl, struct kernel_bench *ret)
{
	const struct attenuate_impl *row = &attenuate_impls[impl];

	if (which > 0)
		return NO_KERNEL;
	if (!row->name)
		return NO_IMPL;
	*ret = (struct kernel_bench){
		.kernel = "attenuate",
		.isa = row->name,
		.needs = row->needs,
		.bytes_per_pixel = 8,
		.run = run_attenuate,
		.fn = (void (*)(void))row->fn,
	};
	return FOUND;
}

/* Whatever numbers the memory holds, within the bins. */
static void run_count_codes(const struct kernel_bench *self, const struct kernel_bench_args *a,
                            size_t n)
{
	((count_codes_fn *)self->fn)(a->scratch, a->raw, n);
}

/* The numbers are the flattened pixels' of the default histogram; numbering is part of the time. */
static void run_count_index(const struct kernel_bench *self, const struct kernel_bench_args *a,
                            size_t n)
{
	struct histogram_tables tables = histogram_tables_for(flat_bins.bins);
	struct histogram_tails tails = { 0 };
	struct bin_map map;

	bin_map_init_flat(&map, &flat_bins);
	histogram_for(self->needs)->flat(a->out, &tails, a->t, n, &map);
	((count_index_fn *)self->fn)(a->scratch, tables, a->out, 0, n);
}

static int count_family(unsigned which, unsigned impl, struct kernel_bench *ret)
{
	static const struct kernel_bench kernels[] = {
		{ .kernel = "count codes", .run = run_count_codes, .bytes_per_pixel = 1 },
		{ .kernel = "histogram flattened", .run = run_count_index, .bytes_per_pixel = 4 },
	};
	const struct counting_impl *row = &counting_impls[impl];

	if (which >= sizeof kernels / sizeof *kernels)
		return NO_KERNEL;
	if (!row->name)
		return NO_IMPL;
	*ret = kernels[which];
	ret->isa = row->name;
	ret->needs = row->needs;
	ret->fn = which == 0 ? (void (*)(void))row->codes : (void (*)(void))row->index;
	return FOUND;
}

#define BENCH_WIDTH 2048 /* of the rows that are binned two by two */

static void run_binning(const struct kernel_bench *self, const struct kernel_bench_args *a,
                        size_t n)
{
	float *sum = a->scratch, *out = a->out;

	for (size_t i = 0; i + 2 * BENCH_WIDTH <= n; i += 2 * BENCH_WIDTH)
		((bin_rows_fn *)self->fn)(out + i / 4, a->t + i, sum, sum + BENCH_WIDTH,
		                          BENCH_WIDTH, 2);
}

static int binning_family(unsigned which, unsigned impl, struct kernel_bench *ret)
{
	const struct binning_impl *row = &binning_impls[impl];

	if (which > 0)
		return NO_KERNEL;
	if (!row->name)
		return NO_IMPL;
	*ret = (struct kernel_bench){
		.kernel = "bin 2x2",
		.isa = row->name,
		.needs = row->needs,
		.bytes_per_pixel = 5,
		.run = run_binning,
		.fn = (void (*)(void))row->fn,
	};
	return FOUND;
}

/* Row after row, between the first and the last. */
static void run_find_defects(const struct kernel_bench *self, const struct kernel_bench_args *a,
                             size_t n)
{
	uint64_t *hot = a->scratch, *dead = hot + BENCH_WIDTH / 64;

	for (size_t i = BENCH_WIDTH; i + 2 * BENCH_WIDTH <= n; i += BENCH_WIDTH) {
		const float *here = a->t + i;

		((find_defects_fn *)self->fn)(hot, dead, here - BENCH_WIDTH + 1, here,
		                              here + BENCH_WIDTH, 0.5f, BENCH_WIDTH - 1);
	}
}

static int defects_family(unsigned which, unsigned impl, struct kernel_bench *ret)
{
	const struct defects_impl *row = &defects_impls[impl];

	if (which > 0)
		return NO_KERNEL;
	if (!row->name)
		return NO_IMPL;
	*ret = (struct kernel_bench){
		.kernel = "find defects",
		.isa = row->name,
		.needs = row->needs,
		.bytes_per_pixel = 4,
		.run = run_find_defects,
		.fn = (void (*)(void))row->fn,
	};
	return FOUND;
}

static void run_convert(const struct kernel_bench *self, const struct kernel_bench_args *a,
                        size_t n)
{
	struct window w;

	window_init(&w, self->bytes_per_pixel < 6 ? PRODUCT_UINT8 : PRODUCT_UINT16, 0, 1.5f, false);
	*(uint64_t *)a->scratch = ((convert_fn *)self->fn)(a->out, a->t, n, &w);
}

static int convert_family(unsigned which, unsigned impl, struct kernel_bench *ret)
{
	static const struct {
		const char *name;
		enum product_type type;
	} kernels[] = { { "convert uint8", PRODUCT_UINT8 },
		        { "convert uint16", PRODUCT_UINT16 },
		        { "convert float32", PRODUCT_FLOAT32 } };
	const struct convert_impl *row = &convert_impls[impl];

	if (which >= sizeof kernels / sizeof *kernels)
		return NO_KERNEL;
	if (!row->name)
		return NO_IMPL;
	*ret = (struct kernel_bench){
		.kernel = kernels[which].name,
		.isa = row->name,
		.needs = row->needs,
		.bytes_per_pixel = 4 + product_bytes(kernels[which].type),
		.run = run_convert,
		.fn = (void (*)(void))row->fn[kernels[which].type],
	};
	return FOUND;
}

static void run_crc32c(const struct kernel_bench *self, const struct kernel_bench_args *a, size_t n)
{
	*(uint32_t *)a->scratch = ((crc32c_fn *)self->fn)(0, a->raw, 2 * n);
}

static int crc32c_family(unsigned which, unsigned impl, struct kernel_bench *ret)
{
	const struct crc32c_impl *row = &crc32c_impls[impl];

	if (which > 0)
		return NO_KERNEL;
	if (!row->name)
		return NO_IMPL;
	*ret = (struct kernel_bench){
		.kernel = "crc32c of uint16",
		.isa = row->name,
		.needs = row->needs,
		.bytes_per_pixel = 2,
		.run = run_crc32c,
		.fn = (void (*)(void))row->fn,
	};
	return FOUND;
}

static int shuffle_family(unsigned which, unsigned impl, struct kernel_bench *ret)
{
	static const char *const names[] = { "shuffle uint8", "shuffle uint16", "shuffle uint32" };
	const struct shuffle_impl *row = &shuffle_impls[impl];

	if (which >= sizeof names / sizeof *names)
		return NO_KERNEL;
	if (!row->name)
		return NO_IMPL;
	*ret = (struct kernel_bench){
		.kernel = names[which],
		.isa = row->name,
		.needs = row->needs,
		.bytes_per_pixel = 2u << which,
		.run = run_transpose,
		.fn = (void (*)(void))row->fn[which],
	};
	return FOUND;
}

/* Transpose and LZ4 of pixels that hardly shrink. */
static void run_pack(const struct kernel_bench *self, const struct kernel_bench_args *a, size_t n)
{
	unsigned element = (unsigned)self->bytes_per_pixel / 2;

	(void)pack_bslz4(a->out, n * 4, a->raw, n * element, element, shuffle_for(self->needs),
	                 a->scratch);
}

static int pack_family(unsigned which, unsigned impl, struct kernel_bench *ret)
{
	static const char *const names[] = { "pack uint8", "pack uint16" };
	const struct shuffle_impl *row = &shuffle_impls[impl];

	if (which >= sizeof names / sizeof *names)
		return NO_KERNEL;
	if (!row->name)
		return NO_IMPL;
	*ret = (struct kernel_bench){
		.kernel = names[which],
		.isa = row->name,
		.needs = row->needs,
		.bytes_per_pixel = 2u << which, /* written, when nothing shrinks */
		.run = run_pack,
		.fn = (void (*)(void))row->fn[which],
	};
	return FOUND;
}

static family_fn *const families[] = {
	unshuffle_family,   unpack_family,    flatten_family, scale_family,  invalidate_family,
	raw_moments_family, moments_family,   bin_family,     survey_family, count_family,
	binning_family,     attenuate_family, convert_family, crc32c_family, shuffle_family,
	pack_family,        defects_family,
};

bool kernel_bench_at(unsigned index, struct kernel_bench *ret)
{
	unsigned seen = 0;

	for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
		for (unsigned which = 0, impl = 0;;) {
			struct kernel_bench row;
			int found = families[f](which, impl, &row);

			if (found == NO_KERNEL)
				break;
			impl = found == FOUND ? impl + 1 : 0;
			which += found == NO_IMPL;
			if (found == FOUND && seen++ == index) {
				*ret = row;
				return true;
			}
		}
	}
	return false;
}
