/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of daemon/receiver.c, worker.c and collector.c with their work left out: the receiver
 * takes a spare slot and a place in the sequence ring, and sleeps on its bell without; a worker
 * claims a hand and sleeps at the gate when there is nothing; the collector follows the sequence
 * and sleeps on its bell. All end when the receiver has ended and the ring is empty. */
#include "bench/rings_run.h"

#include "daemon/idle.h"
#include "daemon/sequence.h"
#include "daemon/slot.h"

#include <errno.h>
#include <stdlib.h>

#define LIMIT_MS 100 /* nobody needs it: a wake-up that is lost costs no more */
#define HAND_MAX 64

struct lock_free {
	struct sequence ring;
	struct spare spare;
	struct bell receiver, collector;
	struct gate work;
	struct slot *spare_at[RINGS_PLACES];
	struct slot slots[RINGS_SLOTS];
};

static void close_all(struct rings_run *run)
{
	struct lock_free *l = run->side;

	sequence_close(&l->ring);
	bell_close(&l->receiver);
	bell_close(&l->collector);
	free(l);
	run->side = NULL;
}

static int open_all(struct rings_run *run)
{
	struct lock_free *l = aligned_alloc(64, (sizeof *l + 63) / 64 * 64);
	int err;

	if (!l)
		return -ENOMEM;
	*l = (struct lock_free){ .spare = { .capacity = RINGS_PLACES } };
	l->spare.at = l->spare_at;
	run->side = l;
	err = sequence_open(&l->ring, RINGS_PLACES);
	if (!err)
		err = bell_open(&l->receiver);
	if (!err)
		err = bell_open(&l->collector);
	for (unsigned i = 0; i < RINGS_SLOTS; i++)
		spare_push(&l->spare, &l->slots[i]);
	return err;
}

/* ---- the receiver ---- */

static struct slot *wait_for_slot(struct lock_free *l)
{
	struct slot *s;

	for (unsigned round = 0; !(s = spare_pop(&l->spare)); round++) {
		if (idle_spin(round))
			continue;
		bell_prepare(&l->receiver);
		if (spare_count(&l->spare) == 0)
			bell_sleep(&l->receiver, LIMIT_MS);
		bell_leave(&l->receiver);
		round = 0;
	}
	return s;
}

/* There are more places than slots: with a slot in hand there is one. */
static void publish(struct rings_run *run, uint64_t number)
{
	struct lock_free *l = run->side;
	struct slot *s = wait_for_slot(l);
	struct entry *e = sequence_next(&l->ring);

	rings_check(run, e != NULL);
	if (!e)
		return;
	s->generation = 0;
	*e = (struct entry){ .kind = ENTRY_FRAME, .slot = s };
	e->frame.number = number;
	e->frame.timestamp_ns = rings_clock_ns(run);
	sequence_publish(&l->ring);
	gate_notify(&l->work, 1);
}

static void receive(struct rings_run *run)
{
	struct lock_free *l = run->side;

	for (uint64_t number = 0; rings_next(run, number); number++)
		publish(run, number);
	atomic_store(&run->ended, true);
	bell_ring(&l->collector);
}

/* ---- workers ---- */

static bool work_once(struct rings_run *run)
{
	struct lock_free *l = run->side;
	struct entry *hand[HAND_MAX];
	unsigned most = run->plan.hand < HAND_MAX ? run->plan.hand : HAND_MAX;
	uint64_t first, done_ns;
	unsigned count = sequence_claim(&l->ring, most, &first);

	if (count == 0)
		return false;
	for (unsigned i = 0; i < count; i++) {
		hand[i] = sequence_claimed(&l->ring, first + i);
		rings_note(run, run->claim_ns, first + i, hand[i]->frame.timestamp_ns);
		rings_check(run, hand[i]->frame.number == first + i);
	}
	done_ns = rings_clock_ns(run);
	for (unsigned i = 0; i < count; i++) {
		hand[i]->slot->generation++;
		hand[i]->slot->times.reduced_ns = done_ns;
		sequence_done(&l->ring, first + i);
	}
	bell_ring(&l->collector);
	return true;
}

static bool work_waits(struct rings_run *run)
{
	struct lock_free *l = run->side;

	/* relaxed: a stale count of claimed ones only wakes us for nothing. */
	return atomic_load(&l->ring.published) !=
	               atomic_load_explicit(&l->ring.claimed, memory_order_relaxed) ||
	       atomic_load(&run->over);
}

static void work(struct rings_run *run)
{
	struct lock_free *l = run->side;
	unsigned round = 0;

	while (!atomic_load(&run->over)) {
		if (work_once(run)) {
			round = 0;
			continue;
		}
		if (idle_spin(run->plan.spin ? round++ % 8 : round++) || run->plan.spin)
			continue;
		uint32_t turn = gate_prepare(&l->work);
		if (!work_waits(run))
			gate_sleep(&l->work, turn, (uint64_t)LIMIT_MS * 1000000u);
		gate_leave(&l->work);
		round = 0;
	}
}

/* ---- the collector ---- */

static bool collect_one(struct rings_run *run)
{
	struct lock_free *l = run->side;
	bool done = false;
	const struct entry *head = sequence_head(&l->ring, &done);
	struct slot *s;

	if (!head || !done)
		return false;
	s = head->slot;
	rings_note(run, run->collect_ns, run->collected, s->times.reduced_ns);
	rings_check(run, head->frame.number == run->collected && s->generation == 1);
	sequence_recycle(&l->ring);
	spare_push(&l->spare, s);
	bell_ring(&l->receiver);
	run->collected++;
	return true;
}

static bool collect_waits(struct rings_run *run, bool ended)
{
	struct lock_free *l = run->side;
	bool done = false;

	return (sequence_head(&l->ring, &done) && done) || atomic_load(&run->ended) != ended;
}

static void collect(struct rings_run *run)
{
	struct lock_free *l = run->side;
	unsigned round = 0;

	for (;;) {
		bool ended = atomic_load(&run->ended);

		if (collect_one(run)) {
			round = 0;
			continue;
		}
		if (ended && sequence_waiting(&l->ring) == 0)
			break;
		if (idle_spin(round++))
			continue;
		bell_prepare(&l->collector);
		if (!collect_waits(run, ended))
			bell_sleep(&l->collector, LIMIT_MS);
		bell_leave(&l->collector);
		round = 0;
	}
	atomic_store(&run->over, true);
	gate_notify(&l->work, (int)run->plan.workers);
}

const struct rings_side rings_lock_free = {
	"rings", open_all, close_all, receive, work, collect,
};
