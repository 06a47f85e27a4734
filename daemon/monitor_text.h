/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_MONITOR_TEXT_H
#define DAEMON_MONITOR_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* A text that grows. Once memory is out it stays as it is, and `failed` says so: who writes needs
 * not look at each call. */
struct text {
	char *at; /* ended by a 0 that does not count; NULL: nothing was written */
	size_t length, room;
	bool failed;
};

__attribute__((format(printf, 2, 3))) void text_add(struct text *t, const char *format, ...);

/* A number as JSON has it, with `digits` significant ones; null where it has none. */
void text_add_number(struct text *t, double value, int digits);

/* The text, malloc'd, and its length; NULL when memory was out. The struct is then empty. */
char *text_take(struct text *t, size_t *ret_length);

#endif
