/* SPDX-License-Identifier: Apache-2.0 */
/* openbeam status, dark, flat, keep, cancel: what a running daemon does, and what it is told, over
 * the HTTP of daemon/monitor.h. */
#include "config/units.h"
#include "daemon/http_client.h"
#include "daemon/http_rules.h"
#include "daemon/openbeam_commands.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_URL  "http://127.0.0.1:8080"
#define POLL_NS      500000000
#define POLLS_FAILED 10 /* in a row, before the daemon is taken for gone */
#define FAILED       1

#define COMMON_OPTIONS                                                                             \
	"  -u, --url URL          where the daemon listens (default: " DEFAULT_URL ")\n"           \
	"  -t, --token-file FILE  the secret of its monitor.token_file, for commands from "        \
	"another\n"                                                                                \
	"                         machine\n"                                                       \
	"      --json             print the daemon's answer as it is\n"                            \
	"  -h, --help             print this, and end\n"

static const char status_usage[] =
	"usage: openbeam status [OPTION]...\n"
	"\n"
	"Says what a running daemon does: the series, its frames, rates, space, alarms.\n"
	"\n" COMMON_OPTIONS "\n"
	"Exit status: 0; 2 usage; 69 nothing answers; 76 what answers is no openbeamd; 77 it was\n"
	"refused.\n";

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
	"      --no-wait          only give the command\n" COMMON_OPTIONS "\n"
	"Exit status: 0; 1 it failed; 2 usage; 69 nothing answers; 76 what answers is no "
	"openbeamd;\n"
	"77 it was refused.\n";

static const char order_usage[] =
	"usage: openbeam keep [OPTION]...     write the black box: the last raw frames\n"
	"       openbeam cancel [OPTION]...   give up the dark or flat that is being taken\n"
	"\n" COMMON_OPTIONS "\n"
	"Exit status: 0; 1 it cannot be done now; 2 usage; 69 nothing answers; 76 what answers is "
	"no\n"
	"openbeamd; 77 it was refused.\n";

struct remote {
	const char *url_text;
	struct client_url url;
	char token[HTTP_TOKEN_BYTES];
	bool as_json, help;

	/* Of dark and flat. */
	const char *combine; /* NULL: as configured */
	bool for_flats, no_wait;
	double timeout_s; /* 0: as configured */
	uint64_t frames;
};

/* ---- words ---- */

