/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/idle.h"
#include "daemon/monitor_parts.h"

#include <stdio.h>
#include <string.h>

#define SPEND_NS 2000000u /* of a tick of 100 ms */

/* ---- answers ---- */

void monitor_give_json(struct http_answer *a, unsigned status, json_t *o)
{
	a->status = status;
	a->type = MONITOR_JSON;
	a->body = o ? json_dumps(o, JSON_COMPACT) : NULL;
	a->bytes = a->body ? strlen(a->body) : 0;
	json_decref(o);
}

void monitor_give_text(struct http_answer *a, const char *type, struct text *t)
{
	a->status = 200;
	a->type = type;
	a->body = text_take(t, &a->bytes);
}

struct shared_text *monitor_keep(struct monitor *m, unsigned kept, make_fn *make)
{
	struct shared_text **t = &m->kept[kept];

	if (!*t || m->spent_ns < SPEND_NS) {
		uint64_t began_ns = clock_monotonic_ns();
		size_t bytes = 0;
		char *at = make(m, kept, &bytes);

		shared_text_drop(*t);
		*t = shared_text_new(at, bytes);
		m->spent_ns += clock_monotonic_ns() - began_ns;
	}
	return *t ? shared_text_hold(*t) : NULL;
}

void monitor_give_kept(struct monitor *m, unsigned kept, const char *type, make_fn *make,
                       struct http_answer *a)
{
	a->status = 200;
	a->type = type;
	a->shared = monitor_keep(m, kept, make);
	if (!a->shared)
		http_refuse(a, 503, "no memory for the answer");
}

void monitor_drop_kept(struct monitor *m)
{
	for (unsigned i = 0; i < KEPT_COUNT; i++) {
		shared_text_drop(m->kept[i]);
		m->kept[i] = NULL;
	}
	m->spent_ns = 0;
}

const struct status_view *monitor_look(struct monitor *m)
{
	status_look(m->pipeline, m->program, &m->rates, &m->view);
	if (m->http) {
		m->view.watchers.connections = http_connections(m->http);
		m->view.watchers.events = http_streams(m->http);
	}
	return &m->view;
}

/* ---- parameters ---- */

bool monitor_choose(const struct http_request *r, const char *name, const char *const *words,
                    const char *accepted, unsigned *ret, struct http_answer *a)
{
	char sentence[200];

	for (unsigned i = 0; i < r->parameter_count; i++) {
		if (strcmp(r->parameters[i].name, name) != 0)
			continue;
		for (unsigned w = 0; words[w]; w++)
			if (strcmp(r->parameters[i].value, words[w]) == 0) {
				*ret = w;
				return true;
			}
		snprintf(sentence, sizeof sentence, "%s takes %s, not '%.60s'", name, accepted,
		         r->parameters[i].value);
		http_refuse(a, 400, sentence);
		return false;
	}
	return true;
}

bool monitor_all_known(const struct http_request *r, const char *const *names,
                       struct http_answer *a)
{
	unsigned known = 0, seen = 0;
	char sentence[200];

	for (unsigned i = 0; i < r->parameter_count; i++) {
		known = 0;
		while (names[known] && strcmp(names[known], r->parameters[i].name) != 0)
			known++;
		if (!names[known] || seen & 1u << known) {
			snprintf(sentence, sizeof sentence, "%s parameter '%.60s'",
			         names[known] ? "repeated" : "unknown", r->parameters[i].name);
			http_refuse(a, 400, sentence);
			return false;
		}
		seen |= 1u << known;
	}
	return true;
}

const char *const monitor_no_parameters[] = { NULL };
