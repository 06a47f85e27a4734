/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#ifdef __x86_64__
#include <cpuid.h>

/* Bits of leaf 7, subleaf 0, ecx: VBMI, VBMI2, GFNI, VAES, VPCLMULQDQ, VNNI, BITALG, VPOPCNTDQ. */
#define LEAF7_ECX_ICL                                                                              \
	(1u << 1 | 1u << 6 | 1u << 8 | 1u << 9 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 14)

static unsigned avx512_flags(void)
{
	unsigned a, b, c, d;

	/* The builtin also asks whether the operating system saves the registers. */
	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
	    !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
	    !__builtin_cpu_supports("avx512vl"))
		return 0;
	if (!__builtin_cpu_supports("avx512ifma") || !__get_cpuid_count(7, 0, &a, &b, &c, &d) ||
	    (c & LEAF7_ECX_ICL) != LEAF7_ECX_ICL)
		return CPU_AVX512;
	return CPU_AVX512 | CPU_AVX512ICL;
}

unsigned cpu_detect(void)
{
	unsigned flags = 0;

	__builtin_cpu_init();
	if (!__builtin_cpu_supports("sse4.2") || !__builtin_cpu_supports("pclmul"))
		return 0;
	flags |= CPU_SSE42;
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
		return flags;
	flags |= CPU_AVX2;
	return flags | avx512_flags();
}
#else
unsigned cpu_detect(void)
{
	return 0;
}
#endif

unsigned cpu_level_flags(const char *name)
{
	for (const struct cpu_level *l = cpu_levels; l->name; l++)
		if (strcmp(l->name, name) == 0)
			return l->flags;
	return 0;
}

const char *cpu_level_name(unsigned flags)
{
	const char *name = cpu_levels[0].name;

	for (const struct cpu_level *l = cpu_levels; l->name; l++)
		if ((l->flags & ~flags) == 0)
			name = l->name;
	return name;
}

unsigned long cpu_l1_bytes(void)
{
	long bytes = sysconf(_SC_LEVEL1_DCACHE_SIZE);

	return bytes > 0 ? (unsigned long)bytes : 32ul << 10;
}

unsigned long cpu_l2_bytes(void)
{
	long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);

	return bytes > 0 ? (unsigned long)bytes : 512ul << 10;
}

const struct cpu_level cpu_levels[] = {
	{ "scalar", 0 },
	{ "avx2", CPU_SSE42 | CPU_AVX2 },
	{ "avx512", CPU_SSE42 | CPU_AVX2 | CPU_AVX512 },
	{ "avx512icl", CPU_SSE42 | CPU_AVX2 | CPU_AVX512 | CPU_AVX512ICL },
	{ 0 },
};
