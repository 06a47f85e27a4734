/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/remote.h"
#include "config/units.h"
#include "daemon/openbeam_commands.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* ---- words ---- */

/* Text from elsewhere, on one line. */
void remote_put(FILE *out, const char *text)
{
	for (; text && *text; text++)
		fputc((unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text, out);
}

int remote_say(int status, const char *text)
{
	fputs("openbeam: ", stderr);
	remote_put(stderr, text);
	fputc('\n', stderr);
	return status;
}

const char *remote_text(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

uint64_t remote_count(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

uint64_t remote_sum(const json_t *o)
{
	const char *key;
	json_t *value;
	uint64_t sum = 0;

	json_object_foreach((json_t *)(uintptr_t)o, key, value) sum +=
		(uint64_t)json_integer_value(value);
	return sum;
}

double remote_number(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

bool remote_has_number(const json_t *o, const char *key)
{
	return json_is_number(json_object_get(o, key));
}

/* ---- asking ---- */

/* What went wrong on the way, and the exit status. */
int remote_say_unreachable(const struct remote *r, int err)
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
	return remote_say(err == -EPROTO || err == -EFBIG ? EX_PROTOCOL : EX_UNAVAILABLE, text);
}

/* What the daemon refused, in its own words and ours. */
static int say_refused(const struct remote *r, unsigned status, const json_t *answer)
{
	const char *why = remote_text(answer, "error");
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
	return remote_say(
		status == 401 || status == 403 || status == 421 ? EX_NOPERM : REMOTE_FAILED, text);
}

/* Ask, and read the JSON. 0 with an object, or the exit status after saying what is wrong;
 * `quiet`: a daemon that cannot be reached is not mentioned. */
int remote_ask(const struct remote *r, const char *path, const char *body, bool quiet,
               json_t **ret_answer)
{
	struct client_reply reply = { 0 };
	int err = client_ask(&r->url, path, body, r->token, &reply);
	json_t *answer;

	if (err < 0)
		return quiet ? EX_UNAVAILABLE : remote_say_unreachable(r, err);
	answer = reply.body ? json_loadb(reply.body, reply.bytes, 0, NULL) : NULL;
	int status = 0;
	if (reply.status != 200 && (json_is_object(answer) || reply.status == 421))
		status = say_refused(r, reply.status, answer);
	else if (reply.status != 200 || !json_is_object(answer))
		status = remote_say_unreachable(r, -EPROTO);
	client_reply_done(&reply);
	if (status == 0)
		*ret_answer = answer;
	else
		json_decref(answer);
	return status;
}

void remote_print_json(const json_t *answer)
{
	json_dumpf(answer, stdout, JSON_INDENT(2));
	putchar('\n');
}

/* ---- command line ---- */

static int take_token(struct remote *r, const char *path)
{
	char why[400];

	if (http_token_read(path, r->token, why) < 0)
		return remote_say(EX_NOINPUT, why);
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
int remote_parse(struct remote *r, int argc, char **argv, const char *role)
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

	*r = (struct remote){ .url_text = REMOTE_URL };
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

int remote_give(const struct remote *r, const char *name, json_t **ret_answer)
{
	char *body = command_text(r, name);
	int status = body ? remote_ask(r, "/api/v1/command", body, false, ret_answer)
	                  : remote_say(EX_OSERR, "no memory");

	free(body);
	return status;
}
