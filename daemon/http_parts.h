/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HTTP_PARTS_H
#define DAEMON_HTTP_PARTS_H

#include "daemon/http.h"
#include "daemon/http_rules.h"
#include "daemon/idle.h"
#include "daemon/stage.h"

#include <microhttpd.h>

/* What the server's two files share: http.c has requests and the thread, http_answers.c what goes
 * back. Everything but the life of it is on the server's thread. */

#define HTTP_DEADLINE_S 10

struct http_connection {
	bool used;
	bool idle;      /* between two requests */
	bool answering; /* a request is there, and its answer not yet sent */
	int fd;
	uint64_t deadline_ns; /* UINT64_MAX: nothing is waited for */
};

/* A stream of events; to NULL: not in use. */
struct http_watcher {
	struct http *http;
	struct MHD_Connection *to;
	struct http_connection *connection;
	bool asleep; /* suspended: everything was sent */
	struct http_stream events;
};

struct http {
	struct http_options options;
	char token[HTTP_TOKEN_BYTES];
	char host[HTTP_HOST_BYTES]; /* as configured */
	unsigned port;
	char url[HTTP_HOST_BYTES + 32];
	int listen_fd;
	struct MHD_Daemon *server;
	int events_fd; /* of the server: readable when it has something to do */
	struct stage stage;
	struct bell bell; /* rung to end */
	_Atomic bool stop;

	/* The thread's own. */
	struct http_connection connections[HTTP_CONNECTIONS_MAX];
	struct http_watcher watchers[HTTP_STREAMS_MAX];
	struct shared_text *newest[HTTP_EVENT_KINDS]; /* with which a stream begins */
	size_t waiting_bytes;                         /* of answers */
	uint64_t ticked_ns;
};

/* NULL: it has none. */
struct http_connection *http_connection_of(struct MHD_Connection *c);

static inline uint64_t http_deadline_ns(void)
{
	return clock_monotonic_ns() + (uint64_t)HTTP_DEADLINE_S * 1000000000u;
}

/* Send an answer, which is taken over. MHD_NO: the connection is to be cut. */
enum MHD_Result http_give(struct http *h, struct MHD_Connection *c, struct http_answer *a);

/* Let go of all streams: before MHD_stop_daemon(). */
void http_release_watchers(struct http *h);

#endif
