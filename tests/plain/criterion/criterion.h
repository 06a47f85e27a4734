/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PLAIN_CRITERION_CRITERION_H
#define TESTS_PLAIN_CRITERION_CRITERION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the tests of kernels/ use of Criterion, for machines on which it does not start: under
 * qemu-user. Each test runs in a process of its own; the last line is Criterion's. */

struct plain_parameters {
	void *at;
	size_t bytes, count; /* of one, of all */
};

struct plain_test {
	const char *suite, *name;
	void (*run)(void);                           /* or, with parameters, */
	void (*run_with)(void *parameter);           /* this one, with each of */
	struct plain_parameters (*parameters)(void); /* these */
	struct plain_test *next;
};

/* Called before main(). */
void plain_register(struct plain_test *t);

/* End the process: the test failed there, or cannot run here. */
__attribute__((format(printf, 4, 5))) _Noreturn void
plain_fail(const char *file, int line, const char *what, const char *format, ...);
_Noreturn void plain_skip(const char *why);

#define PLAIN_REGISTER(suite, name, ...)                                                           \
	static __attribute__((constructor)) void plain_register_##suite##_##name(void)             \
	{                                                                                          \
		static struct plain_test t = { #suite, #name, __VA_ARGS__ };                       \
                                                                                                   \
		plain_register(&t);                                                                \
	}

#define Test(suite, name, ...)                                                                     \
	static void suite##_##name##_test(void);                                                   \
	PLAIN_REGISTER(suite, name, .run = suite##_##name##_test)                                  \
	static void suite##_##name##_test(void)

/* After the condition a format literal with its values may follow. */
#define PLAIN_CHECK(condition, what, ...)                                                          \
	do {                                                                                       \
		if (!(condition))                                                                  \
			plain_fail(__FILE__, __LINE__, what, " " __VA_ARGS__);                     \
	} while (0)

#define cr_assert(condition, ...)     PLAIN_CHECK(condition, #condition, __VA_ARGS__)
#define cr_assert_not(condition, ...) PLAIN_CHECK(!(condition), "not " #condition, __VA_ARGS__)
#define cr_assert_not_null(p, ...)    PLAIN_CHECK((p) != NULL, #p, __VA_ARGS__)
#define cr_assert_eq(a, b, ...)       PLAIN_CHECK((a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...)      PLAIN_CHECK((a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...)       PLAIN_CHECK((a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...)      PLAIN_CHECK((a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...)       PLAIN_CHECK((a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)   PLAIN_CHECK(strcmp(a, b) == 0, #a " is " #b, __VA_ARGS__)
#define cr_skip_test(why)             plain_skip(why)

#endif
