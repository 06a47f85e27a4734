/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_TRIAL_PARTS_H
#define BENCH_TRIAL_PARTS_H

#include "bench/child.h"
#include "bench/pattern.h"
#include "bench/proc_threads.h"
#include "bench/send_profiles.h"
#include "bench/trial.h"

/* What the files of a trial share. Each function: 0, or an exit status with why. */

#define WHY_BYTES           512
#define TRIAL_PATH_BYTES    (SCRATCH_PATH_MAX + 64)
#define TRIAL_ENDPOINTS_MAX 8
#define TRIAL_REGIONS       4

/* A file or folder in the scratch folder. */
struct trial_path {
	char text[TRIAL_PATH_BYTES];
};
struct trial_path trial_in_scratch(const struct trial *t, const char *name);

/* Whether the checksums are of frames as they came: those of the null sink are not. */
bool trial_keeps_source(const struct trial_plan *p);

/* Where the two meet. */
struct trial_wiring {
	char endpoints[TRIAL_ENDPOINTS_MAX][SCRATCH_PATH_MAX + 64];
	char release[SCRATCH_PATH_MAX + 64]; /* shm */
	unsigned monitor_port;               /* 0: none */
};
int trial_wire(const struct trial *t, struct trial_wiring *ret, char why[512]);

/* Write openbeam.yaml into the scratch folder. */
int trial_configure(const struct trial *t, const struct trial_wiring *w, uint64_t frames,
                    char why[512]);

/* MiB of pictures that the sender makes. Enough to lie outside the caches; no more of them than
 * can be checked in a few seconds. */
unsigned trial_memory_mib(const struct trial_plan *p);

/* Slots of the ring of shared memory. */
unsigned trial_slots(const struct trial_plan *p);

/* The checksums of t->crc32c, by the scalar kernels, from the calibration files and the
 * configuration in the scratch folder. */
int trial_expect(struct trial *t, char why[512]);

/* What the run left: manifest, ledger, and the sender's report. */
int trial_read_manifest(const struct trial *t, struct trial_figures *ret, char why[512]);
int trial_read_ledger(const struct trial *t, uint64_t frames, struct trial_figures *ret,
                      char why[512]);
int trial_read_report(const struct trial *t, struct trial_figures *ret, char why[512]);

/* Both programs while they run. */
struct trial_watch {
	struct child daemon, sender;
	struct proc_process now[2], begin[2]; /* of each: the last look, and that before the first
	                                         frame */
	double busy_s[2];                     /* of all cores: at the begin, and at the last look */
	uint64_t busy_ns[2];                  /* when that was, CLOCK_MONOTONIC */
	uint64_t loopback[2];
	uint64_t look_ns; /* of the last look at the daemon, CLOCK_REALTIME */
	bool begun;
};

/* The counts of a traced run. */
int trial_read_calls(const struct trial *t, struct trial_figures *ret, char why[512]);

/* Look at both, some 20 times a second. */
void trial_look(const struct trial *t, struct trial_watch *w);

/* What /proc said; both have ended. */
void trial_read_watch(const struct trial_watch *w, struct trial_figures *ret);

/* Add what the daemon's threads did from the last look until the series ended, by what they did
 * before, and make the time of others that of the series. After trial_read_watch() and
 * trial_read_manifest(). */
void trial_extrapolate(const struct trial_watch *w, struct trial_figures *ret);

#endif
