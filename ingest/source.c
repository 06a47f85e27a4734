/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/source.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MONITOR_ADDRESS "inproc://monitor"

/* Bounds what a flood of connections can pile up while nobody calls source_watch(); libzmq's I/O
 * thread waits beyond it. */
#define MONITOR_QUEUE 10000

/* How long source_wait() may sleep while an outgoing connection is to be made again. */
#define LOST_WAIT_MS 100

struct int_option {
	int name, value;
};

static const struct int_option socket_options[] = {
	{ ZMQ_LINGER, 0 },
	{ ZMQ_HANDSHAKE_IVL, 10000 },    /* ms */
	{ ZMQ_RECONNECT_IVL, 50 },       /* ms, doubled up to */
	{ ZMQ_RECONNECT_IVL_MAX, 2000 }, /* ms */
	{ ZMQ_HEARTBEAT_IVL, 10000 },    /* ms */
	{ ZMQ_HEARTBEAT_TIMEOUT, 0 },    /* see source_open() */
	{ ZMQ_TCP_KEEPALIVE, 1 },
	{ ZMQ_TCP_KEEPALIVE_IDLE, 15 }, /* s */
	{ ZMQ_TCP_KEEPALIVE_INTVL, 5 }, /* s */
	{ ZMQ_TCP_KEEPALIVE_CNT, 6 },
	{ ZMQ_TCP_MAXRT, 60000 }, /* ms a heartbeat may stay unacknowledged by the peer's kernel */
};

/* The negative errno of the library call that just failed; its own codes become the system's. */
static int library_error(void)
{
	switch (errno) {
	case ETERM:
		return -ESHUTDOWN;
	case EMTHREAD:
		return -EMFILE;
	case ENOCOMPATPROTO:
		return -EINVAL;
	default:
		return errno > 0 && errno < ZMQ_HAUSNUMERO ? -errno : -EIO;
	}
}

/* Note why `what` failed in s->why and return the negative errno. */
static int fail(struct source *s, const char *what)
{
	int err = library_error();

	snprintf(s->why, sizeof s->why, "%.100s: %s: %s", s->options.endpoint, what,
	         zmq_strerror(zmq_errno()));
	return err;
}

static int complain(struct source *s, int err, const char *sentence)
{
	snprintf(s->why, sizeof s->why, "%.100s: %s", s->options.endpoint, sentence);
	return err;
}

/* True when a process answers at the socket file `path`. */
static bool is_answered(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool answered;

	if (fd < 0)
		return false;
	strncpy(address.sun_path, path, sizeof address.sun_path - 1);
	/* EAGAIN: its backlog is full, so it is alive. */
	answered = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN;
	close(fd);
	return answered;
}

/* libzmq unlinks whatever is at an ipc path before it binds; see that nothing is lost by it. */
static int check_ipc_path(struct source *s, const char *path)
{
	struct stat status;

	if (path[0] == '@' || strcmp(path, "*") == 0 || lstat(path, &status) != 0)
		return 0;
	if (!S_ISSOCK(status.st_mode))
		return complain(s, -EEXIST,
		                "a file that is no socket is there; remove it or "
		                "choose another path");
	if (is_answered(path))
		return complain(s, -EADDRINUSE, "another process listens there");
	return 0;
}

/* libzmq takes 99999 for 34463. */
static int check_tcp_port(struct source *s, const char *address)
{
	const char *port = strrchr(address, ':');
	bool bind = s->options.attach == ATTACH_BIND;
	char *end = NULL;
	long number = port ? strtol(port + 1, &end, 10) : -1;

	if (bind && port && strcmp(port + 1, "*") == 0)
		return 0;
	if (!end || end == port + 1 || *end || number < !bind || number > 65535)
		return complain(s, -EINVAL,
		                bind ? "a port from 0 to 65535 or * is expected"
		                     : "a port from 1 to 65535 is expected");
	return 0;
}

static int check_endpoint(struct source *s, const char *endpoint)
{
	if (strncmp(endpoint, "tcp://", 6) == 0)
		return check_tcp_port(s, endpoint + 6);
	if (strncmp(endpoint, "ipc://", 6) != 0)
		return complain(s, -EINVAL, "tcp://host:port or ipc://path is expected");
	return s->options.attach == ATTACH_BIND ? check_ipc_path(s, endpoint + 6) : 0;
}

/* With IPv6 libzmq makes [::ffff:127.0.0.1] of 127.0.0.1, which peers without it cannot connect
 * to, and takes ::1 for localhost and tries nothing else: so not where a name or an IPv4 address
 * is given. */
static int wants_ipv6(const char *endpoint)
{
	return strncmp(endpoint, "tcp://[", 7) == 0 || strncmp(endpoint, "tcp://*", 7) == 0;
}

