/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SEQUENCE_H
#define DAEMON_SEQUENCE_H

#include "daemon/idle.h"
#include "ingest/frame.h"
#include "ingest/protocol.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The sequence ring: what one receiver saw, in order, from the receiver through any worker to
 * the collector (after the LMAX disruptor: Thompson et al., "Disruptor", 2011).
 *
 *   receiver: sequence_next, fill it, sequence_publish
 *   workers:  sequence_claim a hand, do the work, sequence_done for each
 *   collector: sequence_head, read it, sequence_recycle
 *
 * Entry number s lives at s modulo the capacity. Its stamp holds s and a state, so that an entry
 * of an earlier round can never be taken for one of this round:
 *
 *   SPARE (receiver) -> READY -> CLAIMED (one worker) -> DONE -> SPARE of s + capacity
 *
 * A worker that loses its core holds up its own hand only: others claim past it, and only the
 * collector waits, since it takes them in order. tests/sequence.pml is a model of this file. */

enum entry_kind {
	ENTRY_FRAME,     /* a slot with pixels */
	ENTRY_DROPPED,   /* a usable frame, no spare slot */
	ENTRY_REJECTED,  /* reason, and the number if it was readable */
	ENTRY_DUMMY,     /* metadata only */
	ENTRY_DUPLICATE, /* a piece of a frame that is there already */
	ENTRY_START, /* start of a series, `announced` frames: the receiver waits for the answer */
	ENTRY_END,   /* end of a series */
	ENTRY_ASK,   /* a frame of another geometry: the receiver waits for the answer */
};

/* One message as the collector needs it. The receiver fills it; constant until recycled. */
struct entry {
	enum entry_kind kind;
	enum reject reason;
	bool number_known;
	bool gap_at_sender; /* the buffer was full before it and the sender could not wait */
	struct frame frame; /* pixels not to be touched through this: they are the slot's */
	uint64_t announced;
	struct detector *detector; /* ENTRY_START: the collector's; may be NULL */
	struct slot *slot;         /* ENTRY_FRAME */
};

enum entry_state { ENTRY_SPARE, ENTRY_READY, ENTRY_CLAIMED, ENTRY_DONE };

struct sequence_entry {
	_Alignas(64) _Atomic uint64_t stamp; /* number * 4 + enum entry_state */
	struct entry entry;
};

struct sequence {
	struct sequence_entry *entries;          /* [capacity] */
	uint64_t capacity;                       /* a power of two */
	_Alignas(64) _Atomic uint64_t published; /* receiver: entries below are ready */
	_Alignas(64) _Atomic uint64_t claimed;   /* workers: entries below have an owner */
	_Alignas(64) _Atomic uint64_t collected; /* collector: entries below are spare again */
};

/* 0, -EINVAL (capacity not a power of two), -ENOMEM. */
int sequence_open(struct sequence *q, uint64_t capacity);

/* Accepts a zeroed one. */
void sequence_close(struct sequence *q);

static inline struct sequence_entry *sequence_at(const struct sequence *q, uint64_t number)
{
	return &q->entries[number & (q->capacity - 1)];
}

static inline uint64_t sequence_stamp(uint64_t number, enum entry_state state)
{
	return number * 4 + state;
}

/* The entry to fill next, or NULL when the ring is full. Receiver. */
static inline struct entry *sequence_next(struct sequence *q)
{
	uint64_t number = atomic_load_explicit(&q->published, memory_order_relaxed); /* ours */
	struct sequence_entry *e = sequence_at(q, number);

	/* seq_cst (an acquire) pairs with sequence_recycle(): the collector is done reading it;
	 * ordered after the receiver's word that it is going to sleep. */
	if (atomic_load(&e->stamp) != sequence_stamp(number, ENTRY_SPARE))
		return NULL;
	return &e->entry;
}

