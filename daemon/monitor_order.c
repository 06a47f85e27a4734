/* SPDX-License-Identifier: Apache-2.0 */
/* Commands over HTTP: who may give them, and what is answered. */
#include "daemon/commands.h"
#include "daemon/idle.h"
#include "daemon/monitor_command.h"
#include "daemon/monitor_parts.h"
#include "daemon/pipeline.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

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
		return 501;
	case -EAGAIN:
	case -ESHUTDOWN:
		return 503;
	default:
		return 500;
	}
}

/* The folder of the running or last series. */
static json_t *series_word(struct monitor *m)
{
	struct series_place place;

	figures_place(&m->pipeline->collector.board, &place);
	return place.path[0] ? status_text(figures_folder(place.path)) : json_null();
}

/* Takes `series` over. */
static void answer_command(unsigned status, json_t *series, const char *why, struct http_answer *a)
{
	monitor_give_json(a, status,
	                  json_pack("{s:b, s:o, s:o}", "ok", status == 200, "series", series,
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

void monitor_post_command(struct monitor *m, const struct http_request *r, struct http_answer *a)
{
	char why[400] = "", series[COMMAND_SERIES_BYTES] = "";
	struct command c;
	int err;

	if (!r->trusted) {
		log_command(m, "a command from %s was refused: no valid token", r->from);
		return answer_command(401, series_word(m),
		                      "commands from another machine need the token of "
		                      "monitor.token_file",
		                      a);
	}
	err = monitor_command_parse(r->body, r->body_bytes, &c, why);
	if (err == 0) {
		snprintf(c.by, sizeof c.by, "%s", r->from);
		err = command_give(m->pipeline, &c, series, why);
		monitor_drop_kept(m);
		log_line(LOG_INFO, "monitor", "command %s from %s%s%s",
		         monitor_command_name(c.kind), r->from, err < 0 ? " was refused: " : "",
		         err < 0 ? why : "");
	}
	/* A series that was ended before it had a frame has no folder. */
	bool none = err == 0 && (c.kind == COMMAND_STOP || c.kind == COMMAND_ABORT);
	answer_command(status_of(err),
	               series[0] ? status_text(series)
	               : none    ? json_null()
	                         : series_word(m),
	               why, a);
}