static int set_options(struct source *s, const char *endpoint)
{
	const struct source_options *o = &s->options;
	int ipv6 = wants_ipv6(endpoint);

	for (size_t i = 0; i < sizeof socket_options / sizeof socket_options[0]; i++)
		if (zmq_setsockopt(s->socket, socket_options[i].name, &socket_options[i].value,
		                   sizeof socket_options[i].value) != 0)
			return fail(s, "a socket option");
	if (zmq_setsockopt(s->socket, ZMQ_IPV6, &ipv6, sizeof ipv6) != 0)
		return fail(s, "IPv6");
	if (zmq_setsockopt(s->socket, ZMQ_MAXMSGSIZE, &o->max_message_bytes,
	                   sizeof o->max_message_bytes) != 0)
		return fail(s, "the largest message");
	if (zmq_setsockopt(s->socket, ZMQ_RCVHWM, &o->queue_messages, sizeof o->queue_messages) !=
	    0)
		return fail(s, "the length of the queue");
	if (o->socket_buffer &&
	    zmq_setsockopt(s->socket, ZMQ_RCVBUF, &o->socket_buffer, sizeof o->socket_buffer) != 0)
		return fail(s, "the buffer of the socket");
	if (o->socket == SOCKET_SUB && zmq_setsockopt(s->socket, ZMQ_SUBSCRIBE, "", 0) != 0)
		return fail(s, "subscribing");
	return 0;
}

static int open_monitor(struct source *s)
{
	const int events = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_CONNECT_DELAYED |
	                   ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_ACCEPTED |
	                   ZMQ_EVENT_ACCEPT_FAILED | ZMQ_EVENT_DISCONNECTED |
	                   ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
	                   ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
	const int queue = MONITOR_QUEUE, linger = 0;

	if (zmq_socket_monitor(s->socket, MONITOR_ADDRESS, events) != 0)
		return fail(s, "watching the socket");
	s->monitor = zmq_socket(s->context, ZMQ_PAIR);
	if (!s->monitor || zmq_setsockopt(s->monitor, ZMQ_LINGER, &linger, sizeof linger) != 0 ||
	    zmq_setsockopt(s->monitor, ZMQ_RCVHWM, &queue, sizeof queue) != 0 ||
	    zmq_connect(s->monitor, MONITOR_ADDRESS) != 0)
		return fail(s, "watching the socket");
	return 0;
}

static int attach_socket(struct source *s, const char *endpoint)
{
	size_t size = sizeof s->endpoint;
	char bound[sizeof s->endpoint];

	if (s->options.attach == ATTACH_CONNECT) {
		if (zmq_connect(s->socket, endpoint) != 0)
			return fail(s, "connecting");
		if (endpoint != s->endpoint)
			snprintf(s->endpoint, sizeof s->endpoint, "%s", endpoint);
		return 0;
	}
	if (zmq_bind(s->socket, endpoint) != 0)
		return errno == ENODEV ? complain(s, -ENODEV,
		                                  "an address or a network interface of "
		                                  "this host, or *, is expected")
		                       : fail(s, "binding");
	if (zmq_getsockopt(s->socket, ZMQ_LAST_ENDPOINT, bound, &size) != 0)
		return fail(s, "asking for the address bound");
	memcpy(s->endpoint, bound, sizeof bound);
	return 0;
}

/* Open everything at `endpoint`, which may be s->endpoint. */
static int open_socket(struct source *s, const char *endpoint)
{
	int err = check_endpoint(s, endpoint);

	if (err != 0)
		return err;
	s->context = zmq_ctx_new();
	if (!s->context)
		return fail(s, "a ZeroMQ context");
	if (zmq_ctx_set(s->context, ZMQ_IO_THREADS, 1) != 0)
		return fail(s, "an I/O thread");
	if (s->options.io_core > 0 &&
	    zmq_ctx_set(s->context, ZMQ_THREAD_AFFINITY_CPU_ADD, s->options.io_core - 1) != 0)
		return fail(s, "a core for the I/O thread");
	s->socket = zmq_socket(s->context, s->options.socket == SOCKET_SUB ? ZMQ_SUB : ZMQ_PULL);
	if (!s->socket)
		return fail(s, "a socket");
	err = set_options(s, endpoint);
	if (err == 0)
		err = source_curve_apply(s);
	if (err == 0)
		err = open_monitor(s);
	return err != 0 ? err : attach_socket(s, endpoint);
}

static void forget_connections(struct source *s)
{
	memset(s->peers, 0, sizeof s->peers);
	s->ahead_count = 0;
	s->refusal[0] = '\0';
	s->refused = false;
	s->lost_ms = 0;
}

