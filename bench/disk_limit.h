/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_DISK_LIMIT_H
#define BENCH_DISK_LIMIT_H

#include "daemon/samples.h"

/* What a file system takes: blocks of 4 MiB, O_DIRECT, into a new file whose space was
 * allocated before, through io_uring eight at a time or, where that is refused, pwrite one at a
 * time; then fdatasync, which counts. */
struct disk_limit {
	struct samples gb_per_s;
	struct samples cpu_s_per_gb;
	const char *method; /* "io_uring O_DIRECT", "pwrite", ... */
};

/* Write `runs` files, each for at most `seconds` or `bytes`, and remove them.
 *
 * 0, or negative errno with why: the folder cannot be written, no space, an error of writing. */
int disk_limit_measure(const char *directory, unsigned runs, double seconds,
                       unsigned long long bytes, struct disk_limit *ret, char why[512]);

#endif
