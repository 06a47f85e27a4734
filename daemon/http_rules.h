/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HTTP_RULES_H
#define DAEMON_HTTP_RULES_H

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* Who may ask, and who may command: what the headers of a request and the address it came from
 * say. Browsers send whatever a foreign page wants, but not a Host or Origin of its choice. No
 * state; any thread. */

#define HTTP_HOST_BYTES 256

/* Take "name", "name:80", "10.0.0.1:80" or "[::1]:80" apart. The host comes in lower case and
 * without brackets; port 0: not given. False when it is none of them, with both untouched. */
bool http_split_host(const char *text, char ret_host[HTTP_HOST_BYTES], unsigned *ret_port);

/* What a server answers to. */
struct http_names {
	const char *bound;                 /* host that it was told to listen on; "" or "*": any */
	unsigned port;                     /* that it listens on */
	const char *local;                 /* numeric address at which this request arrived */
	const struct config_list *allowed; /* monitor.allowed_hosts */
};

/* Whether a Host header is one of these names: loopback ones, the bound and the local address with
 * any port (a tunnel has its own); an allowed host without a port with none or the server's, one
 * with a port with that. */
bool http_host_allowed(const char *host, const struct http_names *names);

/* "localhost", 127.x.x.x or ::1, with or without port. */
bool http_host_is_loopback(const char *host);

/* Whether an Origin header names the server that the Host header names. */
bool http_origin_allowed(const char *origin, const char *host);

/* Whether a connection comes from this machine. */
bool http_from_loopback(const struct sockaddr *address);

/* The numeric address, without port: "127.0.0.1", "::1"; "" for another family. */
void http_address_text(const struct sockaddr *address, char ret[HTTP_HOST_BYTES]);

#define HTTP_TOKEN_BYTES 513

/* Whether an Authorization header is "Bearer " and the token. In time that does not depend on
 * where they differ. NULL, or an empty token: false. */
bool http_bearer_matches(const char *authorization, const char *token);

/* Read the token of a file: at most 512 printable characters without spaces; space and newlines
 * around them do not count. 0, or negative errno with why. */
int http_token_read(const char *path, char ret[HTTP_TOKEN_BYTES], char why[400]);

#endif
