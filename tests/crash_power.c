/* SPDX-License-Identifier: Apache-2.0 */
/* Power cuts: of each series recorded, trees as a disk could have kept them at random moments, and
 * of some recoveries of those, too. What was durable before the cut must be there.
 *
 *   crash_power [--long] [--seed N] [--case TEXT]... [--forget sync|data]
 *
 * With --forget, fsync() or fdatasync() promise nothing, which must be seen. */
#include "tests/powercut.h"

#include "tests/crash_rig.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CUTS          44  /* of all cases together, */
#define CUTS_LONG     550 /* with --long */
#define CUTS_OF_ONE   5   /* of one recording, before the next */
#define RECOVER_EVERY 4   /* of those: recovery is cut off, too */

struct counts {
	uint64_t series, cuts, recoveries, frames, lost;
};

static uint64_t seed = 1;
static const char *forgotten;

static uint64_t clock_now(void *user)
{
	return powercut_now(user);
}

/* A moment between the first call and the last. */
static uint64_t moment(const struct powercut *p)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return 1 + (seed >> 33) % powercut_now(p);
}

/* Recover what a cut left, and cut that off. */
static void cut_recovery(const char *root, const char *what)
{
	struct powercut *p = powercut_open(root);
	char why[512];
	int err = crash_recover(root, powercut_io(p), why);
	uint64_t at;

	if (err && powercut_now(p) > 0)
		crash_fail("%s: recovery: %s", what, why);
	if (!err && powercut_now(p) > 0) { /* there was something to finish */
		at = moment(p);
		powercut_build(p, at, (enum powercut_model)(seed >> 40 & 1), seed, root);
	}
	powercut_close(p);
}

static void cut(const struct crash_case *c, const struct powercut *p, const char *root,
                const struct crash_notes *n, struct counts *counts)
{
	uint64_t at = moment(p), own = seed;
	enum powercut_model model = (enum powercut_model)(own >> 50 & 1);
	char what[160];

	snprintf(what, sizeof what, "%s, %s cut at %" PRIu64 " of %" PRIu64 ", seed %" PRIu64,
	         c->name, model == POWERCUT_STRICT ? "strict" : "ordered", at, powercut_now(p),
	         own);
	powercut_build(p, at, model, own, root);
	if (counts->cuts++ % RECOVER_EVERY == 0) {
		cut_recovery(root, what);
		counts->recoveries++;
	}
	counts->frames += crash_prove(c, root, n, at, what);
}

static void record(const struct crash_case *c, unsigned cuts, struct counts *counts)
{
	struct crash_notes *n = crash_notes_new();
	struct crash_run r = { .of = c, .notes = n, .clock = clock_now };
	struct powercut *p;
	char root[128];

	crash_folder_make(root, crash_memory(), "power");
	p = powercut_open(root);
	if (forgotten)
		powercut_forget(p, strcmp(forgotten, "data") ? DISK_SYNC : DISK_SYNC_DATA);
	r.root = root;
	r.beneath = powercut_io(p);
	r.clock_user = p;
	crash_write(&r);
	counts->series++;
	for (unsigned i = 0; i < cuts; i++)
		cut(c, p, root, n, counts);
	powercut_close(p);
	crash_folder_remove(root);
	crash_notes_free(n);
}

int main(int argc, char **argv)
{
	unsigned count, cuts = crash_is_long(argc, argv) ? CUTS_LONG : CUTS;
	const struct crash_case *cases = crash_cases(&count);
	struct counts all = { 0 };

	for (int i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[i + 1], NULL, 10);
		if (strcmp(argv[i], "--forget") == 0)
			forgotten = argv[i + 1];
	}
	for (unsigned i = 0; i < count; i++) {
		struct counts n = { 0 };

		if (!crash_is_wanted(&cases[i], argc, argv))
			continue;
		for (unsigned left = (cuts + count - 1) / count; left > 0;) {
			unsigned now = left < CUTS_OF_ONE ? left : CUTS_OF_ONE;

			record(&cases[i], now, &n);
			left -= now;
		}
		printf("%s: %" PRIu64 " power cuts of %" PRIu64 " series, %" PRIu64
		       " of a recovery, %" PRIu64 " frames read back\n",
		       cases[i].name, n.cuts, n.series, n.recoveries, n.frames);
		fflush(stdout);
		all.cuts += n.cuts;
		all.recoveries += n.recoveries;
		all.frames += n.frames;
	}
	printf("%" PRIu64 " power cuts, %" PRIu64 " of recoveries, %" PRIu64 " frames read back\n",
	       all.cuts, all.recoveries, all.frames);
	return 0;
}
