/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_REMOTE_H
#define DAEMON_REMOTE_H

#include "daemon/http_client.h"
#include "daemon/http_rules.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What the commands of `openbeam` to a running daemon share: their options, asking over the HTTP
 * of daemon/monitor.h, and words for the answers. */

#define REMOTE_URL    "http://127.0.0.1:8080"
#define REMOTE_FAILED 1    /* exit status */
#define REMOTE_WHY    1000 /* bytes of a sentence */

#define REMOTE_OPTIONS                                                                             \
	"  -u, --url URL          where the daemon listens (default: $OPENBEAM_URL, else\n"        \
	"                         " REMOTE_URL ")\n"                                               \
	"  -t, --token-file FILE  the secret of its monitor.token_file, for commands from "        \
	"another\n"                                                                                \
	"                         machine\n"                                                       \
	"      --json             print the daemon's answer as it is\n"                            \
	"  -h, --help             print this, and end\n"

struct remote {
	const char *url_text;
	struct client_url url;
	char token[HTTP_TOKEN_BYTES];
	bool as_json, help;

	/* Of dark and flat. */
	const char *combine; /* NULL: as configured */
	bool for_flats, no_wait;
	double timeout_s; /* 0: as configured */

	int64_t frames; /* of arm, too; 0: not given */

	/* Of arm; wait is of stop and abort, too. */
	const char *name; /* NULL: as configured */
	int64_t first;
	bool has_first, force, wait;

	/* Of top. */
	bool once;
	double interval_s;
};

/* Text from elsewhere, on one line. */
void remote_put(FILE *out, const char *text);

/* Say on standard error what is wrong; returns `status`. */
int remote_say(int status, const char *text);

/* Members of an answer: "", 0, false where there is none of that kind. */
const char *remote_text(const json_t *o, const char *key);
uint64_t remote_count(const json_t *o, const char *key);
double remote_number(const json_t *o, const char *key);
bool remote_has_number(const json_t *o, const char *key);

/* Of all members. */
uint64_t remote_sum(const json_t *o);

/* Say what went wrong on the way; returns the exit status. */
int remote_say_unreachable(const struct remote *r, int err);

/* Ask, and read the JSON. body NULL: GET. 0 with an object, or the exit status with a sentence of
 * what is wrong and what to do. */
int remote_try(const struct remote *r, const char *path, const char *body, json_t **ret_answer,
               char why[REMOTE_WHY]);

/* The same, but what is wrong is said;
 * `quiet`: a daemon that cannot be reached is not mentioned. */
int remote_ask(const struct remote *r, const char *path, const char *body, bool quiet,
               json_t **ret_answer);

/* Give a command with what the options say. As remote_ask(). */
int remote_give(const struct remote *r, const char *name, json_t **ret_answer);

void remote_print_json(const json_t *answer);

/* Read the command line. 0, or the exit status after a complaint. `takes`: the letters of the
 * options in remote.c that the command has beside those of all; '#': it has a number of frames. */
int remote_parse(struct remote *r, int argc, char **argv, const char *takes);

#endif
