/* SPDX-License-Identifier: Apache-2.0 */
/* The input is what the other side of an HTTP connection may send: a Host or Origin, a command, an
 * answer; and an address that a user may type. */
#include "daemon/http_client.h"
#include "daemon/http_rules.h"
#include "daemon/monitor_command.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_host(const char *text)
{
	static const struct config_list nobody = { 0 };
	static const struct http_names names = { "*", 8080, "10.0.0.1", &nobody };
	char host[HTTP_HOST_BYTES];
	unsigned port;
	bool is_host = http_split_host(text, host, &port);

	if (is_host && (!host[0] || port > 65535))
		abort();
	for (const char *c = is_host ? host : ""; *c; c++)
		if (isupper((unsigned char)*c) || strchr("/@ []", *c))
			abort();
	/* Nobody but this machine and its address, whatever the text. */
	if (http_host_allowed(text, &names) && !http_host_is_loopback(text) &&
	    strcmp(host, "10.0.0.1") != 0)
		abort();
	if (http_origin_allowed(text, "localhost") && strcasecmp(text, "http://localhost") != 0 &&
	    strcasecmp(text, "https://localhost") != 0)
		abort();
	if (http_bearer_matches(text, "0123456789abcdef") && !strstr(text, "0123456789abcdef"))
		abort();
}

static void check_command(const char *text, size_t size)
{
	struct command c;
	char why[400] = "";

	if (monitor_command_parse(text, size, &c, why) != 0) {
		if (!why[0])
			abort();
		return;
	}
	bool needs_frames = c.kind == COMMAND_DARK || c.kind == COMMAND_FLAT;
	if ((c.kind != COMMAND_ARM && needs_frames != (c.frames > 0)) ||
	    c.frames > COMMAND_FRAMES_MAX ||
	    c.timeout_ns > (uint64_t)COMMAND_TIMEOUT_S * 1000000000u ||
	    (c.for_flat && c.kind != COMMAND_DARK))
		abort();
}

static void check_reply(const char *text, size_t size)
{
	struct client_reply r = { 0 };

	if (client_reply_parse(text, size, &r) == 0 &&
	    (r.status > 999 || r.bytes > size || (r.bytes && r.body[r.bytes])))
		abort();
	client_reply_done(&r);
}

static void check_url(const char *text)
{
	struct client_url u;
	char why[400] = "";

	if (client_url_parse(text, &u, why) != 0) {
		if (!why[0])
			abort();
		return;
	}
	/* It goes into a request as it is. */
	for (const char *c = u.authority; *c; c++)
		if (*c <= ' ' || *c > '~')
			abort();
	if (!u.host[0] || atoi(u.port) < 1 || atoi(u.port) > 65535)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	check_host(text);
	check_url(text);
	check_command((const char *)data, size);
	check_reply((const char *)data, size);
	free(text);
	return 0;
}