/* Publish the entry of sequence_next(). Receiver; then notify the workers' gate. */
static inline void sequence_publish(struct sequence *q)
{
	uint64_t number = atomic_load_explicit(&q->published, memory_order_relaxed); /* ours */

	/* release pairs with the load in sequence_head(): publishes the entry. */
	atomic_store_explicit(&sequence_at(q, number)->stamp, sequence_stamp(number, ENTRY_READY),
	                      memory_order_release);
	/* seq_cst: acquired in sequence_claim(); ordered before the look at the sleepers. */
	atomic_store(&q->published, number + 1);
}

/* Claim up to `most` published entries. Returns how many; *ret_first is the first's number.
 * Lock-free: a worker fails only because another one succeeded. Any worker. */
static inline unsigned sequence_claim(struct sequence *q, unsigned most, uint64_t *ret_first)
{
	/* acquire pairs with the release of the exchange: what the last claimer saw published, we
	 * see too, so that the difference below is never negative. */
	uint64_t first = atomic_load_explicit(&q->claimed, memory_order_acquire);

	for (;;) {
		/* seq_cst pairs with sequence_publish(): what it counts is visible, and a worker
		 * about to sleep does not miss it. */
		uint64_t waiting = atomic_load(&q->published) - first;
		unsigned count = waiting < most ? (unsigned)waiting : most;

		if (count == 0)
			return 0;
		if (atomic_compare_exchange_weak_explicit(&q->claimed, &first, first + count,
		                                          memory_order_acq_rel,
		                                          memory_order_acquire)) {
			*ret_first = first;
			return count;
		}
	}
}

/* The claimed entry `number`; the worker that claimed it. */
static inline struct entry *sequence_claimed(struct sequence *q, uint64_t number)
{
	struct sequence_entry *e = sequence_at(q, number);

	/* release pairs with acquire in sequence_head(): the collector may read the entry in this
	 * state too, and sees what we acquired from the receiver in sequence_claim(). */
	atomic_store_explicit(&e->stamp, sequence_stamp(number, ENTRY_CLAIMED),
	                      memory_order_release);
	return &e->entry;
}

/* Hand the entry on to the collector. The worker that claimed it; then ring its bell. */
static inline void sequence_done(struct sequence *q, uint64_t number)
{
	/* seq_cst (a release) pairs with acquire in sequence_head(): publishes what was made of
	 * the slot; ordered before the look whether the collector sleeps. */
	atomic_store(&sequence_at(q, number)->stamp, sequence_stamp(number, ENTRY_DONE));
}

/* The oldest entry not yet collected, done or not, or NULL when nothing is published. It can be
 * read (not its slot) whatever its state. *ret_done says whether its slot can be taken.
 * Collector. */
static inline const struct entry *sequence_head(const struct sequence *q, bool *ret_done)
{
	uint64_t number = atomic_load_explicit(&q->collected, memory_order_relaxed); /* ours */
	struct sequence_entry *e = sequence_at(q, number);
	/* seq_cst (an acquire) pairs with sequence_publish() and sequence_done(); ordered after
	 * the collector's word that it is going to sleep. */
	uint64_t stamp = atomic_load(&e->stamp);

	if (stamp == sequence_stamp(number, ENTRY_SPARE))
		return NULL;
	*ret_done = stamp == sequence_stamp(number, ENTRY_DONE);
	return &e->entry;
}

/* Give the head back to the receiver. Collector. */
static inline void sequence_recycle(struct sequence *q)
{
	uint64_t number = atomic_load_explicit(&q->collected, memory_order_relaxed); /* ours */

	/* seq_cst (a release) pairs with acquire in sequence_next(): we are done reading the entry;
	 * ordered before the look whether the receiver sleeps. */
	atomic_store(&sequence_at(q, number)->stamp,
	             sequence_stamp(number + q->capacity, ENTRY_SPARE));
	/* relaxed: only a figure for others. */
	atomic_store_explicit(&q->collected, number + 1, memory_order_relaxed);
}

/* Entries published and not collected; exact for the collector, a figure for others. */
static inline uint64_t sequence_waiting(const struct sequence *q)
{
	return atomic_load_explicit(&q->published, memory_order_acquire) -
	       atomic_load_explicit(&q->collected, memory_order_relaxed);
}

#endif
