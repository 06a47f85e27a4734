/* SPDX-License-Identifier: Apache-2.0 */
/* Receivers, three workers and a collector over small sequence rings, waiting at a real gate and
 * real bells, as the daemon does. Workers take hands of random size and give their core away in
 * the middle of the work. Slots stay with the collector for a while, as if they were written.
 *
 * Raw and reduced pixels are a pattern of receiver and number, written with plain stores: an entry
 * or a slot handed over too early is a wrong pattern, and a race for ThreadSanitizer. Every
 * number is collected once and in order. The threads keep each other busy all the time, so that
 * a sleep that lasts to its time limit is a wake-up that was lost. */
#include "daemon/idle.h"
#include "daemon/sequence.h"
#include "daemon/slot.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECEIVERS_MOST 3u
#define WORKERS        3u
#define RING           8u
#define SLOTS_MOST     14u
#define SPARE          16u
#define WORDS          8u
#define HAND_MOST      5u
#define HELD           3u /* slots the collector keeps */
#define ENTRIES        1000000u
#define LEAST          2000u
#define TIME_NS        ((uint64_t)4 * 1000000000u) /* of one run */
#define LIMIT_MS       5000

struct receiver_side {
	struct sequence ring;
	struct spare spare;
	struct bell bell;
	struct slot slots[SLOTS_MOST];
	struct slot *spare_at[SPARE];
	uint64_t raw[SLOTS_MOST][WORDS], reduced[SLOTS_MOST][WORDS];
	unsigned index;
	_Atomic bool ended;

	/* The collector's. */
	uint64_t collected;
	struct slot *held[HELD];
};

struct worker_side {
	uint64_t random, processed;
	unsigned index;
};

static struct receiver_side receivers[RECEIVERS_MOST];
static struct worker_side workers[WORKERS];
static unsigned receiver_count;
static uint64_t until_ns;
static struct gate work;
static struct bell collect;
static _Atomic bool all_collected;
static _Atomic unsigned wrong, lost;

