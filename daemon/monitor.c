/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/monitor.h"
#include "daemon/commands.h"
#include "daemon/http.h"
#include "daemon/http_rules.h"
#include "daemon/idle.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/monitor_command.h"
#include "daemon/monitor_text.h"
#include "daemon/pipeline.h"
#include "daemon/quality.h"
#include "daemon/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_TYPE     "application/json"
#define SHORT_TOKEN   16 /* characters */
#define COMMAND_LINES 5  /* of the log, a second */

struct monitor {
	struct pipeline *pipeline;
	const struct sink_program *program;
	struct http *http;

	/* The server's thread. */
	struct rates rates;
	struct status_view view;
	struct log_limit commands; /* lines about them */
};

/* ---- answers ---- */

static void give_json(struct http_answer *a, unsigned status, json_t *o)
{
	a->status = status;
	a->type = JSON_TYPE;
	a->body = o ? json_dumps(o, JSON_COMPACT) : NULL;
	a->bytes = a->body ? strlen(a->body) : 0;
	json_decref(o);
}

static void give_text(struct http_answer *a, const char *type, struct text *t)
{
	a->status = 200;
	a->type = type;
	a->body = text_take(t, &a->bytes);
}

static const struct status_view *look(struct monitor *m)
{
	status_look(m->pipeline, m->program, &m->rates, &m->view);
	return &m->view;
}

/* ---- parameters ---- */

/* The value of a parameter as its number in `words`. False, having refused, when it is none of
 * them; *ret is left where it is not given. */
