/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/calibrated.h"
#include "daemon/huge.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- one generation ---- */

/* The gain of the planes, or 1, with the pixels that the detector calls bad marked. */
static int make_gain(struct calibrated *c, const struct layout *l, const uint8_t *mask)
{
	struct reduce_plan *p = &c->plan;
	const float *base = p->gain;

	if (!mask)
		return 0;
	c->gain = huge_alloc(l->gain_bytes);
	if (!c->gain)
		return -ENOMEM;
	for (uint32_t y = 0; y < p->height; y++)
		for (uint32_t x = 0; x < p->width; x++) {
			size_t i = (size_t)y * p->width + x;
			bool bad = mask[((size_t)p->top + y) * p->payload_width + p->left + x];

			c->gain[i] = bad ? NAN : base ? base[i] : 1;
		}
	p->gain = c->gain;
	return 0;
}

struct calibrated *calibrated_make(const struct layout *l, const uint8_t *mask, uint32_t id,
                                   const struct planes *planes)
{
	struct calibrated *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->id = id;
	c->planes = planes;
	c->plan = l->plan;
	c->plan.offset = l->subtracts ? planes->offset : NULL;
	c->plan.gain = planes->gain;
	if (!planes_have_flat(planes)) { /* counts stay as they are, and their dose is one */
		c->plan.dose = DOSE_RECORD;
		c->plan.attenuation = false;
	}
	if (make_gain(c, l, mask) < 0) {
		free(c);
		return NULL;
	}
	return c;
}

static bool has_good_pixel(const struct reduce_plan *p, const struct reduce_region *r)
{
	for (uint32_t y = r->top; y < r->top + r->height; y++)
		for (uint32_t x = r->left; x < r->left + r->width; x++)
			if (!isnan(p->gain[(size_t)y * p->width + x]))
				return true;
	return false;
}

bool calibrated_sees_beam(const struct calibrated *c)
{
	const struct reduce_plan *p = &c->plan;

	if (!p->gain || !p->open_beam)
		return true;
	for (uint32_t i = 0; i < p->region_count; i++)
		if ((p->open_beam >> i & 1) && has_good_pixel(p, &p->regions[i]))
			return true;
	return false;
}

void calibrated_free(struct calibrated *c)
{
	if (!c)
		return;
	if (c->owned) {
		planes_close(c->owned);
		free(c->owned);
	}
	free(c->gain);
	free(c);
}

/* ---- their succession ---- */

int generations_open(struct generations *g, unsigned receivers)
{
	*g = (struct generations){ .receivers = receivers };
	g->published = calloc((size_t)GENERATIONS_LIVE * receivers, sizeof *g->published);
	g->stamping = aligned_alloc(64, receivers * sizeof *g->stamping);
	if (!g->published || !g->stamping)
		return -ENOMEM;
	for (unsigned i = 0; i < receivers; i++)
		atomic_init(&g->stamping[i].on, false);
	return 0;
}

static void free_one(struct generations *g, uint32_t generation)
{
	struct calibrated *_Atomic *at = &g->at[generation % GENERATIONS_LIVE];

	/* relaxed: only the collector writes it, and nobody reads a generation that no frame
	 * bears. */
	calibrated_free(atomic_load_explicit(at, memory_order_relaxed));
	atomic_store_explicit(at, NULL, memory_order_relaxed);
}

void generations_close(struct generations *g)
{
	for (unsigned i = 0; i < GENERATIONS_LIVE; i++)
		free_one(g, i);
	free(g->published);
	free(g->stamping);
	*g = (struct generations){ 0 };
}

void generations_restart(struct generations *g, struct calibrated *first)
{
	/* relaxed: only we write it. */
	uint32_t next = atomic_load_explicit(&g->current, memory_order_relaxed) + 1;

	for (unsigned i = 0; i < GENERATIONS_LIVE; i++)
		free_one(g, i);
	g->oldest = next;
	/* release, both: pair with generations_stamp() and generations_at(). */
	atomic_store_explicit(&g->at[next % GENERATIONS_LIVE], first, memory_order_release);
	atomic_store_explicit(&g->current, next, memory_order_release);
}

/* What the ring has published of a generation that is not current any more, and of those before. */
static uint64_t *published_of(const struct generations *g, uint32_t generation, unsigned receiver)
{
	return &g->published[generation % GENERATIONS_LIVE * g->receivers + receiver];
}

/* seq_cst, both: whoever stamps later sees what is current, and whoever has stamped has published;
 * in this order. */
static uint64_t look(const struct generations *g, unsigned receiver, const struct sequence *ring)
{
	return atomic_load(&g->stamping[receiver].on) ? UINT64_MAX : atomic_load(&ring->published);
}

bool generations_push(struct generations *g, struct calibrated *next, struct planes *old_planes,
                      const struct sequence *const *rings)
{
	/* relaxed: only we write it. */
	uint32_t now = atomic_load_explicit(&g->current, memory_order_relaxed);

	if (!generations_retire(g, rings) && now - g->oldest == GENERATIONS_LIVE - 1)
		return false;
	atomic_load_explicit(&g->at[now % GENERATIONS_LIVE], memory_order_relaxed)->owned =
		old_planes;
	/* release pairs with generations_at(). */
	atomic_store_explicit(&g->at[(now + 1) % GENERATIONS_LIVE], next, memory_order_release);
	atomic_store(&g->current, now + 1); /* seq_cst: before the looks */
	for (unsigned r = 0; r < g->receivers; r++)
		*published_of(g, now, r) = look(g, r, rings[r]);
	return true;
}

/* Whether every entry that may bear this generation was collected. */
static bool is_over(const struct generations *g, uint32_t generation,
                    const struct sequence *const *rings)
{
	for (unsigned r = 0; r < g->receivers; r++) {
		uint64_t *published = published_of(g, generation, r);

		if (*published == UINT64_MAX)
			*published = look(g, r, rings[r]);
		if (atomic_load_explicit(&rings[r]->collected, memory_order_relaxed) < /* ours */
		    *published)
			return false;
	}
	return true;
}

bool generations_retire(struct generations *g, const struct sequence *const *rings)
{
	/* relaxed: only we write it. */
	uint32_t current = atomic_load_explicit(&g->current, memory_order_relaxed);

	while (g->oldest != current && is_over(g, g->oldest, rings))
		free_one(g, g->oldest++);
	return g->oldest == current;
}
