/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/http_client.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS   10000
#define FIRST_BYTES   16384
#define REQUEST_BYTES 70000

/* ---- addresses ---- */

static int refuse_url(const char *text, const char *what, char why[400])
{
	snprintf(why, 400, "'%.200s' %s; it is http://HOST:PORT, e.g. http://127.0.0.1:8080", text,
	         what);
	return -EINVAL;
}

static bool is_port(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isdigit((unsigned char)text[i]))
			return false;
	return n >= 1 && n <= 5 && atoi(text) >= 1 && atoi(text) <= 65535;
}

int client_url_parse(const char *text, struct client_url *ret, char why[400])
{
	const char *begin = text + 7, *host = begin, *colon;
	struct client_url u = { .port = "80", .patience_ms = PATIENCE_MS };
	size_t n;

	if (strncasecmp(text, "https://", 8) == 0)
		return refuse_url(text, "would need TLS, which the daemon does not speak", why);
	if (strncasecmp(text, "http://", 7) != 0)
		return refuse_url(text, "does not begin with http://", why);
	n = strcspn(begin, "/");
	if (begin[n] == '/' && begin[n + 1] != '\0')
		return refuse_url(text, "has a path", why);
	colon = begin[0] == '[' ? memchr(begin, ']', n) : begin;
	colon = colon ? memchr(colon, ':', (size_t)(begin + n - colon)) : NULL;
	if (colon && !is_port(colon + 1, (size_t)(begin + n - colon) - 1))
		return refuse_url(text, "has a port that is none", why);
	size_t host_bytes = colon ? (size_t)(colon - begin) : n;
	if (host[0] == '[') {
		if (host_bytes < 3 || host[host_bytes - 1] != ']')
			return refuse_url(text, "has an address that is none", why);
		host++;
		host_bytes -= 2;
	}
	if (host_bytes == 0 || host_bytes >= sizeof u.host || n >= sizeof u.authority)
		return refuse_url(text, "has no host", why);
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)begin[i]) && !strchr(".:-_[]", begin[i]))
			return refuse_url(text, "has a host that is none", why);
	memcpy(u.host, host, host_bytes);
	memcpy(u.authority, begin, n);
	if (colon)
		memcpy(u.port, colon + 1, (size_t)(begin + n - colon) - 1);
	u.port[colon ? (size_t)(begin + n - colon) - 1 : 2] = '\0';
	*ret = u;
	return 0;
}

/* ---- answers ---- */

/* The value of a header, or NULL; it ends at the line's end. head [bytes] ends after a line. */
static const char *header(const char *head, size_t bytes, const char *name)
{
	size_t n = strlen(name);
	const char *line = head;

	while ((line = memchr(line, '\n', (size_t)(head + bytes - line))) != NULL) {
		line++;
		if ((size_t)(head + bytes - line) > n && strncasecmp(line, name, n) == 0 &&
		    line[n] == ':')
			return line + n + 1;
	}
	return NULL;
}

/* Bytes of the head with its empty line; 0: it has not ended. */
static size_t head_bytes(const char *text, size_t bytes)
{
	const char *end = memmem(text, bytes, "\r\n\r\n", 4);

	return end ? (size_t)(end - text) + 4 : 0;
}

/* Of the body: what Content-Length says; SIZE_MAX: until the connection ends. */
static size_t body_bytes(const char *head, size_t bytes)
{
	const char *length = header(head, bytes, "Content-Length");

	if (!length)
		return SIZE_MAX;
	unsigned long long n = strtoull(length, NULL, 10); /* a line's end is there */
	return n > CLIENT_BYTES_MAX ? CLIENT_BYTES_MAX + 1 : (size_t)n;
}

static bool is_whole(const char *text, size_t bytes)
{
	size_t head = head_bytes(text, bytes);

	return head > 0 && bytes - head >= body_bytes(text, head);
}

int client_reply_parse(const char *text, size_t bytes, struct client_reply *ret)
{
	size_t head = head_bytes(text, bytes), body;
	struct client_reply r = { 0 };

	if (head < 16 || strncmp(text, "HTTP/1.", 7) != 0 || text[8] != ' ' ||
	    !isdigit((unsigned char)text[9]) || !isdigit((unsigned char)text[10]) ||
	    !isdigit((unsigned char)text[11]) || header(text, head, "Transfer-Encoding") ||
	    header(text, head, "Content-Encoding"))
		return -EPROTO;
	body = body_bytes(text, head);
	if (body == SIZE_MAX)
		body = bytes - head;
	if (body > bytes - head)
		return -EPROTO;
	r.status = (unsigned)(100 * (text[9] - '0') + 10 * (text[10] - '0') + (text[11] - '0'));
	r.bytes = body;
	r.body = body ? malloc(body + 1) : NULL;
	if (body && !r.body)
		return -ENOMEM;
	if (body) {
		memcpy(r.body, text + head, body);
		r.body[body] = '\0';
	}
	*ret = r;
	return 0;
}

