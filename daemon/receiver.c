/* SPDX-License-Identifier: Apache-2.0 */
/* A receiver owns its socket, its decoder and, from the spare ring to publication, one slot.
 * It waits for messages (the socket), for room (its bell), for the collector's answer about a
 * frame of another geometry (its bell), and while `pause` is set.
 * It ends when the phase says so: draining takes what has arrived, for a bounded time. */
#include "daemon/receiver.h"
#include "daemon/pipeline.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING_ENTRIES   8192u
#define SPARE_CAPACITY 16384u /* above the slots one receiver may have */
#define SLEEP_MS       200
#define DRAIN_NS       2000000000u
#define PEER_LINES     8    /* a second, about peers that come and go */
#define WATCH_EVERY    256u /* messages */

static enum phase phase_of(const struct receiver *r)
{
	/* seq_cst pairs with pipeline_phase(), after our word that we sleep. */
	return (enum phase)atomic_load(&r->pipeline->phase);
}

/* ---- room ---- */

static bool payload_room(struct receiver *r, const struct layout *l)
{
	/* seq_cst pairs with the worker's addition, after our word that we sleep. */
	return r->payloads_taken - atomic_load(&r->payloads_freed) < l->budget.payloads;
}

/* Is there a slot for one more frame? True while no layout says how large they are. */
static bool has_room(struct receiver *r)
{
	const struct layout *l = atomic_load_explicit(&r->pipeline->layout, memory_order_acquire);

	return !l || (payload_room(r, l) &&
	              atomic_load(&r->spare.tail) !=
	                      atomic_load_explicit(&r->spare.head, memory_order_relaxed));
}

static struct slot *take_slot(struct receiver *r, const struct layout *l)
{
	return payload_room(r, l) ? spare_pop(&r->spare) : NULL;
}

static bool paused(const struct receiver *r)
{
	return atomic_load(&r->pipeline->pause); /* seq_cst: see park() */
}

static void watch_peers(struct receiver *r);

/* Stand still while the layout changes. Whoever says `parked` looks at `pause` again after taking
 * it back, and the collector sets `pause` before it looks at `parked`: one of them sees. */
static void park(struct receiver *r)
{
	while (paused(r)) {
		atomic_store(&r->parked, true);
		bell_prepare(&r->bell);
		if (paused(r))
			bell_sleep(&r->bell, SLEEP_MS);
		bell_leave(&r->bell);
		atomic_store(&r->parked, false);
		watch_peers(r);
		stage_turn(&r->stage);
	}
}

static void wait_for_room(struct receiver *r)
{
	r->was_full = true;
	/* relaxed: the collector's idle clock may lag. */
	atomic_store_explicit(&r->quiet, false, memory_order_relaxed);
	for (unsigned round = 0; idle_spin(round); round++)
		if (has_room(r))
			return;
	watch_peers(r); /* who shakes hands meanwhile is answered in time */
	bell_prepare(&r->bell);
	if (!has_room(r) && !paused(r) && phase_of(r) != PHASE_ABORT)
		bell_sleep(&r->bell, SLEEP_MS);
	bell_leave(&r->bell);
}

/* ---- publishing ---- */

/* The next entry; waits while the collector is behind by a whole ring. */
static struct entry *wait_for_entry(struct receiver *r)
{
	struct entry *e;

	while (!(e = sequence_next(&r->ring))) {
		stage_turn(&r->stage);
		bell_prepare(&r->bell);
		if (!sequence_next(&r->ring))
			bell_sleep(&r->bell, 1);
		bell_leave(&r->bell);
	}
	return e;
}

static void publish(struct receiver *r, const struct entry *content)
{
	*wait_for_entry(r) = *content;
	sequence_publish(&r->ring);
	gate_notify(&r->pipeline->work, 1);
}

/* Ask the collector about a frame of another geometry. True when the layout is now made for it. */
static bool ask(struct receiver *r, const struct frame *frame)
{
	struct entry content = { .kind = ENTRY_ASK, .number_known = true, .frame = *frame };
	int answer;

	/* relaxed: published with the entry. */
	atomic_store_explicit(&r->answer, ASK_OPEN, memory_order_relaxed);
	publish(r, &content);
	atomic_store(&r->parked, true);
	/* seq_cst pairs with the collector's answer, after our word that we sleep. */
	while ((answer = atomic_load(&r->answer)) == ASK_OPEN) {
		bell_prepare(&r->bell);
		if (atomic_load(&r->answer) == ASK_OPEN)
			bell_sleep(&r->bell, SLEEP_MS);
		bell_leave(&r->bell);
		watch_peers(r);
		stage_turn(&r->stage);
	}
	atomic_store(&r->parked, false);
	park(r);
	return answer == ASK_ACCEPTED;
}

