/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

/* A program that was started and is waited for. It ends when we do. */
struct child {
	pid_t pid;    /* 0: none runs */
	int handle;   /* pidfd */
	double cpu_s; /* that it took over its life, user and system; once it has ended */
};

/* Start argv[0], a path or the name of a program in PATH; NULL ends argv. Output and errors go to
 * the file `log`, replaced. 0 or negative errno; a program that is not there exits with 127. */
int child_start(struct child *c, const char *const argv[], const char *log);

/* The same on some cores only (bit i: core i; 0: all). Where it may not, it exits with 126. */
int child_start_on(struct child *c, const char *const argv[], const char *log,
                   unsigned long long cpus);

/* Wait until it ends, at most until CLOCK_MONOTONIC deadline_ns or until *stop is set.
 *
 * Its exit status, 128 and the signal's number when one ended it, or -ETIMEDOUT, -EINTR: it
 * still runs then. */
int child_wait(struct child *c, uint64_t deadline_ns, const volatile sig_atomic_t *stop);

/* End it if it still runs: TERM, and KILL after 3 s. Accepts a zeroed one. */
void child_end(struct child *c);

#endif
