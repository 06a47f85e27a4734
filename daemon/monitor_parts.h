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

struct live;
struct pipeline;

/* Answers that may be given more than once: status, metrics, trend, histograms by kind and window.
 */
enum monitor_kept {
	KEPT_STATUS,
	KEPT_METRICS,
	KEPT_TREND,
	KEPT_HISTOGRAM, /* + WINDOW_COUNT * kind + window */
	KEPT_COUNT = KEPT_HISTOGRAM + 2 * WINDOW_COUNT
};

/* What was told to those who watch, and when. */
struct monitor_events {
	uint64_t told_ns[HTTP_EVENT_KINDS]; /* CLOCK_MONOTONIC; 0: never */
	enum status_state state;
	uint64_t series, alarms_raised, alarms_ended;
	uint64_t trend_rows; /* that there were */
	uint64_t picture_frame, picture_ns;
};

struct monitor {
	struct pipeline *pipeline;
	const struct sink_program *program;
	struct http *http;

	/* The server's thread. */
	struct rates rates;
	struct status_view view;
	struct log_limit commands;            /* lines about them */
	struct shared_text *kept[KEPT_COUNT]; /* made since the last tick; NULL: not yet */
	uint64_t spent_ns;                    /* on making answers, since then */
	struct monitor_events events;
	struct live *live; /* NULL until somebody looks */
};

/* One route: fills *ret. */
typedef void route_fn(struct monitor *m, const struct http_request *r, struct http_answer *ret);

/* monitor_figures.c */
route_fn monitor_get_status, monitor_get_metrics, monitor_get_config, monitor_get_health;
/* monitor_quality.c */
route_fn monitor_get_histogram, monitor_get_trend;
/* monitor_page.c */
route_fn monitor_get_page;
/* monitor_live.c */
route_fn monitor_get_live, monitor_get_live_png;
/* Accepts NULL. */
void monitor_live_free(struct live *l);
/* monitor_order.c */
route_fn monitor_post_command;
/* monitor_events.c */
route_fn monitor_get_events;
/* monitor.c */
route_fn monitor_get_openapi;

/* ---- answers ---- */

/* Takes `o` over; NULL: no memory. */
void monitor_give_json(struct http_answer *a, unsigned status, json_t *o);

/* Takes the text over. `type` is static. */
void monitor_give_text(struct http_answer *a, const char *type, struct text *t);

/* Make an answer, malloc'd [*ret_bytes]; NULL: no memory. */
typedef char *make_fn(struct monitor *m, unsigned kept, size_t *ret_bytes);

/* The answer number `kept` of now; once much of this tick went into making answers, as it was made
 * in this tick. However often somebody asks, no more is spent. NULL: no memory. */
struct shared_text *monitor_keep(struct monitor *m, unsigned kept, make_fn *make);
void monitor_give_kept(struct monitor *m, unsigned kept, const char *type, make_fn *make,
                       struct http_answer *a);

/* Forget what was made: a tick is over, or something was commanded. */
void monitor_drop_kept(struct monitor *m);

/* The status as text; a make_fn. */
char *monitor_status_text(struct monitor *m, unsigned kept, size_t *ret_bytes);

/* {"columns": [...], "row": [...]} of the newest row; there is one. */
void monitor_add_last_row(struct text *t, const struct quality_trend *trend);

/* Once a tick: tell those who watch what is new. */
void monitor_tell(struct monitor *m, uint64_t monotonic_ns);

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
