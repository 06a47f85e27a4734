/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/http_stream.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void offer(struct http_stream *s, unsigned kind, const char *text)
{
	struct shared_text *t = shared_text_new(strdup(text), strlen(text));

	http_stream_offer(s, kind, t);
	shared_text_drop(t);
}

/* All that waits, taken `room` bytes at a time. */
static const char *take_all(struct http_stream *s, size_t room)
{
	static char all[200];
	size_t n, length = 0;

	while ((n = http_stream_take(s, all + length, room)) > 0)
		length += n;
	all[length] = '\0';
	return all;
}

Test(http_stream, gives_the_newest_of_each_kind_once)
{
	struct http_stream s = { 0 };

	cr_assert_str_eq(take_all(&s, 8), "");
	offer(&s, 0, "a1");
	offer(&s, 3, "d1");
	offer(&s, 0, "a2");
	offer(&s, 0, "a3");
	cr_assert_str_eq(take_all(&s, 8), "a3d1");
	cr_assert_str_eq(take_all(&s, 8), "");
	offer(&s, 1, "b1");
	cr_assert_str_eq(take_all(&s, 8), "b1");
	http_stream_done(&s);
}

Test(http_stream, finishes_the_event_that_is_on_its_way)
{
	struct http_stream s = { 0 };
	char first[3];

	offer(&s, 0, "[first]");
	cr_assert_eq(http_stream_take(&s, first, sizeof first), 3);
	offer(&s, 0, "[second]");
	offer(&s, 0, "[third]");
	offer(&s, 1, "[other]");
	cr_assert_str_eq(take_all(&s, 3), "rst][other][third]");
	http_stream_done(&s);
}

/* One that is offered anew before each look does not keep the others from being sent. */
Test(http_stream, no_kind_starves_another)
{
	struct http_stream s = { 0 };
	char event[8];
	bool other = false;

	for (unsigned i = 0; i < HTTP_EVENT_KINDS; i++) {
		offer(&s, 0, "busy");
		offer(&s, 2, "rare");
		cr_assert_eq(http_stream_take(&s, event, sizeof event), 4);
		other |= memcmp(event, "rare", 4) == 0;
	}
	cr_assert(other);
	http_stream_done(&s);
}

/* Under AddressSanitizer: neither leaked nor freed too early. */
Test(http_stream, texts_live_as_long_as_somebody_holds_them)
{
	struct http_stream streams[3] = { 0 };
	struct shared_text *t = shared_text_new(strdup("shared"), 6);

	for (unsigned i = 0; i < 3; i++)
		http_stream_offer(&streams[i], i, t);
	cr_assert_eq(t->holders, 4);
	shared_text_drop(t);
	http_stream_done(&streams[0]);
	cr_assert_str_eq(take_all(&streams[1], 2), "shared");
	http_stream_done(&streams[1]);
	cr_assert_eq(t->holders, 1);
	cr_assert_str_eq(take_all(&streams[2], 100), "shared");
	http_stream_done(&streams[2]);
	cr_assert_null(shared_text_new(NULL, 0));
}