static uint64_t next_random(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

static void check(bool good, const char *what, unsigned receiver, uint64_t number)
{
	if (good)
		return;
	if (atomic_fetch_add(&wrong, 1) < 10)
		fprintf(stderr, "receiver %u, number %llu: %s\n", receiver,
		        (unsigned long long)number, what);
}

/* The sleep that began then must not have lasted to its limit. */
static void check_sleep(uint64_t began_ns)
{
	if (clock_monotonic_ns() - began_ns >= (uint64_t)LIMIT_MS * 1000000u)
		atomic_fetch_add(&lost, 1);
}

static uint64_t word_of(unsigned receiver, uint64_t number, unsigned i)
{
	return (number * RECEIVERS_MOST + receiver) * 0x9e3779b97f4a7c15u + i;
}

/* ---- receivers ---- */

static bool has_slot(struct receiver_side *r)
{
	return atomic_load(&r->spare.tail) !=
	       atomic_load_explicit(&r->spare.head, memory_order_relaxed); /* ours */
}

static struct slot *wait_for_slot(struct receiver_side *r)
{
	struct slot *s;

	while (!(s = spare_pop(&r->spare))) {
		uint64_t began_ns = clock_monotonic_ns();

		bell_prepare(&r->bell);
		if (!has_slot(r))
			bell_sleep(&r->bell, LIMIT_MS);
		bell_leave(&r->bell);
		check_sleep(began_ns);
	}
	return s;
}

static struct entry *wait_for_entry(struct receiver_side *r)
{
	struct entry *e;

	while (!(e = sequence_next(&r->ring))) {
		bell_prepare(&r->bell);
		if (!sequence_next(&r->ring))
			bell_sleep(&r->bell, 1);
		bell_leave(&r->bell);
	}
	return e;
}

static void publish(struct receiver_side *r, uint64_t number)
{
	bool with_slot = number % 7 != 3;
	struct slot *s = with_slot ? wait_for_slot(r) : NULL;
	struct entry *e = wait_for_entry(r);

	*e = (struct entry){ .kind = with_slot ? ENTRY_FRAME : ENTRY_DROPPED, .slot = s };
	e->frame.number = number;
	e->frame.timestamp_ns = word_of(r->index, number, WORDS);
	if (s) {
		uint64_t *raw = r->raw[s - r->slots];

		s->frame.number = number;
		for (unsigned i = 0; i < WORDS; i++)
			raw[i] = word_of(r->index, number, i);
	}
	sequence_publish(&r->ring);
	gate_notify(&work, 1);
}

static void *receive(void *argument)
{
	struct receiver_side *r = argument;
	uint64_t random = r->index + 1, number = 0;

	for (; number < ENTRIES && (number % 64 != 0 || clock_monotonic_ns() < until_ns);
	     number++) {
		publish(r, number);
		if (next_random(&random) % 16 == 0)
			sched_yield();
	}
	atomic_store(&r->ended, true);
	bell_ring(&collect);
	return NULL;
}

/* ---- workers ---- */

static void reduce(const struct receiver_side *r, struct slot *s, uint64_t number)
{
	const uint64_t *raw = s->raw;
	uint64_t *reduced = s->reduced;
	bool good = s->frame.number == number;

	for (unsigned i = 0; i < WORDS; i++) {
		good = good && raw[i] == word_of(r->index, number, i);
		reduced[i] = ~raw[i];
	}
	check(good, "a worker found other pixels", r->index, number);
}

static void process(struct worker_side *w, struct receiver_side *r, uint64_t first, unsigned count)
{
	struct entry *hand[HAND_MOST];

	for (unsigned i = 0; i < count; i++)
		hand[i] = sequence_claimed(&r->ring, first + i);
	for (unsigned i = 0; i < count; i++) {
		check(hand[i]->frame.number == first + i, "a worker found another entry", r->index,
		      first + i);
		if (hand[i]->slot)
			reduce(r, hand[i]->slot, first + i);
		if (next_random(&w->random) % 32 == 0)
			sched_yield();
	}
	for (unsigned i = 0; i < count; i++)
		sequence_done(&r->ring, first + i);
	w->processed += count;
	bell_ring(&collect);
}

static bool work_waits(void)
{
	for (unsigned i = 0; i < receiver_count; i++) {
		const struct sequence *q = &receivers[i].ring;

		if (atomic_load(&q->published) !=
		    atomic_load_explicit(&q->claimed, memory_order_relaxed))
			return true;
	}
	return atomic_load(&all_collected);
}

static bool work_once(struct worker_side *w)
{
	for (unsigned i = 0; i < receiver_count; i++) {
		struct receiver_side *r = &receivers[(w->index + i) % receiver_count];
		unsigned most = 1 + (unsigned)(next_random(&w->random) % HAND_MOST);
		uint64_t first;
		unsigned count = sequence_claim(&r->ring, most, &first);

		check(count <= most, "a hand larger than asked for", r->index, first);
		if (count == 0)
			continue;
		process(w, r, first, count);
		return true;
	}
	return false;
}

static void *reduce_hands(void *argument)
{
	struct worker_side *w = argument;
	unsigned round = 0;

	while (!atomic_load(&all_collected)) {
		if (work_once(w)) {
			round = 0;
			continue;
		}
		if (idle_spin(round++))
			continue;
		uint64_t began_ns = clock_monotonic_ns();
		uint32_t turn = gate_prepare(&work);
		if (!work_waits())
			gate_sleep(&work, turn, (uint64_t)LIMIT_MS * 1000000u);
		gate_leave(&work);
		check_sleep(began_ns);
		round = 0;
	}
	return NULL;
}

/* ---- the collector ---- */

/* Keep the slot, and give back the one kept longest. */
static void keep(struct receiver_side *r, struct slot *s)
{
	struct slot **place = &r->held[r->collected % HELD];

	if (*place) {
		spare_push(&r->spare, *place);
		bell_ring(&r->bell);
	}
	*place = s;
}

static void check_reduced(const struct receiver_side *r, const struct slot *s, uint64_t number)
{
	const uint64_t *reduced = s->reduced;
	bool good = s->frame.number == number;

	for (unsigned i = 0; i < WORDS; i++)
		good = good && reduced[i] == ~word_of(r->index, number, i);
	check(good, "the collector found other pixels", r->index, number);
}

static bool collect_one(struct receiver_side *r)
{
	bool done = false;
	const struct entry *head = sequence_head(&r->ring, &done);

	if (!head)
		return false;
	/* Whatever its state, it can be read. */
	check(head->frame.number == r->collected &&
	              head->frame.timestamp_ns == word_of(r->index, r->collected, WORDS),
	      "the collector found another entry", r->index, r->collected);
	if (!done)
		return false;
	struct entry e = *head;
	sequence_recycle(&r->ring);
	bell_ring(&r->bell);
	if (e.slot) {
		check_reduced(r, e.slot, e.frame.number);
		keep(r, e.slot);
	}
	r->collected++;
	return true;
}

static bool any_done(void)
{
	for (unsigned i = 0; i < receiver_count; i++) {
		bool done = false;

		if (sequence_head(&receivers[i].ring, &done) && done)
			return true;
	}
	return false;
}

static bool all_ended(void)
{
	for (unsigned i = 0; i < receiver_count; i++)
		if (!atomic_load(&receivers[i].ended))
			return false;
	return true;
}

static bool collect_round(void)
{
	bool any = false;

	for (unsigned i = 0; i < receiver_count; i++)
		any = collect_one(&receivers[i]) || any;
	return any;
}

static bool rings_empty(void)
{
	for (unsigned i = 0; i < receiver_count; i++)
		if (sequence_waiting(&receivers[i].ring) > 0)
			return false;
	return true;
}

static void collect_all(void)
{
	unsigned round = 0;

	for (;;) {
		bool ended = all_ended();

		if (collect_round()) {
			round = 0;
			continue;
		}
		if (ended && rings_empty())
			break;
		if (idle_spin(round++))
			continue;
		uint64_t began_ns = clock_monotonic_ns();
		bell_prepare(&collect);
		if (!any_done() && !all_ended())
			bell_sleep(&collect, LIMIT_MS);
		bell_leave(&collect);
		check_sleep(began_ns);
		round = 0;
	}
	atomic_store(&all_collected, true);
	gate_notify(&work, (int)WORKERS);
}

/* ---- runs ---- */

static void open_receiver(struct receiver_side *r, unsigned index, unsigned slots)
{
	memset(r, 0, sizeof *r);
	r->index = index;
	r->spare.at = r->spare_at;
	r->spare.capacity = SPARE;
	if (sequence_open(&r->ring, RING) < 0 || bell_open(&r->bell) < 0)
		abort();
	for (unsigned i = 0; i < slots; i++) {
		r->slots[i].home = index;
		r->slots[i].raw = r->raw[i];
		r->slots[i].reduced = r->reduced[i];
		spare_push(&r->spare, &r->slots[i]);
	}
}

static void close_receiver(struct receiver_side *r)
{
	check(r->ring.published == r->ring.claimed && r->ring.claimed == r->ring.collected,
	      "the counters do not agree at the end", r->index, r->ring.published);
	check(r->ring.published == r->collected, "not all were collected", r->index, r->collected);
	sequence_close(&r->ring);
	bell_close(&r->bell);
}

static void start(pthread_t *thread, void *(*body)(void *), void *argument)
{
	if (pthread_create(thread, NULL, body, argument) != 0)
		abort();
}

/* With more slots than entries receivers wait for entries, with less for slots. */
static bool run(unsigned count, unsigned slots)
{
	pthread_t receiving[RECEIVERS_MOST], working[WORKERS];
	uint64_t processed = 0, collected = 0;

	receiver_count = count;
	atomic_store(&all_collected, false);
	until_ns = clock_monotonic_ns() + TIME_NS;
	for (unsigned i = 0; i < count; i++)
		open_receiver(&receivers[i], i, slots);
	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker_side){ .random = 1000 + i, .index = i };
		start(&working[i], reduce_hands, &workers[i]);
	}
	for (unsigned i = 0; i < count; i++)
		start(&receiving[i], receive, &receivers[i]);
	collect_all();
	for (unsigned i = 0; i < WORKERS; i++) {
		pthread_join(working[i], NULL);
		processed += workers[i].processed;
	}
	for (unsigned i = 0; i < count; i++) {
		pthread_join(receiving[i], NULL);
		collected += receivers[i].collected;
		close_receiver(&receivers[i]);
	}
	check(processed == collected, "workers did not process each number once", count, processed);
	printf("%u receivers, %u slots each: %llu entries, %u wrong, %u wake-ups lost\n", count,
	       slots, (unsigned long long)collected, wrong, lost);
	return collected >= LEAST;
}

int main(void)
{
	bool enough = bell_open(&collect) == 0 && run(1, SLOTS_MOST);

	enough = enough && run(RECEIVERS_MOST, 6);
	enough = enough && run(2, SLOTS_MOST);
	bell_close(&collect);
	return enough && wrong == 0 && lost == 0 ? 0 : 1;
}
