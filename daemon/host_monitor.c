/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/host_parts.h"
#include "daemon/http.h"
#include "daemon/http_rules.h"

#include <string.h>

static void check_token(struct check *k)
{
	char token[HTTP_TOKEN_BYTES] = "", why[400];

	if (http_token_read(k->config->monitor.token_file, token, why) < 0)
		check_find(k, "warning", "monitor", "%s; commands are taken from this machine only",
		           why);
	explicit_bzero(token, sizeof token);
}

void check_monitor(struct check *k)
{
	const struct config_monitor *c = &k->config->monitor;
	char why[400];

	if (!c->http[0]) {
		check_find(k, "ok", "monitor", "none: monitor.http is empty");
		return;
	}
	/* No error: it does not keep the daemon from measuring. */
	if (http_try(c->http, why) < 0)
		check_find(k, "warning", "monitor",
		           "%s; without it there is no status, page, metrics and command", why);
	else
		check_find(k, "ok", "monitor", "%s is free", c->http);
	if (c->token_file[0])
		check_token(k);
}
