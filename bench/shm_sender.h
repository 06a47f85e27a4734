/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SHM_SENDER_H
#define BENCH_SHM_SENDER_H

#include "bench/pattern.h"
#include "bench/progress.h"
#include "bench/send_options.h"
#include "bench/send_report.h"
#include "bench/shm_producer.h"

#include <signal.h>

/* Carries out a plan as a frame grabber does whose DMA engine fills the slots: all slots are
 * filled once, then a frame costs a number and an announcement. Pixels are written for every
 * frame only where they follow its number (pattern counter), are pages of files, or shall be
 * those of any other protocol (--verify). */
struct shm_sender {
	const struct send_options *options;
	struct pattern *pattern;           /* open */
	const volatile sig_atomic_t *stop; /* set by a signal handler */
	struct send_report *report;

	/* Filled by shm_sender_open() and shm_sender_run(). */
	struct shm_producer producer;
	char folder[32]; /* of the release endpoint, removed at the end; empty: none */
	char release[48];
	struct progress progress;
	bool write_each;   /* pixels of every frame */
	uint64_t start_ns; /* when number 0 of the plan is due, CLOCK_MONOTONIC */
	uint64_t newest;   /* 1 + the highest index that was come to */
	bool gave_up;      /* slots were out when --linger was over, or taken back at the end */
	char why[SHM_WHY_BYTES]; /* after an error: one sentence */
};

/* Make the ring and fill its slots. 0; -EINVAL or another negative errno with why[]. */
int shm_sender_open(struct shm_sender *s);

/* Wait for a consumer, send the whole plan, wait until every slot came back. A stop ends it
 * early. 0, also when stopped; negative errno with why[]. The report is valid in any case. */
int shm_sender_run(struct shm_sender *s);

/* Accepts a zeroed or half-opened one. */
void shm_sender_close(struct shm_sender *s);

#endif
