/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/header.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct header header;

static void set_up(void)
{
	cr_assert_eq(header_open(&header, HEADER_ARENA), 0);
}

static void tear_down(void)
{
	header_close(&header);
}

TestSuite(header, .init = set_up, .fini = tear_down);

static const json_t *parse(const char *text)
{
	return header_parse(&header, text, strlen(text));
}

/* The integer under key n of {"n": <text>}; false when the header is refused or n is none. */
static bool integer_of(const char *text, uint64_t *ret)
{
	char object[256];
	const json_t *root;

	snprintf(object, sizeof object, "{\"n\": %s}", text);
	root = parse(object);
	return root && header_integer(json_object_get(root, "n"), ret);
}

Test(header, reads_every_integer_up_to_2_to_the_64_exactly)
{
	static const struct {
		const char *text;
		uint64_t value;
	} rows[] = {
		{ "0", 0 },
		{ "-0", 0 },
		{ "0.0", 0 },
		{ "0e5", 0 },
		{ "0E-5", 0 },
		{ "7", 7 },
		{ "1e3", 1000 },
		{ "1E+3", 1000 },
		{ "1.5e3", 1500 },
		{ "1500e-2", 15 },
		{ "12.000", 12 },
		{ "1.20e1", 12 },
		{ "100e-2", 1 },
		{ "3682521969", 3682521969 },
		{ "9007199254740993", 9007199254740993 }, /* not a double */
		{ "9.007199254740993e15", 9007199254740993 },
		{ "9223372036854775807", 9223372036854775807u },
		{ "9223372036854775808", 9223372036854775808u },
		{ "18446744073709551614", 18446744073709551614u },
		{ "18446744073709551615", 18446744073709551615u },
		{ "1.8446744073709551615e19", 18446744073709551615u },
		{ "1e19", 10000000000000000000u },
		{ "10000000000000000000e0", 10000000000000000000u },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t value = 1234567;

		cr_expect(integer_of(rows[i].text, &value), "%s", rows[i].text);
		cr_expect_eq(value, rows[i].value, "%s became %" PRIu64, rows[i].text, value);
	}
}

Test(header, finds_no_integer_in_other_values)
{
	static const char *const rows[] = {
		"-1",
		"-1e3",
		"1.5",
		"1e-1",
		"18446744073709551616",
		"2e19",
		"1e20",
		"true",
		"null",
		"\"7\"",
		"[7]",
		"{}",
		"1e300",
		"0.0001",
		"-9223372036854775808",
		"\"\"",
		"99999999999999999999999999999999999999999999",
		"-99999999999999999999999999999999999999999999",
		"\"\\uffff\"",
		"\"\\uffff-1\"",
		"\"\\uffff7x\"",
		"0.00000000000000000000000000000000000000000000000000000000001",
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t value = 1234567;

		cr_expect_not(integer_of(rows[i], &value), "%s became %" PRIu64, rows[i], value);
		cr_expect_eq(value, 1234567);
	}
	cr_expect_not(header_integer(NULL, &(uint64_t){ 0 }));
}

Test(header, accepts_huge_numbers_under_keys_that_nobody_reads)
{
	cr_expect(parse("{\"hash\": 340282366920938463463374607431768211456, \"n\": 1}"), "%s",
	          header.why);
	cr_expect(parse("{\"low\": -340282366920938463463374607431768211456}"), "%s", header.why);
}

Test(header, refuses_what_is_no_number)
{
	static const char *const rows[] = { "01",  "+1",       "1.",   ".5",    "1e",   "1e+",
		                            "-",   "1..",      "--1",  "1e1e1", "0x10", "1-1",
		                            "NaN", "Infinity", "1.e5", "1e5.5", "1_000" };

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		cr_expect_not(integer_of(rows[i], &(uint64_t){ 0 }), "%s", rows[i]);
}

Test(header, leaves_numbers_inside_strings_alone)
{
	const json_t *root = parse("{\"a\": \"x 1e3 \\\" 18446744073709551615\", \"b\\\\\": 2e0}");
	uint64_t value = 0;

	cr_assert(root, "%s", header.why);
	cr_expect_str_eq(json_string_value(json_object_get(root, "a")),
	                 "x 1e3 \" 18446744073709551615");
	cr_expect(header_integer(json_object_get(root, "b\\"), &value));
	cr_expect_eq(value, 2);
}

Test(header, reads_booleans_as_words_and_as_numbers)
{
	const json_t *root = parse("{\"a\": true, \"b\": 0, \"c\": 1, \"d\": 2, \"e\": \"true\"}");
	bool value = false;

	cr_expect(header_boolean(json_object_get(root, "a"), &value) && value);
	cr_expect(header_boolean(json_object_get(root, "b"), &value) && !value);
	cr_expect(header_boolean(json_object_get(root, "c"), &value) && value);
	cr_expect_not(header_boolean(json_object_get(root, "d"), &value));
	cr_expect_not(header_boolean(json_object_get(root, "e"), &value));
	cr_expect_not(header_boolean(NULL, &value));
}

