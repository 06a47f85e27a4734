/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SOAK_PROBE_H
#define BENCH_SOAK_PROBE_H

#include <sys/types.h>

/* What the kernel says about another process; NaN where it does not. */
struct soak_process {
	double resident_bytes;
	double descriptors; /* open ones */
	double threads;
};

void soak_probe(pid_t pid, struct soak_process *ret);

#endif