void client_reply_done(struct client_reply *r)
{
	free(r->body);
	*r = (struct client_reply){ 0 };
}

/* ---- talking ---- */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Wait for the socket until the deadline. 0 or -ETIMEDOUT. */
static int wait_for(int fd, short events, uint64_t deadline_ns)
{
	struct pollfd wanted = { .fd = fd, .events = events };
	uint64_t now = now_ns();

	if (now >= deadline_ns)
		return -ETIMEDOUT;
	int n = poll(&wanted, 1, (int)((deadline_ns - now) / 1000000u) + 1);
	return n == 0 ? -ETIMEDOUT : 0;
}

static int connect_to(const struct addrinfo *a, uint64_t deadline_ns)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t length = sizeof(int);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen) != 0)
		err = -errno;
	if (err == -EINPROGRESS) {
		int result = 0;

		err = wait_for(fd, POLLOUT, deadline_ns);
		if (err == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &length) == 0)
			err = -result;
	}
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

/* A descriptor or negative errno. */
static int reach(const struct client_url *u, uint64_t deadline_ns)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	int fd = -EHOSTUNREACH;

	if (getaddrinfo(u->host, u->port, &hints, &found) != 0)
		return -ENXIO;
	for (const struct addrinfo *a = found; a; a = a->ai_next) {
		fd = connect_to(a, deadline_ns);
		if (fd >= 0)
			break;
	}
	freeaddrinfo(found);
	return fd;
}

static int send_all(int fd, const char *text, size_t bytes, uint64_t deadline_ns)
{
	while (bytes > 0) {
		ssize_t n = send(fd, text, bytes, MSG_NOSIGNAL);

		if (n > 0) {
			text += n;
			bytes -= (size_t)n;
			continue;
		}
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -EPROTO; /* it may still have been answered */
		int err = wait_for(fd, POLLOUT, deadline_ns);
		if (err < 0)
			return err;
	}
	return 0;
}

struct incoming {
	char *text;
	size_t bytes, room;
};

static int grow(struct incoming *in)
{
	size_t room = in->room ? 2 * in->room : FIRST_BYTES;
	char *text = room > 2 * CLIENT_BYTES_MAX ? NULL : realloc(in->text, room);

	if (!text)
		return room > 2 * CLIENT_BYTES_MAX ? -EFBIG : -ENOMEM;
	in->text = text;
	in->room = room;
	return 0;
}

/* Until the answer is whole, or the connection ends. */
static int receive(int fd, struct incoming *in, uint64_t deadline_ns)
{
	for (;;) {
		int err = in->bytes == in->room ? grow(in) : 0;

		if (err < 0)
			return err;
		ssize_t n = recv(fd, in->text + in->bytes, in->room - in->bytes, 0);
		if (n > 0) {
			in->bytes += (size_t)n;
			if (in->bytes > CLIENT_BYTES_MAX)
				return -EFBIG;
			if (is_whole(in->text, in->bytes))
				return 0;
			continue;
		}
		if (n == 0)
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return -EPROTO;
		err = wait_for(fd, POLLIN, deadline_ns);
		if (err < 0)
			return err;
	}
}

/* Bytes of the request, or negative errno. */
static int make_request(char *text, size_t room, const struct client_url *u, const char *path,
                        const char *body, const char *token)
{
	int n = snprintf(text, room,
	                 "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: openbeam\r\n"
	                 "Accept: application/json\r\nConnection: close\r\n%s%s%s",
	                 body ? "POST" : "GET", path, u->authority,
	                 token[0] ? "Authorization: Bearer " : "", token, token[0] ? "\r\n" : "");

	if (n > 0 && (size_t)n < room)
		n += body ? snprintf(text + n, room - (size_t)n,
		                     "Content-Type: application/json\r\nContent-Length: %zu\r\n"
		                     "\r\n%s",
		                     strlen(body), body)
		          : snprintf(text + n, room - (size_t)n, "\r\n");
	return n < 0 || (size_t)n >= room ? -EFBIG : n;
}

int client_ask(const struct client_url *u, const char *path, const char *body, const char *token,
               struct client_reply *ret)
{
	uint64_t deadline_ns = now_ns() + u->patience_ms * UINT64_C(1000000);
	struct incoming in = { 0 };
	char *request = malloc(REQUEST_BYTES);
	int n = request ? make_request(request, REQUEST_BYTES, u, path, body, token) : -ENOMEM;
	int fd = n < 0 ? n : reach(u, deadline_ns);
	int err = fd < 0 ? fd : send_all(fd, request, (size_t)n, deadline_ns);

	/* What refuses a request may close before it has read all of it. */
	if (fd >= 0 && (err == 0 || err == -EPROTO))
		err = receive(fd, &in, deadline_ns);
	if (err == 0)
		err = client_reply_parse(in.text, in.bytes, ret);
	if (fd >= 0)
		close(fd);
	free(in.text);
	free(request);
	return err;
}