static bool choose(const struct http_request *r, const char *name, const char *const *words,
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

/* Whether all parameters are among `names`, each once. */
static bool all_known(const struct http_request *r, const char *const *names, struct http_answer *a)
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

static const char *const no_parameters[] = { NULL };

/* ---- routes ---- */

static void get_status(struct monitor *m, const struct http_request *r, struct http_answer *a)
{
	if (all_known(r, no_parameters, a))
		give_json(a, 200, status_json(look(m)));
}

static void get_metrics(struct monitor *m, const struct http_request *r, struct http_answer *a)
{
	(void)r;
	a->status = 200;
	a->type = METRICS_TYPE;
	a->body = metrics_text(look(m), &a->bytes);
}

static void get_config(struct monitor *m, const struct http_request *r, struct http_answer *a)
{
	if (!all_known(r, no_parameters, a))
		return;
	a->status = 200;
	a->type = JSON_TYPE;
	a->body = strdup(m->program->config_json);
	a->bytes = a->body ? strlen(a->body) : 0;
}

static void get_health(struct monitor *m, const struct http_request *r, struct http_answer *a)
{
	const struct status_view *v = look(m);

	(void)r;
	give_json(a, v->failed ? 503 : 200,
	          json_pack("{s:b, s:s}", "ok", !v->failed, "state",
	                    status_state_name(status_state(v))));
}

static const char *const kinds[] = { "normalised", "raw", NULL };
static const char *const windows[WINDOW_COUNT + 1] = {
	[WINDOW_FRAME] = "frame", [WINDOW_SECOND] = "second", [WINDOW_SERIES] = "series"
};
static const char *const percentile_names[PERCENTILES] = { "0.1", "1", "50", "99", "99.9" };

static void add_percentiles(struct text *t, const float at[PERCENTILES])
{
	text_add(t, "{");
	for (unsigned i = 0; i < PERCENTILES; i++) {
		text_add(t, "%s\"%s\":", i ? "," : "", percentile_names[i]);
		text_add_number(t, (double)at[i], 9);
	}
	text_add(t, "}");
}

static void add_histogram(struct text *t, const char *kind, const char *window,
                          const struct quality_histogram *h)
{
	text_add(t, "{\"kind\":\"%s\",\"window\":\"%s\",\"frames\":%llu,\"low\":", kind, window,
	         (unsigned long long)h->frames);
	text_add_number(t, h->bins.low, 17);
	text_add(t, ",\"high\":");
	text_add_number(t, h->bins.high, 17);
	text_add(t, ",\"counts\":[");
	for (uint32_t i = 0; i < h->bins.bins; i++)
		text_add(t, "%s%llu", i ? "," : "", (unsigned long long)h->counts[i]);
	text_add(t, "],\"below\":%llu,\"above\":%llu,\"nan\":%llu,\"percentiles\":",
	         (unsigned long long)h->tails.below, (unsigned long long)h->tails.above,
	         (unsigned long long)h->tails.nan);
	add_percentiles(t, h->percentiles);
	text_add(t, "}");
}

static void get_histogram(struct monitor *m, const struct http_request *r, struct http_answer *a)
{
	static const char *const names[] = { "kind", "window", NULL };
	unsigned kind = 0, window = WINDOW_SERIES;
	struct quality_histogram h = { 0 };
	struct text t = { 0 };

	if (!all_known(r, names, a) || !choose(r, "kind", kinds, "raw or normalised", &kind, a) ||
	    !choose(r, "window", windows, "series, second or frame", &window, a))
		return;
	if (!m->pipeline->quality)
		return http_refuse(a, 503, "nothing is known of the frames yet");
	if (quality_histogram(m->pipeline->quality, kind == 1, (enum quality_window)window, &h) < 0)
		return http_refuse(a, 503, "no memory for the histogram");
	add_histogram(&t, kinds[kind], windows[window], &h);
	free(h.counts);
	give_text(a, JSON_TYPE, &t);
}

static void add_trend(struct text *t, const struct quality_trend *trend)
{
	text_add(t, "{\"columns\":[");
	for (unsigned i = 0; i < trend->columns; i++)
		text_add(t, "%s\"%s\"", i ? "," : "", trend->names[i]);
	text_add(t, "],\"rows\":[");
	for (unsigned row = 0; row < trend->rows; row++) {
		text_add(t, row ? ",[" : "[");
		for (unsigned i = 0; i < trend->columns; i++) {
			text_add(t, i ? "," : "");
			text_add_number(t, trend->values[(size_t)row * trend->columns + i],
			                i ? 9 : 17);
		}
		text_add(t, "]");
	}
	text_add(t, "]}");
}

static void get_trend(struct monitor *m, const struct http_request *r, struct http_answer *a)
{
	struct quality_trend trend = { 0 };
	struct text t = { 0 };

	if (!all_known(r, no_parameters, a))
		return;
	if (!m->pipeline->quality)
		return http_refuse(a, 503, "nothing is known of the frames yet");
	if (quality_trend(m->pipeline->quality, &trend) < 0)
		return http_refuse(a, 503, "no memory for the trend");
	add_trend(&t, &trend);
	quality_trend_done(&trend);
	give_text(a, JSON_TYPE, &t);
}

/* ---- commands ---- */

static unsigned status_of(int err)
{
	switch (err) {
	case 0:
		return 200;
	case -EINVAL:
		return 400;
	case -EBUSY:
		return 409;
	case -EFBIG:
		return 413;
	case -ENOTSUP:
	case -ENOSYS:
		return 501;
	case -ESHUTDOWN:
		return 503;
	default:
		return 500;
	}
}

/* The last part of the series' path. */
static json_t *series_word(struct monitor *m)
{
	struct series_place place;
	const char *slash;

	figures_place(&m->pipeline->collector.board, &place);
	slash = strrchr(place.path, '/');
	return place.path[0] ? status_text(slash ? slash + 1 : place.path) : json_null();
}

static void answer_command(struct monitor *m, unsigned status, const char *why,
                           struct http_answer *a)
{
	give_json(a, status,
	          json_pack("{s:b, s:o, s:o}", "ok", status == 200, "series", series_word(m),
	                    "error", status == 200 ? json_null() : status_text(why)));
}

__attribute__((format(printf, 2, 3))) static void log_command(struct monitor *m, const char *format,
                                                              ...)
{
	va_list arguments;
	char line[600];

	va_start(arguments, format);
	vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	if (log_limit_take(&m->commands, clock_monotonic_ns(), line))
		log_line(LOG_INFO, "monitor", "%s", line);
}

static void post_command(struct monitor *m, const struct http_request *r, struct http_answer *a)
{
	char why[400] = "";
	struct command c;
	int err;

	if (!r->trusted) {
		log_command(m, "a command from %s was refused: no valid token", r->from);
		return answer_command(m, 401,
		                      "commands from another machine need the token of "
		                      "monitor.token_file",
		                      a);
	}
	err = monitor_command_parse(r->body, r->body_bytes, &c, why);
	if (err == 0) {
		err = command_give(m->pipeline, &c, why);
		log_line(LOG_INFO, "monitor", "command %s from %s%s%s",
		         monitor_command_name(c.kind), r->from, err < 0 ? " was refused: " : "",
		         err < 0 ? why : "");
	}
	answer_command(m, status_of(err), why, a);
}

/* ---- the table ---- */

typedef void route_fn(struct monitor *m, const struct http_request *r, struct http_answer *a);

static const struct route {
	const char *path;
	bool post;
	route_fn *answer;
} routes[] = {
	{ "/api/v1/status", false, get_status },   { "/api/v1/histogram", false, get_histogram },
	{ "/api/v1/trend", false, get_trend },     { "/api/v1/config", false, get_config },
	{ "/api/v1/command", true, post_command }, { "/metrics", false, get_metrics },
	{ "/healthz", false, get_health },         { 0 },
};

static void answer(void *user, const struct http_request *r, struct http_answer *ret)
{
	const struct route *route = routes;

	while (route->path && strcmp(route->path, r->path) != 0)
		route++;
	if (!route->path) {
		http_refuse(ret, 404,
		            "there is nothing; there are /api/v1/status, histogram, trend, config "
		            "and command, /metrics and /healthz");
		return;
	}
	if (route->post != r->post) {
		ret->allow = route->post ? "POST" : "GET, HEAD";
		http_refuse(ret, 405,
		            route->post ? "a command is given with POST" : "this is read with GET");
		return;
	}
	route->answer(user, r, ret);
}

static void tick(void *user, uint64_t monotonic_ns)
{
	struct monitor *m = user;
	struct rate_sums sums;

	status_sums(m->pipeline, monotonic_ns, &sums);
	rates_add(&m->rates, &sums);
	log_limit_flush(&m->commands, monotonic_ns, LOG_INFO, "monitor");
}

/* ---- life ---- */

/* The token, or "" with a line in the log. */
static void read_token(const char *path, char ret[HTTP_TOKEN_BYTES])
{
	char why[400];

	ret[0] = '\0';
	if (!path[0])
		return;
	if (http_token_read(path, ret, why) < 0)
		log_line(LOG_ERROR, "monitor", "%s; commands are taken from this machine only",
		         why);
	else if (strlen(ret) < SHORT_TOKEN)
		log_line(LOG_WARNING, "monitor", "the token in %s is short: it can be guessed",
		         path);
}

static int open_parts(struct monitor *m, char why[400])
{
	const struct config_monitor *c = &m->pipeline->config->monitor;
	char token[HTTP_TOKEN_BYTES];
	struct http_options options = { .address = c->http,
		                        .allowed_hosts = &c->allowed_hosts,
		                        .token = token,
		                        .user = m,
		                        .answer = answer,
		                        .tick = tick };
	int err;

	tick(m, clock_monotonic_ns());
	read_token(c->token_file, token);
	err = http_open(&m->http, &options, why);
	explicit_bzero(token, sizeof token);
	return err;
}

struct monitor *monitor_open(struct pipeline *p, const struct sink_program *program)
{
	const char *address = p->config->monitor.http;
	struct monitor *m = NULL;
	char why[400] = "no memory";

	if (!address[0])
		return NULL;
	m = calloc(1, sizeof *m);
	if (m) {
		m->pipeline = p;
		m->program = program;
		m->commands.burst = COMMAND_LINES;
	}
	if (m && open_parts(m, why) == 0) {
		log_line(LOG_INFO, "monitor", "listening on %s", http_url(m->http));
		return m;
	}
	log_line(LOG_ERROR, "monitor",
	         "%s; set monitor.http, or to \"\" for none. The measurement goes on without "
	         "status, metrics and commands",
	         why);
	monitor_close(m);
	return NULL;
}

void monitor_close(struct monitor *m)
{
	/* A thread that does not end keeps what it reads. */
	if (m && http_close(m->http))
		free(m);
}
