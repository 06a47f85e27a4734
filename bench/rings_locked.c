/* SPDX-License-Identifier: Apache-2.0 */
/* What a plain locked queue costs: the same places in order, and the same slots, under one mutex
 * with a condition for each kind of thread. A hand is taken and handed on under one lock, and the
 * collector takes as many as are done, up to a hand. */
#include "bench/rings_run.h"

#include "daemon/idle.h"
#include "daemon/sequence.h"
#include "daemon/slot.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define HAND_MAX 64

struct place {
	struct entry entry;
	bool done;
};

struct locked {
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t room, ready, done;
	struct place places[RINGS_PLACES];
	uint64_t published, claimed, collected;
	struct slot *spare[RINGS_SLOTS];
	unsigned spare_count;
	struct slot slots[RINGS_SLOTS];
};

static struct place *place_at(struct locked *l, uint64_t number)
{
	return &l->places[number % RINGS_PLACES];
}

static void close_all(struct rings_run *run)
{
	struct locked *l = run->side;

	pthread_cond_destroy(&l->room);
	pthread_cond_destroy(&l->ready);
	pthread_cond_destroy(&l->done);
	pthread_mutex_destroy(&l->lock);
	free(l);
	run->side = NULL;
}

static int open_all(struct rings_run *run)
{
	struct locked *l = aligned_alloc(64, (sizeof *l + 63) / 64 * 64);

	if (!l)
		return -ENOMEM;
	*l = (struct locked){
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.room = PTHREAD_COND_INITIALIZER,
		.ready = PTHREAD_COND_INITIALIZER,
		.done = PTHREAD_COND_INITIALIZER,
	};
	for (unsigned i = 0; i < RINGS_SLOTS; i++)
		l->spare[l->spare_count++] = &l->slots[i];
	run->side = l;
	return 0;
}

static void publish(struct rings_run *run, uint64_t number)
{
	struct locked *l = run->side;
	struct place *p = place_at(l, number);
	struct slot *s;

	pthread_mutex_lock(&l->lock);
	while (l->spare_count == 0)
		pthread_cond_wait(&l->room, &l->lock);
	s = l->spare[--l->spare_count];
	s->generation = 0;
	*p = (struct place){ .entry = { .kind = ENTRY_FRAME, .slot = s } };
	p->entry.frame.number = number;
	p->entry.frame.timestamp_ns = rings_clock_ns(run);
	l->published++;
	pthread_mutex_unlock(&l->lock);
	pthread_cond_signal(&l->ready);
}

static void receive(struct rings_run *run)
{
	struct locked *l = run->side;

	for (uint64_t number = 0; rings_next(run, number); number++)
		publish(run, number);
	pthread_mutex_lock(&l->lock); /* the collector looks at it with the lock, then waits */
	atomic_store(&run->ended, true);
	pthread_mutex_unlock(&l->lock);
	pthread_cond_signal(&l->done);
}

static unsigned least(uint64_t waiting, unsigned hand)
{
	unsigned most = hand < HAND_MAX ? hand : HAND_MAX;

	return waiting < most ? (unsigned)waiting : most;
}

/* Called with the lock. A worker that spins lets go of it in between. */
static void wait_for_work(struct rings_run *run, struct locked *l)
{
	for (unsigned round = 0; l->claimed == l->published && !atomic_load(&run->over); round++) {
		if (!run->plan.spin) {
			pthread_cond_wait(&l->ready, &l->lock);
			continue;
		}
		pthread_mutex_unlock(&l->lock);
		idle_spin(round % 8);
		pthread_mutex_lock(&l->lock);
	}
}

/* 0 entries: it is over. */
static unsigned claim(struct rings_run *run, uint64_t *ret_first)
{
	struct locked *l = run->side;
	unsigned count;

	pthread_mutex_lock(&l->lock);
	wait_for_work(run, l);
	count = least(l->published - l->claimed, run->plan.hand);
	*ret_first = l->claimed;
	l->claimed += count;
	pthread_mutex_unlock(&l->lock);
	return count;
}

static void work(struct rings_run *run)
{
	struct locked *l = run->side;
	uint64_t first, done_ns;

	for (unsigned count; (count = claim(run, &first)) > 0;) {
		for (unsigned i = 0; i < count; i++) {
			struct entry *e = &place_at(l, first + i)->entry;

			rings_note(run, run->claim_ns, first + i, e->frame.timestamp_ns);
			rings_check(run, e->frame.number == first + i);
		}
		done_ns = rings_clock_ns(run);
		pthread_mutex_lock(&l->lock);
		for (unsigned i = 0; i < count; i++) {
			struct place *p = place_at(l, first + i);

			p->entry.slot->generation++;
			p->entry.slot->times.reduced_ns = done_ns;
			p->done = true;
		}
		pthread_mutex_unlock(&l->lock);
		pthread_cond_signal(&l->done);
	}
}

static bool head_is_done(struct locked *l)
{
	return l->collected != l->published && place_at(l, l->collected)->done;
}

/* Called with the lock. */
static void collect_one(struct rings_run *run, struct locked *l)
{
	const struct entry *e = &place_at(l, l->collected)->entry;

	rings_note(run, run->collect_ns, run->collected, e->slot->times.reduced_ns);
	rings_check(run, e->frame.number == run->collected && e->slot->generation == 1);
	l->spare[l->spare_count++] = e->slot;
	l->collected++;
	run->collected++;
}

static void collect(struct rings_run *run)
{
	struct locked *l = run->side;
	bool more = true;

	while (more) {
		unsigned count = 0;

		pthread_mutex_lock(&l->lock);
		while (!head_is_done(l) &&
		       !(atomic_load(&run->ended) && l->collected == l->published))
			pthread_cond_wait(&l->done, &l->lock);
		while (count < least(UINT64_MAX, run->plan.hand) && head_is_done(l)) {
			collect_one(run, l);
			count++;
		}
		more = count > 0;
		if (!more)
			atomic_store(&run->over, true);
		pthread_mutex_unlock(&l->lock);
		pthread_cond_signal(&l->room);
	}
	pthread_cond_broadcast(&l->ready);
}

const struct rings_side rings_locked = {
	"locked", open_all, close_all, receive, work, collect,
};
