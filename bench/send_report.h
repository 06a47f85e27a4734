/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SEND_REPORT_H
#define BENCH_SEND_REPORT_H

#include "bench/faults.h"
#include "bench/number_list.h"
#include "bench/pattern.h"
#include "bench/send_options.h"

#include <jansson.h>

/* Lists of frame numbers, over all series one after the other. */
enum report_list {
	REPORT_LOST,
	REPORT_DUPLICATED,
	REPORT_TRUNCATED,
	REPORT_UNSENT,
	REPORT_SWAPPED,    /* pairs: sent early, sent late */
	REPORT_PORTS_LOST, /* pairs: frame, port */
	REPORT_CORRUPTED,  /* and one for each enum corruption from here */
	REPORT_LIST_COUNT = REPORT_CORRUPTED + CORRUPTION_COUNT
};

/* One series of a run: what the whole report had when it began. */
struct report_series {
	uint64_t id;
	uint64_t numbers, sent, messages;
	bool started, ended; /* messages for that were sent */
	size_t from[REPORT_LIST_COUNT];
};

/* What a step of the plan sent. */
struct shipped {
	size_t bytes; /* of pixels, as they were sent */
	unsigned messages;
};

/* What a run sent, as people and tests compare it with what was received. */
struct send_report {
	uint64_t numbers;  /* frame numbers that the run came to */
	uint64_t sent;     /* of them, sent as usable frames (copies not counted) */
	uint64_t messages; /* sent about frames, usable or not; one for each port */
	uint64_t bytes;    /* pixels in all messages */
	struct number_list lists[REPORT_LIST_COUNT];
	size_t series_count, series_room;
	struct report_series *series; /* [series_count] */
	bool finished;                /* the plan was carried out to its end */
	bool delivered;               /* nothing was left in the queues */
	bool forgot;                  /* no memory for a list: the report is not complete */
	uint64_t started_ns;          /* CLOCK_REALTIME, when somebody was there to send to */
	uint64_t elapsed_ns;          /* from there to the delivery of the last */
	uint64_t late;                /* messages more than one period behind their time */
	uint64_t late_max_ns;

	/* Of frames through shared memory. */
	uint64_t cpu_ns;    /* of the process while they were sent; 0: not measured */
	uint64_t waits;     /* times that no slot was free */
	uint64_t reclaimed; /* slots taken back without a release */
};

/* A series begins: what is recorded from now on is about it. */
void send_report_series(struct send_report *r, uint64_t id);

/* Its start message, its end message was sent. */
void send_report_started(struct send_report *r);
void send_report_ended(struct send_report *r);

/* Record what a step of the plan came to: sent, or left out as planned. */
void send_report_add(struct send_report *r, const struct shot *s, const struct shipped *shipped);

/* Record that one port's part of a frame was not sent. */
void send_report_port_lost(struct send_report *r, const struct shot *s, unsigned port);

/* Record a step that could not be sent before the run was stopped. */
void send_report_unsent(struct send_report *r, const struct shot *s);

/* Write the report as JSON:
 *
 *   lost, duplicated, truncated, corrupted, unsent   arrays of frame numbers
 *   swapped                                          array of pairs [early, late]
 *   corrupted_by_kind   kind -> array of frame numbers
 *   ports_lost          array of pairs [frame, port]: not sent, of frames that are in `sent` all
 * the same counts              the lengths of these, with numbers, sent, messages series for each
 * series: id, frames (numbers), sent, messages, started, ended, and its part of these lists
 *   defects             dead, hot, saturated: arrays of pixels [x, y], of the phantom's camera
 *   mishaps             those asked for, by option: frame, count, factor, pixels [x, y]
 *   protocol
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

/* Write a JSON object, which is consumed, to a file. NULL is -ENOMEM. */
int send_report_dump(json_t *report, const char *path);

/* The endpoints of the options as an array. */
json_t *send_report_endpoints(const struct send_options *o);

/* One line for people, with the newline. */
void send_report_print(const struct send_report *r, FILE *out);

/* Accepts a zeroed one. */
void send_report_done(struct send_report *r);

#endif
