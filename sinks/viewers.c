/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/viewers.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* libzmq cannot end one connection of many, but names the file descriptor that a message came
 * from. That may be closed by now, and even be another socket: so it is asked whether it belongs to
 * this stream, and which one it is since the system started (SO_COOKIE). At worst another viewer of
 * this stream is disconnected, and comes back. */

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

#define FILES_MAX (1 << 20)

/* Of the connection that has this file descriptor. */
struct connection {
	uint64_t cookie;
	uint32_t messages;
};

struct viewers {
	const char *endpoint;
	bool bound;
	struct connection *connections; /* [count] */
	size_t count;
};

struct viewers *viewers_open(const char *endpoint, bool bound)
{
	struct viewers *v = calloc(1, sizeof *v);

	if (!v)
		return NULL;
	v->endpoint = endpoint;
	v->bound = bound;
	return v;
}

void viewers_close(struct viewers *v)
{
	if (!v)
		return;
	free(v->connections);
	free(v);
}

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un un;
	struct sockaddr_storage room;
};

static bool has_port(const char *endpoint, in_port_t port)
{
	const char *colon = strrchr(endpoint, ':');

	return colon && strtoul(colon + 1, NULL, 10) == ntohs(port);
}

static bool has_path(const char *endpoint,
                     const char path[sizeof((struct sockaddr_un *)0)->sun_path])
{
	const size_t room = sizeof((struct sockaddr_un *)0)->sun_path;

	if (strncmp(endpoint, "ipc://", 6) != 0)
		return false;
	endpoint += 6;
	return endpoint[0] == '@' ? strncmp(endpoint + 1, path + 1, room - 1) == 0
	                          : strncmp(endpoint, path, room) == 0;
}

static bool is_ours(const struct viewers *v, int fd)
{
	union address a = { 0 };
	socklen_t size = sizeof a;

	if ((v->bound ? getsockname : getpeername)(fd, &a.any, &size) != 0)
		return false;
	switch (a.any.sa_family) {
	case AF_INET:
		return has_port(v->endpoint, a.v4.sin_port);
	case AF_INET6:
		return has_port(v->endpoint, a.v6.sin6_port);
	case AF_UNIX:
		return has_path(v->endpoint, a.un.sun_path);
	default:
		return false;
	}
}

static bool grow(struct viewers *v, size_t count)
{
	struct connection *connections = realloc(v->connections, count * sizeof *connections);

	if (!connections)
		return false;
	memset(connections + v->count, 0, (count - v->count) * sizeof *connections);
	v->connections = connections;
	v->count = count;
	return true;
}

/* The messages of the connection so far, with this one; UINT32_MAX when they cannot be counted. */
static uint32_t count_message(struct viewers *v, int fd)
{
	uint64_t cookie;
	socklen_t size = sizeof cookie;
	struct connection *c;

	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0)
		return UINT32_MAX;
	if ((size_t)fd >= v->count && !grow(v, (size_t)fd + 64))
		return UINT32_MAX;
	c = &v->connections[fd];
	if (c->cookie != cookie)
		*c = (struct connection){ .cookie = cookie };
	return ++c->messages;
}

int viewers_hear(struct viewers *v, zmq_msg_t *message)
{
	const unsigned char *bytes = zmq_msg_data(message);
	bool subscription = zmq_msg_size(message) > 0 && bytes[0] <= 1 && !zmq_msg_more(message);
	int fd = zmq_msg_get(message, ZMQ_SRCFD);

	/* None: libzmq says it of a connection that is gone. */
	if (fd >= 0 && fd < FILES_MAX && is_ours(v, fd) &&
	    (count_message(v, fd) > VIEWERS_MESSAGES || !subscription))
		(void)shutdown(fd, SHUT_RDWR);
	if (!subscription)
		return 0;
	return bytes[0] == 1 ? 1 : -1;
}
