/* SPDX-License-Identifier: Apache-2.0 */
/* kill -9 at every input and output of a series, in every format: whatever the moment, what was
 * called durable reads back after recovery, and recovery may be killed at any of its own calls.
 *
 *   crash_kill [--long] [--case TEXT]...
 *
 * Without --long every so-manieth call; with it each one. */
#include "tests/crash_rig.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STRIDE         17         /* of the calls killed at, without --long */
#define RECOVER_EVERY  5          /* of those: recovery is killed, too */
#define RECOVER_STRIDE 5          /* at its calls so far apart, without --long */
#define DISK           "/var/tmp" /* not in memory, with O_DIRECT where it can */

struct counts {
	uint64_t kills, recover_kills, frames;
};

static bool is_long;

/* True when the child ended by itself. */
static bool wait_for(pid_t child, const char *what)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			crash_fail("%s: %s", what, strerror(errno));
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return false;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		crash_fail("%s: the process failed by itself (%x)", what, (unsigned)status);
	return true;
}

static pid_t begin(void)
{
	pid_t child = fork();

	if (child < 0)
		crash_fail("fork: %s", strerror(errno));
	return child;
}

/* Write a series up to its n-th call. True when it has fewer. */
static bool write_until(const struct crash_run *r, const char *what)
{
	pid_t child;

	memset(r->notes, 0, sizeof *r->notes);
	child = begin();
	if (child == 0) {
		crash_write(r);
		_exit(0);
	}
	return wait_for(child, what);
}

/* Recover up to the n-th call. True when it has fewer. */
static bool recover_until(const struct crash_run *r, uint64_t nth, const char *what)
{
	pid_t child = begin();

	if (child == 0) {
		uint64_t calls = 0;
		struct crash_kill k = { .calls = &calls, .nth = nth, .moment = r->moment };
		char why[512];
		int err = crash_recover(r->root, crash_kill_io(&k), why);

		if (err && err != -ENOENT)
			crash_fail("%s: recovery, %s", what, why);
		_exit(0);
	}
	return wait_for(child, what);
}

/* Kill recovery at every call, each time from what the first crash left; and once more with each
 * attempt going on from what the one before it left. */
static uint64_t kill_recoveries(const struct crash_run *r, const char *saved, const char *what)
{
	uint64_t step = is_long ? 1 : RECOVER_STRIDE, kills = 0;
	char where[256];

	crash_folder_copy(r->root, saved);
	for (uint64_t n = 1;; n += step) {
		snprintf(where, sizeof where, "%s, then recovery at %" PRIu64, what, n);
		crash_folder_copy(saved, r->root);
		if (recover_until(r, n, where))
			break;
		crash_prove(r->of, r->root, r->notes, 1, where);
		kills++;
	}
	crash_folder_copy(saved, r->root);
	for (uint64_t n = 1; !recover_until(r, n, what); n++)
		kills++;
	return kills;
}

static void sweep(const struct crash_case *c, const char *where, enum crash_moment moment,
                  uint64_t first, struct counts *counts)
{
	uint64_t step = is_long ? 1 : STRIDE, turn = first;
	char root[128], saved[128], what[128];
	struct crash_run r = { .of = c, .root = root, .moment = moment };
	bool over = false;

	r.notes = crash_notes_new();
	crash_folder_make(root, where, "kill");
	crash_folder_make(saved, where, "kill");
	for (r.nth = first; !over; r.nth += step) {
		snprintf(what, sizeof what, "%s, killed %s call %" PRIu64, c->name,
		         moment == CRASH_BEFORE ? "before" : "after", r.nth);
		crash_folder_empty(root);
		over = write_until(&r, what);
		if (over && !r.notes->ended)
			crash_fail("%s: did not end", what);
		if (turn++ % RECOVER_EVERY == RECOVER_EVERY / 2)
			counts->recover_kills += kill_recoveries(&r, saved, what);
		counts->frames += crash_prove(c, root, r.notes, 1, what);
		counts->kills += !over;
	}
	crash_folder_remove(root);
	crash_folder_remove(saved);
	crash_notes_free(r.notes);
}

static struct counts sweep_case(const struct crash_case *c, unsigned i)
{
	struct counts n = { 0 };
	bool on_disk = i % 4 == 1;

	sweep(c, on_disk && !is_long ? DISK : crash_memory(), CRASH_BEFORE,
	      1 + (is_long ? 0 : i * 7 % STRIDE), &n);
	sweep(c, crash_memory(), CRASH_AFTER, 1 + (is_long ? 0 : i * 11 % STRIDE), &n);
	if (is_long && on_disk)
		sweep(c, DISK, CRASH_BEFORE, 1, &n);
	return n;
}

int main(int argc, char **argv)
{
	unsigned count;
	const struct crash_case *cases = crash_cases(&count);
	struct counts all = { 0 };

	is_long = crash_is_long(argc, argv);
	for (unsigned i = 0; i < count; i++) {
		struct counts n;

		if (!crash_is_wanted(&cases[i], argc, argv))
			continue;
		n = sweep_case(&cases[i], i);
		printf("%s: %" PRIu64 " kills of the series, %" PRIu64 " of its recovery, %" PRIu64
		       " frames read back\n",
		       cases[i].name, n.kills, n.recover_kills, n.frames);
		fflush(stdout);
		all.kills += n.kills;
		all.recover_kills += n.recover_kills;
		all.frames += n.frames;
	}
	printf("%" PRIu64 " kills of series, %" PRIu64 " of recoveries, %" PRIu64
	       " frames read back\n",
	       all.kills, all.recover_kills, all.frames);
	return 0;
}
