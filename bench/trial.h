/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_TRIAL_H
#define BENCH_TRIAL_H

#include "daemon/scratch_folder.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* openbeam-send to openbeamd, as people run them: two processes, a stream, files. What a run gave
 * is read from the manifest, the ledger and /proc, and every frame's checksum is compared with
 * what the scalar kernels make of the same picture. */

enum trial_transport { TRIAL_TCP, TRIAL_IPC, TRIAL_SHM };

/* What is measured, the same for all runs of a trial. */
struct trial_plan {
	enum trial_transport transport;
	unsigned endpoints;       /* 1 to 8; shm: 1 */
	uint32_t width, height;   /* pixels */
	const char *pixel_format; /* a row of pixel_formats */
	double rate_hz;           /* of the sender; 0: as fast as possible */
	const char *sink;         /* format: "null", "tiff", "raw", "hdf5" */
	bool source;              /* write frames as they came instead of the reduced ones */
	bool everything; /* raw histogram, four regions, dose applied, sentinels that look at
	                    pixels, black box, the monitor and a reader of the page */
	const char *const *settings; /* further KEY=VALUE for --set, ended by NULL; NULL: none */
	unsigned long long cpus; /* both processes may use these cores (bit i: core i); 0: all */
	bool traced;             /* under strace, which counts their system calls; much slower */
};

/* Programs, scratch folder, calibration files and expected checksums of a plan. */
struct trial {
	struct trial_plan plan;
	char programs[SCRATCH_PATH_MAX]; /* the folder of both */
	struct scratch_folder scratch;
	uint32_t *crc32c; /* of the written frames by place of the pattern [places] */
	uint64_t places;
	const volatile sig_atomic_t *stop;
};

#define TRIAL_THREADS_MAX 160

/* One thread of either process from the first frame on, from /proc; and what it waited for, where
 * the daemon says so. */
struct trial_thread {
	char process; /* 'd': openbeamd, 's': openbeam-send */
	char name[16];
	double user_s, system_s;
	double run_s;   /* on a core */
	double queue_s; /* could have run, no core was free */
	uint64_t faults, major_faults;
	uint64_t switches, preemptions; /* voluntary and involuntary context switches */
	char waits[96]; /* what it waited for and how long, by the manifest; "": not said */
};

enum trial_stage {
	TRIAL_QUEUE, /* received until a worker takes it */
	TRIAL_REDUCE,
	TRIAL_COLLECT,
	TRIAL_SUBMIT, /* last byte received until the product is handed to the sink */
	TRIAL_WRITE,
	TRIAL_DURABLE,
	TRIAL_STAGES
};

struct trial_latency {
	uint64_t count;
	double p50_ms, p99_ms, p999_ms, max_ms;
};

#define TRIAL_CALLS_MAX 96

/* System calls by their name, as strace counts them. */
struct trial_calls {
	unsigned count;
	struct trial_call {
		char name[24];
		uint64_t calls;
	} at[TRIAL_CALLS_MAX];
};

struct trial_figures {
	double seconds;                      /* first frame received until the files are closed */
	uint64_t end_ns;                     /* when that was, CLOCK_REALTIME */
	uint64_t expected, written, flagged; /* by the manifest */
	uint64_t lost;                       /* expected - written */
	uint64_t wrong;       /* checksums in the ledger that are not the scalar kernels', and
	                         numbers that the ledger has twice or not at all */
	uint64_t sender_late; /* messages more than a period behind their time */
	double fps;           /* written / seconds */
	/* Of the threads, from the first frame on: as /proc last told some ms before the end, and
	 * at that rate from there on. What it takes to begin and to exit does not count. */
	double cpu_daemon_s, cpu_sender_s;
	double others_s; /* of the cores taken by other programs meanwhile; NAN: not known */
	uint64_t loopback_bytes; /* that came in over the loopback interface, whoever sent them */
	uint64_t read_calls, write_calls; /* both processes, /proc/PID/io */
	uint64_t disk_bytes;              /* of the daemon, /proc/PID/io */
	uint64_t peak_bytes;              /* highest resident memory of the daemon */
	double buffer_peak; /* highest share of the slots in use, 0 to 1; NaN unknown */
	struct trial_latency latency[TRIAL_STAGES];
	struct trial_thread threads[TRIAL_THREADS_MAX];
	unsigned thread_count;
	struct trial_calls
		calls[2];     /* of a traced run, from their start: openbeamd, openbeam-send */
	char first_loss[256]; /* the daemon's sentence about the first loss; "": none */
};

/* Find the programs beside this one, make a scratch folder in `directory`, calibration files, and
 * the checksums. 0, or an exit status of sysexits with why. */
int trial_open(struct trial *t, const struct trial_plan *plan, const char *directory,
               const volatile sig_atomic_t *stop, char why[512]);

/* Accepts a zeroed or half-opened one. */
void trial_close(struct trial *t);

/* One run of `frames` frames; what it wrote is removed. Losses are no error: see the figures.
 * 0, or an exit status with why. */
int trial_run(struct trial *t, uint64_t frames, double timeout_s, struct trial_figures *ret,
              char why[512]);

/* Add what a summary of strace says. False when it is none. */
bool trial_calls_parse(const char *summary, struct trial_calls *ret);

/* Bytes of a frame on the wire, and of what is written of it. */
uint64_t trial_frame_bytes(const struct trial_plan *p);
uint64_t trial_product_bytes(const struct trial_plan *p);

/* "tcp", "ipc", "shm". */
const char *trial_transport_name(enum trial_transport t);

#endif
