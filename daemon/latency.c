/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/latency.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

_Static_assert(sizeof(struct latency_counts) % sizeof(uint64_t) == 0, "whole words");

const char *latency_name(enum latency_stage s)
{
	static const char *const names[LATENCY_STAGES] = { "queue",  "reduce", "collect",
		                                           "submit", "write",  "durable" };

	return names[s];
}

/* ---- classes ---- */

/* In units u: two times 32 classes of one unit, then 32 in each power of two. */
unsigned latency_class(uint64_t ns)
{
	uint64_t units = ns / LATENCY_UNIT_NS;
	unsigned power = units < 2 * LATENCY_STEPS ? 0 : 58u - (unsigned)__builtin_clzll(units);
	uint64_t class = power * LATENCY_STEPS + (units >> power);

	return class < LATENCY_CLASSES ? (unsigned)class : LATENCY_CLASSES - 1;
}

uint64_t latency_class_end(unsigned class)
{
	unsigned power = class < 2 * LATENCY_STEPS ? 0 : class / LATENCY_STEPS - 1;

	if (class >= LATENCY_CLASSES - 1)
		return UINT64_MAX;
	return ((uint64_t)(class - power * LATENCY_STEPS + 1) << power) * LATENCY_UNIT_NS;
}

/* ---- counting ---- */

/* relaxed throughout: one thread writes, and figures for people may lag. */
static uint64_t figure(const _Atomic uint64_t *f)
{
	return atomic_load_explicit(f, memory_order_relaxed);
}

static void put(_Atomic uint64_t *f, uint64_t value)
{
	atomic_store_explicit(f, value, memory_order_relaxed);
}

void latency_add(struct latency *l, enum latency_stage s, uint64_t from_ns, uint64_t to_ns)
{
	struct latency_counting *c = &l->stages[s];
	uint64_t ns = to_ns > from_ns ? to_ns - from_ns : 0;
	unsigned class = latency_class(ns);

	put(&c->at[class], figure(&c->at[class]) + 1);
	put(&c->sum_ns, figure(&c->sum_ns) + ns);
	if (ns > figure(&c->max_ns))
		put(&c->max_ns, ns);
}

static void read_counts(const struct latency_counting *c, struct latency_counts *ret)
{
	for (unsigned i = 0; i < LATENCY_CLASSES; i++)
		ret->at[i] = figure(&c->at[i]);
	ret->sum_ns = figure(&c->sum_ns);
}

void latency_begin(struct latency *l)
{
	for (unsigned i = 0; i < LATENCY_STAGES; i++) {
		struct latency_counting *c = &l->stages[i];
		struct latency_counts now;

		read_counts(c, &now);
		snapshot_put(c->begun, &now, sizeof now);
		put(&c->max_ns, 0);
	}
}

/* ---- reading ---- */

/* What `counts` has of the series. Returns how many frames that is. */
static uint64_t subtract(struct latency_counts *counts, const struct latency_counts *begun)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < LATENCY_CLASSES; i++) {
		/* A series that began between the two looks. */
		bool newer = begun->at[i] > counts->at[i];

		counts->at[i] = newer ? 0 : counts->at[i] - begun->at[i];
		count += counts->at[i];
	}
	return count;
}

/* The time that so many thousandths of the frames did not exceed. */
static double percentile_ms(const struct latency_counts *c, uint64_t count, uint64_t thousandths,
                            uint64_t max_ns)
{
	uint64_t rank = (count * thousandths + 999) / 1000, below = 0;
	unsigned class = 0;

	while (class < LATENCY_CLASSES - 1 && (below += c->at[class]) < rank)
		class ++;
	uint64_t end = latency_class_end(class) - 1;
	return (double)(end < max_ns ? end : max_ns) / 1e6;
}

void latency_series(struct latency *l, enum latency_stage s, struct latency_figures *ret)
{
	struct latency_counting *c = &l->stages[s];
	struct latency_counts counts, begun;

	snapshot_get(c->begun, &begun, sizeof begun);
	read_counts(c, &counts);
	uint64_t max_ns = figure(&c->max_ns), count = subtract(&counts, &begun);

	*ret = (struct latency_figures){ count, NAN, NAN, NAN, NAN };
	if (count == 0)
		return;
	ret->p50_ms = percentile_ms(&counts, count, 500, max_ns);
	ret->p99_ms = percentile_ms(&counts, count, 990, max_ns);
	ret->p999_ms = percentile_ms(&counts, count, 999, max_ns);
	ret->max_ms = (double)max_ns / 1e6;
}

uint64_t latency_bound_ns(unsigned i)
{
	static const uint64_t steps[] = { 10000, 25000, 50000 };
	uint64_t bound = steps[i % 3];

	for (unsigned decade = 0; decade < i / 3; decade++)
		bound *= 10;
	return bound;
}

void latency_ever(struct latency *l, enum latency_stage s, struct latency_since_start *ret)
{
	struct latency_counts counts;
	unsigned class = 0;

	read_counts(&l->stages[s], &counts);
	*ret = (struct latency_since_start){ .sum_ns = counts.sum_ns };
	for (unsigned i = 0; i < LATENCY_BOUNDS; i++) {
		for (; latency_class_end(class) - 1 <= latency_bound_ns(i); class ++)
			ret->count += counts.at[class];
		ret->upto[i] = ret->count;
	}
	for (; class < LATENCY_CLASSES; class ++)
		ret->count += counts.at[class];
}
