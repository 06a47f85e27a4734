/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/http_rules.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- hosts ---- */

/* 1 to 65535, and nothing behind it. */
static bool parse_port(const char *text, unsigned *ret)
{
	unsigned port = 0;

	if (!*text || strlen(text) > 5)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		port = port * 10 + (unsigned)(*text - '0');
	}
	if (port == 0 || port > 65535)
		return false;
	*ret = port;
	return true;
}

static bool is_host_character(char c, bool bracketed)
{
	return isalnum((unsigned char)c) || c == '.' || c == '-' || c == '_' ||
	       (bracketed && (c == ':' || c == '%'));
}

bool http_split_host(const char *text, char ret_host[HTTP_HOST_BYTES], unsigned *ret_port)
{
	bool bracketed = text[0] == '[';
	const char *begin = text + bracketed;
	size_t n = bracketed ? strcspn(begin, "]") : strcspn(begin, ":");
	const char *rest = begin + n + (bracketed && begin[n] == ']');
	unsigned port = 0;

	if (n == 0 || n >= HTTP_HOST_BYTES || (bracketed && begin[n] != ']'))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_host_character(begin[i], bracketed))
			return false;
	if (*rest && (*rest != ':' || !parse_port(rest + 1, &port)))
		return false;
	for (size_t i = 0; i < n; i++)
		ret_host[i] = (char)tolower((unsigned char)begin[i]);
	ret_host[n] = '\0';
	*ret_port = port;
	return true;
}

static bool is_loopback_name(const char *host)
{
	struct in_addr four;
	struct in6_addr six;

	if (strcmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

bool http_host_is_loopback(const char *host)
{
	char name[HTTP_HOST_BYTES];
	unsigned port;

	return http_split_host(host, name, &port) && is_loopback_name(name);
}

static bool is_allowed(const char *name, unsigned port, const char *allowed, unsigned own_port)
{
	char wanted[HTTP_HOST_BYTES];
	unsigned wanted_port;

	if (!http_split_host(allowed, wanted, &wanted_port) || strcmp(name, wanted) != 0)
		return false;
	return wanted_port ? port == wanted_port : port == 0 || port == own_port;
}

bool http_host_allowed(const char *host, const struct http_names *names)
{
	char name[HTTP_HOST_BYTES];
	unsigned port;

	if (!http_split_host(host, name, &port))
		return false;
	if (is_loopback_name(name) || strcasecmp(name, names->bound) == 0 ||
	    strcasecmp(name, names->local) == 0)
		return true;
	for (unsigned i = 0; i < names->allowed->count; i++)
		if (is_allowed(name, port, names->allowed->at[i], names->port))
			return true;
	return false;
}

bool http_origin_allowed(const char *origin, const char *host)
{
	const char *authority = strstr(origin, "://");
	size_t scheme = authority ? (size_t)(authority - origin) : 0;
	bool web = (scheme == 4 && strncasecmp(origin, "http", 4) == 0) ||
	           (scheme == 5 && strncasecmp(origin, "https", 5) == 0);

	return web && strcasecmp(authority + 3, host) == 0;
}

/* ---- addresses ---- */

/* An IPv4 address in either family. */
static bool as_ipv4(const struct sockaddr *address, struct in_addr *ret)
{
	const struct sockaddr_in6 *six = (const void *)address;

	if (address->sa_family == AF_INET) {
		*ret = ((const struct sockaddr_in *)(const void *)address)->sin_addr;
		return true;
	}
	if (address->sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
		return false;
	memcpy(&ret->s_addr, &six->sin6_addr.s6_addr[12], 4);
	return true;
}

bool http_from_loopback(const struct sockaddr *address)
{
	const struct sockaddr_in6 *six = (const void *)address;
	struct in_addr four;

	if (as_ipv4(address, &four))
		return ntohl(four.s_addr) >> 24 == 127;
	return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

void http_address_text(const struct sockaddr *address, char ret[HTTP_HOST_BYTES])
{
	const struct sockaddr_in6 *six = (const void *)address;
	struct in_addr four;

	ret[0] = '\0';
	if (as_ipv4(address, &four))
		inet_ntop(AF_INET, &four, ret, HTTP_HOST_BYTES);
	else if (address->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &six->sin6_addr, ret, HTTP_HOST_BYTES);
}

/* ---- tokens ---- */

/* Every byte of both rooms is looked at, whatever is in them. */
static bool equal_tokens(const char a[HTTP_TOKEN_BYTES], const char b[HTTP_TOKEN_BYTES])
{
	volatile unsigned char differs = 0;

	for (size_t i = 0; i < HTTP_TOKEN_BYTES; i++)
		differs = (unsigned char)(differs | ((unsigned char)a[i] ^ (unsigned char)b[i]));
	return differs == 0;
}

bool http_bearer_matches(const char *authorization, const char *token)
{
	char shown[HTTP_TOKEN_BYTES] = { 0 }, known[HTTP_TOKEN_BYTES] = { 0 };
	bool matches;

	if (!authorization || token[0] == '\0' || strncasecmp(authorization, "Bearer ", 7) != 0 ||
	    strlen(authorization + 7) >= sizeof shown)
		return false;
	strcpy(shown, authorization + 7);
	snprintf(known, sizeof known, "%s", token);
	matches = equal_tokens(shown, known);
	explicit_bzero(shown, sizeof shown);
	explicit_bzero(known, sizeof known);
	return matches;
}

/* The words between space around them, in place. */
static char *trim(char *text)
{
	size_t n = strlen(text);

	while (n > 0 && isspace((unsigned char)text[n - 1]))
		text[--n] = '\0';
	return text + strspn(text, " \t\r\n");
}

static bool is_token(const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return n > 0 && n < HTTP_TOKEN_BYTES;
}

/* The file's bytes, at most `room` - 1 of them, ended by 0. Their number, or negative errno. */
static ssize_t read_text(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, text, room - 1);
	int err = errno;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return -err;
	text[n] = '\0';
	return n;
}

int http_token_read(const char *path, char ret[HTTP_TOKEN_BYTES], char why[400])
{
	char text[HTTP_TOKEN_BYTES + 64];
	ssize_t n = read_text(path, text, sizeof text);
	bool has_zero = n > 0 && memchr(text, '\0', (size_t)n);
	const char *token = n < 0 ? "" : trim(text);

	if (n < 0) {
		snprintf(why, 400, "monitor.token_file %.200s: %s", path, strerror((int)-n));
		return (int)n;
	}
	if (has_zero || !is_token(token)) {
		snprintf(why, 400,
		         "monitor.token_file %.200s holds no token: it takes at most %d printable "
		         "characters without spaces, e.g. of `openssl rand -hex 32`",
		         path, HTTP_TOKEN_BYTES - 1);
		explicit_bzero(text, sizeof text);
		return -EINVAL;
	}
	snprintf(ret, HTTP_TOKEN_BYTES, "%s", token);
	explicit_bzero(text, sizeof text);
	return 0;
}
