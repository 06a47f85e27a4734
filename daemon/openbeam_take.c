/* SPDX-License-Identifier: Apache-2.0 */
/* openbeam dark and flat: a calibration taken from the stream, and what becomes of it. */
#include "daemon/openbeam_commands.h"
#include "daemon/remote.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define POLL_NS      500000000
#define POLLS_FAILED 10 /* in a row, before the daemon is taken for gone */

static const char take_usage[] =
	"usage: openbeam dark N [OPTION]...\n"
	"       openbeam flat N [OPTION]...\n"
	"\n"
	"Has the daemon take its next N frames for a dark or a flat, waits until the image is "
	"made\n"
	"and used, and says what became of it and where it is.\n"
	"\n"
	"      --mean, --median   how pixels are combined (default: as configured)\n"
	"      --for flats        of dark: it is subtracted from the flat alone\n"
	"      --timeout TIME     give up when no frame comes for so long: 60s, 2min\n"
	"      --no-wait          only give the command\n" REMOTE_OPTIONS "\n"
	"Exit status: 0; 1 it failed; 2 usage; 69 nothing answers; 76 what answers is no "
	"openbeamd;\n"
	"77 it was refused.\n";

/* status.calibration, of its own; NULL with the exit status. */
static json_t *calibration(const struct remote *r, bool quiet, int *ret_status)
{
	json_t *answer = NULL, *found;

	*ret_status = remote_ask(r, "/api/v1/status", NULL, quiet, &answer);
	found = json_incref(json_object_get(answer, "calibration"));
	if (*ret_status == 0 && !json_is_object(found))
		*ret_status = remote_say_unreachable(r, -EPROTO);
	json_decref(answer);
	return found;
}

static void show_progress(const char *role, const json_t *c)
{
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r\033[K%s: ", role);
	if (strcmp(remote_text(c, "state"), "making") == 0)
		fprintf(stderr, "making the image of %" PRIu64 " frames", remote_count(c, "taken"));
	else
		fprintf(stderr, "%" PRIu64 " of %" PRIu64 " frames", remote_count(c, "taken"),
		        remote_count(c, "wanted"));
}

static void end_progress(void)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

static int print_result(const struct remote *r, const json_t *c)
{
	bool failed = json_is_true(json_object_get(c, "failed"));

	if (r->as_json) {
		remote_print_json(c);
		return failed ? REMOTE_FAILED : EX_OK;
	}
	if (failed)
		return remote_say(REMOTE_FAILED, remote_text(c, "text"));
	remote_put(stdout, remote_text(c, "text"));
	putchar('\n');
	if (remote_text(c, "path")[0]) {
		remote_put(stdout, remote_text(c, "path"));
		putchar('\n');
	}
	return EX_OK;
}

/* What is known of calibration number `before` + 1: whether it has ended, then with its exit
 * status. */
static bool has_ended(const struct remote *r, const char *role, const json_t *c, uint64_t before,
                      int *ret_status)
{
	uint64_t asked = remote_count(c, "asked");
	bool ended = json_is_true(json_object_get(c, "done")) ||
	             json_is_true(json_object_get(c, "failed"));

	if (asked == before + 1 && !ended)
		show_progress(role, c);
	if (asked == before || (asked == before + 1 && !ended))
		return false;
	end_progress();
	if (asked < before)
		*ret_status = remote_say(REMOTE_FAILED, "the daemon was started anew meanwhile");
	else if (asked > before + 1)
		*ret_status = remote_say(REMOTE_FAILED,
		                         "another calibration was asked for since: its result is "
		                         "in `openbeam status`");
	else
		*ret_status = print_result(r, c);
	return true;
}

static int wait_for_result(const struct remote *r, const char *role, uint64_t before)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	unsigned failed = 0;

	for (;;) {
		int status;
		json_t *c = calibration(r, failed + 1 < POLLS_FAILED, &status);
		bool ended = status == 0 && has_ended(r, role, c, before, &status);

		json_decref(c);
		if (ended)
			return status;
		failed = status == EX_UNAVAILABLE ? failed + 1 : 0;
		if (status != 0 && (status != EX_UNAVAILABLE || failed >= POLLS_FAILED)) {
			end_progress();
			return status;
		}
		nanosleep(&pause, NULL);
	}
}

/* dark and flat: argv[0] says which. */
int openbeam_take(int argc, char **argv)
{
	const char *role = argv[0];
	json_t *before = NULL, *answer = NULL;
	struct remote r;
	int status = remote_parse(&r, argc, argv, strcmp(role, "dark") == 0 ? "#mMTnf" : "#mMTn");

	if (status == 0 && r.help)
		fputs(take_usage, stdout);
	if (status != 0 || r.help)
		return status;
	before = calibration(&r, false, &status);
	if (status == 0)
		status = remote_give(&r, role, &answer);
	if (status == 0 && r.no_wait && r.as_json)
		remote_print_json(answer);
	else if (status == 0 && r.no_wait)
		printf("%s of %" PRIi64 " frames asked for\n", role, r.frames);
	else if (status == 0)
		status = wait_for_result(&r, role, remote_count(before, "asked"));
	json_decref(before);
	json_decref(answer);
	return status;
}