static void publish_frame(struct receiver *r, struct slot *s, struct payload *payload,
                          const struct frame *frame)
{
	struct entry content = {
		.kind = ENTRY_FRAME,
		.number_known = true,
		.gap_at_sender = r->was_full && r->pipeline->config->ingest.socket == SOCKET_SUB,
		.frame = *frame,
		.slot = s,
	};

	s->raw = payload_move(&s->payload, payload, frame->pixels);
	s->number = frame->number;
	s->timestamp_ns = frame->timestamp_ns;
	s->received_ns = frame->received_ns;
	s->flags = frame->flags;
	r->payloads_taken++;
	r->was_full = false;
	publish(r, &content);
}

static void drop_frame(struct receiver *r, struct payload *payload, const struct frame *frame)
{
	struct entry content = { .kind = ENTRY_DROPPED, .number_known = true, .frame = *frame };

	payload_release(payload);
	publish(r, &content);
}

/* ZeroMQ may queue as many messages as the budget says for frames of this size. */
static void adopt_queue(struct receiver *r, const struct layout *l)
{
	if (r->feed || r->queue_messages == l->budget.queue_messages)
		return;
	r->queue_messages = l->budget.queue_messages;
	source_set_queue(&r->source, r->queue_messages);
}

static void take_frame(struct receiver *r, struct payload *payload, const struct frame *frame)
{
	struct frame_shape shape = shape_of_frame(frame);
	bool drop = r->pipeline->config->ingest.overload == OVERLOAD_DROP;

	for (;;) {
		const struct layout *l =
			atomic_load_explicit(&r->pipeline->layout, memory_order_acquire);

		if (!l || !shape_equal(&l->shape, &shape)) {
			if (ask(r, frame))
				continue;
			payload_release(payload);
			return;
		}
		adopt_queue(r, l);
		struct slot *s = take_slot(r, l);
		if (s) {
			publish_frame(r, s, payload, frame);
			return;
		}
		if (drop || phase_of(r) == PHASE_ABORT) {
			drop_frame(r, payload, frame);
			return;
		}
		wait_for_room(r);
		park(r);
		stage_turn(&r->stage);
	}
}

/* ---- messages ---- */

static void tell_rejection(struct receiver *r, const struct decoded *d)
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

static void publish_verdict(struct receiver *r, const struct decoded *d)
{
	static const enum entry_kind kinds[VERDICT_COUNT] = {
		[VERDICT_DUMMY] = ENTRY_DUMMY,
		[VERDICT_START] = ENTRY_START,
		[VERDICT_END] = ENTRY_END,
		[VERDICT_REJECTED] = ENTRY_REJECTED,
	};
	struct entry content = {
		.kind = kinds[d->verdict],
		.reason = d->reason,
		.number_known = d->number_known || d->verdict == VERDICT_DUMMY,
		.announced = d->announced,
		.frame = { .number = d->frame.number, .received_ns = d->frame.received_ns },
	};

	publish(r, &content);
}

static uint64_t message_bytes(const struct message *m)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < m->part_count && i < MESSAGE_PARTS_MAX; i++)
		bytes += m->parts[i].size;
	return bytes;
}

static void take_message(struct receiver *r, struct payload *payload, const struct message *m)
{
	struct decoded d = { .verdict = VERDICT_REJECTED };
	uint64_t received_ns = clock_real_ns();

	/* relaxed: only we write them; figures for people. */
	atomic_store_explicit(&r->quiet, false, memory_order_relaxed);
	atomic_fetch_add_explicit(&r->messages, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&r->bytes, message_bytes(m), memory_order_relaxed);

	r->protocol->decode(r->decoder, m, &d);
	d.frame.received_ns = received_ns;
	if (d.verdict == VERDICT_FRAME) {
		take_frame(r, payload, &d.frame);
		return;
	}
	if (d.verdict == VERDICT_REJECTED)
		tell_rejection(r, &d);
	payload_release(payload);
	publish_verdict(r, &d);
}

/* ---- the loop ---- */

static void watch_peers(struct receiver *r)
{
	uint64_t now = clock_monotonic_ns();

	if (r->feed)
		return;
	while (source_watch(&r->source)) {
		bool warns = r->source.warns;

		if (log_limit_take(warns ? &r->refusals : &r->peers, now, r->source.last_event))
			log_line(warns ? LOG_WARNING : LOG_INFO, r->stage.name, "%s",
			         r->source.last_event);
	}
	log_limit_flush(&r->peers, now, LOG_INFO, r->stage.name);
	log_limit_flush(&r->refusals, now, LOG_WARNING, r->stage.name);
	for (unsigned i = 0; i < REJECT_COUNT; i++)
		log_limit_flush(&r->rejections[i], now, LOG_WARNING, r->stage.name);
}

