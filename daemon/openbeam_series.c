/* SPDX-License-Identifier: Apache-2.0 */
/* openbeam arm, stop, abort, reset: a series by command, and for scripts how it ended. */
#include "daemon/openbeam_commands.h"
#include "daemon/remote.h"

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define POLL_NS      200000000
#define POLLS_FAILED 25 /* in a row, before the daemon is taken for gone */
#define POLLS_IDLE   5  /* in a row, before nothing is waited for any longer */

static const char series_usage[] =
	"usage: openbeam arm [OPTION]...     have the next frames begin a series\n"
	"       openbeam stop [OPTION]...    end the series; what has arrived is written\n"
	"       openbeam abort [OPTION]...   end it and drop what is not written\n"
	"       openbeam reset [OPTION]...   between series: disarm, forget what is left over\n"
	"\n"
	"      --name NAME        of arm: of the series (default: as configured)\n"
	"      --frames M         of arm: it ends after M frames\n"
	"      --first F          of arm: number of its first frame\n"
	"      --force            of arm: though it will probably not fit\n"
	"      --wait             of arm, stop and abort: until the series is closed, and print\n"
	"                         its totals\n" REMOTE_OPTIONS "\n"
	"Exit status: 0; 1 it cannot be done now, or with --wait frames were lost; 2 usage;\n"
	"69 nothing answers; 76 what answers is no openbeamd; 77 it was refused.\n";

static const struct order {
	const char *name, *takes, *done;
} orders[] = {
	{ "arm", "NFbOw", "armed: the next frames begin a series" },
	{ "stop", "w", "stopped" },
	{ "abort", "w", "aborted, and what was not written dropped" },
	{ "reset", "", "reset" },
};

static const struct order *order_of(const char *name)
{
	const struct order *o = orders;

	while (strcmp(o->name, name) != 0)
		o++;
	return o;
}

/* ---- waiting for the end ---- */

static uint64_t closed_of(const json_t *status)
{
	return remote_count(json_object_get(status, "since_start"), "series_closed");
}

static bool is_over(const json_t *status, uint64_t closed_before)
{
	return closed_of(status) > closed_before &&
	       !json_is_object(json_object_get(status, "armed"));
}

static void show_progress(const json_t *status)
{
	const json_t *frames = json_object_get(status, "frames");

	if (!isatty(STDERR_FILENO))
		return;
	fputs("\r\033[K", stderr);
	remote_put(stderr, remote_text(status, "state"));
	if (strcmp(remote_text(status, "state"), "armed") != 0)
		fprintf(stderr, ": %" PRIu64 " of %" PRIu64 " frames written",
		        remote_count(frames, "written"), remote_count(frames, "expected"));
}

static void end_progress(void)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

/* Neither runs a series nor is one armed, and none was closed. */
static bool is_idle(const json_t *status, uint64_t closed_before)
{
	return strcmp(remote_text(status, "state"), "idle") == 0 &&
	       !json_is_object(json_object_get(status, "armed")) &&
	       closed_of(status) == closed_before;
}

/* What one look says. True: nothing more is waited for; *ret_status is then the exit status. */
static bool has_ended(const json_t *status, uint64_t closed_before, unsigned *idle, int *ret_status)
{
	*ret_status = 0;
	if (is_over(status, closed_before))
		return true;
	*idle = is_idle(status, closed_before) ? *idle + 1 : 0;
	if (closed_of(status) < closed_before)
		*ret_status = remote_say(REMOTE_FAILED, "the daemon was started anew meanwhile");
	else if (*idle >= POLLS_IDLE)
		*ret_status = remote_say(REMOTE_FAILED, "there was no series: it was disarmed");
	else
		show_progress(status);
	return *ret_status != 0;
}

/* The daemon may be away for a moment. 0 with the status of the closed series, which is then the
 * caller's, or the exit status. */
static int wait_for_end(const struct remote *r, uint64_t closed_before, json_t **ret_status)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	unsigned failed = 0, idle = 0;

	for (;;) {
		json_t *answer = NULL;
		int status =
			remote_ask(r, "/api/v1/status", NULL, failed + 1 < POLLS_FAILED, &answer);
		bool ended = status == 0 && has_ended(answer, closed_before, &idle, &status);

		if (ended)
			end_progress();
		if (ended && status == 0) {
			*ret_status = answer;
			return 0;
		}
		json_decref(answer);
		failed = status == EX_UNAVAILABLE ? failed + 1 : 0;
		if (status != 0 && (status != EX_UNAVAILABLE || failed >= POLLS_FAILED))
			return status;
		nanosleep(&pause, NULL);
	}
}

/* Its totals; the exit status. */
static int print_end(const struct remote *r, const json_t *status)
{
	const json_t *f = json_object_get(status, "frames");
	uint64_t dropped = remote_sum(json_object_get(f, "dropped")),
		 missing = remote_sum(json_object_get(f, "missing"));

	if (r->as_json) {
		remote_print_json(status);
	} else {
		remote_put(stdout, remote_text(json_object_get(status, "series"), "path"));
		printf("\nexpected %" PRIu64 "  written %" PRIu64 "  durable %" PRIu64
		       "  dropped %" PRIu64 "  missing %" PRIu64 "  flagged %" PRIu64 "\n",
		       remote_count(f, "expected"), remote_count(f, "written"),
		       remote_count(f, "durable"), dropped, missing, remote_count(f, "flagged"));
	}
	return dropped + missing + remote_count(f, "flagged") > 0 ? REMOTE_FAILED : EX_OK;
}

/* ---- commands ---- */

static int give_and_wait(const struct remote *r, const char *name)
{
	json_t *before = NULL, *answer = NULL, *end = NULL;
	int status = remote_ask(r, "/api/v1/status", NULL, false, &before);

	if (status == 0)
		status = remote_give(r, name, &answer);
	if (status == 0)
		status = wait_for_end(r, closed_of(before), &end);
	if (status == 0)
		status = print_end(r, end);
	json_decref(before);
	json_decref(answer);
	json_decref(end);
	return status;
}

static int give_only(const struct remote *r, const struct order *o)
{
	json_t *answer = NULL;
	int status = remote_give(r, o->name, &answer);
	const char *series = remote_text(answer, "series");

	if (status == 0 && r->as_json) {
		remote_print_json(answer);
	} else if (status == 0) {
		printf("%s%s", o->done, series[0] ? ": " : "");
		remote_put(stdout, series);
		putchar('\n');
	}
	json_decref(answer);
	return status;
}

/* argv[0] says which. */
int openbeam_series(int argc, char **argv)
{
	const struct order *o = order_of(argv[0]);
	struct remote r;
	int status = remote_parse(&r, argc, argv, o->takes);

	if (status == 0 && r.help)
		fputs(series_usage, stdout);
	if (status != 0 || r.help)
		return status;
	return r.wait ? give_and_wait(&r, o->name) : give_only(&r, o);
}
