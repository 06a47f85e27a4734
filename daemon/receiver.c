/* SPDX-License-Identifier: Apache-2.0 */
/* A receiver owns its sockets, its decoder, what it puts together of pieces and, from the spare
 * ring to publication, one slot.
 * It waits for messages (the sockets), for room (its bell), for the collector's answer about a
 * frame of another geometry or a series that begins (its bell), for another endpoint's start
 * message, and while `pause` is set.
 * It ends when the phase says so: draining takes what has arrived, for a bounded time. */
#include "daemon/receiver_parts.h"
#include "daemon/detectors.h"
#include "daemon/pipeline.h"
#include "ingest/shm_map.h"

#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING_ENTRIES   8192u
#define SPARE_CAPACITY 16384u /* above the slots one receiver may have */
#define SLEEP_MS       200
#define DRAIN_NS       2000000000u
#define PEER_LINES     8    /* a second, about peers that come and go */
#define WATCH_EVERY    256u /* messages */
#define PIECES_MS      20   /* while frames lack pieces */

/* ---- what becomes of messages ---- */

void receiver_tell_rejection(struct receiver *r, const struct decoded *d)
{
	char text[256];
	uint64_t now = clock_monotonic_ns();

	if (d->number_known)
		snprintf(text, sizeof text, "message rejected: %s reason=%s frame=%llu", d->why,
		         reject_name(d->reason), (unsigned long long)d->frame.number);
	else
		snprintf(text, sizeof text, "message rejected: %s reason=%s", d->why,
		         reject_name(d->reason));
	if (log_limit_take(&r->rejections[d->reason], now, text))
		log_line(LOG_WARNING, r->stage.name, "%s", text);
}

void receiver_publish_verdict(struct receiver *r, const struct decoded *d)
{
	static const enum entry_kind kinds[VERDICT_COUNT] = {
		[VERDICT_DUMMY] = ENTRY_DUMMY,
		[VERDICT_END] = ENTRY_END,
		[VERDICT_REJECTED] = ENTRY_REJECTED,
	};
	struct entry content = {
		.kind = kinds[d->verdict],
		.reason = d->reason,
		.number_known = d->number_known || d->verdict == VERDICT_DUMMY,
		.frame = { .number = d->frame.number,
		           .series = d->frame.series,
		           .received_ns = d->frame.received_ns },
	};

	receiver_publish(r, &content);
}

/* A series begins: the collector gets a copy of what is known of the detector. */
static void publish_start(struct receiver *r, const struct decoded *d)
{
	struct entry content = {
		.kind = ENTRY_START,
		.announced = d->announced,
		.detector = detector_copy(&d->detector),
		.frame = { .series = d->frame.series, .received_ns = d->frame.received_ns },
	};

	if (d->why[0])
		log_line(LOG_WARNING, r->stage.name, "start message: %s", d->why);
	if (!content.detector)
		log_line(LOG_ERROR, r->stage.name,
		         "no memory for the detector's pixel mask: its bad pixels are not marked");
	receiver_publish_and_wait(r, &content);
}

static uint64_t message_bytes(const struct message *m)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < m->part_count && i < MESSAGE_PARTS_MAX; i++)
		bytes += m->parts[i].size;
	return bytes;
}

/* ---- any message ---- */

static void take_decoded(struct receiver *r, struct decoded *d, const struct message *m)
{
	struct bundle bundle = { .parts = &r->payload.parts[d->pixel_part], .count = 1 };

	switch (d->verdict) {
	case VERDICT_FRAME:
		if (d->lease)
			bundle = (struct bundle){ .lease = d->lease };
		receiver_take_frame(r, &bundle, &d->frame);
		return;
	case VERDICT_PIECE:
		pieces_take(r, d, m->endpoint);
		return;
	case VERDICT_START:
		publish_start(r, d);
		return;
	case VERDICT_NOTHING:
		/* relaxed: a figure for people; and nothing is in hand that others must wait for.
		 */
		atomic_fetch_add_explicit(&r->passed_over, 1, memory_order_relaxed);
		atomic_store_explicit(&r->quiet, true, memory_order_relaxed);
		return;
	case VERDICT_END:
		if (r->protocol->in_pieces) {
			pieces_end_of(r, m->endpoint);
			return;
		}
		break;
	case VERDICT_REJECTED:
		receiver_give_up_lease(r, d->lease);
		receiver_tell_rejection(r, d);
		break;
	default:
		break;
	}
	receiver_publish_verdict(r, d);
}