void payload_release(struct payload *p)
{
	while (p->kept > 0)
		zmq_msg_close(&p->parts[--p->kept]);
}

int source_open(struct source *s, const struct source_options *o)
{
	int err;

	*s = (struct source){ .options = *o };
	if (strlen(o->endpoint) >= sizeof s->endpoint)
		return complain(s, -EINVAL, "the endpoint is too long");
	err = source_curve_open(s);
	if (err == 0)
		err = open_socket(s, o->endpoint);
	if (err != 0)
		source_close(s);
	return err;
}

static void close_sockets(struct source *s)
{
	if (s->socket)
		zmq_close(s->socket);
	if (s->monitor)
		zmq_close(s->monitor);
	source_curve_close(s); /* behind the socket, which would let in whom nobody refuses */
	while (s->context && zmq_ctx_term(s->context) != 0 && errno == EINTR)
		;
	s->context = s->socket = s->monitor = NULL;
	forget_connections(s);
}

void source_close(struct source *s)
{
	close_sockets(s);
	source_curve_done(s);
}

int source_reopen(struct source *s)
{
	int err;

	close_sockets(s);
	err = open_socket(s, s->endpoint);
	if (err != 0) {
		source_close(s);
		return err;
	}
	atomic_fetch_add_explicit(&s->events.reopened, 1, memory_order_relaxed);
	return 0;
}

void source_set_queue(struct source *s, int messages)
{
	s->options.queue_messages = messages;
}

/* Receive the next part into *part. 1, 0 where none waits, or negative errno. */
static int receive_part(struct source *s, zmq_msg_t *part)
{
	for (;;) {
		if (zmq_msg_recv(part, s->socket, ZMQ_DONTWAIT) >= 0)
			return 1;
		if (errno == EAGAIN)
			return 0;
		if (errno != EINTR)
			return fail(s, "receiving");
	}
}

/* Keep the part that was received, or only count it. */
static void keep_part(struct payload *p, struct message *m, zmq_msg_t *part)
{
	if (p->kept < MESSAGE_PARTS_MAX) {
		zmq_msg_t *kept = &p->parts[p->kept];

		zmq_msg_init(kept);
		zmq_msg_move(kept, part);
		m->parts[p->kept].data = zmq_msg_data(kept);
		m->parts[p->kept].size = zmq_msg_size(kept);
		p->kept++;
	}
	m->part_count++;
}

int source_receive(struct source *s, struct payload *ret_payload, struct message *ret_message)
{
	zmq_msg_t part;
	int got;

	if (!s->socket)
		return complain(s, -ENOTCONN, "the socket is closed");
	zmq_msg_init(&part);
	got = receive_part(s, &part);
	if (got == 1)
		ret_payload->kept = ret_message->endpoint = ret_message->part_count = 0;
	while (got == 1) {
		bool more = zmq_msg_more(&part);

		keep_part(ret_payload, ret_message, &part);
		if (!more)
			break;
		got = receive_part(s, &part);
		/* A message arrives whole: a part that is not there is a dead socket. */
		if (got == 0)
			got = complain(s, -EIO, "a message ended in the middle");
		if (got < 0)
			payload_release(ret_payload);
	}
	zmq_msg_close(&part);
	return got;
}

int source_wait_any(struct source *s, unsigned count, int wake_fd, int timeout_ms)
{
	zmq_pollitem_t items[3 * SOURCES_MAX + 1];
	int used = 0;

	for (unsigned i = 0; i < count; i++) {
		if (!s[i].socket)
			return complain(s, -ENOTCONN, "the socket is closed");
		if (s[i].ahead_count > 0)
			timeout_ms = 0;
		if (s[i].lost_ms > 0 && (timeout_ms < 0 || timeout_ms > LOST_WAIT_MS))
			timeout_ms = LOST_WAIT_MS;
		items[used++] = (zmq_pollitem_t){ .socket = s[i].socket, .events = ZMQ_POLLIN };
		items[used++] = (zmq_pollitem_t){ .socket = s[i].monitor, .events = ZMQ_POLLIN };
		if (s[i].curve.zap)
			items[used++] =
				(zmq_pollitem_t){ .socket = s[i].curve.zap, .events = ZMQ_POLLIN };
	}
	if (wake_fd >= 0)
		items[used++] = (zmq_pollitem_t){ .fd = wake_fd, .events = ZMQ_POLLIN };
	if (zmq_poll(items, used, timeout_ms) < 0 && errno != EINTR)
		return fail(s, "waiting");
	return 0;
}

int source_wait(struct source *s, int wake_fd, int timeout_ms)
{
	return source_wait_any(s, 1, wake_fd, timeout_ms);
}
