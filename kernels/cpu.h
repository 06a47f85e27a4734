/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_CPU_H
#define KERNELS_CPU_H

/* What this CPU can do, as the sets the kernels are written for. */
enum cpu_flag {
	CPU_SSE42 = 1u << 0,     /* SSE4.2 with PCLMULQDQ: the CRC */
	CPU_AVX2 = 1u << 1,      /* and FMA */
	CPU_AVX512 = 1u << 2,    /* F, BW, CD, DQ, VL */
	CPU_AVX512ICL = 1u << 3, /* and VBMI, VBMI2, GFNI, VPCLMULQDQ, VAES, IFMA, VNNI, BITALG,
	                            VPOPCNTDQ */
};

/* The flags of this CPU that the operating system lets programs use; 0 off x86-64. */
unsigned cpu_detect(void);

/* A level people name: "scalar", "avx2", "avx512", "avx512icl"; each contains the ones before. */
struct cpu_level {
	const char *name;
	unsigned flags;
};

/* In rising order, ended by a row with name NULL. */
extern const struct cpu_level cpu_levels[];

/* The flags of the level called `name`; 0 for "scalar" and for names that are not there. */
unsigned cpu_level_flags(const char *name);

/* The highest level whose flags are all in `flags`. Never NULL. */
const char *cpu_level_name(unsigned flags);

/* Bytes of the level-1 data cache of one core; 32 KiB where the system does not tell. */
unsigned long cpu_l1_bytes(void);

/* Bytes of the level-2 cache of one core; 512 KiB where the system does not tell. */
unsigned long cpu_l2_bytes(void);

#endif