/* A slot that was filled anew before we came to it. */
static bool is_gone(const struct decoded *d)
{
	return d->verdict == VERDICT_FRAME && d->lease && !shm_lease_holds(d->lease);
}

static void take_message(struct receiver *r)
{
	struct decoded *d = &r->decoded;
	uint64_t received_ns = clock_real_ns();

	r->arrived_ns = clock_monotonic_ns();
	/* relaxed: only we write them; figures for people. */
	atomic_store_explicit(&r->quiet, false, memory_order_relaxed);
	atomic_fetch_add_explicit(&r->messages, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&r->bytes, message_bytes(&r->message), memory_order_relaxed);

	r->protocol->decode(r->decoder, &r->message, d);
	d->frame.received_ns = received_ns;
	if (d->verdict == VERDICT_FRAME && d->lease)
		/* relaxed: as above; the pixels came past ZeroMQ. */
		atomic_fetch_add_explicit(&r->bytes, d->frame.bytes, memory_order_relaxed);
	if (is_gone(d)) {
		struct bundle bundle = { .lease = d->lease };

		receiver_drop_frame(r, &bundle, &d->frame);
	} else {
		take_decoded(r, d, &r->message);
	}
	payload_release(&r->payload);
}

/* ---- the loop ---- */

void receiver_watch_peers(struct receiver *r)
{
	uint64_t now = clock_monotonic_ns();

	if (r->feed)
		return;
	for (unsigned i = 0; i < r->source_count; i++)
		while (source_watch(&r->sources[i])) {
			const struct source *s = &r->sources[i];

			if (log_limit_take(s->warns ? &r->refusals : &r->peers, now, s->last_event))
				log_line(s->warns ? LOG_WARNING : LOG_INFO, r->stage.name, "%s",
				         s->last_event);
		}
	log_limit_flush(&r->peers, now, LOG_INFO, r->stage.name);
	log_limit_flush(&r->refusals, now, LOG_WARNING, r->stage.name);
	for (unsigned i = 0; i < REJECT_COUNT; i++)
		log_limit_flush(&r->rejections[i], now, LOG_WARNING, r->stage.name);
}

/* Frames that lack a piece, and slots to give back, must not wait long. */
static int wait_ms(const struct receiver *r)
{
	return r->assembly.count > 0 || r->ended ? PIECES_MS : SLEEP_MS;
}

static bool wait_for_message(struct receiver *r)
{
	int err = 0;

	/* relaxed: the collector's idle clock may lag. */
	atomic_store_explicit(&r->quiet, true, memory_order_relaxed);
	receiver_watch_peers(r);
	bell_prepare(&r->bell);
	if (!receiver_paused(r) && receiver_phase(r) == PHASE_RUN) {
		uint64_t from_ns = clock_monotonic_ns();

		err = source_wait_any(r->sources, r->source_count, r->bell.fd, wait_ms(r));
		stage_waited(&r->stage, WAIT_MESSAGES, from_ns);
	}
	bell_leave(&r->bell);
	if (err < 0)
		pipeline_fail(r->pipeline, 74, r->sources->why);
	return err == 0;
}

/* An answer to a peer that never ends a message: start over with empty sockets. */
static bool reopen(struct receiver *r)
{
	int err = 0;

	/* relaxed: a request, seen a turn later at worst. */
	atomic_store_explicit(&r->reopen, false, memory_order_relaxed);
	for (unsigned i = 0; err == 0 && i < r->source_count; i++) {
		log_line(LOG_ERROR, r->stage.name,
		         "memory passed the ceiling: closing %s and what its peers have not "
		         "finished sending",
		         r->sources[i].endpoint);
		err = source_reopen(&r->sources[i]);
		if (err < 0)
			pipeline_fail(r->pipeline, 69, r->sources[i].why);
	}
	malloc_trim(0); /* the allocator is told to keep what it has: not this */
	return err == 0;
}

/* True while the receiver shall go on, as far as the phase is concerned. */
static bool may_go_on(struct receiver *r)
{
	enum phase phase = receiver_phase(r);

	if (phase == PHASE_RUN)
		return true;
	if (phase != PHASE_DRAIN)
		return false;
	uint64_t now = clock_monotonic_ns();
	if (r->drain_until_ns == 0)
		r->drain_until_ns = now + DRAIN_NS;
	if (now < r->drain_until_ns)
		return true;
	log_line(LOG_WARNING, r->stage.name,
	         "%s still sends after %u s of draining: the rest is left to the sender",
	         r->sources->endpoint, (unsigned)(DRAIN_NS / 1000000000u));
	return false;
}

