/* SPDX-License-Identifier: Apache-2.0 */
/* A receiver owns its sockets, its decoder, what it puts together of pieces and, from the spare
 * ring to publication, one slot.
 * It waits for messages (the sockets), for room (its bell), for the collector's answer about a
 * frame of another geometry or a series that begins (its bell), for another endpoint's start
 * message, and while `pause` is set.
 * It ends when the phase says so: draining takes what has arrived, for a bounded time. */
#include "daemon/receiver.h"
#include "daemon/detectors.h"
#include "daemon/pipeline.h"
#include "ingest/shm_map.h"

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
#define PIECES_MS      20   /* while frames lack pieces */

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

/* Publish something that the collector may want to lay out anew for, and wait for its answer. */
static enum ask_answer publish_and_wait(struct receiver *r, const struct entry *content)
{
	int answer;

	/* relaxed: published with the entry. */
	atomic_store_explicit(&r->answer, ASK_OPEN, memory_order_relaxed);
	publish(r, content);
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
	return (enum ask_answer)answer;
}

/* Ask the collector about a frame of another geometry. True when the layout is now made for it. */
static bool ask(struct receiver *r, const struct frame *frame)
{
	struct entry content = { .kind = ENTRY_ASK, .number_known = true, .frame = *frame };

	return publish_and_wait(r, &content) == ASK_ACCEPTED;
}

/* Where the pixels of a frame are until it has a slot. */
struct bundle {
	zmq_msg_t *parts;
	unsigned count;
	struct shm_lease *lease;
};

/* Move the pixels to the slot. */
static void hold_bundle(struct slot *s, const struct bundle *b, const struct frame *frame)
{
	s->raw = frame->pixels;
	s->hold.lease = b->lease;
	if (frame->ports.columns) {
		for (unsigned i = 0; i < b->count; i++)
			hold_take(&s->hold, i, &b->parts[i]);
		return;
	}
	if (b->count > 0) {
		ptrdiff_t offset =
			(const char *)frame->pixels - (const char *)zmq_msg_data(b->parts);

		s->raw = (const char *)hold_take(&s->hold, 0, b->parts) + offset;
	}
}

static void publish_frame(struct receiver *r, struct slot *s, const struct bundle *b,
                          const struct frame *frame)
{
	struct entry content = {
		.kind = ENTRY_FRAME,
		.number_known = true,
		.gap_at_sender = r->was_full && r->pipeline->config->ingest.socket == SOCKET_SUB,
		.frame = *frame,
		.slot = s,
	};

	hold_bundle(s, b, frame);
	s->frame = *frame;
	s->why = NULL;
	r->payloads_taken++;
	r->was_full = false;
	publish(r, &content);
}

static void give_up_lease(struct receiver *r, struct shm_lease *lease)
{
	if (!lease)
		return;
	shm_lease_return(lease);
	r->protocol->tend(r->decoder);
}

static void drop_frame(struct receiver *r, const struct bundle *b, const struct frame *frame)
{
	struct entry content = { .kind = ENTRY_DROPPED, .number_known = true, .frame = *frame };

	give_up_lease(r, b->lease);
	publish(r, &content);
}

/* ZeroMQ may queue as many messages as the budget says for frames of this size. */
static void adopt_queue(struct receiver *r, const struct layout *l)
{
	if (r->feed || r->queue_messages == l->budget.queue_messages)
		return;
	r->queue_messages = l->budget.queue_messages;
	for (unsigned i = 0; i < r->source_count; i++)
		source_set_queue(&r->sources[i], r->queue_messages);
}

static bool is_known_series(const struct pipeline *p, uint64_t series)
{
	for (unsigned i = 0; i < KNOWN_SERIES; i++)
		/* seq_cst (an acquire) pairs with the collector's store: what it laid out for the
		 * series is visible; ordered after our word that we sleep. */
		if (atomic_load(&p->known_series[i]) == series)
			return true;
	return false;
}

/* Start messages reach one of several endpoints only, and images may be faster. What the start
 * message says of the detector is wanted for all of them. */
