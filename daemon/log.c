/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/log.h"
#include "daemon/idle.h"

#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000u

static const char *const level_names[LOG_LEVEL_COUNT] = { "error", "warning", "info" };

static struct {
	pthread_mutex_t lock;
	enum log_format format;
	char progress[512]; /* on the terminal now; "" for none */
} logger = { .lock = PTHREAD_MUTEX_INITIALIZER };

void log_open(enum log_format format)
{
	logger.format = format;
}

bool log_is_terminal(void)
{
	return logger.format == LOG_TEXT && isatty(STDERR_FILENO);
}

static void put(const char *text, size_t length)
{
	while (length > 0) {
		ssize_t written = write(STDERR_FILENO, text, length);

		if (written <= 0)
			return; /* nobody to tell */
		text += written;
		length -= (size_t)written;
	}
}

static void put_json(enum log_level level, const char *area, const char *sentence)
{
	char time_text[40];
	struct timespec now;
	struct tm utc;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	size_t n = strftime(time_text, sizeof time_text, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(time_text + n, sizeof time_text - n, ".%03ldZ", now.tv_nsec / 1000000);

	json_t *line = json_pack("{s:s, s:s, s:s, s:s}", "time", time_text, "level",
	                         level_names[level], "area", area, "message", sentence);
	char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;

	if (text)
		dprintf(STDERR_FILENO, "%s\n", text);
	free(text);
	json_decref(line);
}

static void put_text(enum log_level level, const char *area, const char *sentence)
{
	char line[1400];
	bool redraw = logger.progress[0] != '\0';
	int n = snprintf(line, sizeof line, "%s%s %s: %s\n%s", redraw ? "\r\033[K" : "",
	                 level_names[level], area, sentence, redraw ? logger.progress : "");

	if (n > 0)
		put(line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

void log_line(enum log_level level, const char *area, const char *format, ...)
{
	char sentence[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sentence, sizeof sentence, format, arguments);
	va_end(arguments);
	for (char *c = sentence; *c; c++)
		if (*c == '\n' || *c == '\r')
			*c = ' ';

	pthread_mutex_lock(&logger.lock);
	if (logger.format == LOG_JSON)
		put_json(level, area, sentence);
	else
		put_text(level, area, sentence);
	pthread_mutex_unlock(&logger.lock);
}

void log_progress(const char *text)
{
	if (!log_is_terminal()) {
		log_line(LOG_INFO, "progress", "%s", text);
		return;
	}
	pthread_mutex_lock(&logger.lock);
	snprintf(logger.progress, sizeof logger.progress, "%s", text);
	dprintf(STDERR_FILENO, "\r\033[K%s", logger.progress);
	pthread_mutex_unlock(&logger.lock);
}

void log_progress_end(void)
{
	pthread_mutex_lock(&logger.lock);
	if (logger.progress[0])
		put("\n", 1);
	logger.progress[0] = '\0';
	pthread_mutex_unlock(&logger.lock);
}

bool log_limit_take(struct log_limit *l, uint64_t now_ns, const char *text)
{
	if (l->last_ns == 0 || (l->held == 0 && now_ns - l->last_ns >= SECOND_NS)) {
		l->last_ns = now_ns;
		return true;
	}
	l->held++;
	snprintf(l->text, sizeof l->text, "%s", text);
	return false;
}

void log_limit_flush(struct log_limit *l, uint64_t now_ns, enum log_level level, const char *area)
{
	if (l->held == 0 || now_ns - l->last_ns < SECOND_NS)
		return;
	log_line(level, area, "%s (and %llu more like it in the last second)", l->text,
	         (unsigned long long)(l->held - 1));
	l->held = 0;
	l->last_ns = now_ns;
}
