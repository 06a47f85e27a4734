/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu.h"
#include "kernels/invalidate.h"
#include "kernels/reduce.h"
#include "kernels/registry.h"
#include "kernels/shuffle.h"
#include "kernels/unshuffle.h"
#include "tests/pixels.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(cpu, levels_contain_the_ones_before)
{
	for (const struct cpu_level *l = cpu_levels; l[1].name; l++) {
		cr_assert_eq(l[0].flags & ~l[1].flags, 0);
		cr_assert_neq(l[0].flags, l[1].flags);
	}
}

Test(cpu, names_levels_both_ways)
{
	for (const struct cpu_level *l = cpu_levels; l->name; l++) {
		cr_assert_eq(cpu_level_flags(l->name), l->flags);
		cr_assert_str_eq(cpu_level_name(l->flags), l->name);
	}
	cr_assert_eq(cpu_level_flags("mmx"), 0);
	cr_assert_str_eq(cpu_level_name(CPU_AVX512), "scalar"); /* AVX2 is missing */
	cr_assert_str_eq(cpu_level_name(CPU_SSE42 | CPU_AVX2 | CPU_AVX512ICL), "avx2");
	cr_assert_str_eq(cpu_level_name(~0u), "avx512icl");
}

Test(cpu, detects_levels_whole)
{
	unsigned flags = cpu_detect();

	if (flags & CPU_AVX512ICL)
		cr_assert(flags & CPU_AVX512);
	if (flags & CPU_AVX512)
		cr_assert(flags & CPU_AVX2);
	cr_assert_geq(cpu_l1_bytes(), 4096);
	cr_assert_geq(cpu_l2_bytes(), cpu_l1_bytes());
}

/* Without flags only rows that need none may be chosen, with all of them the last. */
#define ASSERT_CHOOSES(impls, chosen_for, chosen)                                                  \
	do {                                                                                       \
		unsigned last = 0;                                                                 \
		while ((impls)[last + 1].name)                                                     \
			last++;                                                                    \
		cr_assert_eq((impls)[0].needs, 0);                                                 \
		cr_assert(chosen_for(0) == chosen((impls)[0]));                                    \
		cr_assert(chosen_for(~0u) == chosen((impls)[last]));                               \
	} while (0)
#define ROW(row)      (&(row))
#define FUNCTION(row) ((row).fn)

Test(cpu, each_table_gives_the_fastest_that_runs)
{
	ASSERT_CHOOSES(unshuffle_impls, unshuffle_for, ROW);
	ASSERT_CHOOSES(shuffle_impls, shuffle_for, ROW);
	ASSERT_CHOOSES(unpack_impls, unpack_for, ROW);
	ASSERT_CHOOSES(flatten_impls, flatten_for, ROW);
	ASSERT_CHOOSES(invalidate_impls, invalidate_for, ROW);
	ASSERT_CHOOSES(raw_moments_impls, raw_moments_for, ROW);
	ASSERT_CHOOSES(moments_impls, moments_for, FUNCTION);
	ASSERT_CHOOSES(histogram_impls, histogram_for, ROW);
	ASSERT_CHOOSES(binning_impls, binning_for, FUNCTION);
	ASSERT_CHOOSES(convert_impls, convert_for, ROW);
	ASSERT_CHOOSES(crc32c_impls, crc32c_for, FUNCTION);
}

Test(registry, runs_every_implementation_it_lists)
{
	enum { PIXELS = 8192 };
	float *offset = calloc(PIXELS, sizeof *offset);
	struct kernel_bench_args args = {
		.offset = offset,
		.scratch = aligned_alloc(64, KERNEL_BENCH_SCRATCH),
	};
	void *raw = aligned_alloc(64, PIXELS * 4), *t = aligned_alloc(64, PIXELS * 4);
	struct kernel_bench row;
	unsigned rows = 0;

	pixels_raw(raw, PRODUCT_UINT16, PIXELS * 2, PIXELS_USUAL, 1);
	pixels_flat(t, PIXELS, PIXELS_USUAL, 2);
	memset(args.scratch, 0, KERNEL_BENCH_SCRATCH);
	args.raw = raw;
	args.t = args.gain = t;
	args.out = aligned_alloc(64, PIXELS * 4);
	for (; kernel_bench_at(rows, &row); rows++) {
		cr_assert(row.kernel && row.isa && row.run && row.bytes_per_pixel > 0);
		if (!(row.needs & ~cpu_detect()))
			row.run(&row, &args, PIXELS);
	}
	cr_assert_gt(rows, 20);
	cr_assert_not(kernel_bench_at(rows + 5, &row));
	free(offset);
	free(raw);
	free(t);
	free(args.out);
	free(args.scratch);
}
