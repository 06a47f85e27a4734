/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_RECEIVER_H
#define DAEMON_RECEIVER_H

#include "daemon/slot_layout.h"
#include "daemon/log.h"
#include "daemon/sequence.h"
#include "daemon/slot.h"
#include "daemon/stage.h"
#include "ingest/assembly.h"
#include "ingest/protocol.h"
#include "ingest/source.h"

struct pipeline;

/* What the collector answered to ENTRY_ASK or ENTRY_START. */
enum ask_answer { ASK_OPEN, ASK_ACCEPTED, ASK_REFUSED };

/* Frames from memory instead of a socket, for measurements: everything behind the receiver is as
 * always. */
struct feed {
	/* The next frame, whose pixels stay where they are until the pipeline is closed. False:
	 * there are no more, the receiver ends. Receiving thread; may wait. */
	bool (*next)(void *user, struct frame *ret);
	void *user;
};

/* One endpoint, or all of a protocol whose frames come in pieces: takes messages, decodes their
 * headers, publishes entries. It decides nothing about series; that is the collector's. */
struct receiver {
	struct stage stage;
	struct pipeline *pipeline;
	unsigned index;
	const struct feed *feed; /* NULL: the socket */
	char *const *endpoints;  /* [endpoint_count], borrowed */
	unsigned endpoint_count;
	struct source *sources; /* [source_count], one for each endpoint */
	unsigned source_count;
	const struct protocol *protocol;
	struct decoder *decoder;
	struct sequence ring;
	struct spare spare; /* filled by the collector */
	struct bell bell;   /* rung by the collector, by workers, and to change the phase */

	/* The receiving thread's own. */
	struct payload payload; /* the message at hand, */
	struct message message; /* as the decoder sees it */
	struct decoded decoded;
	uint64_t arrived_ns;      /* the message at hand did; CLOCK_MONOTONIC */
	unsigned turn_source;     /* which endpoint is looked at first */
	struct assembly assembly; /* of frames in pieces */
	uint64_t ended;           /* bit i: endpoint i has said that the series is over, */
	uint64_t ended_ns;        /* the first of them then; CLOCK_MONOTONIC */
	uint64_t awaited;         /* the series whose start message was waited for last */
	uint64_t payloads_taken;  /* handed to workers since start */
	int queue_messages;       /* ZMQ_RCVHWM as it is set */
	bool was_full;            /* waited for room since the last message */
	uint64_t drain_until_ns;  /* CLOCK_MONOTONIC; 0: not draining */
	struct log_limit rejections[REJECT_COUNT], peers, refusals;

	/* Written by the receiving thread, read by the collector and by people. */
	_Alignas(64) _Atomic bool quiet;            /* waits for messages, with room for them */
	_Atomic bool parked;                        /* stands still as `pause` asks */
	_Atomic uint64_t messages, bytes;           /* received */
	_Atomic uint64_t passed_over;               /* messages about nothing that is taken */
	_Atomic uint32_t slots_peak, payloads_peak; /* most at a time; the collector begins anew */

	/* Written by workers. */
	_Alignas(64) _Atomic uint64_t payloads_freed;

	/* Written by the collector. */
	_Alignas(64) _Atomic int answer; /* enum ask_answer */

	/* Written by the main thread: drop unfinished messages, see source_reopen(). */
	_Alignas(64) _Atomic bool reopen;
};

/* 0, or negative errno with why. `endpoints` are borrowed, and `feed`, which takes their place
 * unless NULL. */
int receiver_open(struct receiver *r, struct pipeline *p, unsigned index, char *const *endpoints,
                  unsigned endpoint_count, const struct feed *feed, char why[400]);

/* Open the sockets: behind the memory for frames where their shape is known, since from then on
 * somebody sends, and what is not received is lost to a subscriber. As receiver_open(). */
int receiver_attach(struct receiver *r, char why[400]);

/* Accepts a zeroed or half-open one. The thread must have ended. */
void receiver_close(struct receiver *r);

/* The thread's body; `argument` is the receiver. */
void *receiver_run(void *argument);

#endif
