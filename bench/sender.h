/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SENDER_H
#define BENCH_SENDER_H

#include "bench/courier.h"
#include "bench/encoder.h"
#include "bench/send_report.h"
#include "bench/stock.h"

/* Carries out a plan: takes each step at its time, makes the messages, has them sent, records what
 * was done. */
struct sender {
	const struct send_options *options;
	struct stock *stock;               /* open */
	struct wire *wire;                 /* open */
	const volatile sig_atomic_t *stop; /* set by a signal handler */
	struct send_report *report;

	/* Filled by sender_run(). */
	struct courier courier; /* with gave_up */
	struct outgoing outgoing;
	struct draft draft;
	uint64_t dealt;  /* messages that went round the endpoints */
	uint64_t newest; /* 1 + the highest index that was come to in this series */
	bool ended;      /* the end of this series was sent */
	char why[512];   /* after an error: one sentence */
};

/* Send the whole plan and wait until it was delivered. A stop ends both early: numbers that
 * were due and not sent are in the report as unsent, and the series gets its end where there is
 * room for it.
 *
 * 0, also when stopped; -EIO, -ENOMEM or another negative errno with why[]. The report is valid
 * in any case. One thread. */
int sender_run(struct sender *s);

#endif
