/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/log.h"
#include "daemon/idle.h"

#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS   1000000000u
#define PATIENCE_MS 50 /* for a reader of the log to make room */

static const char *const level_names[LOG_LEVEL_COUNT] = { "error", "warning", "info" };

static struct {
	pthread_mutex_t lock;
	enum log_format format;
	char progress[512]; /* on the terminal now; "" for none */
	uint64_t left_out;  /* lines, since nobody reads them */
	enum log_level least;
} logger = { .lock = PTHREAD_MUTEX_INITIALIZER, .least = LOG_INFO };

void log_open(enum log_format format)
{
	logger.format = format;
}

void log_least(enum log_level least)
{
	logger.least = least;
}

bool log_is_terminal(void)
{
	return logger.format == LOG_TEXT && isatty(STDERR_FILENO);
}

/* Is there room for a line? A reader that does not read must not hold a measurement up: it gets a
 * moment once, and from then on no line until it reads again. */
static bool can_write(void)
{
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
	bool ready = poll(&out, 1, logger.left_out ? 0 : PATIENCE_MS) == 1;

	if (!ready)
		logger.left_out++;
	return ready;
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

	if (text) {
		put(text, strlen(text));
		put("\n", 1);
	}
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

static void put_line(enum log_level level, const char *area, const char *sentence)
{
	if (logger.format == LOG_JSON)
		put_json(level, area, sentence);
	else
		put_text(level, area, sentence);
}

/* Lock held. */
static void tell_left_out(void)
{
	char sentence[80];

	if (logger.left_out == 0)
		return;
	snprintf(sentence, sizeof sentence, "%llu lines left out: nobody read them",
	         (unsigned long long)logger.left_out);
	logger.left_out = 0;
	put_line(LOG_WARNING, "log", sentence);
}

/* One line, whatever it was made of. A path may hold any bytes, and JSON takes only UTF-8. */
static void clean(char *sentence)
{
	for (char *c = sentence; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
		else if (logger.format == LOG_JSON && (unsigned char)*c > '~')
			*c = '?';
	}
}

void log_line(enum log_level level, const char *area, const char *format, ...)
{
	char sentence[1024];
	va_list arguments;

	if (level > logger.least)
		return;
	va_start(arguments, format);
	vsnprintf(sentence, sizeof sentence, format, arguments);
	va_end(arguments);
	clean(sentence);
	pthread_mutex_lock(&logger.lock);
	if (can_write()) {
		tell_left_out();
		put_line(level, area, sentence);
	}
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
	if (can_write())
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
		l->written = 1;
		return true;
	}
	if (l->held == 0 && l->written < l->burst) {
		l->written++;
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
	if (l->held == 1)
		log_line(level, area, "%s", l->text);
	else
		log_line(level, area, "%s (and %llu more like it in the last second)", l->text,
		         (unsigned long long)(l->held - 1));
	l->held = 0;
	l->last_ns = now_ns;
}