Test(header, says_what_is_wrong)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "", "empty" },
		{ "GET / HTTP/1.1", "no JSON" },
		{ "{\"frame\": 1", "no JSON" },
		{ "{\"frame\": 1} x", "no JSON" },
		{ "{\"frame\": 1, \"frame\": 2}", "duplicate" },
		{ "{\"a\": {\"b\": 1, \"b\": 2}}", "duplicate" },
		{ "[1, 2]", "array" },
		{ "7", "no JSON" },
		{ "{\"a\": \"\xff\"}", "no JSON" },
		{ "{\"a\x1b[31m\": \n!}", "no JSON" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		cr_expect_null(parse(rows[i].text), "%s", rows[i].text);
		cr_expect(strstr(header.why, rows[i].why), "%s: %s", rows[i].text, header.why);
		for (const char *c = header.why; *c; c++)
			cr_expect(*c >= ' ' && *c <= '~', "byte %d in why", *c);
	}
}

Test(header, accepts_white_space_around_the_object)
{
	cr_expect(parse(" \r\n\t{ \"frame\" : 1 } \r\n"), "%s", header.why);
}

Test(header, refuses_deep_nesting)
{
	char text[3 * HEADER_BYTES_MAX];

	for (size_t depth = HEADER_DEPTH_MAX - 1; depth <= HEADER_BYTES_MAX; depth *= 2) {
		size_t n = (size_t)sprintf(text, "{\"a\":");

		memset(text + n, '[', depth);
		memset(text + n + depth, ']', depth);
		strcpy(text + n + 2 * depth, "}");
		cr_expect_eq(parse(text) != NULL, depth < HEADER_DEPTH_MAX, "depth %zu", depth);
	}
}

Test(header, refuses_more_than_64_kib)
{
	char *text = malloc(HEADER_BYTES_MAX + 2);

	memset(text, ' ', HEADER_BYTES_MAX + 2);
	text[0] = '{';
	text[HEADER_BYTES_MAX - 1] = '}';
	cr_expect(header_parse(&header, text, HEADER_BYTES_MAX));
	cr_expect_null(header_parse(&header, text, HEADER_BYTES_MAX + 1));
	cr_expect(strstr(header.why, "65537"));
	free(text);
}

/* The array of as many copies of `item` as a header can have. */
static char *crowd(const char *item)
{
	size_t n = 5, step = strlen(item);
	char *text = malloc(HEADER_BYTES_MAX + 1);

	memcpy(text, "{\"a\":[", 6);
	for (n = 6; n + step + 2 + 4 < HEADER_BYTES_MAX; n += step)
		memcpy(text + n, item, step);
	sprintf(text + n, "0]}");
	return text;
}

Test(header, holds_ten_thousand_numbers)
{
	char *text = crowd("12345,");
	const json_t *root = parse(text);

	cr_assert(root, "%s", header.why);
	cr_expect_gt(json_array_size(json_object_get(root, "a")), 10000);
	free(text);
}

Test(header, survives_the_texts_that_grow_most)
{
	static const char *const items[] = {
		"1e19,", "0e0,", "[],", "{},", "\"\",", "{\"\":{}},", "18446744073709551615,",
		"1e18,"
	};

	for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
		char *text = crowd(items[i]);

		if (!parse(text))
			cr_expect(strstr(header.why, "too many values"), "%s", header.why);
		cr_expect(parse("{\"n\": 1}"), "the next header is read");
		free(text);
	}
}

Test(header, refuses_cleanly_at_every_size_of_the_arena)
{
	const char *text = "{\"frame\": 1, \"a\": [1, 2.5, {\"b\": \"text that is not short\"}],"
			   " \"c\": {\"d\": null}, \"e\": 18446744073709551615}";
	bool parsed = false;

	header_close(&header);
	for (size_t bytes = 0; bytes < 8192; bytes += 16) {
		cr_assert_eq(header_open(&header, bytes), 0);
		parsed = parse(text) != NULL;
		if (!parsed)
			cr_expect(strstr(header.why, "too many values"), "%zu: %s", bytes,
			          header.why);
		header_close(&header);
	}
	cr_expect(parsed, "8 KiB are enough");
	cr_assert_eq(header_open(&header, HEADER_ARENA), 0);
}

Test(header, leaves_the_heap_alone_once_open)
{
	const char *text = "{\"frame\": 1, \"a\": [1, 2.5, {\"b\": \"text that is not short\"}]}";
	struct mallinfo2 before, after;

	parse(text);
	before = mallinfo2();
	for (int i = 0; i < 10000; i++)
		cr_assert(parse(text));
	after = mallinfo2();
	cr_expect_eq(before.uordblks, after.uordblks, "%zu bytes more",
	             after.uordblks - before.uordblks);
}

static void *use_jansson(void *unused)
{
	(void)unused;
	for (int i = 0; i < 2000; i++) {
		json_t *object = json_pack("{s:i, s:[s, s]}", "i", i, "list", "a", "b");
		char *text = json_dumps(object, JSON_SORT_KEYS);

		cr_assert_str_eq(text + strlen(text) - 11, "[\"a\", \"b\"]}");
		free(text);
		json_decref(object);
	}
	return NULL;
}

Test(header, does_not_disturb_other_users_of_jansson)
{
	json_t *mine = json_pack("{s:i}", "kept", 42);
	pthread_t other;

	pthread_create(&other, NULL, use_jansson, NULL);
	for (int i = 0; i < 20000; i++)
		cr_assert(parse("{\"frame\": 1, \"a\": {\"b\": [1, 2, 3]}}"));
	pthread_join(other, NULL);
	cr_expect_eq(json_integer_value(json_object_get(mine, "kept")), 42);
	json_decref(mine);
}
