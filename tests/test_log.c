/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/idle.h"
#include "daemon/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
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

Test(log, json_lines_hold_whatever_bytes_a_path_has)
{
	int fd = read_standard_error();
	json_t *line;

	log_open(LOG_JSON);
	log_line(LOG_ERROR, "daemon", "cannot open \"%s\"", "/data/\xff\xc3");
	line = json_loads(drain(fd), 0, NULL);
	cr_assert_not_null(line);
	cr_expect_str_eq(json_string_value(json_object_get(line, "level")), "error");
	cr_expect_str_eq(json_string_value(json_object_get(line, "message")),
	                 "cannot open \"/data/??\"");
	json_decref(line);
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
