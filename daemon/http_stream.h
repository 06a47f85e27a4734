/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HTTP_STREAM_H
#define DAEMON_HTTP_STREAM_H

#include <stdbool.h>
#include <stddef.h>

/* A text that several answers share, and what one stream of events has not sent yet. One thread:
 * the server's. */

struct shared_text {
	size_t bytes;
	unsigned holders;
	unsigned answers; /* that are on their way with it: the server's */
	char *at;         /* [bytes] */
};

/* Takes `at` over, also when it fails; its caller is the first holder. NULL: no memory, or `at` is
 * NULL. */
struct shared_text *shared_text_new(char *at, size_t bytes);

/* One holder more. Returns it. */
struct shared_text *shared_text_hold(struct shared_text *t);

/* One holder less; the last one frees it. Accepts NULL. */
void shared_text_drop(struct shared_text *t);

#define HTTP_EVENT_KINDS 4

/* Of each kind the newest event waits, no more: whoever reads slowly misses events, and never takes
 * more memory. Zeroed: nothing waits. */
struct http_stream {
	struct shared_text *now; /* on its way */
	size_t sent;             /* of it */
	struct shared_text *next[HTTP_EVENT_KINDS];
	unsigned turn; /* the kind to look at first: none keeps another from being sent */
};

/* An event of that kind instead of the one that waits. Held by the stream from now on. */
void http_stream_offer(struct http_stream *s, unsigned kind, struct shared_text *t);

/* Copy what comes next, at most `room` bytes; 0: nothing waits. Events stay in one piece. */
size_t http_stream_take(struct http_stream *s, char *ret, size_t room);

/* Drop what waits. */
void http_stream_done(struct http_stream *s);

#endif
