/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_DEFECTS_H
#define KERNELS_DEFECTS_H

#include <stdint.h>

/* Pixels that differ from all their neighbours: single frames have some by chance, a pixel that
 * has died or glows has it in every frame. */
#define DEFECTS_MAX 2048

struct defects {
	uint64_t dead_count, hot_count; /* all of them; the lists stop at DEFECTS_MAX */
	uint32_t dead[DEFECTS_MAX],
		hot[DEFECTS_MAX]; /* numbers of the pixels of the region, rising */
};

#endif
