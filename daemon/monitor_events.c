/* SPDX-License-Identifier: Apache-2.0 */
/* What those who watch are told as it happens: the streams of /api/v1/events. An event is made once
 * for all of them, and only while there are any. */
#include "daemon/idle.h"
#include "daemon/monitor_parts.h"
#include "daemon/pictures.h"
#include "daemon/pipeline.h"

#include <inttypes.h>
#include <stdlib.h>

#define SHORTLY_NS 50000000u /* half a tick: a period is over at the tick next to its end */
#define FETCH_NS   20000000u /* whoever hears of a picture asks for it, and that is megabytes */

/* Append the data of an event as one line of JSON; false: there is nothing new. Within a
 * millisecond. */
typedef bool event_fn(struct monitor *m, struct text *t);

/* Appended as it is kept for those who ask for it. */
static bool add_status(struct monitor *m, struct text *t)
{
	struct shared_text *status = monitor_keep(m, KEPT_STATUS, monitor_status_text);

	if (!status)
		return false;
	text_add(t, "%.*s", (int)status->bytes, status->at);
	shared_text_drop(status);
	return true;
}

static bool add_trend_row(struct monitor *m, struct text *t)
{
	struct quality_trend trend = { 0 };

	if (!m->pipeline->quality || quality_trend(m->pipeline->quality, 1, &trend) < 0)
		return false;
	bool any = trend.rows > 0 && trend.ever != m->events.trend_rows;
	if (any)
		monitor_add_last_row(t, &trend);
	m->events.trend_rows = trend.ever;
	quality_trend_done(&trend);
	return any;
}

/* While there are streams, somebody looks. */
static bool add_picture(struct monitor *m, struct text *t)
{
	struct pictures *pictures = m->pipeline->pictures;
	uint64_t frame, time_ns;

	if (!pictures)
		return false;
	pictures_want(pictures, clock_monotonic_ns());
	if (!pictures_newest(pictures, &frame, &time_ns))
		return false;
	bool any = frame != m->events.picture_frame || time_ns != m->events.picture_ns;
	if (any)
		text_add(t, "{\"frame\":%" PRIu64 ",\"time_ns\":%" PRIu64 "}", frame, time_ns);
	m->events.picture_frame = frame;
	m->events.picture_ns = time_ns;
	return any;
}

/* Whether something happened that people want to see at once. */
static bool is_news(struct monitor *m)
{
	const struct status_view *v = monitor_look(m);
	struct monitor_events *e = &m->events;
	uint64_t raised = 0, ended = 0;
	enum status_state state = status_state(v);

	for (unsigned i = 0; i < SENTINEL_COUNT; i++) {
		raised += v->quality.alarms[i].times;
		ended += v->quality.alarms[i].times - v->quality.alarms[i].active;
	}
	bool news = state != e->state || v->place.number != e->series ||
	            raised != e->alarms_raised || ended != e->alarms_ended;
	e->state = state;
	e->series = v->place.number;
	e->alarms_raised = raised;
	e->alarms_ended = ended;
	return news;
}

/* By the number that http_publish() has. */
static const struct event_kind {
	const char *head;
	uint64_t period_ns;                 /* no more often, */
	uint64_t each_ns;                   /* and with many streams as much for each of them, */
	bool (*at_once)(struct monitor *m); /* unless this says so; NULL: never */
	event_fn *add;
} kinds[] = {
	{ "retry: 1000\nevent: status\ndata: ", 500000000u, 0, is_news, add_status },
	{ "event: trend\ndata: ", 0, 0, NULL, add_trend_row },
	{ "event: picture\ndata: ", PICTURES_INTERVAL_NS, FETCH_NS, NULL, add_picture },
};
_Static_assert(sizeof kinds / sizeof kinds[0] <= HTTP_EVENT_KINDS, "each has a place in a stream");

static void tell(struct monitor *m, unsigned kind, uint64_t monotonic_ns)
{
	struct text t = { 0 };
	struct shared_text *event;
	size_t bytes;
	char *at;

	text_add(&t, "%s", kinds[kind].head);
	bool any = kinds[kind].add(m, &t);
	text_add(&t, "\n\n");
	at = text_take(&t, &bytes);
	if (!any) {
		free(at);
		return;
	}
	event = shared_text_new(at, bytes);
	if (!event)
		return;
	http_publish(m->http, kind, event);
	shared_text_drop(event);
	m->events.told_ns[kind] = monotonic_ns;
}

void monitor_tell(struct monitor *m, uint64_t monotonic_ns)
{
	for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		uint64_t since_ns = monotonic_ns - m->events.told_ns[i];
		uint64_t for_all_ns = kinds[i].each_ns * http_streams(m->http);
		uint64_t period_ns =
			kinds[i].period_ns > for_all_ns ? kinds[i].period_ns : for_all_ns;

		/* Both are looked at: the news of now are not news at the next tick. */
		bool at_once = kinds[i].at_once && kinds[i].at_once(m);

		if (at_once || since_ns + SHORTLY_NS >= period_ns)
			tell(m, i, monotonic_ns);
	}
}

/* A stream begins with what is known now. */
void monitor_get_events(struct monitor *m, const struct http_request *r, struct http_answer *a)
{
	if (!monitor_all_known(r, monitor_no_parameters, a))
		return;
	monitor_tell(m, clock_monotonic_ns());
	a->status = 200;
	a->type = "text/event-stream";
	a->events = true;
}
