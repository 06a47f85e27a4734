/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PROC_THREADS_H
#define BENCH_PROC_THREADS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What /proc says of the threads of another process. A thread that has ended keeps what was last
 * seen of it. */

#define PROC_THREADS_MAX 128

struct proc_thread {
	pid_t id;
	char name[16];
	double user_s, system_s;        /* in ticks of 10 ms */
	double run_s, queue_s;          /* on a core; could have run, no core was free */
	uint64_t faults, major_faults;  /* page faults, those that read included and alone */
	uint64_t switches, preemptions; /* context switches, voluntary and not */
};

struct proc_process {
	struct proc_thread threads[PROC_THREADS_MAX];
	unsigned count;
	double cpu_s;                     /* of all threads, ended ones too, in ticks */
	uint64_t read_calls, write_calls; /* of files: sockets are not counted */
	uint64_t written_bytes;           /* to a disk */
	uint64_t peak_bytes;              /* highest resident memory */
};

/* The texts of /proc/PID/task/TID/stat, schedstat, status and /proc/PID/io. What a text does not
 * say stays as it was; false when it is none. */
bool proc_parse_stat(const char *text, struct proc_thread *ret);
bool proc_parse_schedstat(const char *text, struct proc_thread *ret);
bool proc_parse_status(const char *text, struct proc_thread *ret, uint64_t *ret_peak_bytes);
bool proc_parse_io(const char *text, struct proc_process *ret);

/* CPU time that the cores of the machine were busy, by /proc/stat; false when it is none. */
bool proc_parse_machine(const char *text, double *ret_busy_s);
bool proc_machine_look(double *ret_busy_s);

/* Bytes that came in over the loopback interface, by /proc/net/dev; false when it has none. */
bool proc_parse_loopback(const char *text, uint64_t *ret_bytes);
bool proc_loopback_look(uint64_t *ret_bytes);

/* Look at a process again. False when it is not there any more: *p is as it was. */
bool proc_process_look(struct proc_process *p, pid_t pid);

/* What a thread did between two looks; one that is not in `before` is taken from nothing. */
struct proc_thread proc_thread_since(const struct proc_thread *now,
                                     const struct proc_process *before);

#endif
