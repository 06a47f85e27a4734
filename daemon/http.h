/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HTTP_H
#define DAEMON_HTTP_H

#include "config/config.h"
#include "daemon/http_stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A small HTTP server on a thread of its own, for people and for Prometheus. What it knows of
 * requests is who may ask and how large they may be; what is answered is its owner's.
 *
 * At most HTTP_CONNECTIONS_MAX connections, HTTP_CONNECTIONS_OF_ONE of one address (a proxy, a
 * tunnel or a machine with many pages is one), HTTP_STREAMS_MAX of them streams of events; 16 KiB
 * for the request line and headers, 64 KiB for a body; 10 s from the first byte of a request to the
 * last one of its answer, however busy the connection is, and as long for the reader of a stream to
 * take what waits for it; 32 MiB of answers that wait for their readers. Whoever goes beyond loses
 * the connection. GET, HEAD and POST. Errors are JSON: {"error": "..."}. */

#define HTTP_CONNECTIONS_MAX    256
#define HTTP_CONNECTIONS_OF_ONE 128
#define HTTP_STREAMS_MAX        64

/* Memory of all that at most: headers and bodies of every connection (20 MiB), answers that wait,
 * events on their way (64 KiB a stream), an answer while it is made, and 32 MiB that the owner may
 * keep to be given again. What the kernel holds of each connection is limited as well: 256 KiB to
 * be sent, 128 KiB received. */
#define HTTP_MEMORY_BYTES ((uint64_t)96 << 20)

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
	/* One of these; none: no memory, the connection ends. */
	char *body;                 /* malloc'd, taken over [bytes] */
	const char *lasting;        /* outlives the server: part of the program [bytes] */
	struct shared_text *shared; /* one holder's share of it is taken over */
	bool events; /* a stream of what http_publish() gives, until either side ends */
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

/* Whether that address can be listened on now. 0, or negative errno with why and what to do. */
int http_try(const char *address, char why[400]);

/* Listen, and start the thread; *ret is set before its first call. 0, or negative errno with why[]:
 * what could not be done, and what to do. Main thread. */
int http_open(struct http **ret, const struct http_options *o, char why[400]);

/* "http://127.0.0.1:8080", with the port that it has. */
const char *http_url(const struct http *h);

/* Accepts NULL. Open connections are cut. False: the thread does not end; nothing was freed. */
bool http_close(struct http *h);

/* Give an event to all streams, and to each that begins until the next of its kind: a text as
 * text/event-stream has it, empty line included. kind < HTTP_EVENT_KINDS. A stream that has not
 * taken the one before misses that. The server's thread; never waits. */
void http_publish(struct http *h, unsigned kind, struct shared_text *event);

/* Connections that are open, and how many of them are streams of events. The server's thread. */
unsigned http_connections(const struct http *h);
unsigned http_streams(const struct http *h);

/* Make an answer of {"error": sentence}. */
void http_refuse(struct http_answer *ret, unsigned status, const char *sentence);

#endif
