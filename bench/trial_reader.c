/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/trial_reader.h"

#include "daemon/clock.h"
#include "daemon/http_client.h"

#include <stdio.h>

#define EVERY_NS    (NS_PER_S / 4)
#define PATIENCE_MS 1000

static void ask(struct trial_reader *r, const struct client_url *url, const char *path,
                struct client_reply *ret)
{
	*ret = (struct client_reply){ 0 };
	if (!client_ask(url, path, NULL, "", ret) && ret->status == 200)
		atomic_fetch_add(&r->answers, 1);
}

static void *read_on(void *user)
{
	struct trial_reader *r = user;
	struct client_reply reply;
	struct client_url url;
	char text[64], why[400];

	snprintf(text, sizeof text, "http://127.0.0.1:%u", r->port);
	if (client_url_parse(text, &url, why))
		return NULL;
	url.patience_ms = PATIENCE_MS;
	while (!atomic_load(&r->stop)) {
		ask(r, &url, "/api/v1/status", &reply);
		client_reply_done(&reply);
		ask(r, &url, "/api/v1/live.png", &reply);
		client_reply_done(&reply);
		clock_sleep_until(clock_now_ns() + EVERY_NS);
	}
	return NULL;
}

int trial_reader_start(struct trial_reader *r, unsigned port)
{
	int err;

	r->port = port;
	err = pthread_create(&r->thread, NULL, read_on, r);
	r->runs = err == 0;
	return -err;
}

void trial_reader_end(struct trial_reader *r)
{
	if (!r->runs)
		return;
	atomic_store(&r->stop, true);
	pthread_join(r->thread, NULL);
	r->runs = false;
}
