/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/idle.h"
#include "daemon/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECOND_NS ((uint64_t)1000000000)

/* Make standard error a pipe; returns the end to read from. */
static int read_standard_error(void)
{
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	cr_assert_geq(dup2(ends[1], STDERR_FILENO), 0);
	cr_assert_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	return ends[0];
}

/* What was written and not read so far. */
static const char *drain(int fd)
{
	static char text[1 << 17];
	size_t used = 0;
	ssize_t n;

	while (used < sizeof text - 1 && (n = read(fd, text + used, sizeof text - 1 - used)) > 0)
		used += (size_t)n;
	text[used] = '\0';
	return text;
}

Test(log, writes_level_area_and_sentence_in_one_line)
{
	int fd = read_standard_error();

	log_open(LOG_TEXT);
	log_line(LOG_WARNING, "sink", "disk full: %s\nnext", "/data");
	cr_assert_str_eq(drain(fd), "warning sink: disk full: /data next\n");
}

static json_t *logged(const char *text)
{
	json_t *line = json_loads(text, 0, NULL);

	cr_assert_not_null(line, "%s", text);
	return line;
}

Test(log, json_lines_hold_whatever_bytes_a_path_has)
{
	static const char *const rows[][2] = {
		{ "/data/\xff\xc3", "/data/??" },
		{ "\"\\\t\x01\x7f", "\"\\   " },
		{ "M\xc3\xbcller \xe2\x82\xac \xf0\x9f\x94\xac",
		  "M\xc3\xbcller \xe2\x82\xac \xf0\x9f\x94\xac" },
		{ "\xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82", "?? ??? ???? ??" },
	};
	int fd = read_standard_error();

	log_open(LOG_JSON);
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		log_line(LOG_ERROR, "daemon", "%s", rows[i][0]);
		json_t *line = logged(drain(fd));
		cr_expect_str_eq(json_string_value(json_object_get(line, "level")), "error");
		cr_expect_str_eq(json_string_value(json_object_get(line, "area")), "daemon");
		cr_expect_str_eq(json_string_value(json_object_get(line, "message")), rows[i][1]);
		cr_expect_eq(strlen(json_string_value(json_object_get(line, "time"))),
		             strlen("2026-01-01T00:00:00.000Z"));
		json_decref(line);
	}
}

Test(log, json_lines_have_the_fields_of_a_sentence)
{
	int fd = read_standard_error();
	json_t *line, *fields;

	log_open(LOG_JSON);
	log_line(LOG_INFO, "series",
	         "series complete path=/data/a b=c/s-1 expected=120 "
	         "size=64 x 32, seconds=2.50 (and 3 more like it)");
	line = logged(drain(fd));
	fields = json_object_get(line, "fields");
	cr_expect_str_eq(json_string_value(json_object_get(fields, "path")), "/data/a");
	cr_expect_str_eq(json_string_value(json_object_get(fields, "b")), "c/s-1");
	cr_expect_eq(json_integer_value(json_object_get(fields, "expected")), 120);
	cr_expect_str_eq(json_string_value(json_object_get(fields, "size")), "64 x 32");
	cr_expect_str_eq(json_string_value(json_object_get(fields, "seconds")), "2.50");
	cr_expect_eq(json_object_size(fields), 5);
	json_decref(line);
	log_line(LOG_INFO, "daemon", "nothing = to see, not A=1 either, nor x=");
	line = logged(drain(fd));
	cr_expect_null(json_object_get(line, "fields"));
	json_decref(line);
}

/* Make JOURNAL_STREAM name standard error, or something else. */
static void pretend_journal(int away)
{
	char text[60];
	struct stat st;

	cr_assert_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)st.st_dev,
	         (unsigned long long)st.st_ino + (unsigned)away);
	setenv("JOURNAL_STREAM", text, 1);
}

Test(log, the_journal_gets_priorities_and_no_progress)
{
	int fd = read_standard_error();
	const char *text;

	pretend_journal(0);
	log_open(LOG_TEXT);
	log_line(LOG_ERROR, "sink", "one");
	log_line(LOG_WARNING, "sink", "two");
	log_line(LOG_INFO, "sink", "three");
	log_progress("frames");
	cr_expect_str_eq(drain(fd), "<3>error sink: one\n<4>warning sink: two\n"
	                            "<6>info sink: three\n");
	log_lines(LOG_ERROR, "a.yaml:1:2: no\na.yaml:3:4: nor this\n");
	cr_expect_str_eq(drain(fd), "<3>a.yaml:1:2: no\n<3>a.yaml:3:4: nor this\n");
	log_open(LOG_JSON);
	log_line(LOG_WARNING, "sink", "two");
	text = drain(fd);
	cr_assert_eq(strncmp(text, "<4>{", 4), 0, "%s", text);
	json_decref(logged(text + 3));
}

Test(log, another_stream_is_not_the_journal)
{
	int fd = read_standard_error();

	pretend_journal(1);
	log_open(LOG_TEXT);
	log_line(LOG_INFO, "sink", "three");
	log_progress("frames");
	cr_expect_str_eq(drain(fd), "info sink: three\ninfo progress: frames\n");
	setenv("JOURNAL_STREAM", "none", 1);
	log_open(LOG_TEXT);
	log_line(LOG_ERROR, "sink", "one");
	cr_expect_str_eq(drain(fd), "error sink: one\n");
}

Test(log, a_reader_that_stalls_holds_nobody_up_and_learns_what_it_missed)
{
	int fd = read_standard_error();
	uint64_t began = clock_monotonic_ns();
	const char *text;

	log_open(LOG_TEXT);
	for (unsigned i = 0; i < 5000; i++)
		log_line(LOG_INFO, "rx0", "line %u of a flood that nobody reads", i);
	cr_assert_lt(clock_monotonic_ns() - began, 5 * SECOND_NS);
	drain(fd);
	log_line(LOG_ERROR, "series", "after the flood");
	text = drain(fd);
	cr_assert(strstr(text, "lines left out: nobody read them\n"), "%s", text);
	cr_assert(strstr(text, "error series: after the flood\n"), "%s", text);
}

Test(log, repeats_are_held_and_summarised_once_a_second)
{
	int fd = read_standard_error();
	struct log_limit limit = { 0 };
	uint64_t now = SECOND_NS;

	log_open(LOG_TEXT);
	cr_assert(log_limit_take(&limit, now, "first"));
	cr_assert_not(log_limit_take(&limit, now + 1, "second"));
	cr_assert_not(log_limit_take(&limit, now + 2, "third"));
	log_limit_flush(&limit, now + 3, LOG_INFO, "rx0");
	cr_assert_str_empty(drain(fd));
	log_limit_flush(&limit, now + SECOND_NS, LOG_INFO, "rx0");
	cr_assert_str_eq(drain(fd), "info rx0: third (and 1 more like it in the last second)\n");
	cr_assert(log_limit_take(&limit, now + 3 * SECOND_NS, "much later"));
}

Test(log, a_burst_is_written_before_repeats_are_held)
{
	struct log_limit limit = { .burst = 3 };

	for (unsigned i = 0; i < 3; i++)
		cr_assert(log_limit_take(&limit, SECOND_NS + i, "event"));
	cr_assert_not(log_limit_take(&limit, SECOND_NS + 4, "event"));
}
