/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PIPELINE_RUN_H
#define BENCH_PIPELINE_RUN_H

#include "bench/images.h"

#include <stdbool.h>
#include <stdint.h>

/* Frames from memory through the daemon's own rings, workers and collector to the null sink. */
struct pipeline_setup {
	const struct images *images;
	const char *directory; /* ledger and journal of the series go into a folder here */
	bool raw_histogram;    /* 4096 bins */
	bool quality;          /* four regions, two of them in the open beam, T divided by the dose;
	                          sentinels with their look at pixels, the black box */
	unsigned cores;        /* that all threads share; 0: all of the process */
	const uint32_t
		*crc32c; /* of the reduced frames [IMAGES_COUNT]; NULL: they are not checked */
};

/* What the ledger must say of the reduced frames, by the scalar kernels.
 * ret_crc32c   [IMAGES_COUNT]. False without memory. */
bool pipeline_expect(const struct images *images, bool quality, uint32_t *ret_crc32c);

struct pipeline_figures {
	double frames_per_s;    /* of all but the first frames, which fill the pipeline */
	double cpu_s_per_frame; /* likewise, of the whole program */
	uint64_t expected, written;
	uint64_t wrong; /* checksums that are not the scalar kernels' */
	unsigned workers, hand;
};

/* Run a series of `frames` frames. 0, or an exit status of sysexits with why. */
int pipeline_run(const struct pipeline_setup *s, uint64_t frames, struct pipeline_figures *ret,
                 char why[512]);

#endif
