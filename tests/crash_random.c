/* SPDX-License-Identifier: Apache-2.0 */
/* kill -9 at random moments of time: between calls, within them, with others under way.
 *
 *   crash_random [--long] [--seed N] [--case TEXT]... */
#include "tests/crash_rig.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KILLS      40
#define KILLS_LONG 1000

static uint64_t seed = 1;

static uint64_t random_below(uint64_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (seed >> 33) % n;
}

static void sleep_ns(uint64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / 1000000000u),
		              .tv_nsec = (long)(ns % 1000000000u) };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Write a series, killed after that long; how long it took, or UINT64_MAX when it was killed. */
static uint64_t write_for(const struct crash_run *r, uint64_t ns)
{
	uint64_t begun = now_ns();
	pid_t child = fork();
	int status;

	if (child < 0)
		crash_fail("fork: %s", strerror(errno));
	if (child == 0) {
		crash_write(r);
		_exit(0);
	}
	if (ns != UINT64_MAX) {
		sleep_ns(ns);
		kill(child, SIGKILL);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			crash_fail("waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return UINT64_MAX;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		crash_fail("the series failed by itself");
	return now_ns() - begun;
}

static uint64_t kill_some(const struct crash_case *c, unsigned kills, uint64_t *frames)
{
	struct crash_notes *n = crash_notes_new();
	char root[128], what[160];
	struct crash_run r = { .of = c, .root = root, .notes = n };
	uint64_t whole, killed = 0;

	crash_folder_make(root, crash_memory(), "random");
	whole = write_for(&r, UINT64_MAX);
	while (killed < kills) { /* those that had ended before are proved as well */
		uint64_t ns = random_below(whole + whole / 8);

		crash_folder_empty(root);
		memset(n, 0, sizeof *n);
		killed += write_for(&r, ns) == UINT64_MAX;
		snprintf(what, sizeof what, "%s, killed after %" PRIu64 " ns", c->name, ns);
		*frames += crash_prove(c, root, n, UINT64_MAX, what);
	}
	crash_folder_remove(root);
	crash_notes_free(n);
	return killed;
}

int main(int argc, char **argv)
{
	unsigned count, kills = crash_is_long(argc, argv) ? KILLS_LONG : KILLS;
	const struct crash_case *cases = crash_cases(&count);
	uint64_t killed = 0, frames = 0;

	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[i + 1], NULL, 10);
	for (unsigned i = 0; i < count; i++)
		if (crash_is_wanted(&cases[i], argc, argv))
			killed += kill_some(&cases[i], (kills + count - 1) / count, &frames);
	printf("%" PRIu64 " series killed at random, %" PRIu64 " frames read back\n", killed,
	       frames);
	return 0;
}