/* Text from elsewhere, on one line. */
static void put(FILE *out, const char *text)
{
	for (; text && *text; text++)
		fputc((unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text, out);
}

static int say(int status, const char *text)
{
	fputs("openbeam: ", stderr);
	put(stderr, text);
	fputc('\n', stderr);
	return status;
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static uint64_t count_of(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static uint64_t sum_of(const json_t *o)
{
	const char *key;
	json_t *value;
	uint64_t sum = 0;

	json_object_foreach((json_t *)(uintptr_t)o, key, value) sum +=
		(uint64_t)json_integer_value(value);
	return sum;
}

/* ---- asking ---- */

/* What went wrong on the way, and the exit status. */
static int say_unreachable(const struct remote *r, int err)
{
	char text[600];

	if (err == -EPROTO || err == -EFBIG)
		snprintf(text, sizeof text, "what answers at %.300s is no openbeamd", r->url_text);
	else if (err == -ETIMEDOUT)
		snprintf(text, sizeof text, "%.300s does not answer within 10 s", r->url_text);
	else if (err == -ENXIO)
		snprintf(text, sizeof text, "the host of %.300s is not known: check its name",
		         r->url_text);
	else
		snprintf(
			text, sizeof text,
			"nothing answers at %.300s: is openbeamd running, with monitor.http set to "
			"that address? (%s)",
			r->url_text, strerror(-err));
	return say(err == -EPROTO || err == -EFBIG ? EX_PROTOCOL : EX_UNAVAILABLE, text);
}

/* What the daemon refused, in its own words and ours. */
static int say_refused(const struct remote *r, unsigned status, const json_t *answer)
{
	const char *why = text_of(answer, "error");
	char text[900];

	if (status == 401)
		snprintf(
			text, sizeof text,
			"the daemon takes commands from another machine only with the token of its "
			"monitor.token_file: show it with --token-file");
	else if (status == 421)
		snprintf(
			text, sizeof text,
			"the daemon does not answer to the name in %.300s: use its address, or add "
			"the name to its monitor.allowed_hosts",
			r->url_text);
	else if (status == 409)
		snprintf(text, sizeof text, "not now: %.600s", why);
	else if (why[0])
		snprintf(text, sizeof text, "%.600s", why);
	else
		snprintf(text, sizeof text, "the daemon answered with HTTP status %u", status);
	return say(status == 401 || status == 403 || status == 421 ? EX_NOPERM : FAILED, text);
}

/* Ask, and read the JSON. 0 with an object, or the exit status after saying what is wrong;
 * `quiet`: a daemon that cannot be reached is not mentioned. */
static int ask(const struct remote *r, const char *path, const char *body, bool quiet,
               json_t **ret_answer)
{
	struct client_reply reply = { 0 };
	int err = client_ask(&r->url, path, body, r->token, &reply);
	json_t *answer;

	if (err < 0)
		return quiet ? EX_UNAVAILABLE : say_unreachable(r, err);
	answer = reply.body ? json_loadb(reply.body, reply.bytes, 0, NULL) : NULL;
	int status = 0;
	if (reply.status != 200 && (json_is_object(answer) || reply.status == 421))
		status = say_refused(r, reply.status, answer);
	else if (reply.status != 200 || !json_is_object(answer))
		status = say_unreachable(r, -EPROTO);
	client_reply_done(&reply);
	if (status == 0)
		*ret_answer = answer;
	else
		json_decref(answer);
	return status;
}

static void print_json(const json_t *answer)
{
	json_dumpf(answer, stdout, JSON_INDENT(2));
	putchar('\n');
}

/* ---- command line ---- */

static int take_token(struct remote *r, const char *path)
{
	char why[400];

	if (http_token_read(path, r->token, why) < 0)
		return say(EX_NOINPUT, why);
	return 0;
}

static int take_timeout(struct remote *r, const char *text)
{
	int64_t ns;

	if (units_time(text, &ns) != UNITS_OK || ns < 1000000)
		return openbeam_complain("--timeout takes a time from 1 ms, as 60s or 2min, not",
		                         text);
	r->timeout_s = (double)ns / 1e9;
	return 0;
}

static int take_option(struct remote *r, int option, bool takes_frames)
{
	if (strchr("mMfTn", option) && !takes_frames)
		return openbeam_complain("that option is of dark and flat alone", NULL);
	switch (option) {
	case 'u':
		r->url_text = optarg;
		return 0;
	case 't':
		return take_token(r, optarg);
	case 'j':
		r->as_json = true;
		return 0;
	case 'h':
		r->help = true;
		return 0;
	case 'm':
	case 'M':
		r->combine = option == 'm' ? "mean" : "median";
		return 0;
	case 'f':
		r->for_flats = true;
		return strcmp(optarg, "flats") == 0
		               ? 0
		               : openbeam_complain("--for takes flats, not", optarg);
	case 'T':
		return take_timeout(r, optarg);
	case 'n':
		r->no_wait = true;
		return 0;
	default:
		return openbeam_complain("cannot go on", NULL);
	}
}

static int take_frames(struct remote *r, const char *role, const char *text)
{
	int64_t frames = 0;
	char what[80];

	if (text && units_integer(text, &frames) == UNITS_OK && frames >= 1) {
		r->frames = (uint64_t)frames;
		return 0;
	}
	snprintf(what, sizeof what, "%s takes the number of frames, from 1%s", role,
	         text ? ", not" : "");
	return openbeam_complain(what, text);
}

/* 0, or the exit status after a complaint. `role`: "dark" or "flat", whose number of frames is
 * taken; NULL: there is none. */
static int parse(struct remote *r, int argc, char **argv, const char *role)
{
	static const struct option options[] = {
		{ "url", required_argument, NULL, 'u' },
		{ "token-file", required_argument, NULL, 't' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "mean", no_argument, NULL, 'm' },
		{ "median", no_argument, NULL, 'M' },
		{ "for", required_argument, NULL, 'f' },
		{ "timeout", required_argument, NULL, 'T' },
		{ "no-wait", no_argument, NULL, 'n' },
		{ 0 },
	};
	char why[400];
	int option, status = 0;

	*r = (struct remote){ .url_text = DEFAULT_URL };
	while (status == 0 && !r->help &&
	       (option = getopt_long(argc, argv, "u:t:h", options, NULL)) != -1)
		status = take_option(r, option, role != NULL);
	if (status != 0 || r->help)
		return status;
	if (role)
		status = take_frames(r, role, optind < argc ? argv[optind++] : NULL);
	if (status == 0 && optind < argc)
		status = openbeam_complain("what is this for", argv[optind]);
	if (status == 0 && r->for_flats && strcmp(role, "dark") != 0)
		status = openbeam_complain("--for is of dark alone", NULL);
	if (status == 0 && client_url_parse(r->url_text, &r->url, why) < 0)
		status = openbeam_complain(why, NULL);
	return status;
}

/* ---- status ---- */

static void print_reasons(const char *what, const json_t *reasons)
{
	const char *key, *between = " (";
	json_t *value;

	printf("  %s %" PRIu64, what, sum_of(reasons));
	json_object_foreach((json_t *)(uintptr_t)reasons, key, value)
	{
		if (json_integer_value(value) == 0)
			continue;
		printf("%s", between);
		put(stdout, key);
		printf(" %" PRIu64, (uint64_t)json_integer_value(value));
		between = ", ";
	}
	printf("%s", between[0] == ',' ? ")" : "");
}

static void print_frames(const json_t *f)
{
	printf("frames       expected %" PRIu64 "  received %" PRIu64 "  written %" PRIu64
	       "  durable %" PRIu64 "  pending %" PRIu64 "\n",
	       count_of(f, "expected"), count_of(f, "received"), count_of(f, "written"),
	       count_of(f, "durable"), count_of(f, "pending"));
	printf("lost       ");
	print_reasons("dropped", json_object_get(f, "dropped"));
	print_reasons("missing", json_object_get(f, "missing"));
	print_reasons("rejected", json_object_get(f, "rejected"));
	printf("  duplicate %" PRIu64 "  flagged %" PRIu64 "\n", count_of(f, "duplicate"),
	       count_of(f, "flagged"));
}

static double number_of(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static bool is_number(const json_t *o, const char *key)
{
	return json_is_number(json_object_get(o, key));
}

static void print_machine(const json_t *s)
{
	const json_t *rate = json_object_get(s, "rate"), *buffer = json_object_get(s, "buffer"),
		     *disk = json_object_get(s, "disk");
	uint64_t slots = count_of(buffer, "slots");

	printf("rate         %.1f frames/s  in %.3f GB/s  out %.3f GB/s\n", number_of(rate, "fps"),
	       number_of(rate, "bytes_in_per_s") / 1e9, number_of(rate, "bytes_out_per_s") / 1e9);
	if (slots > 0)
		printf("buffer       %" PRIu64 " of %" PRIu64 " slots in use",
		       count_of(buffer, "slots_used"), slots);
	else
		printf("buffer       laid out at the first frame");
	/* A few more slots in use than a second ago are no trend. */
	if (is_number(buffer, "seconds_to_overflow") &&
	    count_of(buffer, "slots_used") * 10 >= slots)
		printf(", full in %.1f s", number_of(buffer, "seconds_to_overflow"));
	printf("\ndisk         ");
	if (is_number(disk, "free_bytes"))
		printf("%.1f GB free", number_of(disk, "free_bytes") / 1e9);
	else
		printf("not known");
	if (is_number(disk, "seconds_left"))
		printf(", full in %.0f s", number_of(disk, "seconds_left"));
	printf("\n");
}

static void print_quality(const json_t *q)
{
	if (!is_number(q, "raw_mean"))
		return;
	printf("image        mean %.6g counts", number_of(q, "raw_mean"));
	if (is_number(q, "mean"))
		printf("  normalised %.6g", number_of(q, "mean"));
	if (is_number(q, "saturated_share"))
		printf("  saturated %.3g %%", 100 * number_of(q, "saturated_share"));
	if (is_number(q, "dose"))
		printf("  dose %.6g", number_of(q, "dose"));
	printf("\n");
}

static void print_calibration(const json_t *c)
{
	const char *state = text_of(c, "state"), *role = text_of(c, "role");

	if (strcmp(state, "collecting") == 0 || strcmp(state, "making") == 0) {
		printf("calibration  %s: ", state);
		put(stdout, role);
		printf(", %" PRIu64 " of %" PRIu64 " frames\n", count_of(c, "taken"),
		       count_of(c, "wanted"));
	} else if (text_of(c, "text")[0]) {
		printf("calibration  ");
		put(stdout, text_of(c, "text"));
		printf("\n");
	}
}

static void print_blackbox(const json_t *b)
{
	const char *path = text_of(b, "path");

	if (!json_is_true(json_object_get(b, "configured")))
		return;
	printf("black box    %s, holds %" PRIu64 " frames of %.1f s\n",
	       json_is_true(json_object_get(b, "writing")) ? "being written" : "ready",
	       count_of(b, "frames"), number_of(b, "seconds"));
	if (!path[0])
		return;
	printf("             last: ");
	put(stdout, path);
	printf(": ");
	put(stdout, text_of(b, "text"));
	printf("\n");
}

static void print_alarms(const json_t *alarms)
{
	size_t i;
	json_t *alarm;

	json_array_foreach((json_t *)(uintptr_t)alarms, i, alarm)
	{
		printf("alarm        ");
		put(stdout, text_of(alarm, "sentinel"));
		printf(": ");
		put(stdout, text_of(alarm, "text"));
		printf("\n");
	}
}

static void print_status(const json_t *s)
{
	const json_t *series = json_object_get(s, "series");
	const char *path = text_of(series, "path");

	put(stdout, text_of(s, "state"));
	printf("%s", path[0] ? ": " : ": no series yet");
	put(stdout, path);
	printf("\n");
	print_frames(json_object_get(s, "frames"));
	print_machine(s);
	print_quality(json_object_get(s, "quality"));
	print_calibration(json_object_get(s, "calibration"));
	print_blackbox(json_object_get(s, "blackbox"));
	print_alarms(json_object_get(s, "alarms"));
}

int openbeam_status(int argc, char **argv)
{
	struct remote r;
	json_t *answer = NULL;
	int status = parse(&r, argc, argv, NULL);

	if (status == 0 && r.help)
		fputs(status_usage, stdout);
	if (status != 0 || r.help)
		return status;
	status = ask(&r, "/api/v1/status", NULL, false, &answer);
	if (status == 0 && r.as_json)
		print_json(answer);
	else if (status == 0)
		print_status(answer);
	json_decref(answer);
	return status;
}

/* ---- commands ---- */

static char *command_text(const struct remote *r, const char *name)
{
	json_t *o = json_pack("{s:s}", "command", name);
	char *text;

	if (r->frames)
		json_object_set_new(o, "frames", json_integer((json_int_t)r->frames));
	if (r->combine)
		json_object_set_new(o, "combine", json_string(r->combine));
	if (r->timeout_s > 0)
		json_object_set_new(o, "timeout_s", json_real(r->timeout_s));
	if (r->for_flats)
		json_object_set_new(o, "for", json_string("flats"));
	text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	return text;
}

static int give(const struct remote *r, const char *name, json_t **ret_answer)
{
	char *body = command_text(r, name);
	int status = body ? ask(r, "/api/v1/command", body, false, ret_answer)
	                  : say(EX_OSERR, "no memory");

	free(body);
	return status;
}

/* status.calibration, of its own; NULL with the exit status. */
static json_t *calibration(const struct remote *r, bool quiet, int *ret_status)
{
	json_t *answer = NULL, *found;

	*ret_status = ask(r, "/api/v1/status", NULL, quiet, &answer);
	found = json_incref(json_object_get(answer, "calibration"));
	if (*ret_status == 0 && !json_is_object(found))
		*ret_status = say_unreachable(r, -EPROTO);
	json_decref(answer);
	return found;
}

static void show_progress(const char *role, const json_t *c)
{
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r\033[K%s: ", role);
	if (strcmp(text_of(c, "state"), "making") == 0)
		fprintf(stderr, "making the image of %" PRIu64 " frames", count_of(c, "taken"));
	else
		fprintf(stderr, "%" PRIu64 " of %" PRIu64 " frames", count_of(c, "taken"),
		        count_of(c, "wanted"));
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
		print_json(c);
		return failed ? FAILED : EX_OK;
	}
	if (failed)
		return say(FAILED, text_of(c, "text"));
	put(stdout, text_of(c, "text"));
	putchar('\n');
	if (text_of(c, "path")[0]) {
		put(stdout, text_of(c, "path"));
		putchar('\n');
	}
	return EX_OK;
}

/* What is known of calibration number `before` + 1: whether it has ended, then with its exit
 * status. */
static bool has_ended(const struct remote *r, const char *role, const json_t *c, uint64_t before,
                      int *ret_status)
{
	uint64_t asked = count_of(c, "asked");
	bool ended = json_is_true(json_object_get(c, "done")) ||
	             json_is_true(json_object_get(c, "failed"));

	if (asked == before + 1 && !ended)
		show_progress(role, c);
	if (asked == before || (asked == before + 1 && !ended))
		return false;
	end_progress();
	if (asked < before)
		*ret_status = say(FAILED, "the daemon was started anew meanwhile");
	else if (asked > before + 1)
		*ret_status = say(FAILED, "another calibration was asked for since: its result is "
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
	int status = parse(&r, argc, argv, role);

	if (status == 0 && r.help)
		fputs(take_usage, stdout);
	if (status != 0 || r.help)
		return status;
	before = calibration(&r, false, &status);
	if (status == 0)
		status = give(&r, role, &answer);
	if (status == 0 && r.no_wait && r.as_json)
		print_json(answer);
	else if (status == 0 && r.no_wait)
		printf("%s of %" PRIu64 " frames asked for\n", role, r.frames);
	else if (status == 0)
		status = wait_for_result(&r, role, count_of(before, "asked"));
	json_decref(before);
	json_decref(answer);
	return status;
}

/* keep and cancel. */
int openbeam_order(int argc, char **argv)
{
	bool keep = strcmp(argv[0], "keep") == 0;
	json_t *answer = NULL;
	struct remote r;
	int status = parse(&r, argc, argv, NULL);

	if (status == 0 && r.help)
		fputs(order_usage, stdout);
	if (status != 0 || r.help)
		return status;
	status = give(&r, argv[0], &answer);
	if (status == 0 && r.as_json)
		print_json(answer);
	else if (status == 0)
		puts(keep ? "the black box is being written; `openbeam status` will have its path"
		          : "cancelled");
	json_decref(answer);
	return status;
}
