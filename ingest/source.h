/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_SOURCE_H
#define INGEST_SOURCE_H

#include "config/config.h"
#include "ingest/protocol.h"

#include <zmq.h>

/* One ZeroMQ endpoint: a context with one I/O thread, a PULL or SUB socket, its monitor. A
 * source belongs to one receiving thread after source_open(). */

/* A received message: owns its parts until payload_release(). No copy of pixels is made. */
struct payload {
	unsigned kept; /* parts[0..kept) are open */
	zmq_msg_t parts[MESSAGE_PARTS_MAX];
};

/* Free the parts. Accepts a zeroed or a released one. Any thread, once. */
void payload_release(struct payload *p);

struct source_options {
	const char *endpoint;
	enum attach attach;
	enum socket_kind socket;
	int64_t max_message_bytes; /* ZMQ_MAXMSGSIZE: a larger part ends the connection */
	int queue_messages;        /* ZMQ_RCVHWM, messages per peer */
};

/* Counted since source_open(); only the receiving thread writes, any thread may read (relaxed:
 * they are figures for people). */
struct source_events {
	_Atomic uint64_t connected;
	_Atomic uint64_t disconnected; /* a peer that went, or was cut off (oversize message) */
	_Atomic uint64_t handshake_failed;
	_Atomic uint64_t reopened; /* by source_reopen() */
};

struct source {
	struct source_options options;
	char endpoint[256]; /* as bound: with the port that tcp://...:0 or :* was given */
	void *context, *socket, *monitor;
	int socket_fd, monitor_fd;
	struct source_events events;
	char last_event[200]; /* one sentence about the last connect, disconnect or refusal */
	char why[200];        /* after an error: the library's text with the endpoint */
};

/* Raise glibc's thresholds so that frames are recycled inside the heap instead of being mapped
 * and faulted in anew. First thing in main(), before any thread. */
void source_tune_allocator(void);

/* Open and attach. Negative errno with why[]: -EADDRINUSE, -EADDRNOTAVAIL, -EINVAL (endpoint),
 * -ENODEV, -ENOMEM. Main thread, then hand over. */
int source_open(struct source *s, const struct source_options *o);

/* Accepts a half-opened or zeroed one. Unread messages are discarded. */
void source_close(struct source *s);

/* Close the socket and its context, dropping whatever unfinished messages libzmq holds, and
 * open them again: the answer to a peer that never ends a message. As source_open(). */
int source_reopen(struct source *s);

/* Receive one whole message without waiting.
 *
 * 1: *ret_payload owns the parts and *ret_message shows them (all parts beyond
 * MESSAGE_PARTS_MAX drained and counted); 0: none waiting; negative errno on a dead socket.
 * Receiving thread. */
int source_receive(struct source *s, struct payload *ret_payload, struct message *ret_message);

/* Wait until a message may be there, `wake_fd` is readable, or timeout_ms passed. 0, or
 * negative errno. May return early. Receiving thread. */
int source_wait(struct source *s, int wake_fd, int timeout_ms);

/* Read pending monitor events into `events` and `last_event`. True when something worth a log
 * line happened. Receiving thread. */
bool source_watch(struct source *s);

#endif
