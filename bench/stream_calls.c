/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/stream_bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHORT_FRAMES 40
#define LONG_FRAMES  140
#define TIMEOUT      60.0
#define SHOWN        5   /* names */
#define LEAST        0.1 /* calls a frame of a name that is shown */

/* Whether a program of that name is in PATH. */
static bool is_in_path(const char *name)
{
	const char *at = getenv("PATH");

	while (at) {
		int length = (int)strcspn(at, ":");
		char path[512];

		snprintf(path, sizeof path, "%.*s/%s", length, at, name);
		if (access(path, X_OK) == 0)
			return true;
		at += length;
		at = *at ? at + 1 : NULL;
	}
	return false;
}

static double calls_named(const struct trial_calls *c, const char *name)
{
	for (unsigned i = 0; i < c->count; i++)
		if (strcmp(c->at[i].name, name) == 0)
			return (double)c->at[i].calls;
	return 0;
}

/* The name whose difference is the greatest below `below`; -1: none. */
static int next_most(const double *more, unsigned count, const bool *said)
{
	int best = -1;

	for (unsigned i = 0; i < count; i++)
		if (!said[i] && more[i] >= LEAST && (best < 0 || more[i] > more[best]))
			best = (int)i;
	return best;
}

/* What the longer run did more, by its frames: getting ready and ending are left out. */
static void compare(const struct trial_calls *few, const struct trial_calls *many, unsigned side,
                    struct stream_calls *ret)
{
	double more[TRIAL_CALLS_MAX];
	bool said[TRIAL_CALLS_MAX] = { false };
	char *text = ret->text[side];
	size_t at = 0, room = sizeof ret->text[side];
	int best;

	ret->per_frame[side] = 0;
	text[0] = '\0';
	for (unsigned i = 0; i < many->count; i++) {
		more[i] = ((double)many->at[i].calls - calls_named(few, many->at[i].name)) /
		          (LONG_FRAMES - SHORT_FRAMES);
		ret->per_frame[side] += more[i];
	}
	for (unsigned n = 0; n < SHOWN && (best = next_most(more, many->count, said)) >= 0; n++) {
		said[best] = true;
		at += (size_t)snprintf(text + at, room - at, "%s%s %.2f", n ? ", " : "",
		                       many->at[best].name, more[best]);
		if (at >= room)
			return;
	}
}

static void leave_out(struct stream_calls *ret, const char *why)
{
	for (unsigned i = 0; i < 2; i++) {
		ret->per_frame[i] = NAN;
		snprintf(ret->text[i], sizeof ret->text[i], "%s", why);
	}
}

int stream_count_calls(struct stream_bench *b, struct stream_calls *ret, char why[512])
{
	struct trial_figures *f = calloc(2, sizeof *f);
	int status;

	leave_out(ret, "no strace");
	if (!f || !is_in_path("strace")) {
		free(f);
		return 0;
	}
	b->trial.plan.traced = true;
	status = trial_run(&b->trial, SHORT_FRAMES, TIMEOUT, &f[0], why);
	if (!status)
		status = trial_run(&b->trial, LONG_FRAMES, TIMEOUT, &f[1], why);
	b->trial.plan.traced = false;
	if (status && !*b->stop) { /* it may be forbidden here */
		leave_out(ret, "strace does not work here");
		status = 0;
	} else if (!status) {
		for (unsigned i = 0; i < 2; i++)
			compare(&f[0].calls[i], &f[1].calls[i], i, ret);
	}
	free(f);
	return status;
}
