/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/log.h"
#include "daemon/idle.h"
#include "daemon/log_json.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS   1000000000u
#define PATIENCE_MS 50 /* for a reader of the log to make room */

static const char *const level_names[LOG_LEVEL_COUNT] = { "error", "warning", "info" };

/* What the journal takes for a line's priority, and off the line: sd-daemon(3). */
static const char *const journal_prefixes[LOG_LEVEL_COUNT] = { "<3>", "<4>", "<6>" };

static struct {
	pthread_mutex_t lock;
	enum log_format format;
	bool journal;       /* standard error is the journal's */
	char progress[512]; /* on the terminal now; "" for none */
	uint64_t left_out;  /* lines, since nobody reads them */
	enum log_level least;
} logger = { .lock = PTHREAD_MUTEX_INITIALIZER, .least = LOG_INFO };

/* JOURNAL_STREAM is inherited also by what has standard error elsewhere: it names the stream. */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;
	int end = 0;

	return stream && sscanf(stream, "%llu:%llu%n", &device, &inode, &end) == 2 &&
	       stream[end] == '\0' && fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
	       st.st_ino == inode;
}

void log_open(enum log_format format)
{
	logger.format = format;
	logger.journal = is_journal();
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

static const char *prefix(enum log_level level)
{
	return logger.journal ? journal_prefixes[level] : "";
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
	struct timespec now;
	char *line, *whole = NULL;

	clock_gettime(CLOCK_REALTIME, &now);
	line = log_json(&now, level_names[level], area, sentence);
	if (line && asprintf(&whole, "%s%s\n", prefix(level), line) > 0) {
		put(whole, strlen(whole));
		free(whole);
	}
	free(line);
}

static void put_text(enum log_level level, const char *area, const char *sentence)
{
	char line[1400];
	bool redraw = logger.progress[0] != '\0';
	int n = snprintf(line, sizeof line, "%s%s%s %s: %s\n%s", redraw ? "\r\033[K" : "",
	                 prefix(level), level_names[level], area, sentence,
	                 redraw ? logger.progress : "");

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

/* How many bytes the character has that starts here; 0: this is no UTF-8 (RFC 3629). */
static size_t character_bytes(const unsigned char *c)
{
	size_t bytes = c[0] < 0x80 ? 1 : c[0] < 0xc2 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;

	if (c[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < bytes; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f) ||
	    (c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] > 0x8f))
		return 0;
	return bytes;
}

/* One line, whatever it was made of. A path may hold any bytes; JSON and the journal take only
 * UTF-8 for text. */
static void clean(char *sentence)
{
	unsigned char *c = (unsigned char *)sentence;

	while (*c) {
		size_t bytes = character_bytes(c);

		if (bytes == 0)
			*c = '?';
		else if (*c < ' ' || *c == 0x7f)
			*c = ' ';
		c += bytes ? bytes : 1;
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

void log_lines(enum log_level level, const char *lines)
{
	logger.journal = is_journal();
	while (*lines) {
		int length = (int)strcspn(lines, "\n");

		fprintf(stderr, "%s%.*s\n", prefix(level), length, lines);
		lines += length + (lines[length] == '\n');
	}
}

void log_progress(const char *text)
{
	if (logger.journal)
		return;
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
