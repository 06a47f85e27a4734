/* SPDX-License-Identifier: Apache-2.0 */
#include "config/text_rules.h"

#include <string.h>

static const char letters_and_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789";

static bool fits_name(const char *text)
{
	const char *c = text + strspn(text, letters_and_digits);

	if (c == text)
		return false;
	while (*c && (strchr("_-.", *c) || strchr(letters_and_digits, *c)))
		c++;
	return *c == '\0';
}

static bool fits_path(const char *text)
{
	return text[0] != '~';
}

/* A port from 1 (or 0) to 65535. */
static bool is_port(const char *text, unsigned lowest)
{
	size_t digits = strspn(text, "0123456789");
	unsigned port = 0;

	if (digits == 0 || digits > 5 || text[digits] != '\0')
		return false;
	for (size_t i = 0; i < digits; i++)
		port = port * 10 + (unsigned)(text[i] - '0');
	return port >= lowest && port <= 65535;
}

static bool has_space(const char *text)
{
	return strchr(text, ' ') != NULL;
}

static bool fits_endpoint(const char *text)
{
	const char *port;

	if (strncmp(text, "ipc://", 6) == 0)
		return text[6] != '\0';
	if (strncmp(text, "tcp://", 6) != 0 || has_space(text))
		return false;
	port = strrchr(text + 6, ':');
	return port && port > text + 6 && (is_port(port + 1, 1) || strcmp(port, ":*") == 0);
}

static bool fits_address(const char *text)
{
	const char *port = strrchr(text, ':');

	return port && port > text && is_port(port + 1, 0) && !has_space(text) &&
	       !strchr(text, '/');
}

static bool fits_host(const char *text)
{
	return text[0] != '\0' && !has_space(text) && !strchr(text, '/');
}

const struct option_rule rule_name = {
	"letters, digits, _ - and ., a letter or digit first",
	fits_name,
};

const struct option_rule rule_path = {
	"a path (~ is not expanded)",
	fits_path,
};

const struct option_rule rule_endpoint = {
	"tcp://HOST:PORT or ipc://PATH",
	fits_endpoint,
};

const struct option_rule rule_address = {
	"HOST:PORT",
	fits_address,
};

const struct option_rule rule_host = {
	"host names, with the port where it is not the listening one",
	fits_host,
};