static bool wait_for_message(struct receiver *r)
{
	int err = 0;

	/* relaxed: the collector's idle clock may lag. */
	atomic_store_explicit(&r->quiet, true, memory_order_relaxed);
	watch_peers(r);
	bell_prepare(&r->bell);
	if (!paused(r) && phase_of(r) == PHASE_RUN)
		err = source_wait(&r->source, r->bell.fd, SLEEP_MS);
	bell_leave(&r->bell);
	if (err < 0)
		pipeline_fail(r->pipeline, 74, r->source.why);
	return err == 0;
}

/* An answer to a peer that never ends a message: start over with an empty socket. */
static bool reopen(struct receiver *r)
{
	/* relaxed: a request, seen a turn later at worst. */
	atomic_store_explicit(&r->reopen, false, memory_order_relaxed);
	log_line(LOG_ERROR, r->stage.name,
	         "memory passed the ceiling: closing %s and what its peers have not finished "
	         "sending",
	         r->source.endpoint);
	int err = source_reopen(&r->source);
	malloc_trim(0); /* the allocator is told to keep what it has: not this */
	if (err == 0)
		return true;
	pipeline_fail(r->pipeline, 69, r->source.why);
	return false;
}

/* True while the receiver shall go on, as far as the phase is concerned. */
static bool may_go_on(struct receiver *r)
{
	enum phase phase = phase_of(r);

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
	         r->source.endpoint, (unsigned)(DRAIN_NS / 1000000000u));
	return false;
}

/* One frame from memory. False when there are no more. */
static bool take_fed(struct receiver *r)
{
	struct payload nothing = { 0 };
	struct frame frame;

	if (!r->feed->next(r->feed->user, &frame))
		return false;
	frame.received_ns = clock_real_ns();
	/* relaxed: only we write them; figures for people. */
	atomic_fetch_add_explicit(&r->messages, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&r->bytes, frame.bytes, memory_order_relaxed);
	take_frame(r, &nothing, &frame);
	return true;
}

/* One turn. False when the thread shall end. */
static bool turn(struct receiver *r, unsigned *idle_rounds)
{
	struct payload payload = { 0 };
	struct message message;

	if (!may_go_on(r))
		return false;
	park(r);
	if (atomic_load_explicit(&r->reopen, memory_order_relaxed) && !reopen(r))
		return false;
	if (r->pipeline->config->ingest.overload == OVERLOAD_BLOCK && !has_room(r)) {
		wait_for_room(r);
		return true;
	}
	if (r->feed)
		return take_fed(r);
	int got = source_receive(&r->source, &payload, &message);
	if (got < 0) {
		pipeline_fail(r->pipeline, 74, r->source.why);
		return false;
	}
	if (got > 0) {
		take_message(r, &payload, &message);
		*idle_rounds = 0;
		if (atomic_load_explicit(&r->messages, memory_order_relaxed) % WATCH_EVERY == 0)
			watch_peers(r);
		return true;
	}
	if (phase_of(r) == PHASE_DRAIN)
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
	watch_peers(r);
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

int receiver_open(struct receiver *r, struct pipeline *p, unsigned index, const char *endpoint,
                  const struct feed *feed, char why[400])
{
	const struct config_ingest *c = &p->config->ingest;
	struct source_options options = {
		.endpoint = endpoint,
		.attach = c->attach,
		.socket = c->socket,
		.max_message_bytes = (int64_t)c->frame_limit,
		.queue_messages = first_queue(p->config),
	};
	char reason[CURVE_WHY];
	int err;

	r->pipeline = p;
	r->index = index;
	r->feed = feed;
	r->peers.burst = r->refusals.burst = PEER_LINES;
	r->protocol = protocol_find(c->protocol);
	if (!r->protocol) {
		snprintf(why, 400, "ingest.protocol: %s is not in this version", c->protocol);
		return -EINVAL;
	}
	r->queue_messages = options.queue_messages;
	r->spare.capacity = SPARE_CAPACITY;
	r->spare.at = calloc(SPARE_CAPACITY, sizeof(struct slot *));
	if (!r->spare.at) {
		snprintf(why, 400, "no memory for the ring of %s", endpoint);
		return -ENOMEM;
	}
	err = sequence_open(&r->ring, RING_ENTRIES);
	if (err == 0)
		err = bell_open(&r->bell);
	if (err < 0) {
		snprintf(why, 400, "cannot make the ring of %s: %s", endpoint, strerror(-err));
		return err;
	}
	err = r->protocol->open(&r->decoder, c, why);
	if (err < 0 || feed)
		return err;
	err = curve_options_load(&options.curve, c, reason);
	if (err < 0) {
		snprintf(why, 400, "%.399s", reason);
		return err;
	}
	err = source_open(&r->source, &options);
	curve_options_done(&options.curve);
	if (err < 0)
		snprintf(why, 400, "%s", r->source.why);
	return err;
}

void receiver_close(struct receiver *r)
{
	source_close(&r->source);
	if (r->protocol)
		r->protocol->close(r->decoder);
	bell_close(&r->bell);
	sequence_close(&r->ring);
	free(r->spare.at);
	*r = (struct receiver){ 0 };
}
