/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/plain/criterion/criterion.h"

#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED 77

static struct plain_test *tests;

void plain_register(struct plain_test *t)
{
	t->next = tests;
	tests = t;
}

void plain_fail(const char *file, int line, const char *what, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "%s:%d: %.300s: ", file, line, what);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	_exit(1);
}

void plain_skip(const char *why)
{
	printf("skipped: %s\n", why);
	fflush(stdout);
	_exit(SKIPPED);
}

/* The exit status of one test; -1 when it crashed. */
static int run_apart(const struct plain_test *t, void *parameter)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		if (t->run)
			t->run();
		else
			t->run_with(parameter);
		fflush(stdout);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void run_one(const struct plain_test *t, void *parameter, unsigned *tested, unsigned *passed)
{
	int status = run_apart(t, parameter);

	if (status == SKIPPED)
		return;
	(*tested)++;
	*passed += status == 0;
	if (status != 0)
		fprintf(stderr, "[FAIL] %s::%s: %s\n", t->suite, t->name,
		        status < 0 ? "crash" : "see above");
}

int main(void)
{
	unsigned tested = 0, passed = 0;

	for (const struct plain_test *t = tests; t; t = t->next) {
		struct plain_parameters p = { NULL, 0, 1 };

		if (t->parameters)
			p = t->parameters();
		for (size_t i = 0; i < p.count; i++)
			run_one(t, (char *)p.at + i * p.bytes, &tested, &passed);
	}
	printf("[====] Synthesis: Tested: %u | Passing: %u | Failing: %u | Crashing: 0\n", tested,
	       passed, tested - passed);
	return tested > 0 && passed == tested ? 0 : 1;
}
