/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_REPLAY_H
#define BENCH_REPLAY_H

#include "bench/courier.h"
#include "bench/recording.h"

/* Sends recorded messages as they are, round the endpoints, at the rate asked for. */
struct replay {
	const struct send_options *options; /* `replay`, `repeat`, `rate_hz` and the connection */
	const struct recording *recording;  /* open */
	struct wire *wire;                  /* open */
	const volatile sig_atomic_t *stop;  /* set by a signal handler */

	/* Filled by replay_run(). */
	struct courier courier;
	uint64_t messages, parts, bytes; /* sent */
	bool finished;                   /* all of them */
	char why[512];                   /* after an error: one sentence */
};

/* As sender_run(). */
int replay_run(struct replay *r);

/* Write what was sent as JSON: replay, kind, endpoints, messages, parts, bytes, seconds,
 * messages_per_s, finished, delivered. As send_report_write(). */
int replay_report(const struct replay *r, const char *path);

/* One line for people, with the newline. */
void replay_print(const struct replay *r, FILE *out);

#endif
