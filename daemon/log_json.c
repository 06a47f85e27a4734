/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/log_json.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPEATS " (and " /* what log_limit_flush() puts behind a sentence */

/* How long the key is that starts here, when there is one and a value behind it. */
static size_t key_length(const char *word)
{
	size_t n = strspn(word, "abcdefghijklmnopqrstuvwxyz_0123456789");

	return word[n] == '=' && word[n + 1] != ' ' && word[n + 1] != '\0' ? n : 0;
}

/* The first word from `text` on that starts with a key; NULL: none. */
static const char *next_field(const char *text)
{
	while (text && key_length(text) == 0) {
		text = strchr(text, ' ');
		text = text ? text + 1 : NULL;
	}
	return text;
}

static json_t *value_of(const char *text, size_t length)
{
	char number[24], *end;

	if (length < 20 && strspn(text, "0123456789") >= length) {
		memcpy(number, text, length);
		number[length] = '\0';
		errno = 0;
		long long value = strtoll(number, &end, 10);
		if (errno == 0 && *end == '\0')
			return json_integer(value);
	}
	return json_stringn(text, length);
}

static json_t *fields_of(const char *sentence)
{
	const char *field = next_field(sentence), *stop = strstr(sentence, REPEATS);
	json_t *fields = field ? json_object() : NULL;

	while (fields && field && (!stop || field < stop)) {
		size_t key = key_length(field);
		const char *value = field + key + 1, *next = next_field(value);
		const char *end = next ? next : value + strlen(value);
		char name[64];

		if (stop && stop < end)
			end = stop;
		while (end > value && strchr(" ,", end[-1]))
			end--;
		snprintf(name, sizeof name, "%.*s", (int)key, field);
		json_object_set_new(fields, name, value_of(value, (size_t)(end - value)));
		field = next;
	}
	return fields;
}

char *log_json(const struct timespec *time, const char *level, const char *area,
               const char *sentence)
{
	char text[40];
	struct tm utc;

	gmtime_r(&time->tv_sec, &utc);
	size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text + n, sizeof text - n, ".%03ldZ", time->tv_nsec / 1000000);

	json_t *line = json_pack("{s:s, s:s, s:s, s:s, s:o*}", "time", text, "level", level, "area",
	                         area, "message", sentence, "fields", fields_of(sentence));
	char *dump = line ? json_dumps(line, JSON_COMPACT) : NULL;

	json_decref(line);
	return dump;
}
