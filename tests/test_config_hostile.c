/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Input that nobody writes by hand. */

/* Load text and sets; the problems, malloc'd, or "" when there are none. */
static char *problems_of(const char *text, const char *const *sets, unsigned set_count)
{
	struct config c;
	char *problems;
	int err = config_parse(&c, text, text ? strlen(text) : 0, "beam.yaml", sets, set_count,
	                       &problems);

	if (err == 0) {
		cr_expect_null(problems);
		config_done(&c);
		return strdup("");
	}
	cr_assert_eq(err, -EINVAL);
	cr_assert_not_null(problems);
	return problems;
}

static unsigned count_lines(const char *text)
{
	unsigned lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

Test(config_hostile, lists_a_bounded_number_of_problems)
{
	char text[4000] = "";
	char *problems;

	for (unsigned i = 0; i < 300; i++)
		sprintf(text + strlen(text), "key%u: 1\n", i);
	problems = problems_of(text, NULL, 0);
	cr_expect_eq(count_lines(problems), 65);
	cr_expect_not_null(strstr(problems, "more problems follow"));
	free(problems);
}

Test(config_hostile, repeats_only_printable_text_in_messages)
{
	char text[900] = "ingest: {name: \"\\e[31m";
	char *problems;

	memset(text + strlen(text), 'x', 800);
	strcat(text, "\"}");
	problems = problems_of(text, NULL, 0);
	cr_expect_null(strchr(problems, '\033'));
	cr_expect_not_null(strstr(problems, "xxx..."));
	cr_expect_lt(strlen(problems), 400);
	free(problems);
}

/* The worst a file of the accepted size can ask of libyaml; each took minutes unguarded. */
Test(config_hostile, refuses_costly_documents_quickly, .timeout = 20)
{
	static const char *const units[] = {
		"[", "{a: ", "- ", "? ", "&a x: 1\n", "a:\n", "--- a\n"
	};
	size_t length = 1u << 20;
	char *text = malloc(length);

	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		size_t unit = strlen(units[i]);
		struct config c;
		char *problems;

		for (size_t at = 0; at < length; at++)
			text[at] = units[i][at % unit];
		cr_expect_eq(config_parse(&c, text, length, "beam.yaml", NULL, 0, &problems),
		             -EINVAL, "%s", units[i]);
		free(problems);
	}
	free(text);
}

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* A few bytes replaced, removed or doubled. Returns the new length. */
static size_t mutate(char *text, size_t length, uint32_t *state)
{
	static const char bytes[] = "{}[]:,-#&*!|>'\"%@`\t\n \\0123456789eEaN.\xc3\xff";
	unsigned edits = 1 + next_random(state) % 2;

	while (edits-- > 0 && length > 16) {
		size_t at = next_random(state) % length;
		size_t run = 1 + next_random(state) % 4;

		run = run < length - at ? run : length - at;
		switch (next_random(state) % 3) {
		case 0:
			text[at] = bytes[next_random(state) % (sizeof bytes - 1)];
			break;
		case 1:
			memmove(text + at, text + at + run, length - at - run);
			length -= run;
			break;
		default:
			memmove(text + at + run, text + at, length - at);
			length += run;
			break;
		}
	}
	return length;
}

/* The manual without its comments, so that most edits hit something. */
static size_t read_manual(char *text, size_t room)
{
	FILE *file = fopen(SOURCE_DIR "/config/openbeam.yaml", "r");
	char line[256];
	size_t length = 0;

	cr_assert_not_null(file);
	while (fgets(line, sizeof line, file)) {
		size_t line_length = strlen(line);

		if (line[strspn(line, " ")] == '#' || line[0] == '\n')
			continue;
		cr_assert_lt(length + line_length, room);
		memcpy(text + length, line, line_length);
		length += line_length;
	}
	fclose(file);
	return length;
}

Test(config_hostile, survives_random_edits_of_the_manual, .timeout = 100)
{
	char manual[8192], text[8192 + 64];
	size_t length = read_manual(manual, sizeof manual);
	uint32_t state = 2463534242u;
	unsigned good = 0, bad = 0;

	for (unsigned i = 0; i < 4000; i++) {
		struct config c;
		char *problems;
		size_t edited;
		int err;

		memcpy(text, manual, length);
		edited = mutate(text, length, &state);
		err = config_parse(&c, text, edited, "beam.yaml", NULL, 0, &problems);
		if (err == 0) {
			good++;
			cr_expect_null(problems);
			config_done(&c);
		} else {
			bad++;
			cr_assert_eq(err, -EINVAL);
			cr_assert(problems && strncmp(problems, "beam.yaml:", 10) == 0);
			free(problems);
		}
	}
	cr_expect_gt(good, 100, "%u", good);
	cr_expect_gt(bad, 1000);
}
