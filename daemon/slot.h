/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SLOT_H
#define DAEMON_SLOT_H

#include "ingest/hold.h"
#include "kernels/defects.h"
#include "kernels/reduce.h"
#include "sinks/ledger.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* When a frame came to each step of its way; CLOCK_MONOTONIC. */
struct slot_times {
	uint64_t arrived_ns; /* receiver: its last byte came */
	uint64_t claimed_ns; /* worker */
	uint64_t reduced_ns; /* worker */
	uint64_t placed_ns;  /* collector: in its place in the series, on to the sinks */
};

/* A slot: one frame in flight, its message and what is made of it. One owner per state:
 *
 *   SPARE (rx) -> READY -> CLAIMED (a worker) -> DONE -> WRITING (sink) -> SPARE
 *
 * Ownership passes with the entry that carries the slot, and back through the spare ring of the
 * receiver it belongs to. */
struct slot {
	unsigned home;          /* receiver it belongs to */
	struct hold hold;       /* from READY until the worker is done with the message */
	const void *raw;        /* the pixels in it, as they came; NULL: one part for each port */
	void *reduced, *source; /* [frame of the product], 4096-byte aligned; source may be NULL */
	void *reduced_packed, *source_packed; /* the same compressed, likewise; NULL: not wanted */
	size_t reduced_packed_bytes, source_packed_bytes;
	uint32_t *raw_counts, *normalised_counts; /* histograms of this frame [bins] */
	struct region_stats *regions;             /* [config.region_count] */
	struct defects
		*defects; /* found in it; NULL: not looked for. Returned by layout_put_defects() */
	uint32_t generation;  /* of the calibration, since it was published, */
	uint32_t calibration; /* and its id, since it was reduced */
	bool left;            /* the payload is still there: daemon/keeping.h, */
	uint64_t left_bytes;  /* so many bytes of it */
	struct reduction reduction;
	struct frame frame; /* as received; its pixels are `raw` */
	struct slot_times times;
	const char *why;   /* it could not be reduced: one sentence, static text; NULL: it was */
	enum dropped lost; /* with why: what becomes of it */
};

/* Spare slots on their way back to one receiver: single producer (collector), single consumer. */
struct spare {
	_Alignas(64) _Atomic uint32_t tail; /* collector */
	_Alignas(64) _Atomic uint32_t head; /* receiver */
	_Alignas(64) struct slot **at; /* [capacity], a power of two above the slots there are */
	uint32_t capacity;
};

/* Give a slot back. Collector. Never full: the ring is larger than the number of slots. */
static inline void spare_push(struct spare *r, struct slot *s)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed); /* only we write it */

	r->at[tail & (r->capacity - 1)] = s;
	/* seq_cst (a release) pairs with spare_pop(): publishes at[] and the slot; ordered before
	 * the look whether the receiver sleeps. */
	atomic_store(&r->tail, tail + 1);
}

/* Take a spare slot, or NULL. Receiver. */
static inline struct slot *spare_pop(struct spare *r)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed); /* only we write it */

	/* seq_cst (an acquire) pairs with spare_push(). */
	if (atomic_load(&r->tail) == head)
		return NULL;
	struct slot *s = r->at[head & (r->capacity - 1)];
	/* relaxed: the ring is never full, so the collector does not wait for this. */
	atomic_store_explicit(&r->head, head + 1, memory_order_relaxed);
	return s;
}

/* Slots in the ring; a figure for anybody. */
static inline uint32_t spare_count(struct spare *r)
{
	return atomic_load_explicit(&r->tail, memory_order_relaxed) -
	       atomic_load_explicit(&r->head, memory_order_relaxed);
}

#endif
