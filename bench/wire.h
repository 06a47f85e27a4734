/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include "ingest/source_curve.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

/* The sending end: a ZeroMQ socket and an I/O thread for each endpoint.
 *
 * libzmq 4.3.4 loses the end of a stream when a socket is closed while its connection is full,
 * whatever ZMQ_LINGER says: the part of the last messages that is encoded but not yet written
 * goes with the connection. So the wire counts the messages that libzmq still holds, asks the
 * kernel what is left in each connection, and closes when both say nothing. */

#define WIRE_ENDPOINTS_MAX 64
#define WIRE_PEERS_MAX     16 /* of one endpoint that are asked what is left */

struct wire_options {
	unsigned endpoint_count;
	const char *const *endpoints;
	bool bind, publish;
	int queue_messages; /* ZMQ_SNDHWM of each socket, at least 1 */
	/* NULL: none. As a server the wire lets everybody in. */
	const struct curve_options *curve;
};

struct wire {
	void *context;
	unsigned count;
	bool publish;
	struct wire_end {
		void *socket, *monitor;
		char endpoint[256];   /* as bound: with the port that tcp://...:0 was given */
		unsigned subscribers; /* publish: subscriptions that reached us */
		unsigned peer_count;
		int peers[WIRE_PEERS_MAX]; /* libzmq's descriptors, only to ask about */
	} ends[WIRE_ENDPOINTS_MAX];
	uint64_t made; /* messages, by the caller's thread */
	_Atomic uint64_t
		released; /* of their bodies given back, by libzmq's threads or by done() */
	bool cut_off;     /* a peer went while messages were held: some may be lost */
	char why[512];    /* after an error: one sentence with the endpoint */
};

struct wire_part {
	const void *data; /* any value where size is 0 */
	size_t size;
};

/* Whose the body of a message is. */
enum wire_body {
	WIRE_STAYS,  /* the caller's, untouched until wire_close() */
	WIRE_OWNED,  /* malloc'd; the wire's, which free()s it */
	WIRE_COPIED, /* the caller's, as the other parts */
};

/* A message to send: parts of which all but one, the body, are copied each time it is sent. */
struct wire_message {
	const struct wire_part *parts; /* borrowed, with their data, until wire_message_done() */
	unsigned count, body;          /* parts[body] is in `held` */
	zmq_msg_t held;
};

/* Open all sockets and bind or connect them. -EINVAL: no endpoint; another negative errno:
 * cannot bind or connect; with why[]. One thread uses a wire; it must not move. */
int wire_open(struct wire *w, const struct wire_options *o);

/* Accepts a zeroed or half-opened one. Messages not delivered yet are dropped; no pixels are
 * in use afterwards. */
void wire_close(struct wire *w);

/* Make a message of `count` parts, at least one, of which parts[body] is large. 0 or -ENOMEM, and
 * then an owned body is still the caller's. */
int wire_message_init(struct wire *w, struct wire_message *m, const struct wire_part *parts,
                      unsigned count, unsigned body, enum wire_body whose);

/* Give up a message, sent or not. What was sent keeps its body for itself. */
void wire_message_done(struct wire_message *m);

/* Queue one message without waiting, on one end or one after the other on several. 0: queued;
 * -EAGAIN: the queue is full or nobody is there, the message can be tried again; another negative
 * errno with why[]. */
int wire_send(struct wire *w, unsigned end, struct wire_message *m);

/* Wait until wire_send() on this end may succeed, at most timeout_ms. A signal ends it. */
void wire_wait(struct wire *w, unsigned end, int timeout_ms);

/* Whether every endpoint has somebody to send to: a peer with room or, with publish, a
 * subscriber. Waits for it, at most timeout_ms each. A connecting push has a queue at once. */
bool wire_ready(struct wire *w, int timeout_ms);

/* Whether libzmq holds no message and the kernel has sent on all it was given. A remainder
 * below 8 KiB may for a moment be between the two: ask until it stays true. */
bool wire_drained(struct wire *w);

#endif
