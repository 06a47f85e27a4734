/* SPDX-License-Identifier: Apache-2.0 */
/* What the server sends: answers, and streams of events.
 * A stream of which everything was sent is suspended: it costs nothing, and nobody looks whether
 * its peer is still there until there is an event for it. */
#include "daemon/http_parts.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define WAITING_BYTES ((size_t)32 << 20)
#define PIECE_BYTES   ((size_t)16 << 10) /* of a stream; no more than headers have fits */
#define AHEAD_BYTES   (16 << 10)         /* that the kernel takes of a stream; it doubles them */

void http_refuse(struct http_answer *ret, unsigned status, const char *sentence)
{
	json_t *error = json_pack("{s:s}", "error", sentence);

	ret->status = status;
	ret->type = "application/json";
	ret->body = error ? json_dumps(error, 0) : NULL;
	ret->bytes = ret->body ? strlen(ret->body) : 0;
	json_decref(error);
}

/* ---- answers ---- */

/* An answer's text until it is sent. */
struct waiting {
	struct http *http;
	struct shared_text *text;
};

static void sent(void *argument)
{
	struct waiting *w = argument;

	if (--w->text->answers == 0)
		w->http->waiting_bytes -= w->text->bytes;
	shared_text_drop(w->text);
	free(w);
}

/* Takes the text over. */
static struct MHD_Response *make_of_text(struct http *h, struct shared_text *text)
{
	struct waiting *w = malloc(sizeof *w);
	struct MHD_Response *response;

	if (!w) {
		shared_text_drop(text);
		return NULL;
	}
	*w = (struct waiting){ h, text };
	if (text->answers++ == 0)
		h->waiting_bytes += text->bytes;
	response = MHD_create_response_from_buffer_with_free_callback_cls(text->bytes, text->at,
	                                                                  sent, w);
	if (!response)
		sent(w);
	return response;
}

/* ---- streams ---- */

static ssize_t read_events(void *argument, uint64_t position, char *ret, size_t room)
{
	struct http_watcher *w = argument;
	size_t n = http_stream_take(&w->events, ret, room);

	(void)position;
	w->asleep = n == 0;
	if (w->asleep)
		MHD_suspend_connection(w->to);
	if (w->connection)
		w->connection->deadline_ns = n ? http_deadline_ns() : UINT64_MAX;
	return (ssize_t)n;
}

static void forget_watcher(void *argument)
{
	struct http_watcher *w = argument;

	http_stream_done(&w->events);
	*w = (struct http_watcher){ 0 };
}

static struct http_watcher *spare_watcher(struct http *h)
{
	for (unsigned i = 0; i < HTTP_STREAMS_MAX; i++)
		if (!h->watchers[i].to)
			return &h->watchers[i];
	return NULL;
}

static struct MHD_Response *make_of_events(struct http *h, struct MHD_Connection *c)
{
	struct http_watcher *w = spare_watcher(h);
	struct MHD_Response *response = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, PIECE_BYTES, read_events, w, forget_watcher);
	const int ahead = AHEAD_BYTES;

	if (!response)
		return NULL;
	*w = (struct http_watcher){ .http = h, .to = c, .connection = http_connection_of(c) };
	for (unsigned i = 0; i < HTTP_EVENT_KINDS; i++)
		if (h->newest[i])
			http_stream_offer(&w->events, i, h->newest[i]);
	/* What the kernel has taken is sent, however old it is by then. */
	if (w->connection)
		setsockopt(w->connection->fd, SOL_SOCKET, SO_SNDBUF, &ahead, sizeof ahead);
	/* nginx keeps what it passes on until there is more of it, unless told. */
	MHD_add_response_header(response, "X-Accel-Buffering", "no");
	return response;
}

void http_publish(struct http *h, unsigned kind, struct shared_text *event)
{
	shared_text_drop(h->newest[kind]);
	h->newest[kind] = shared_text_hold(event);
	for (unsigned i = 0; i < HTTP_STREAMS_MAX; i++) {
		struct http_watcher *w = &h->watchers[i];

		if (!w->to)
			continue;
		http_stream_offer(&w->events, kind, event);
		if (!w->asleep)
			continue;
		w->asleep = false;
		if (w->connection)
			w->connection->deadline_ns = http_deadline_ns();
		MHD_resume_connection(w->to);
	}
}

unsigned http_streams(const struct http *h)
{
	unsigned n = 0;

	for (unsigned i = 0; i < HTTP_STREAMS_MAX; i++)
		n += h->watchers[i].to != NULL;
	return n;
}

unsigned http_connections(const struct http *h)
{
	unsigned n = 0;

	for (unsigned i = 0; i < HTTP_CONNECTIONS_MAX; i++)
		n += h->connections[i].used;
	return n;
}

void http_release_watchers(struct http *h)
{
	for (unsigned i = 0; i < HTTP_STREAMS_MAX; i++)
		if (h->watchers[i].asleep)
			MHD_resume_connection(h->watchers[i].to);
	for (unsigned i = 0; i < HTTP_EVENT_KINDS; i++) {
		shared_text_drop(h->newest[i]);
		h->newest[i] = NULL;
	}
}

/* ---- either ---- */

static const char *const headers[][2] = {
	{ "X-Content-Type-Options", "nosniff" },
	{ "X-Frame-Options", "DENY" },
	{ "Referrer-Policy", "no-referrer" },
	{ "Cross-Origin-Resource-Policy", "same-origin" },
};
static const char too_many_streams[] =
	"64 pages are told of events already: close one, or ask for /api/v1/status";
static const char strict[] = "default-src 'none'; frame-ancestors 'none'";

static void add_headers(struct MHD_Response *response, const struct http_answer *a)
{
	for (unsigned i = 0; i < sizeof headers / sizeof headers[0]; i++)
		MHD_add_response_header(response, headers[i][0], headers[i][1]);
	MHD_add_response_header(response, "Content-Type", a->type);
	MHD_add_response_header(response, "Content-Security-Policy",
	                        a->policy ? a->policy : strict);
	MHD_add_response_header(response, "Cache-Control", a->cache ? a->cache : "no-store");
	if (a->allow)
		MHD_add_response_header(response, "Allow", a->allow);
	if (a->status == 401)
		MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
}

static struct MHD_Response *make_response(struct http *h, struct MHD_Connection *c,
                                          struct http_answer *a)
{
	struct shared_text *text;

	if (a->lasting)
		return MHD_create_response_from_buffer(a->bytes, (void *)(uintptr_t)a->lasting,
		                                       MHD_RESPMEM_PERSISTENT);
	if (a->events && spare_watcher(h))
		return make_of_events(h, c);
	if (a->events)
		http_refuse(a, 503, too_many_streams);
	text = a->shared ? a->shared : shared_text_new(a->body, a->bytes);
	if (text && text->answers == 0 && h->waiting_bytes + text->bytes > WAITING_BYTES) {
		shared_text_drop(text);
		http_refuse(a, 503, "too many answers wait for their readers: try again");
		text = shared_text_new(a->body, a->bytes);
	}
	return text ? make_of_text(h, text) : NULL;
}

enum MHD_Result http_give(struct http *h, struct MHD_Connection *c, struct http_answer *a)
{
	struct MHD_Response *response = make_response(h, c, a);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	add_headers(response, a);
	result = MHD_queue_response(c, a->status, response);
	MHD_destroy_response(response);
	return result;
}
