/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/remote.h"
#include "config/units.h"
#include "daemon/openbeam_commands.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* ---- asking ---- */

/* What is wrong, and what to do about it. */
static void explain(const struct remote *r, int err, char text[REMOTE_WHY])
{
	const char *url = r->url_text;

	if (err == -EPROTO || err == -EFBIG)
		snprintf(text, REMOTE_WHY,
		         "what answers at %.300s is no openbeamd: is the port that of its "
		         "monitor.http? Its log says \"listening on\"",
		         url);
	else if (err == -ETIMEDOUT)
		snprintf(text, REMOTE_WHY,
		         "%.300s does not answer within %g s: the host is down, very busy, or "
		         "something between drops the connection",
		         url, (double)r->url.patience_ms / 1000);
	else if (err == -ENXIO)
		snprintf(text, REMOTE_WHY, "the host of %.300s is not known: check its name", url);
	else
		snprintf(
			text, REMOTE_WHY,
			"nothing answers at %.300s: is openbeamd running, with monitor.http set to "
			"that address? (%s)",
			url, strerror(-err));
}

int remote_say_unreachable(const struct remote *r, int err)
{
	char text[REMOTE_WHY];

	explain(r, err, text);
	return remote_say(err == -EPROTO || err == -EFBIG ? EX_PROTOCOL : EX_UNAVAILABLE, text);
}

static int status_of_refusal(unsigned http)
{
	return http == 401 || http == 403 || http == 421 ? EX_NOPERM : REMOTE_FAILED;
}

/* What the daemon refused, in its own words and ours. */
static void explain_refusal(const struct remote *r, unsigned http, const json_t *answer,
                            char text[REMOTE_WHY])
{
	const char *why = remote_text(answer, "error");

	if (http == 401)
		snprintf(
			text, REMOTE_WHY,
			"the daemon takes commands from another machine only with the token of its "
			"monitor.token_file: show it with --token-file");
	else if (http == 403)
		snprintf(text, REMOTE_WHY,
		         "the daemon refused: %.400s; give the command on its own machine, or to "
		         "its own address",
		         why);
	else if (http == 421)
		snprintf(
			text, REMOTE_WHY,
			"the daemon does not answer to the name in %.300s: use its address, or add "
			"the name to its monitor.allowed_hosts",
			r->url_text);
	else if (http == 409)
		snprintf(text, REMOTE_WHY, "not now: %.600s", why);
	else if (why[0])
		snprintf(text, REMOTE_WHY, "%.600s", why);
	else
		snprintf(text, REMOTE_WHY, "the daemon answered with HTTP status %u", http);
}

int remote_try(const struct remote *r, const char *path, const char *body, json_t **ret_answer,
               char why[REMOTE_WHY])
{
	struct client_reply reply = { 0 };
	int err = client_ask(&r->url, path, body, r->token, &reply), status = 0;
	json_t *answer;

	if (err < 0) {
		explain(r, err, why);
		return err == -EPROTO || err == -EFBIG ? EX_PROTOCOL : EX_UNAVAILABLE;
	}
	answer = reply.body ? json_loadb(reply.body, reply.bytes, 0, NULL) : NULL;
	if (reply.status != 200 && (json_is_object(answer) || reply.status == 421)) {
		explain_refusal(r, reply.status, answer, why);
		status = status_of_refusal(reply.status);
	} else if (reply.status != 200 || !json_is_object(answer)) {
		explain(r, -EPROTO, why);
		status = EX_PROTOCOL;
	}
	client_reply_done(&reply);
	if (status == 0)
		*ret_answer = answer;
	else
		json_decref(answer);
	return status;
}

/* As the daemon says it of a command, for who reads standard output. */
static void print_failure(const char *why)
{
	json_t *o = json_pack("{s:b, s:n, s:s}", "ok", 0, "series", "error", why);

	remote_print_json(o);
	json_decref(o);
}

int remote_ask(const struct remote *r, const char *path, const char *body, bool quiet,
               json_t **ret_answer)
{
	char why[REMOTE_WHY];
	int status = remote_try(r, path, body, ret_answer, why);

	if (status == 0 || (quiet && status == EX_UNAVAILABLE))
		return status;
	if (r->as_json)
		print_failure(why);
	return remote_say(status, why);
}

/* ---- command line ---- */

