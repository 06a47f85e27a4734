/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_FIO_H
#define BENCH_FIO_H

#include "daemon/scratch_folder.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* The program fio as the limit of what a file system takes: io_uring, O_DIRECT, sequential blocks
 * of 4 MiB, the same bytes each time, into a file whose space was allocated before the clock
 * starts; a sync at the end, which counts. */

struct fio_load {
	const struct scratch_folder *scratch; /* its files are in it */
	unsigned depth;                       /* blocks under way */
	uint64_t bytes;
	bool again; /* over the blocks of the file that the last run left, instead of a new one */
	bool keep;  /* leave the file */
	const volatile sig_atomic_t *stop;
};

struct fio_figures {
	double gb_per_s;
	double cpu_s_per_gb; /* user and system, of the thread that writes, as fio counts it */
};

/* Whether the program is in PATH and starts. */
bool fio_is_installed(void);

/* 0, or an exit status with why: fio's own words. */
int fio_run(const struct fio_load *load, struct fio_figures *ret, char why[512]);

#endif
