/* SPDX-License-Identifier: Apache-2.0 */
/* Status, metrics, health and configuration over HTTP. */
#include "daemon/metrics.h"
#include "daemon/monitor_parts.h"

#include <string.h>

char *monitor_status_text(struct monitor *m, unsigned kept, size_t *ret_bytes)
{
	json_t *o = status_json(monitor_look(m));
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	(void)kept;
	json_decref(o);
	*ret_bytes = text ? strlen(text) : 0;
	return text;
}

void monitor_get_status(struct monitor *m, const struct http_request *r, struct http_answer *a)
{
	if (monitor_all_known(r, monitor_no_parameters, a))
		monitor_give_kept(m, KEPT_STATUS, MONITOR_JSON, monitor_status_text, a);
}

static char *metrics(struct monitor *m, unsigned kept, size_t *ret_bytes)
{
	(void)kept;
	monitor_look(m);
	process_figures(&m->view.process);
	return metrics_text(&m->view, ret_bytes);
}

void monitor_get_metrics(struct monitor *m, const struct http_request *r, struct http_answer *a)
{
	(void)r;
	monitor_give_kept(m, KEPT_METRICS, METRICS_TYPE, metrics, a);
}

void monitor_get_config(struct monitor *m, const struct http_request *r, struct http_answer *a)
{
	if (!monitor_all_known(r, monitor_no_parameters, a))
		return;
	a->status = 200;
	a->type = MONITOR_JSON;
	a->body = strdup(m->program->config_json);
	a->bytes = a->body ? strlen(a->body) : 0;
}

void monitor_get_health(struct monitor *m, const struct http_request *r, struct http_answer *a)
{
	const struct status_view *v = monitor_look(m);

	(void)r;
	monitor_give_json(a, v->failed ? 503 : 200,
	                  json_pack("{s:b, s:s}", "ok", !v->failed, "state",
	                            status_state_name(status_state(v))));
}
