/* SPDX-License-Identifier: Apache-2.0 */
/* From a decoded frame to an entry that workers can claim: room, a layout that fits, a slot. All of
 * it on the receiving thread. */
#include "daemon/receiver_parts.h"
#include "daemon/pipeline.h"
#include "ingest/shm_map.h"

#include <stddef.h>

#define SLEEP_MS 200

enum phase receiver_phase(const struct receiver *r)
{
	/* seq_cst pairs with pipeline_phase(), after our word that we sleep. */
	return (enum phase)atomic_load(&r->pipeline->phase);
}

/* ---- room ---- */

static void sleep_for_room(struct receiver *r, int timeout_ms)
{
	uint64_t from_ns = clock_monotonic_ns();

	bell_sleep(&r->bell, timeout_ms);
	stage_waited(&r->stage, WAIT_ROOM, from_ns);
}

static bool payload_room(struct receiver *r, const struct layout *l)
{
	/* seq_cst pairs with the worker's addition, after our word that we sleep. */
	return r->payloads_taken - atomic_load(&r->payloads_freed) < l->budget.payloads;
}

/* Is there a slot for one more frame? True while no layout says how large they are. */
bool receiver_has_room(struct receiver *r)
{
	const struct layout *l = atomic_load_explicit(&r->pipeline->layout, memory_order_acquire);

	return !l || (payload_room(r, l) &&
	              atomic_load(&r->spare.tail) !=
	                      atomic_load_explicit(&r->spare.head, memory_order_relaxed));
}

/* relaxed: the collector may begin a series meanwhile, and the peak of one then counts for the
 * next, too; a figure for people. */
static void raise_peak(_Atomic uint32_t *peak, uint32_t value)
{
	if (value > atomic_load_explicit(peak, memory_order_relaxed))
		atomic_store_explicit(peak, value, memory_order_relaxed);
}

static struct slot *take_slot(struct receiver *r, const struct layout *l)
{
	struct slot *s = payload_room(r, l) ? spare_pop(&r->spare) : NULL;

	if (!s)
		return NULL;
	raise_peak(&r->slots_peak, l->slots_per_receiver - spare_count(&r->spare));
	/* relaxed: it may have become less. */
	raise_peak(&r->payloads_peak,
	           (uint32_t)(r->payloads_taken + 1 -
	                      atomic_load_explicit(&r->payloads_freed, memory_order_relaxed)));
	return s;
}

bool receiver_paused(const struct receiver *r)
{
	return atomic_load(&r->pipeline->pause); /* seq_cst: see receiver_park() */
}

void receiver_watch_peers(struct receiver *r);

/* Stand still while the layout changes. Whoever says `parked` looks at `pause` again after taking
 * it back, and the collector sets `pause` before it looks at `parked`: one of them sees. */
void receiver_park(struct receiver *r)
{
	while (receiver_paused(r)) {
		atomic_store(&r->parked, true);
		bell_prepare(&r->bell);
		if (receiver_paused(r))
			sleep_for_room(r, SLEEP_MS);
		bell_leave(&r->bell);
		atomic_store(&r->parked, false);
		receiver_watch_peers(r);
		stage_turn(&r->stage);
	}
}

void receiver_wait_for_room(struct receiver *r)
{
	r->was_full = true;
	/* relaxed: the collector's idle clock may lag. */
	atomic_store_explicit(&r->quiet, false, memory_order_relaxed);
	for (unsigned round = 0; idle_spin(round); round++)
		if (receiver_has_room(r))
			return;
	receiver_watch_peers(r); /* who shakes hands meanwhile is answered in time */
	bell_prepare(&r->bell);
	if (!receiver_has_room(r) && !receiver_paused(r) && receiver_phase(r) != PHASE_ABORT)
		sleep_for_room(r, SLEEP_MS);
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
			sleep_for_room(r, 1);
		bell_leave(&r->bell);
	}
	return e;
}

void receiver_publish(struct receiver *r, const struct entry *content)
{
	*wait_for_entry(r) = *content;
	sequence_publish(&r->ring);
	gate_notify(&r->pipeline->work, 1);
}

/* Publish something that the collector may want to lay out anew for, and wait for its answer. */
enum ask_answer receiver_publish_and_wait(struct receiver *r, const struct entry *content)
{
	int answer;

	/* relaxed: published with the entry. */
	atomic_store_explicit(&r->answer, ASK_OPEN, memory_order_relaxed);
	receiver_publish(r, content);
	atomic_store(&r->parked, true);
	/* seq_cst pairs with the collector's answer, after our word that we sleep. */
	while ((answer = atomic_load(&r->answer)) == ASK_OPEN) {
		bell_prepare(&r->bell);
		if (atomic_load(&r->answer) == ASK_OPEN)
			sleep_for_room(r, SLEEP_MS);
		bell_leave(&r->bell);
		receiver_watch_peers(r);
		stage_turn(&r->stage);
	}
	atomic_store(&r->parked, false);
	receiver_park(r);
	return (enum ask_answer)answer;
}

/* Ask the collector about a frame of another geometry. True when the layout is now made for it. */
static bool ask(struct receiver *r, const struct frame *frame)
{
	struct entry content = { .kind = ENTRY_ASK, .number_known = true, .frame = *frame };

	return receiver_publish_and_wait(r, &content) == ASK_ACCEPTED;
}

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
	s->times.arrived_ns = r->arrived_ns;
	s->why = NULL;
	r->payloads_taken++;
	r->was_full = false;
	s->generation = generations_stamp(&r->pipeline->generations, r->index);
	receiver_publish(r, &content);
	generations_stamped(&r->pipeline->generations, r->index);
}

void receiver_give_up_lease(struct receiver *r, struct shm_lease *lease)
{
	if (!lease)
		return;
	shm_lease_return(lease);
	r->protocol->tend(r->decoder);
}

void receiver_drop_frame(struct receiver *r, const struct bundle *b, const struct frame *frame)
{
	struct entry content = { .kind = ENTRY_DROPPED, .number_known = true, .frame = *frame };

	receiver_give_up_lease(r, b->lease);
	receiver_publish(r, &content);
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
	       receiver_phase(r) == PHASE_RUN) {
		/* relaxed: so that the collector does not wait for us with the start message. */
		atomic_store_explicit(&r->quiet, true, memory_order_relaxed);
		bell_prepare(&r->bell);
		if (!is_known_series(p, series) && !receiver_paused(r))
			bell_sleep(&r->bell, 5);
		bell_leave(&r->bell);
		receiver_park(r);
		stage_turn(&r->stage);
	}
	atomic_store_explicit(&r->quiet, false, memory_order_relaxed);
}

void receiver_take_frame(struct receiver *r, const struct bundle *b, const struct frame *frame)
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
			receiver_give_up_lease(r, b->lease);
			return;
		}
		adopt_queue(r, l);
		struct slot *s = take_slot(r, l);
		if (s) {
			publish_frame(r, s, b, frame);
			return;
		}
		if (drop || receiver_phase(r) == PHASE_ABORT) {
			receiver_drop_frame(r, b, frame);
			return;
		}
		receiver_wait_for_room(r);
		receiver_park(r);
		stage_turn(&r->stage);
	}
}
