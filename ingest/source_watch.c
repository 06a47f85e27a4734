/* SPDX-License-Identifier: Apache-2.0 */
/* What libzmq's monitor tells about connections. Events of one source come from its one I/O
 * thread, in order; so a failed handshake is followed by the disconnect of that very peer. */
#include "ingest/source.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* libzmq announces that it connects again right after a disconnect. When it has not by then, it
 * never will. */
#define LOST_GRACE_MS 250

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void count(_Atomic uint64_t *counter)
{
	/* Relaxed: a figure for people, nothing is ordered by it. */
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Read one event: a part of 6 bytes and the endpoint, which is ours. False: none waits. */
static bool read_event(struct source *s, struct source_event *ret)
{
	zmq_msg_t part;
	bool got;

	zmq_msg_init(&part);
	got = zmq_msg_recv(&part, s->monitor, ZMQ_DONTWAIT) == 6;
	if (got) {
		memcpy(&ret->event, zmq_msg_data(&part), sizeof ret->event);
		memcpy(&ret->value, (char *)zmq_msg_data(&part) + 2, sizeof ret->value);
		while (zmq_msg_more(&part) && zmq_msg_recv(&part, s->monitor, ZMQ_DONTWAIT) >= 0)
			;
	}
	zmq_msg_close(&part);
	return got;
}

/* The next event in order, read ahead or not. False: none waits. */
static bool take_event(struct source *s, struct source_event *ret)
{
	if (s->ahead_count == 0)
		return read_event(s, ret);
	*ret = s->ahead[0];
	s->ahead_count--;
	memmove(s->ahead, s->ahead + 1, s->ahead_count * sizeof s->ahead[0]);
	return true;
}

/* True when the connection whose event was just taken certainly still has its descriptor: libzmq
 * announces a disconnect before it closes the descriptor, and all that it announced so far is
 * read and does not mention it. */
static bool is_still_open(struct source *s, int fd)
{
	while (s->ahead_count < SOURCE_LOOKAHEAD && read_event(s, &s->ahead[s->ahead_count]))
		s->ahead_count++;
	for (unsigned i = 0; i < s->ahead_count; i++)
		if (s->ahead[i].event == ZMQ_EVENT_DISCONNECTED && (int)s->ahead[i].value == fd)
			return false;
	return s->ahead_count < SOURCE_LOOKAHEAD;
}

/* Who is at the other end of `fd`, which is libzmq's and may be another connection's by now. */
static void name_peer(int fd, char *ret_name, size_t size)
{
	struct sockaddr_storage address = { 0 };
	socklen_t length = sizeof address;
	char text[INET6_ADDRSTRLEN] = "";
	struct ucred process;
	socklen_t process_size = sizeof process;

	snprintf(ret_name, size, "a peer");
	if (getpeername(fd, (struct sockaddr *)&address, &length) != 0)
		return;
	if (address.ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&address;

		inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
		snprintf(ret_name, size, "%s:%u", text, ntohs(in->sin_port));
	} else if (address.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address;

		bool mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);

		if (mapped)
			inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], text, sizeof text);
		else
			inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
		snprintf(ret_name, size, mapped ? "%s:%u" : "[%s]:%u", text, ntohs(in6->sin6_port));
	} else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &process, &process_size) == 0) {
		snprintf(ret_name, size, "process %d", (int)process.pid);
	}
}

/* The row of `fd`, or NULL; fd 0 finds a free one. */
static struct source_peer *find_peer(struct source *s, int fd)
{
	for (unsigned i = 0; i < SOURCE_PEERS_MAX; i++)
		if (s->peers[i].fd == fd)
			return &s->peers[i];
	return NULL;
}

static void note_connection(struct source *s, int fd)
{
	struct source_peer *peer = find_peer(s, fd);
	char name[sizeof peer->name];

	name_peer(fd, name, sizeof name);
	if (!is_still_open(s, fd)) /* asked after the name, which it vouches for */
		snprintf(name, sizeof name, "a peer");
	if (!peer)
		peer = find_peer(s, 0);
	if (peer) {
		peer->fd = fd;
		memcpy(peer->name, name, sizeof name);
	}
	if (s->options.attach == ATTACH_BIND)
		snprintf(s->last_event, sizeof s->last_event, "%s connected to %.100s", name,
		         s->endpoint);
	else
		snprintf(s->last_event, sizeof s->last_event, "connected to %.100s", s->endpoint);
	s->retrying = false;
	s->lost_ms = 0;
}