/* Those of all commands have no place in `takes`. */
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
	{ "name", required_argument, NULL, 'N' },
	{ "frames", required_argument, NULL, 'F' },
	{ "first", required_argument, NULL, 'b' },
	{ "force", no_argument, NULL, 'O' },
	{ "wait", no_argument, NULL, 'w' },
	{ "once", no_argument, NULL, '1' },
	{ "interval", required_argument, NULL, 'i' },
	{ 0 },
};

static int take_token(struct remote *r, const char *path)
{
	char why[400];

	if (http_token_read(path, r->token, why) < 0)
		return remote_say(EX_NOINPUT, why);
	return 0;
}

static int take_seconds(const char *option, const char *text, double least, double most,
                        double *ret)
{
	char what[120];
	int64_t ns;

	if (units_time(text, &ns) == UNITS_OK && (double)ns >= least * 1e9 &&
	    (double)ns <= most * 1e9) {
		*ret = (double)ns / 1e9;
		return 0;
	}
	snprintf(what, sizeof what, "--%s takes a time from %g ms, as %s, not", option, least * 1e3,
	         most > 3600 ? "60s or 2min" : "500ms or 2s");
	return openbeam_complain(what, text);
}

static int take_count(const char *option, const char *text, int64_t least, int64_t *ret)
{
	char what[80];
	int64_t n;

	if (units_integer(text, &n) == UNITS_OK && n >= least) {
		*ret = n;
		return 0;
	}
	snprintf(what, sizeof what, "%s takes a number from %d, not", option, (int)least);
	return openbeam_complain(what, text);
}

static int refuse_foreign(const char *command, int letter)
{
	const struct option *o = options;
	char what[120];

	while (o->name && o->val != letter)
		o++;
	snprintf(what, sizeof what, "--%s is not an option of %.20s", o->name, command);
	return openbeam_complain(what, NULL);
}

static int take_option(struct remote *r, int option)
{
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
		return take_seconds("timeout", optarg, 0.001, 1e9, &r->timeout_s);
	case 'n':
		r->no_wait = true;
		return 0;
	case 'N':
		r->name = optarg;
		return 0;
	case 'F':
		return take_count("--frames", optarg, 1, &r->frames);
	case 'b':
		r->has_first = true;
		return take_count("--first", optarg, 0, &r->first);
	case 'O':
		r->force = true;
		return 0;
	case 'w':
		r->wait = true;
		return 0;
	case '1':
		r->once = true;
		return 0;
	case 'i':
		return take_seconds("interval", optarg, 0.1, 3600, &r->interval_s);
	default:
		return openbeam_complain("cannot go on", NULL);
	}
}

static int take_options(struct remote *r, int argc, char **argv, const char *takes)
{
	int option, status = 0;

	while (status == 0 && !r->help &&
	       (option = openbeam_getopt(argc, argv, "u:t:hi:1", options)) != -1)
		status = strchr("utjh?", option) || strchr(takes, option)
		                 ? take_option(r, option)
		                 : refuse_foreign(argv[0], option);
	return status;
}

static int take_frames(struct remote *r, const char *command, const char *text)
{
	char what[80];

	if (text)
		return take_count(command, text, 1, &r->frames);
	snprintf(what, sizeof what, "%.20s takes the number of frames, from 1", command);
	return openbeam_complain(what, NULL);
}

int remote_parse(struct remote *r, int argc, char **argv, const char *takes)
{
	const char *url = getenv("OPENBEAM_URL");
	char why[400];
	int status;

	*r = (struct remote){ .url_text = url && url[0] ? url : REMOTE_URL, .interval_s = 1 };
	status = take_options(r, argc, argv, takes);
	if (status != 0 || r->help)
		return status;
	if (strchr(takes, '#'))
		status = take_frames(r, argv[0], optind < argc ? argv[optind++] : NULL);
	if (status == 0 && optind < argc)
		status = openbeam_complain("what is this for", argv[optind]);
	if (status == 0 && client_url_parse(r->url_text, &r->url, why) < 0)
		status = openbeam_complain(why, NULL);
	return status;
}

static char *command_text(const struct remote *r, const char *name)
{
	json_t *o = json_pack("{s:s}", "command", name);
	char *text;

	if (r->name)
		json_object_set_new(o, "name", json_string(r->name));
	if (r->frames)
		json_object_set_new(o, "frames", json_integer(r->frames));
	if (r->has_first)
		json_object_set_new(o, "first", json_integer(r->first));
	if (r->force)
		json_object_set_new(o, "force", json_true());
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
