/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/wire.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

static const char *remedy_for(int err)
{
	switch (err) {
	case EADDRINUSE:
		return "; another program is bound to it";
	case EINVAL:
	case EPROTONOSUPPORT:
		return "; write tcp://HOST:PORT or ipc://PATH";
	case ENODEV:
	case EADDRNOTAVAIL:
		return "; bind to an address of this host, or to tcp://*:PORT";
	case ENOENT:
		return "; the folder of an ipc path must be there";
	default:
		return "";
	}
}

static int refuse(struct wire *w, const char *what, const char *endpoint)
{
	int err = errno;

	snprintf(w->why, sizeof w->why, "cannot %s %s: %s%s", what, endpoint, zmq_strerror(err),
	         remedy_for(err));
	return err == EPROTONOSUPPORT ? -EINVAL : -err;
}

static void set_int(void *socket, int option, int value)
{
	zmq_setsockopt(socket, option, &value, sizeof value);
}

/* Connections come and go in events; without a monitor the wire still sends. */
static void watch_end(struct wire *w, struct wire_end *e, unsigned index)
{
	int events = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_CONNECTED | ZMQ_EVENT_DISCONNECTED;
	char address[40];

	snprintf(address, sizeof address, "inproc://wire-%u", index);
	if (zmq_socket_monitor(e->socket, address, events))
		return;
	e->monitor = zmq_socket(w->context, ZMQ_PAIR);
	if (!e->monitor)
		return;
	set_int(e->monitor, ZMQ_LINGER, 0);
	zmq_connect(e->monitor, address);
}

/* XPUB is PUB that tells when somebody subscribes. */
static int open_end(struct wire *w, struct wire_end *e, const struct wire_options *o,
                    unsigned index)
{
	uint64_t io_thread = UINT64_C(1) << index;
	size_t size = sizeof e->endpoint;

	e->socket = zmq_socket(w->context, o->publish ? ZMQ_XPUB : ZMQ_PUSH);
	if (!e->socket)
		return refuse(w, "open a socket for", o->endpoints[index]);
	set_int(e->socket, ZMQ_SNDHWM, o->queue_messages);
	set_int(e->socket, ZMQ_LINGER, 0);
	zmq_setsockopt(e->socket, ZMQ_AFFINITY, &io_thread, sizeof io_thread);
	if (o->curve && curve_options_apply(o->curve, e->socket))
		return refuse(w, "encrypt for", o->endpoints[index]);
	watch_end(w, e, index);
	if (o->bind ? zmq_bind(e->socket, o->endpoints[index])
	            : zmq_connect(e->socket, o->endpoints[index]))
		return refuse(w, o->bind ? "bind to" : "connect to", o->endpoints[index]);
	if (zmq_getsockopt(e->socket, ZMQ_LAST_ENDPOINT, e->endpoint, &size))
		snprintf(e->endpoint, sizeof e->endpoint, "%s", o->endpoints[index]);
	return 0;
}

int wire_open(struct wire *w, const struct wire_options *o)
{
	int err = 0;

	*w = (struct wire){ .publish = o->publish };
	w->context = zmq_ctx_new();
	if (!w->context)
		return refuse(w, "make a context for", o->endpoints[0]);
	zmq_ctx_set(w->context, ZMQ_IO_THREADS, (int)o->endpoint_count);
	for (unsigned i = 0; i < o->endpoint_count && !err; i++) {
		w->count++;
		err = open_end(w, &w->ends[i], o, i);
	}
	if (err)
		wire_close(w);
	return err;
}

void wire_close(struct wire *w)
{
	for (unsigned i = 0; i < w->count; i++) {
		if (w->ends[i].monitor)
			zmq_close(w->ends[i].monitor);
		if (w->ends[i].socket)
			zmq_close(w->ends[i].socket);
	}
	while (w->context && zmq_ctx_term(w->context) && errno == EINTR)
		;
	w->context = NULL;
	w->count = 0;
}

static int refuse_send(struct wire *w, unsigned end)
{
	int err = errno;

	if (err == EAGAIN || err == EINTR)
		return -EAGAIN;
	snprintf(w->why, sizeof w->why, "cannot send to %s: %s", w->ends[end].endpoint,
	         zmq_strerror(err));
	return -err;
}

static void note_release(void *body, void *wire)
{
	struct wire *w = wire;

	(void)body;
	/* release pairs with acquire in wire_drained(): libzmq is done reading the body. */
	atomic_fetch_add_explicit(&w->released, 1, memory_order_release);
}

static void free_and_note(void *body, void *wire)
{
	free(body);
	note_release(body, wire);
}

/* libzmq asks for the caller's memory as not constant; it does not write it. */
int wire_message_init(struct wire *w, struct wire_message *m, const struct wire_part *parts,
                      unsigned count, unsigned body, enum wire_body whose)
{
	const struct wire_part *part = &parts[body];
	void *data = (void *)(uintptr_t)part->data;

	*m = (struct wire_message){ .parts = parts, .count = count, .body = body };
	if (whose == WIRE_COPIED) {
		data = malloc(part->size ? part->size : 1);
		if (!data)
			return -ENOMEM;
		memcpy(data, part->data, part->size);
	}
	if (zmq_msg_init_data(&m->held, data, part->size,
	                      whose == WIRE_STAYS ? note_release : free_and_note, w)) {
		if (whose == WIRE_COPIED)
			free(data);
		return -ENOMEM;
	}
	w->made++;
	return 0;
}