/* One frame from memory. False when there are no more. */
static bool take_fed(struct receiver *r)
{
	struct bundle nothing = { 0 };
	struct frame frame = { 0 };

	if (!r->feed->next(r->feed->user, &frame))
		return false;
	frame.received_ns = clock_real_ns();
	r->arrived_ns = clock_monotonic_ns();
	/* relaxed: only we write them; figures for people. */
	atomic_fetch_add_explicit(&r->messages, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&r->bytes, frame.bytes, memory_order_relaxed);
	receiver_take_frame(r, &nothing, &frame);
	return true;
}

/* The next message of any endpoint, each in its turn. As source_receive(). */
static int receive(struct receiver *r)
{
	for (unsigned i = 0; i < r->source_count; i++) {
		unsigned endpoint = (r->turn_source + i) % r->source_count;
		/* What comes behind a port's end is of the next series: first the others' ends. */
		if (r->ended >> endpoint & 1)
			continue;
		int got = source_receive(&r->sources[endpoint], &r->payload, &r->message);

		if (got == 0)
			continue;
		if (got < 0)
			pipeline_fail(r->pipeline, 74, r->sources[endpoint].why);
		r->turn_source = endpoint + 1;
		r->message.endpoint = endpoint;
		return got;
	}
	return 0;
}

/* One turn. False when the thread shall end. */
static bool turn(struct receiver *r, unsigned *idle_rounds)
{
	if (!may_go_on(r))
		return false;
	receiver_park(r);
	if (r->protocol->tend)
		r->protocol->tend(r->decoder);
	if (atomic_load_explicit(&r->reopen, memory_order_relaxed) && !reopen(r))
		return false;
	if (r->pipeline->config->ingest.overload == OVERLOAD_BLOCK && !receiver_has_room(r)) {
		receiver_wait_for_room(r);
		return true;
	}
	if (r->feed)
		return take_fed(r);
	int got = receive(r);
	if (got < 0)
		return false;
	if (got > 0) {
		take_message(r);
		*idle_rounds = 0;
		pieces_tend(r);
		if (atomic_load_explicit(&r->messages, memory_order_relaxed) % WATCH_EVERY == 0)
			receiver_watch_peers(r);
		return true;
	}
	pieces_tend(r);
	if (receiver_phase(r) == PHASE_DRAIN && r->ended) {
		pieces_end(r);
		return true;
	}
	if (receiver_phase(r) == PHASE_DRAIN)
		return false;
	if (idle_spin((*idle_rounds)++))
		return true;
	*idle_rounds = 0;
	return wait_for_message(r);
}

void *receiver_run(void *argument)
{
	struct receiver *r = argument;
	unsigned idle_rounds = 0;

	while (turn(r, &idle_rounds))
		stage_turn(&r->stage);
	if (r->protocol->in_pieces)
		pieces_give(r, true);
	receiver_watch_peers(r);
	atomic_store_explicit(&r->quiet, true, memory_order_relaxed);
	/* seq_cst (a release) pairs with the collector's load: everything was published before;
	 * ordered before the look whether it sleeps. */
	atomic_store(&r->stage.ended, true);
	bell_ring(&r->pipeline->collect);
	return NULL;
}

/* ---- life ---- */

/* What ZeroMQ may queue before the geometry is known: as if frames were the largest allowed. */
static int first_queue(const struct config *c)
{
	uint64_t messages =
		c->ingest.buffer / 8 / c->ingest.endpoints.count / c->ingest.frame_limit;

	return messages < 1 ? 1 : messages > 1000 ? 1000 : (int)messages;
}

/* The core for libzmq's thread of an endpoint of ours, as io_core of its options. libzmq ends the
 * process when it cannot have it, so it is looked for first. 0 or -EINVAL with why. */
static int io_core_of(const struct receiver *r, unsigned i, int *ret, char why[400])
{
	const struct config_ingest *c = &r->pipeline->config->ingest;
	unsigned endpoint = r->protocol->in_pieces ? i : r->index;
	int cpu = endpoint < c->io_cpu_count ? c->io_cpus[endpoint] : -1;
	cpu_set_t set;

	*ret = cpu + 1;
	if (cpu < 0 || sched_getaffinity(0, sizeof set, &set) != 0 ||
	    (cpu < CPU_SETSIZE && CPU_ISSET((unsigned)cpu, &set)))
		return 0;
	snprintf(why, 400,
	         "ingest.io_cpus names core %d, which is not there or not for this process: "
	         "/proc/self/status lists Cpus_allowed",
	         cpu);
	return -EINVAL;
}

