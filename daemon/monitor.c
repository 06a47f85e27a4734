/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/monitor.h"
#include "daemon/embedded.h"
#include "daemon/http_rules.h"
#include "daemon/idle.h"
#include "daemon/monitor_parts.h"
#include "daemon/pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_TOKEN   16 /* characters */
#define COMMAND_LINES 5  /* of the log, a second */

/* ---- the table ---- */

static const struct route {
	const char *path;
	bool post;
	route_fn *answer;
} routes[] = {
	{ "/", false, monitor_get_page },
	{ "/api/v1/status", false, monitor_get_status },
	{ "/api/v1/histogram", false, monitor_get_histogram },
	{ "/api/v1/trend", false, monitor_get_trend },
	{ "/api/v1/events", false, monitor_get_events },
	{ "/api/v1/live", false, monitor_get_live },
	{ "/api/v1/live.png", false, monitor_get_live_png },
	{ "/api/v1/config", false, monitor_get_config },
	{ "/api/v1/command", true, monitor_post_command },
	{ "/assets/", false, monitor_get_page },
	{ "/metrics", false, monitor_get_metrics },
	{ "/healthz", false, monitor_get_health },
	{ "/openapi.json", false, monitor_get_openapi },
	{ 0 },
};

/* Whether it is a route's path, or begins with that of one that ends in a slash. */
static bool leads_to(const char *path, const struct route *route)
{
	size_t length = strlen(route->path);

	if (length > 1 && route->path[length - 1] == '/')
		return strncmp(path, route->path, length) == 0;
	return strcmp(path, route->path) == 0;
}

static void say_what_there_is(struct http_answer *ret)
{
	char sentence[600];
	size_t n = 0;

	for (const struct route *r = routes; r->path && n < sizeof sentence; r++)
		n += (size_t)snprintf(sentence + n, sizeof sentence - n, "%s %s",
		                      n ? "," : "there is nothing here; there are", r->path);
	http_refuse(ret, 404, sentence);
}

static void answer(void *user, const struct http_request *r, struct http_answer *ret)
{
	const struct route *route = routes;

	while (route->path && !leads_to(r->path, route))
		route++;
	if (!route->path)
		return say_what_there_is(ret);
	if (route->post != r->post) {
		ret->allow = route->post ? "POST" : "GET, HEAD";
		http_refuse(ret, 405,
		            route->post ? "a command is given with POST" : "this is read with GET");
		return;
	}
	route->answer(user, r, ret);
}

extern const struct embedded openapi_json; /* openapi.json */

void monitor_get_openapi(struct monitor *m, const struct http_request *r, struct http_answer *a)
{
	(void)m;
	if (!monitor_all_known(r, monitor_no_parameters, a))
		return;
	a->status = 200;
	a->type = MONITOR_JSON;
	a->lasting = openapi_json.at;
	a->bytes = openapi_json.bytes;
}

static void tick(void *user, uint64_t monotonic_ns)
{
	struct monitor *m = user;
	struct rate_sums sums;

	status_sums(m->pipeline, monotonic_ns, &sums);
	rates_add(&m->rates, &sums);
	log_limit_flush(&m->commands, monotonic_ns, LOG_INFO, "monitor");
	monitor_drop_kept(m);
	if (m->http && http_streams(m->http) > 0)
		monitor_tell(m, monotonic_ns);
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

bool monitor_close(struct monitor *m)
{
	if (!m)
		return true;
	if (!http_close(m->http))
		return false;
	monitor_drop_kept(m);
	monitor_live_free(m->live);
	free(m);
	return true;
}
