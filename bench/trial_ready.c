/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/trial_parts.h"

#include "daemon/clock.h"
#include "daemon/http_client.h"

#include <poll.h>
#include <stdio.h>

#define LOOK_MS     20
#define PATIENCE_MS 1000
#define AT_MOST_NS  (60 * NS_PER_S)

static bool answers(const struct client_url *url)
{
	struct client_reply reply = { 0 };
	bool good = client_ask(url, "/healthz", NULL, "", &reply) == 0 && reply.status == 200;

	client_reply_done(&reply);
	return good;
}

/* The daemon connects before it has laid out its memory, which may take a second: a sender that
 * keeps a rate would be late before anything is measured. */
void trial_await_ready(const struct trial *t, const struct trial_wiring *w,
                       const struct child *daemon)
{
	uint64_t deadline_ns = clock_now_ns() + AT_MOST_NS;
	struct client_url url;
	char text[64], why[400];

	snprintf(text, sizeof text, "http://127.0.0.1:%u", w->monitor_port);
	if (!w->monitor_port || client_url_parse(text, &url, why))
		return;
	url.patience_ms = PATIENCE_MS;
	while (!answers(&url) && !*t->stop && clock_now_ns() < deadline_ns) {
		struct pollfd ended = { .fd = daemon->handle, .events = POLLIN };

		if (poll(&ended, 1, LOOK_MS) > 0)
			return;
	}
}