int receiver_attach(struct receiver *r, char why[400])
{
	const struct config_ingest *c = &r->pipeline->config->ingest;
	const struct layout *l = r->pipeline->layout;
	unsigned count = r->endpoint_count;
	struct curve_options curve;
	char reason[CURVE_WHY];
	int err;

	if (r->feed)
		return 0;
	if (l)
		r->queue_messages = l->budget.queue_messages;
	err = curve_options_load(&curve, c, reason);
	if (err < 0) {
		snprintf(why, 400, "%.399s", reason);
		return err;
	}
	r->sources = calloc(count, sizeof *r->sources);
	if (!r->sources) {
		snprintf(why, 400, "no memory for %u endpoints", count);
		err = -ENOMEM;
	}
	for (unsigned i = 0; err == 0 && i < count; i++) {
		struct source_options options = {
			.endpoint = r->endpoints[i],
			.attach = c->attach,
			.socket = c->socket,
			.max_message_bytes =
				(int64_t)c->frame_limit *
				(r->protocol->largest_part ? r->protocol->largest_part : 1),
			.queue_messages = r->queue_messages,
			.socket_buffer = (int)c->socket_buffer,
			.curve = curve,
		};

		err = io_core_of(r, i, &options.io_core, why);
		if (err < 0)
			break;
		err = source_open(&r->sources[i], &options);
		if (err < 0)
			snprintf(why, 400, "%s", r->sources[i].why);
		else
			r->source_count++;
	}
	curve_options_done(&curve);
	return err;
}

int receiver_open(struct receiver *r, struct pipeline *p, unsigned index, char *const *endpoints,
                  unsigned endpoint_count, const struct feed *feed, char why[400])
{
	const struct config_ingest *c = &p->config->ingest;
	int err;

	r->pipeline = p;
	r->index = index;
	r->feed = feed;
	r->endpoints = endpoints;
	r->endpoint_count = endpoint_count;
	r->peers.burst = r->refusals.burst = PEER_LINES;
	r->protocol = protocol_find(c->protocol);
	if (!r->protocol) {
		snprintf(why, 400, "ingest.protocol: %s is not in this version", c->protocol);
		return -EINVAL;
	}
	if (!r->protocol->has_keys && (c->rotation_key[0] || c->role_key[0])) {
		bool rotation = c->rotation_key[0] != '\0';

		snprintf(why, 400,
		         "%s.from_key: frames of %s come without a header of keys; use %s",
		         rotation ? "rotation" : "calibration", c->protocol,
		         rotation ? "rotation.start and rotation.step"
		                  : "calibration.sequence, or the commands dark and flat");
		return -EINVAL;
	}
	if (endpoint_count > SOURCES_MAX) {
		snprintf(why, 400, "ingest.endpoints: at most %d are taken with %s", SOURCES_MAX,
		         c->protocol);
		return -EINVAL;
	}
	r->queue_messages = first_queue(p->config);
	r->spare.capacity = SPARE_CAPACITY;
	r->spare.at = calloc(SPARE_CAPACITY, sizeof(struct slot *));
	if (!r->spare.at) {
		snprintf(why, 400, "no memory for the ring of %s", endpoints[0]);
		return -ENOMEM;
	}
	err = sequence_open(&r->ring, RING_ENTRIES);
	if (err == 0)
		err = bell_open(&r->bell);
	if (err == 0 && r->protocol->in_pieces)
		err = assembly_open(&r->assembly, c->assembly_timeout_ns, c->buffer);
	if (err < 0) {
		snprintf(why, 400, "cannot make the ring of %s: %s", endpoints[0], strerror(-err));
		return err;
	}
	return r->protocol->open(&r->decoder, c, why);
}

void receiver_close(struct receiver *r)
{
	for (unsigned i = 0; r->sources && i < r->source_count; i++)
		source_close(&r->sources[i]);
	free(r->sources);
	if (r->protocol)
		r->protocol->close(r->decoder);
	assembly_close(&r->assembly);
	bell_close(&r->bell);
	sequence_close(&r->ring);
	free(r->spare.at);
	*r = (struct receiver){ 0 };
}
