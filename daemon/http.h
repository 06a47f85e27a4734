/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HTTP_H
#define DAEMON_HTTP_H

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A small HTTP server on a thread of its own, for people and for Prometheus. What it knows of
 * requests is who may ask and how large they may be; what is answered is its owner's.
 *
 * At most 64 connections, 16 of one address; 16 KiB for the request line and headers, 64 KiB for a
 * body; 10 s from the first byte of a request to the last one of its answer, however busy the
 * connection is; 32 MiB of answers that wait for their readers. Whoever goes beyond loses the
 * connection. GET, HEAD and POST. Errors are JSON: {"error": "..."}. */

struct http;

#define HTTP_PARAMETERS_MAX 8

struct http_request {
	bool post;        /* else GET; HEAD is answered as GET without the body */
	bool trusted;     /* from this machine, or with the token: may command */
	const char *path; /* decoded, without the query */
	const char *from; /* numeric address of the peer */
	struct http_parameter {
		const char *name, *value; /* decoded; value "" where there is none */
	} parameters[HTTP_PARAMETERS_MAX];
	unsigned parameter_count;
	const char *body; /* of POST [body_bytes], ended by a 0 that does not count */
	size_t body_bytes;
};

/* Filled by the owner. */
struct http_answer {
	unsigned status;
	const char *type;  /* static text: "application/json" */
	const char *allow; /* with 405: "GET, HEAD"; static text or NULL */
	/* The Content-Security-Policy, static text; NULL: the strict one, for what is not a page.
	 */
	const char *policy;
	const char *cache; /* the Cache-Control, static text; NULL: "no-store" */
	/* Either of these [bytes]; neither: no memory, the connection ends. */
	char *body;          /* malloc'd, taken over */
	const char *lasting; /* outlives the server: part of the program */
	size_t bytes;
};

struct http_options {
	const char *address; /* HOST:PORT; port 0: any that is free; HOST "*": every interface */
	const struct config_list *allowed_hosts; /* borrowed */
	const char *token;                       /* "": none is taken; copied */
	void *user;
	/* Answer one request. The server's thread; must not wait. */
	void (*answer)(void *user, const struct http_request *r, struct http_answer *ret);
	/* About ten times a second, on the server's thread. */
	void (*tick)(void *user, uint64_t monotonic_ns);
};

/* Listen, and start the thread. 0, or negative errno with why[]: what could not be done, and what
 * to do. Main thread. */
int http_open(struct http **ret, const struct http_options *o, char why[400]);

/* "http://127.0.0.1:8080", with the port that it has. */
const char *http_url(const struct http *h);

/* Accepts NULL. Open connections are cut. False: the thread does not end; nothing was freed. */
bool http_close(struct http *h);

/* Make an answer of {"error": sentence}. */
void http_refuse(struct http_answer *ret, unsigned status, const char *sentence);

#endif