static void note_disconnection(struct source *s, int fd)
{
	struct source_peer *peer = find_peer(s, fd);
	const char *name = peer ? peer->name : "a peer";

	s->warns = s->refused;
	if (s->refused) {
		count(&s->events.refused);
		snprintf(s->last_event, sizeof s->last_event, "%.60s refused at %.80s: %s", name,
		         s->endpoint, s->refusal);
	} else if (s->refusal[0]) {
		count(&s->events.handshake_failed);
		snprintf(s->last_event, sizeof s->last_event, "%.60s at %.80s is no %s peer: %s",
		         name, s->endpoint,
		         s->options.curve.role == CURVE_NONE ? "ZeroMQ" : "usable", s->refusal);
	} else {
		count(&s->events.disconnected);
		snprintf(s->last_event, sizeof s->last_event,
		         "%.60s disconnected from %.60s: it ended, %ssent what is no ZeroMQ or a "
		         "part above %lld bytes",
		         name, s->endpoint,
		         s->options.curve.role == CURVE_SERVER ? "was refused, or " : "or ",
		         (long long)s->options.max_message_bytes);
	}
	s->refusal[0] = '\0';
	s->refused = false;
	s->retrying = true;
	if (peer)
		peer->fd = 0;
	if (s->options.attach == ATTACH_CONNECT)
		s->lost_ms = now_ms();
}

static bool note_retry(struct source *s)
{
	bool first = !s->retrying;

	s->lost_ms = 0;
	s->retrying = true;
	if (first)
		snprintf(s->last_event, sizeof s->last_event,
		         "nobody answers at %.100s; trying until somebody does", s->endpoint);
	return first;
}

static void note_protocol_error(struct source *s, unsigned error)
{
	const char *sentence = source_curve_refusal(s, error);

	s->refused = s->options.curve.role == CURVE_SERVER;
	if (sentence)
		snprintf(s->refusal, sizeof s->refusal, "%s", sentence);
	else
		snprintf(s->refusal, sizeof s->refusal, "handshake error 0x%08x", error);
}

/* A plain peer may notice before us that this is a CURVE server, and leave. */
static void note_no_detail(struct source *s, int err)
{
	static const char *const hints[] = {
		[CURVE_NONE] = "",
		[CURVE_CLIENT] = "; is ingest.curve.server_key_file its key?",
		[CURVE_SERVER] = " before it had shown a key",
	};

	s->refused = s->options.curve.role == CURVE_SERVER;
	snprintf(s->refusal, sizeof s->refusal, "no handshake: %.40s%s", zmq_strerror(err),
	         hints[s->options.curve.role]);
}

/* As a server we refused it ourselves and said so, and it may stay connected for a while. */
static void note_authentication(struct source *s, unsigned status)
{
	if (s->options.curve.role != CURVE_SERVER)
		snprintf(s->refusal, sizeof s->refusal,
		         "it does not let our public key in, status %u", status);
}

/* Take one event in. True when it is worth a log line. */
static bool note_event(struct source *s, const struct source_event *e)
{
	s->warns = false;
	switch (e->event) {
	case ZMQ_EVENT_CONNECTED:
	case ZMQ_EVENT_ACCEPTED:
		note_connection(s, (int)e->value);
		return true;
	case ZMQ_EVENT_DISCONNECTED:
		note_disconnection(s, (int)e->value);
		return true;
	case ZMQ_EVENT_CONNECT_DELAYED:
		s->lost_ms = 0;
		return false;
	case ZMQ_EVENT_CONNECT_RETRIED:
		return note_retry(s);
	case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
		count(&s->events.connected);
		return false;
	case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
		note_no_detail(s, (int)e->value);
		return false;
	case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
		note_protocol_error(s, e->value);
		return false;
	case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
		note_authentication(s, e->value);
		return false;
	case ZMQ_EVENT_ACCEPT_FAILED:
		snprintf(s->last_event, sizeof s->last_event, "%.80s cannot accept a peer: %s",
		         s->endpoint, zmq_strerror((int)e->value));
		return true;
	default:
		return false;
	}
}

static bool has_message(struct source *s)
{
	int events = 0;
	size_t size = sizeof events;

	return zmq_getsockopt(s->socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN);
}

/* Connect again once libzmq has given the connection up. Not before the last message is read:
 * disconnecting, which a SUB socket needs before it connects to the same endpoint, drops them. */
static void replace_lost_connection(struct source *s)
{
	uint64_t now = now_ms();

	if (s->lost_ms == 0 || now - s->lost_ms < LOST_GRACE_MS || has_message(s))
		return;
	zmq_disconnect(s->socket, s->endpoint); /* fails where libzmq has forgotten it */
	s->lost_ms = zmq_connect(s->socket, s->endpoint) == 0 ? 0 : now;
}

bool source_watch(struct source *s)
{
	struct source_event e;

	if (!s->monitor)
		return false;
	if (source_curve_watch(s))
		return true;
	while (take_event(s, &e))
		if (note_event(s, &e))
			return true;
	replace_lost_connection(s);
	return false;
}
