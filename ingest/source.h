/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_SOURCE_H
#define INGEST_SOURCE_H

#include "config/config.h"
#include "ingest/protocol.h"
#include "ingest/source_curve.h"

#include <zmq.h>

/* One ZeroMQ endpoint: a context with one I/O thread, a PULL or SUB socket, its monitor. A
 * source belongs to one receiving thread after source_open(). */

/* A received message: owns its parts until payload_release(). No copy of pixels is made. Not to
 * be copied by assignment: libzmq keeps parts up to 33 bytes inside zmq_msg_t, so that pointers
 * to them point into the payload. What outlives the message is moved into a hold (hold.h). */
struct payload {
	unsigned kept; /* parts[0..kept) are open */
	zmq_msg_t parts[MESSAGE_PARTS_MAX];
};

/* Free the parts. Accepts a zeroed or a released one. Any thread, once. */
void payload_release(struct payload *p);

struct source_options {
	const char *endpoint; /* outlives the source */
	enum attach attach;
	enum socket_kind socket;
	int64_t max_message_bytes; /* ZMQ_MAXMSGSIZE: a larger part ends the connection */
	int queue_messages;        /* ZMQ_RCVHWM, messages per peer */
	int io_core;       /* of the I/O thread: 1 + its number, which must be there; 0: any */
	int socket_buffer; /* ZMQ_RCVBUF, bytes; 0: the kernel's choice */
	struct curve_options curve;
};

/* Counted since source_open(); only the receiving thread writes, any thread may read (relaxed:
 * they are figures for people). */
struct source_events {
	_Atomic uint64_t connected;        /* handshakes completed */
	_Atomic uint64_t disconnected;     /* a peer that went, or was cut off (oversize message) */
	_Atomic uint64_t handshake_failed; /* ended before it was understood to be a peer */
	_Atomic uint64_t refused;          /* CURVE server: ended without a key that is allowed */
	_Atomic uint64_t reopened;         /* by source_reopen() */
};

#define SOURCE_PEERS_MAX 32 /* peers remembered by name; further ones are counted only */

/* Who is behind a connection, for sentences. */
struct source_peer {
	int fd; /* libzmq's descriptor, a key only; 0: row unused */
	char name[64];
};

#define SOURCE_LOOKAHEAD 32 /* monitor events read before their turn */

/* What libzmq's monitor says. */
struct source_event {
	uint16_t event;
	uint32_t value; /* a descriptor, an errno, by event */
};

struct source {
	struct source_options options;
	char endpoint[256]; /* as bound: with the port that tcp://...:0 or :* was given */
	void *context, *socket, *monitor;
	struct source_events events;
	struct source_curve curve;
	char last_event[512]; /* one sentence about the last connect, disconnect or refusal */
	bool warns;           /* and it is a warning */
	char why[400];        /* after an error: the library's text with the endpoint */

	/* Of source_watch(). */
	struct source_peer peers[SOURCE_PEERS_MAX];
	struct source_event ahead[SOURCE_LOOKAHEAD]; /* [ahead_count], the oldest first */
	unsigned ahead_count;
	char refusal[120]; /* why the handshake failed whose disconnect comes next; "": none */
	bool refused;      /* by us, a CURVE server */
	bool retrying;     /* it was said that the peer does not answer */
	uint64_t lost_ms;  /* monotonic; since when an outgoing connection is gone; 0: it is not */
};

/* Make glibc recycle frames inside one heap instead of mapping and faulting them in anew. Memory
 * once used stays with the process. First thing in main(), before any thread. */
void source_tune_allocator(void);

/* Take this much of the heap and leave it to the messages to come.
 *
 * bytes   are touched: the first frames then cost no page faults
 * more    are not: they may never be needed
 * huge    ask for pages of 2 MiB: they are touched in less than half the time
 *
 * After source_tune_allocator(), any thread. False without memory. Where a sanitizer has an
 * allocator of its own nothing is done. */
bool source_reserve_memory(size_t bytes, size_t more, bool huge);

/* Open and attach. Endpoints are tcp://host:port and ipc://path; names of hosts are looked up as
 * IPv4, IPv6 addresses stand in brackets. A file that a dead process left
 * at an ipc path is replaced; a live socket or any other file there is not.
 *
 * A ZMTP heartbeat is sent every 10 s so that the kernel notices a dead host, but no answer is
 * demanded: libzmq reads no answers while its queue is full, and would cut off good peers, with
 * the frames under way, whenever back-pressure lasts.
 *
 * 0, or negative errno with why[]: -EADDRINUSE, -EADDRNOTAVAIL, -EEXIST (ipc path is a file),
 * -EINVAL (endpoint), -ENODEV, -EACCES, -ENOMEM. Main thread, then hand over. */
int source_open(struct source *s, const struct source_options *o);

/* Accepts a half-opened or zeroed one. Unread messages are discarded. */
void source_close(struct source *s);

/* Close the socket and its context, dropping whatever unfinished messages libzmq holds, and
 * open them again: the answer to a peer that never ends a message. As source_open(). */
int source_reopen(struct source *s);

/* Let ZeroMQ queue so many messages per peer from the next source_reopen() on. Open connections
 * keep their queue: libzmq 4.3.4 does apply ZMQ_RCVHWM to them, but one whose queue is full when
 * it is raised stalls for ever (progress is then reported at the new low-water mark, which the
 * old queue never reaches). A queue of 2 is as fast as a longer one for frames. */
void source_set_queue(struct source *s, int messages);

/* Receive one whole message without waiting.
 *
 * 1: *ret_payload owns the parts and *ret_message shows them (all parts beyond
 * MESSAGE_PARTS_MAX drained and counted); 0: none waiting; negative errno on a dead socket.
 * Receiving thread. */
int source_receive(struct source *s, struct payload *ret_payload, struct message *ret_message);

/* Wait until a message may be there, `wake_fd` (-1: none) is readable, source_watch() has
 * something to read, or timeout_ms (negative: no limit) passed. 0, or negative errno. May return
 * early. Receiving thread. */
int source_wait(struct source *s, int wake_fd, int timeout_ms);

/* The same for count <= SOURCES_MAX of them at once; errors are the first's. */
#define SOURCES_MAX 64
int source_wait_any(struct source *s, unsigned count, int wake_fd, int timeout_ms);

/* Read monitor events into `events` and `last_event` up to the next one that is worth a log
 * line: true, and there may be more. False: all are read. To be called after each source_wait().
 *
 * Also answers libzmq who may connect (see source_curve.h): to be called every second or so
 * whatever else is going on, for a peer waits for it.
 *
 * Also connects again where libzmq does not: it gives an outgoing connection up for good when
 * the peer breaks the protocol or sends too large a message. Receiving thread. */
bool source_watch(struct source *s);

#endif