static void await_start(struct receiver *r, uint64_t series)
{
	const struct pipeline *p = r->pipeline;
	uint64_t until_ns = clock_monotonic_ns() + p->config->series.end_grace_ns;

	if (series == 0 || series == r->awaited || p->receiver_count == 1 ||
	    !r->protocol->has_start_message)
		return;
	r->awaited = series; /* once: it may never come, and others wait behind its frames */
	while (!is_known_series(p, series) && clock_monotonic_ns() < until_ns &&
	       phase_of(r) == PHASE_RUN) {
		/* relaxed: so that the collector does not wait for us with the start message. */
		atomic_store_explicit(&r->quiet, true, memory_order_relaxed);
		bell_prepare(&r->bell);
		if (!is_known_series(p, series) && !paused(r))
			bell_sleep(&r->bell, 5);
		bell_leave(&r->bell);
		park(r);
		stage_turn(&r->stage);
	}
	atomic_store_explicit(&r->quiet, false, memory_order_relaxed);
}

static void take_frame(struct receiver *r, const struct bundle *b, const struct frame *frame)
{
	struct frame_shape shape = shape_of_frame(frame);
	bool drop = r->pipeline->config->ingest.overload == OVERLOAD_DROP;

	await_start(r, frame->series);
	for (;;) {
		const struct layout *l =
			atomic_load_explicit(&r->pipeline->layout, memory_order_acquire);

		if (!l || !shape_fits(&l->shape, &shape)) {
			if (ask(r, frame))
				continue;
			give_up_lease(r, b->lease);
			return;
		}
		adopt_queue(r, l);
		struct slot *s = take_slot(r, l);
		if (s) {
			publish_frame(r, s, b, frame);
			return;
		}
		if (drop || phase_of(r) == PHASE_ABORT) {
			drop_frame(r, b, frame);
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

	publish(r, &content);
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
	publish_and_wait(r, &content);
}

static uint64_t message_bytes(const struct message *m)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < m->part_count && i < MESSAGE_PARTS_MAX; i++)
		bytes += m->parts[i].size;
	return bytes;
}

/* ---- frames in pieces ---- */

static void give_gathered(struct receiver *r, struct gathered *g)
{
	struct bundle bundle = { .parts = g->parts, .count = g->ports };

	take_frame(r, &bundle, &g->frame);
	assembly_done(&r->assembly, g);
}

static void give_all_gathered(struct receiver *r, bool all)
{
	struct gathered *g;

	while ((g = assembly_next(&r->assembly, clock_monotonic_ns(), all)))
		give_gathered(r, g);
}

/* The series is over once every endpoint has said so, or has had time to. */
static void end_pieces(struct receiver *r)
{
	struct decoded end = { .verdict = VERDICT_END, .frame.received_ns = clock_real_ns() };

	give_all_gathered(r, true);
	assembly_restart(&r->assembly);
	r->ended = 0;
	publish_verdict(r, &end);
}

static void note_end(struct receiver *r, unsigned endpoint)
{
	if (r->ended == 0)
		r->ended_ns = clock_monotonic_ns();
	r->ended |= (uint64_t)1 << endpoint;
	if (r->ended == UINT64_MAX >> (64 - r->source_count))
		end_pieces(r);
}

/* What waits for nothing but time. */
static void tend_pieces(struct receiver *r)
{
	if (!r->protocol->in_pieces)
		return;
	give_all_gathered(r, false);
	if (r->ended && clock_monotonic_ns() - r->ended_ns > r->assembly.timeout_ns)
		end_pieces(r);
}

static void refuse_piece(struct receiver *r, struct decoded *d, enum reject reason, const char *why)
{
	d->verdict = VERDICT_REJECTED;
	d->reason = reason;
	snprintf(d->why, sizeof d->why, "port %u: %s", d->port, why);
	tell_rejection(r, d);
	publish_verdict(r, d);
}

