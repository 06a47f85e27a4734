/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_REGISTRY_H
#define KERNELS_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every implementation of every kernel behind one call, for timing and for lists. It is made
 * from the implementation tables: a new variant there appears here without another edit. */

/* Arrays that any kernel can run on. Each is 64-byte aligned and of the stated size for the
 * largest `pixels` that is run; contents may be anything. */
struct kernel_bench_args {
	const void *raw;     /* [pixels * 4 bytes] */
	const float *t;      /* flattened pixels    [pixels] */
	const float *offset; /* [pixels] */
	const float *gain;   /* [pixels] */
	void *out;           /* written             [pixels * 4 bytes] */
	void *scratch;       /* written             [KERNEL_BENCH_SCRATCH] */
};

#define KERNEL_BENCH_SCRATCH ((size_t)1 << 20) /* bytes */

struct kernel_bench {
	const char *kernel;     /* "flatten uint16" */
	const char *isa;        /* "scalar", "avx2", ... */
	unsigned needs;         /* enum cpu_flag; do not run where cpu_detect() lacks one */
	double bytes_per_pixel; /* read and written, for bandwidth; without scratch */

	/* Run it once over `pixels` pixels, a multiple of 4096. */
	void (*run)(const struct kernel_bench *self, const struct kernel_bench_args *args,
	            size_t pixels);

	void (*fn)(void); /* what run() calls */
};

/* Describe implementation `index`, counted from 0 in the order of the data path. False past
 * the last one. */
bool kernel_bench_at(unsigned index, struct kernel_bench *ret);

#endif
