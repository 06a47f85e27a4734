/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_STREAM_RUN_H
#define BENCH_STREAM_RUN_H

#include "daemon/scratch_folder.h"

#include <signal.h>
#include <stdint.h>

/* openbeam-send to openbeamd, as people run them: two processes, tcp, default configuration but
 * for calibration, 2 x 2 binning to uint16 and the sink. */
struct stream_setup {
	char programs[SCRATCH_PATH_MAX]; /* the folder of both */
	struct scratch_folder scratch;
	uint32_t width, height; /* pixels, 16 bit */
	const volatile sig_atomic_t *stop;
};

struct stream_figures {
	double seconds; /* from the first frame until the files are closed, by the manifest */
	uint64_t expected, written; /* frames, by the manifest */
};

/* Find the programs beside this one, make the scratch folder in `directory` and the calibration
 * files. 0, or an exit status with why. */
int stream_setup_open(struct stream_setup *s, const char *directory, uint32_t width,
                      uint32_t height, const volatile sig_atomic_t *stop, char why[512]);

/* Accepts a zeroed or half-opened one. */
void stream_setup_close(struct stream_setup *s);

/* One run of `frames` frames into a sink of `format` ("null", "tiff"); what it wrote is removed.
 * 0, or an exit status with why. */
int stream_run(const struct stream_setup *s, const char *format, uint64_t frames, double timeout_s,
               struct stream_figures *ret, char why[512]);

#endif
