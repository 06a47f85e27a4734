/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_LOG_JSON_H
#define DAEMON_LOG_JSON_H

#include <time.h>

/* A line of the log as a JSON object without a line end: time (UTC), level, area, message, and
 * `fields`, where the sentence has words of the form key=value; a value goes on until the next such
 * word, for a path may hold spaces. Texts are UTF-8. Freed by the caller; NULL: no memory. */
char *log_json(const struct timespec *time, const char *level, const char *area,
               const char *sentence);

#endif
