/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_MONITOR_PARTS_H
#define DAEMON_MONITOR_PARTS_H

#include "daemon/http.h"
#include "daemon/log.h"
#include "daemon/monitor_text.h"
#include "daemon/status.h"

#include <jansson.h>

/* What the monitor's files share: each answers some of the routes in monitor.c's table. Everything
 * runs on the server's thread. */

#define MONITOR_JSON "application/json"

struct pipeline;

struct monitor {
	struct pipeline *pipeline;
	const struct sink_program *program;
	struct http *http;

	/* The server's thread. */
	struct rates rates;
	struct status_view view;
	struct log_limit commands; /* lines about them */
};

/* One route: fills *ret. */
typedef void route_fn(struct monitor *m, const struct http_request *r, struct http_answer *ret);

/* monitor_figures.c */
route_fn monitor_get_status, monitor_get_metrics, monitor_get_config, monitor_get_health;
/* monitor_quality.c */
route_fn monitor_get_histogram, monitor_get_trend;
/* monitor_page.c */
route_fn monitor_get_page;
/* monitor_order.c */
route_fn monitor_post_command;

/* ---- answers ---- */

/* Takes `o` over; NULL: no memory. */
void monitor_give_json(struct http_answer *a, unsigned status, json_t *o);

/* Takes the text over. `type` is static. */
void monitor_give_text(struct http_answer *a, const char *type, struct text *t);

/* Everything there is to say, of now; valid until the next look. */
const struct status_view *monitor_look(struct monitor *m);

/* ---- parameters ---- */

/* The value of a parameter as its number in `words`, ended by NULL. False, having refused, when it
 * is none of them; *ret is left where it is not given. */
bool monitor_choose(const struct http_request *r, const char *name, const char *const *words,
                    const char *accepted, unsigned *ret, struct http_answer *a);

/* Whether all parameters are among `names`, ended by NULL, each once; else it is refused. */
bool monitor_all_known(const struct http_request *r, const char *const *names,
                       struct http_answer *a);

/* The names of a route without parameters. */
extern const char *const monitor_no_parameters[];

#endif