void wire_message_done(struct wire_message *m)
{
	zmq_msg_close(&m->held);
}

/* libzmq's own handle on a part: the body is shared, anything else copied. */
static int hand_out(struct wire_message *m, unsigned i, zmq_msg_t *ret)
{
	const struct wire_part *part = &m->parts[i];

	if (i == m->body) {
		zmq_msg_init(ret);
		return zmq_msg_copy(ret, &m->held);
	}
	if (zmq_msg_init_size(ret, part->size))
		return -1;
	if (part->size)
		memcpy(zmq_msg_data(ret), part->data, part->size);
	return 0;
}

static int send_part(void *socket, struct wire_message *m, unsigned i)
{
	int flags = ZMQ_DONTWAIT | (i + 1 < m->count ? ZMQ_SNDMORE : 0);
	zmq_msg_t part;

	if (hand_out(m, i, &part))
		return -1;
	if (zmq_msg_send(&part, socket, flags) >= 0)
		return 0;
	zmq_msg_close(&part);
	return -1;
}

/* A peer that goes between the parts makes the next fail with EAGAIN. libzmq has then taken back
 * those before, and drops what follows up to a part that ends the message: an empty one, unless
 * the one that failed was the last. */
static void end_torn(void *socket, const struct wire_message *m, unsigned i)
{
	int err = errno;

	if (i > 0 && i + 1 < m->count)
		zmq_send(socket, "", 0, ZMQ_DONTWAIT);
	errno = err;
}

int wire_send(struct wire *w, unsigned end, struct wire_message *m)
{
	void *socket = w->ends[end].socket;

	for (unsigned i = 0; i < m->count; i++)
		if (send_part(socket, m, i)) {
			end_torn(socket, m, i);
			return refuse_send(w, end);
		}
	return 0;
}

void wire_wait(struct wire *w, unsigned end, int timeout_ms)
{
	zmq_pollitem_t item = { .socket = w->ends[end].socket, .events = ZMQ_POLLOUT };

	zmq_poll(&item, 1, timeout_ms);
}

static void read_subscriptions(struct wire_end *e)
{
	char first;

	/* One message for each change: 1 and the topic, or 0 and the topic. */
	while (zmq_recv(e->socket, &first, 1, ZMQ_DONTWAIT) > 0)
		if (first == 1)
			e->subscribers++;
		else if (first == 0 && e->subscribers)
			e->subscribers--;
}

static bool end_ready(struct wire_end *e, bool publish, int timeout_ms)
{
	short events = publish ? ZMQ_POLLIN : ZMQ_POLLOUT;
	zmq_pollitem_t item = { .socket = e->socket, .events = events };

	if (publish && e->subscribers)
		timeout_ms = 0;
	zmq_poll(&item, 1, timeout_ms);
	if (!publish)
		return item.revents & ZMQ_POLLOUT;
	read_subscriptions(e);
	return e->subscribers;
}

bool wire_ready(struct wire *w, int timeout_ms)
{
	bool all = true;

	for (unsigned i = 0; i < w->count; i++)
		all = end_ready(&w->ends[i], w->publish, timeout_ms) && all;
	return all;
}

static void add_peer(struct wire_end *e, int fd)
{
	if (e->peer_count < WIRE_PEERS_MAX)
		e->peers[e->peer_count++] = fd;
}

static void remove_peer(struct wire_end *e, int fd)
{
	for (unsigned i = 0; i < e->peer_count; i++)
		if (e->peers[i] == fd)
			e->peers[i--] = e->peers[--e->peer_count];
}

/* An event is two parts: 16 bits of kind and 32 of value, here a descriptor; an address. */
static bool read_event(struct wire_end *e, uint16_t *ret_kind, int32_t *ret_fd)
{
	unsigned char event[6];
	char address[256];

	if (!e->monitor || zmq_recv(e->monitor, event, sizeof event, ZMQ_DONTWAIT) != 6)
		return false;
	memcpy(ret_kind, event, sizeof *ret_kind);
	memcpy(ret_fd, event + 2, sizeof *ret_fd);
	zmq_recv(e->monitor, address, sizeof address, 0);
	return true;
}

static void follow_peers(struct wire *w, struct wire_end *e, bool held)
{
	uint16_t kind;
	int32_t fd;

	while (read_event(e, &kind, &fd)) {
		if (kind != ZMQ_EVENT_DISCONNECTED) {
			add_peer(e, fd);
			continue;
		}
		remove_peer(e, fd);
		w->cut_off = w->cut_off || held;
	}
}

static bool kernel_is_done(const struct wire_end *e)
{
	for (unsigned i = 0; i < e->peer_count; i++) {
		int unsent = 0;

		if (!ioctl(e->peers[i], SIOCOUTQ, &unsent) && unsent > 0)
			return false;
	}
	return true;
}

bool wire_drained(struct wire *w)
{
	/* acquire pairs with release in note_release(). */
	bool held = atomic_load_explicit(&w->released, memory_order_acquire) < w->made;
	bool done = true;

	for (unsigned i = 0; i < w->count; i++) {
		follow_peers(w, &w->ends[i], held);
		done = kernel_is_done(&w->ends[i]) && done;
	}
	return done && !held;
}