static void take_piece(struct receiver *r, struct decoded *d, unsigned endpoint)
{
	struct entry duplicate = { .kind = ENTRY_DUPLICATE,
		                   .number_known = true,
		                   .frame = d->frame };

	/* A port that has ended begins anew: the others' words were lost. */
	if (r->ended >> endpoint & 1)
		end_pieces(r);
	give_all_gathered(r, false);
	struct gathered *other = assembly_in_the_way(&r->assembly, d->frame.number);
	if (other) {
		other->frame.flags |= FRAME_INCOMPLETE;
		give_gathered(r, other);
	}
	switch (assembly_add(&r->assembly, d, &r->payload.parts[d->pixel_part],
	                     clock_monotonic_ns())) {
	case ASSEMBLY_DUPLICATE:
		publish(r, &duplicate);
		break;
	case ASSEMBLY_LATE:
		refuse_piece(r, d, REJECT_LATE, "its frame was given up for lack of it");
		break;
	case ASSEMBLY_OTHER:
		refuse_piece(r, d, REJECT_SHAPE, "it is of another geometry than the other ports");
		break;
	case ASSEMBLY_TAKEN:
		break;
	}
	give_all_gathered(r, false);
}

/* ---- any message ---- */

static void take_decoded(struct receiver *r, struct decoded *d, const struct message *m)
{
	struct bundle bundle = { .parts = &r->payload.parts[d->pixel_part], .count = 1 };

	switch (d->verdict) {
	case VERDICT_FRAME:
		if (d->lease)
			bundle = (struct bundle){ .lease = d->lease };
		take_frame(r, &bundle, &d->frame);
		return;
	case VERDICT_PIECE:
		take_piece(r, d, m->endpoint);
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
			note_end(r, m->endpoint);
			return;
		}
		break;
	case VERDICT_REJECTED:
		give_up_lease(r, d->lease);
		tell_rejection(r, d);
		break;
	default:
		break;
	}
	publish_verdict(r, d);
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

		drop_frame(r, &bundle, &d->frame);
	} else {
		take_decoded(r, d, &r->message);
	}
	payload_release(&r->payload);
}

/* ---- the loop ---- */

static void watch_peers(struct receiver *r)
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
	watch_peers(r);
	bell_prepare(&r->bell);
	if (!paused(r) && phase_of(r) == PHASE_RUN)
		err = source_wait_any(r->sources, r->source_count, r->bell.fd, wait_ms(r));
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
	/* relaxed: only we write them; figures for people. */
	atomic_fetch_add_explicit(&r->messages, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&r->bytes, frame.bytes, memory_order_relaxed);
	take_frame(r, &nothing, &frame);
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
	park(r);
	if (r->protocol->tend)
		r->protocol->tend(r->decoder);
	if (atomic_load_explicit(&r->reopen, memory_order_relaxed) && !reopen(r))
		return false;
	if (r->pipeline->config->ingest.overload == OVERLOAD_BLOCK && !has_room(r)) {
		wait_for_room(r);
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
		tend_pieces(r);
		if (atomic_load_explicit(&r->messages, memory_order_relaxed) % WATCH_EVERY == 0)
			watch_peers(r);
		return true;
	}
	tend_pieces(r);
	if (phase_of(r) == PHASE_DRAIN && r->ended) {
		end_pieces(r);
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
	if (r->protocol->in_pieces)
		give_all_gathered(r, true);
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

static int open_sources(struct receiver *r, char *const *endpoints, unsigned count, char why[400])
{
	const struct config_ingest *c = &r->pipeline->config->ingest;
	struct curve_options curve;
	char reason[CURVE_WHY];
	int err = curve_options_load(&curve, c, reason);

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
			.endpoint = endpoints[i],
			.attach = c->attach,
			.socket = c->socket,
			.max_message_bytes =
				(int64_t)c->frame_limit *
				(r->protocol->largest_part ? r->protocol->largest_part : 1),
			.queue_messages = r->queue_messages,
			.curve = curve,
		};

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
	r->peers.burst = r->refusals.burst = PEER_LINES;
	r->protocol = protocol_find(c->protocol);
	if (!r->protocol) {
		snprintf(why, 400, "ingest.protocol: %s is not in this version", c->protocol);
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
	err = r->protocol->open(&r->decoder, c, why);
	if (err < 0 || feed)
		return err;
	return open_sources(r, endpoints, endpoint_count, why);
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
