/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

/* Lines on standard error, `level area: sentence key=value`, one write each, any thread. Not for
 * the data path: it locks. A reader that stalls loses lines, which are counted, and holds nobody
 * up. Where standard error is the journal (JOURNAL_STREAM), each line starts with its priority,
 * which the journal takes off. Bytes that are not UTF-8 become question marks. */

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_LEVEL_COUNT };

/* Before the first line; a line is JSON or text. */
void log_open(enum log_format format);

/* Leave out lines that matter less than `least`. Before the threads. */
void log_least(enum log_level least);

__attribute__((format(printf, 3, 4))) void log_line(enum log_level level, const char *area,
                                                    const char *format, ...);

/* Lines that are complete as they are, whatever the format: what is said before log_open(). */
void log_lines(enum log_level level, const char *lines);

/* Show `text` as the progress: one redrawn line on a terminal, a plain line otherwise; none in the
 * journal, whose reader has it from `systemctl status`. Main thread. */
void log_progress(const char *text);

/* End the redrawn line, if there is one. */
void log_progress_end(void);

/* True when standard error is a terminal: progress is redrawn rather than repeated. */
bool log_is_terminal(void);

/* Repeats of one kind of line: the first (or the first `burst` of a second) are written at once,
 * then one summary a second. Belongs to one thread. */
struct log_limit {
	unsigned burst;   /* set by the owner; 0: 1 */
	unsigned written; /* in the last second */
	uint64_t last_ns; /* CLOCK_MONOTONIC of the last line */
	uint64_t held;    /* repeats since */
	char text[256];   /* the latest repeat */
};

/* True when the line may be written now. Otherwise it is held with `text`. */
bool log_limit_take(struct log_limit *l, uint64_t now_ns, const char *text);

/* Write the summary of what is held, if a second has passed. */
void log_limit_flush(struct log_limit *l, uint64_t now_ns, enum log_level level, const char *area);

#endif
