/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_CALIBRATED_H
#define DAEMON_CALIBRATED_H

#include "daemon/planes.h"
#include "daemon/slot_layout.h"
#include "daemon/sequence.h"
#include "kernels/reduce.h"

#include <stdatomic.h>
#include <stdint.h>

/* The plan of the pass with one calibration, and how it is exchanged between two frames.
 *
 * The receiver stamps each frame with the generation that is current when it publishes it, so that
 * one endpoint's frames change over once and in order; a worker never reduces frames of two
 * generations in one call. The collector makes a new generation current, and lets go of an old one
 * when every entry that may bear it was collected. */

/* One generation: immutable once it is current. */
struct calibrated {
	uint32_t id; /* of the calibration, as ledger and manifest name it; 0: none */
	const struct planes *planes;
	struct planes *owned; /* set once it is not current: they end with it; NULL: they do not */
	struct reduce_plan plan; /* the layout's, with these planes */
	float *gain;             /* with the detector's bad pixels; NULL: the planes' */
};

/* The plan of `l` with `planes`, which fit it and are borrowed. mask: layout_mask(), read during
 * the call. NULL without memory. */
struct calibrated *calibrated_make(const struct layout *l, const uint8_t *mask, uint32_t id,
                                   const struct planes *planes);

/* Whether there is a dose: a good pixel in the open beam. True without regions in it. */
bool calibrated_sees_beam(const struct calibrated *c);

/* Accepts NULL. */
void calibrated_free(struct calibrated *c);

#define GENERATIONS_LIVE 8 /* a power of two */

struct generations {
	/* Collector, read by receivers and workers. */
	_Alignas(64) _Atomic uint32_t current;
	struct calibrated *_Atomic at[GENERATIONS_LIVE]; /* by generation */

	/* Receivers, each its own [receivers]: an entry may bear what was current a moment ago, and
	 * is not published yet. */
	struct stamping {
		_Alignas(64) _Atomic bool on;
	} * stamping;

	/* Collector: the oldest that is not free, and what each ring has published of it and those
	 * before, UINT64_MAX while that is not known [GENERATIONS_LIVE][receivers]. */
	uint32_t oldest;
	uint64_t *published;
	unsigned receivers;
};

/* 0 or -ENOMEM. */
int generations_open(struct generations *g, unsigned receivers);

/* Free every generation. Threads must stand still. Accepts a zeroed one. */
void generations_close(struct generations *g);

/* Throw away every generation and begin with `first`, while no frame is in flight. */
void generations_restart(struct generations *g, struct calibrated *first);

/* Make `next` current; `old_planes` (or NULL) end with the one before it. False when too many old
 * ones are in flight still: try again later. The rings of all receivers. Collector. */
bool generations_push(struct generations *g, struct calibrated *next, struct planes *old_planes,
                      const struct sequence *const *rings);

/* Free what no frame in flight can bear. True when only the current one is left. Collector. */
bool generations_retire(struct generations *g, const struct sequence *const *rings);

/* The current one. Collector. */
static inline uint32_t generations_current(const struct generations *g)
{
	return atomic_load_explicit(&g->current, memory_order_relaxed); /* only we write it */
}

/* The generation to stamp a frame with, which is then published; generations_stamped() follows.
 * Receivers. */
static inline uint32_t generations_stamp(struct generations *g, unsigned receiver)
{
	/* seq_cst, both: either the collector sees that we stamp, or we see what it made current.
	 */
	atomic_store(&g->stamping[receiver].on, true);
	return atomic_load(&g->current);
}

static inline void generations_stamped(struct generations *g, unsigned receiver)
{
	/* release pairs with the look in calibrated.c: the entry was published before. */
	atomic_store_explicit(&g->stamping[receiver].on, false, memory_order_release);
}

/* What a frame's stamp means. The worker that claimed it, or the collector. */
static inline const struct calibrated *generations_at(const struct generations *g,
                                                      uint32_t generation)
{
	/* acquire pairs with generations_push(), as the stamp was read by another thread. */
	return atomic_load_explicit(&g->at[generation % GENERATIONS_LIVE], memory_order_acquire);
}

#endif
