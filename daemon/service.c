/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/service.h"
#include "daemon/log.h"
#include "daemon/pipeline.h"
#include "daemon/status_view.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TELL_NS   ((uint64_t)2 * 1000000000u)
#define MORE_TIME "EXTEND_TIMEOUT_USEC=30000000\n" /* from now on */

struct line {
	char text[600];
	size_t used;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *l, const char *format, ...)
{
	size_t room = sizeof l->text - l->used;
	va_list arguments;

	va_start(arguments, format);
	int n = vsnprintf(l->text + l->used, room, format, arguments);
	va_end(arguments);
	if (n > 0)
		l->used += (size_t)n < room ? (size_t)n : room - 1;
}

/* ---- the line ---- */

static void add_frames(struct line *l, const struct status_view *v, double fps)
{
	const struct totals *t = &v->figures.series;

	add(l, "series %llu, frames received %llu, durable %llu",
	    (unsigned long long)v->place.number, (unsigned long long)t->received,
	    (unsigned long long)t->durable);
	add(l, ", dropped %llu, missing %llu, %.0f a second", (unsigned long long)totals_dropped(t),
	    (unsigned long long)totals_missing(t), fps);
}

static void add_vitals(struct line *l, const struct vitals *v)
{
	if (v->stage)
		add(l, "; %s %s for %llu s", v->stage->name,
		    v->pulse == PULSE_ON_DISK ? "has waited for the disk" : "has not moved",
		    (unsigned long long)(v->still_ns / 1000000000u));
}

static void add_state(struct line *l, struct service *s, double seconds)
{
	const struct rates none = { 0 };
	struct status_view *v = s->view;

	status_look(s->pipeline, s->program, &none, v);
	add(l, "STATUS=%s%s: ", s->stopping ? "ending, " : "", status_state_name(status_state(v)));
	if (v->figures.running)
		add_frames(l, v, (double)(v->figures.ever.received - s->frames_seen) / seconds);
	else
		add(l, "series closed %llu", (unsigned long long)v->figures.series_closed);
	s->frames_seen = v->figures.ever.received;
}

static void tell(struct service *s, const struct vitals *v, uint64_t now_ns)
{
	double seconds = s->told_ns ? (double)(now_ns - s->told_ns) / 1e9 : 1;
	struct line l = { .used = 0 };

	if (s->stopping && v->pulse != PULSE_STILL)
		add(&l, MORE_TIME);
	if (s->view) {
		add_state(&l, s, seconds);
		add_vitals(&l, v);
	}
	s->told_ns = now_ns;
	if (l.used > 0)
		(void)notify_send(&s->notifier, l.text); /* the next one may get through */
}

/* ---- the watchdog ---- */

static void feed(struct service *s, const struct vitals *v, uint64_t now_ns)
{
	uint64_t limit_ns = s->notifier.watchdog_ns;

	if (limit_ns == 0 || v->pulse == PULSE_STILL || now_ns - s->fed_ns < limit_ns / 4)
		return;
	if (notify_send(&s->notifier, "WATCHDOG=1"))
		s->fed_ns = now_ns;
}

/* ---- life ---- */

void service_open(struct service *s, struct pipeline *p, const struct sink_program *program)
{
	int err = notify_open(&s->notifier);

	s->pipeline = p;
	s->program = program;
	if (err < 0)
		log_line(LOG_WARNING, "daemon",
		         "NOTIFY_SOCKET %.108s cannot be used, systemd is told nothing: %s",
		         getenv("NOTIFY_SOCKET"), strerror(-err));
	if (s->notifier.fd >= 0)
		s->view = malloc(sizeof *s->view);
}

void service_ready(struct service *s)
{
	s->ready_due = !notify_send(&s->notifier, "READY=1");
}

void service_turn(struct service *s, const struct vitals *v, uint64_t now_ns)
{
	if (s->notifier.fd < 0)
		return;
	if (s->ready_due)
		service_ready(s);
	feed(s, v, now_ns);
	if (now_ns - s->told_ns >= TELL_NS)
		tell(s, v, now_ns);
}

void service_stopping(struct service *s, const char *why)
{
	struct line l = { .used = 0 };

	if (s->notifier.fd < 0 || s->stopping)
		return;
	s->stopping = true;
	add(&l, "STOPPING=1\n" MORE_TIME "STATUS=%s", why ? why : "ending");
	(void)notify_send(&s->notifier, l.text);
}

void service_close(struct service *s)
{
	if (s->pipeline)
		notify_close(&s->notifier);
	free(s->view);
	*s = (struct service){ 0 };
}
