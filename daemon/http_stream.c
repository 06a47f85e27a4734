/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/http_stream.h"

#include <stdlib.h>
#include <string.h>

/* ---- texts ---- */

struct shared_text *shared_text_new(char *at, size_t bytes)
{
	struct shared_text *t = at ? malloc(sizeof *t) : NULL;

	if (!t) {
		free(at);
		return NULL;
	}
	*t = (struct shared_text){ .bytes = bytes, .holders = 1, .at = at };
	return t;
}

struct shared_text *shared_text_hold(struct shared_text *t)
{
	t->holders++;
	return t;
}

void shared_text_drop(struct shared_text *t)
{
	if (!t || --t->holders > 0)
		return;
	free(t->at);
	free(t);
}

/* ---- streams ---- */

void http_stream_offer(struct http_stream *s, unsigned kind, struct shared_text *t)
{
	shared_text_drop(s->next[kind]);
	s->next[kind] = shared_text_hold(t);
}

static bool advance(struct http_stream *s)
{
	shared_text_drop(s->now);
	s->now = NULL;
	s->sent = 0;
	for (unsigned i = 0; !s->now && i < HTTP_EVENT_KINDS; i++) {
		unsigned kind = s->turn++ % HTTP_EVENT_KINDS;

		s->now = s->next[kind];
		s->next[kind] = NULL;
	}
	return s->now != NULL;
}

size_t http_stream_take(struct http_stream *s, char *ret, size_t room)
{
	if ((!s->now || s->sent == s->now->bytes) && !advance(s))
		return 0;
	size_t left = s->now->bytes - s->sent, n = left < room ? left : room;

	memcpy(ret, s->now->at + s->sent, n);
	s->sent += n;
	return n;
}

void http_stream_done(struct http_stream *s)
{
	shared_text_drop(s->now);
	for (unsigned i = 0; i < HTTP_EVENT_KINDS; i++)
		shared_text_drop(s->next[i]);
	*s = (struct http_stream){ 0 };
}
