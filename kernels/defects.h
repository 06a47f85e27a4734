/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_DEFECTS_H
#define KERNELS_DEFECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Pixels that differ from all their neighbours: single frames have some by chance, a pixel that
 * has died or glows has it in every frame. */
#define DEFECTS_MAX 2048

struct defects {
	uint64_t dead_count, hot_count; /* all of them; the lists stop at DEFECTS_MAX */
	uint32_t dead[DEFECTS_MAX],
		hot[DEFECTS_MAX]; /* numbers of the pixels of the region, rising */
};

/* Find the pixels of a row that differ from their good neighbours, those of the 8 that are not NaN.
 *
 *   hot    here[i] > greatest of them + margin,  or it is good and has no good neighbour
 *   dead   here[i] < least of them - margin,     likewise
 *
 * hot, dead     bit i % 64 of word i / 64, written; 0 beyond n    [n / 64 rounded up]
 * above, here,
 * below         flattened rows; also read at -1 and at n          [n]
 * margin        at least 0
 *
 * Returns whether there is any. Any n, any alignment. Every implementation gives the same. Cannot
 * fail. */
typedef bool find_defects_fn(uint64_t *restrict hot, uint64_t *restrict dead, const float *above,
                             const float *here, const float *below, float margin, size_t n);

struct defects_impl {
	const char *name;
	unsigned needs; /* enum cpu_flag */
	find_defects_fn *fn;
};

extern const struct defects_impl defects_impls[];

/* The fastest implementation that needs nothing outside `cpu`. Never NULL. */
find_defects_fn *defects_for(unsigned cpu);

find_defects_fn find_defects_scalar, find_defects_avx2, find_defects_avx512;

#endif
