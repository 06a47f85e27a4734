/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HTTP_CLIENT_H
#define DAEMON_HTTP_CLIENT_H

#include <stddef.h>

/* One request to a daemon, for the program `openbeam`: plain HTTP/1.1 over a socket, an answer of
 * at most 16 MiB. */

#define CLIENT_BYTES_MAX ((size_t)16 << 20)

struct client_url {
	char host[256], port[8];
	char authority[300];  /* as the Host header has it: "127.0.0.1:8080", "[::1]:8080" */
	unsigned patience_ms; /* for all of an answer; client_url_parse() sets 10 s */
};

struct client_reply {
	unsigned status;
	char *body; /* malloc'd, ended by a 0 that does not count; NULL when empty */
	size_t bytes;
};

/* "http://HOST[:PORT][/]", with brackets around an IPv6 address. 0, or -EINVAL with why. */
int client_url_parse(const char *text, struct client_url *ret, char why[400]);

/* Take an answer apart. text [bytes]: all that came until the connection ended. 0, or -EPROTO: it
 * is none, was cut short or is encoded in a way that was not asked for. */
int client_reply_parse(const char *text, size_t bytes, struct client_reply *ret);

/* Ask. body NULL: GET; token "": none is shown. 0; -ETIMEDOUT, -EPROTO, -EFBIG; -ENXIO: the
 * host's name is not known; another negative errno: there is no connection. */
int client_ask(const struct client_url *u, const char *path, const char *body, const char *token,
               struct client_reply *ret);

/* Accepts a zeroed one. */
void client_reply_done(struct client_reply *r);

#endif
