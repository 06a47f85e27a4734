/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SEND_REPORT_H
#define BENCH_SEND_REPORT_H

#include "bench/faults.h"
#include "bench/number_list.h"
#include "bench/send_options.h"

/* What a run sent, as people and tests compare it with what was received. */
struct send_report {
	uint64_t numbers;  /* frame numbers that the run came to */
	uint64_t sent;     /* of them, sent as usable frames (copies not counted) */
	uint64_t messages; /* sent, of any kind */
	uint64_t bytes;    /* pixels in all messages */
	struct number_list lost, duplicated, truncated, unsent;
	struct number_list swapped; /* pairs: sent early, sent late */
	struct number_list corrupted[CORRUPTION_COUNT];
	bool finished;       /* the plan was carried out to its end */
	bool delivered;      /* nothing was left in the queues */
	bool forgot;         /* no memory for a list: the report is not complete */
	uint64_t started_ns; /* CLOCK_REALTIME, when somebody was there to send to */
	uint64_t elapsed_ns; /* from there to the delivery of the last */
	uint64_t late;       /* messages more than one period behind their time */
	uint64_t late_max_ns;

	/* Of frames through shared memory. */
	uint64_t cpu_ns;    /* of the process while they were sent; 0: not measured */
	uint64_t waits;     /* times that no slot was free */
	uint64_t reclaimed; /* slots taken back without a release */
};

/* Record what a step of the plan came to: sent, or left out as planned. */
void send_report_add(struct send_report *r, const struct shot *s, size_t pixel_bytes);

/* Record a step that could not be sent before the run was stopped. */
void send_report_unsent(struct send_report *r, const struct shot *s);

/* Write the report as JSON:
 *
 *   lost, duplicated, truncated, corrupted, unsent   arrays of frame numbers
 *   swapped                                          array of pairs [early, late]
 *   corrupted_by_kind   kind -> array of frame numbers
 *   counts              the lengths of these, with numbers, sent, messages
 *   sent                numbers sent as usable frames (as in counts)
 *   cpu_us_per_frame, cpu_share, waits, reclaimed    where measured
 *   and the parameters, seconds, frames_per_s, bytes, bytes_per_s, lateness
 *
 * A number in corrupted or truncated was sent, but in no usable frame; `sent` + lost + corrupted
 * + truncated + unsent numbers = numbers.
 *
 * 0, or negative errno of opening or writing the file; -ENOMEM. */
int send_report_write(const struct send_report *r, const struct send_options *o,
                      const struct pattern *p, const char *path);

/* One line for people, with the newline. */
void send_report_print(const struct send_report *r, FILE *out);

/* Accepts a zeroed one. */
void send_report_done(struct send_report *r);

#endif
