/* SPDX-License-Identifier: Apache-2.0 */
/* Two receivers stamp entries with the generation that is current, two workers read what the stamp
 * means, and one collector exchanges generations as fast as the table lets it. A generation that is
 * freed while an entry bears it is a use after free for AddressSanitizer, a race for
 * ThreadSanitizer, and a number that does not fit in any build. */
#include "daemon/calibrated.h"
#include "daemon/idle.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define RECEIVERS 2u
#define WORKERS   2u
#define CAPACITY  64u
#define TIME_NS   ((uint64_t)2 * 1000000000u)
#define LEAST     100u /* generations */

static struct generations generations;
static struct sequence rings[RECEIVERS];
static const struct sequence *const all[RECEIVERS] = { &rings[0], &rings[1] };
static _Atomic bool over, collected;
static _Atomic unsigned receiving;
static _Atomic unsigned wrong;

static void check(bool good, const char *what)
{
	if (!good && atomic_fetch_add(&wrong, 1) < 10)
		fprintf(stderr, "%s\n", what);
}

/* Its number is in its own memory and in that of its gain. */
static struct calibrated *make(uint32_t generation)
{
	struct calibrated *c = calloc(1, sizeof *c);
	float *gain = malloc(sizeof *gain);

	if (!c || !gain)
		exit(1);
	*gain = (float)generation;
	c->id = generation;
	c->gain = gain;
	c->plan.gain = gain;
	return c;
}

static void *receive(void *argument)
{
	struct sequence *ring = argument;

	while (!atomic_load(&over)) {
		struct entry *e = sequence_next(ring);

		if (!e) {
			idle_spin(100);
			continue;
		}
		*e = (struct entry){ .announced = generations_current(&generations) };
		sequence_publish(ring);
	}
	atomic_fetch_sub(&receiving, 1);
	return NULL;
}

static void work_on(struct sequence *ring)
{
	uint64_t first;
	unsigned count = sequence_claim(ring, 4, &first);

	for (unsigned i = 0; i < count; i++) {
		struct entry *e = sequence_claimed(ring, first + i);
		uint32_t stamp = (uint32_t)e->announced;
		const struct calibrated *c = generations_at(&generations, stamp);

		check(c && c->id == stamp && *c->plan.gain == (float)stamp,
		      "an entry bears a generation that is gone");
		sequence_done(ring, first + i);
	}
}

static void *work(void *argument)
{
	(void)argument;
	while (!atomic_load(&collected))
		for (unsigned i = 0; i < RECEIVERS; i++)
			work_on(&rings[i]);
	return NULL;
}

/* In order, whatever is done. Returns whether there was any. */
static bool take(struct sequence *ring, uint64_t *newest)
{
	const struct entry *e;
	bool done, any = false;

	while ((e = sequence_head(ring, &done)) && done) {
		check(e->announced >= *newest, "an older generation after a newer one");
		*newest = e->announced;
		sequence_recycle(ring);
		any = true;
	}
	return any;
}

static void exchange(void)
{
	struct planes *old = calloc(1, sizeof *old);
	struct calibrated *next = make(generations_current(&generations) + 1);

	if (generations_push(&generations, next, old, all))
		return;
	calibrated_free(next);
	free(old);
}

static void collect(void)
{
	uint64_t end_ns = clock_monotonic_ns() + TIME_NS, newest[RECEIVERS] = { 0 };
	bool any = true;

	while (any || atomic_load(&receiving) > 0 || sequence_waiting(&rings[0]) > 0 ||
	       sequence_waiting(&rings[1]) > 0) {
		any = false;
		for (unsigned i = 0; i < RECEIVERS; i++)
			any = take(&rings[i], &newest[i]) || any;
		exchange();
		if (clock_monotonic_ns() > end_ns)
			atomic_store(&over, true);
	}
	atomic_store(&collected, true);
}

int main(void)
{
	pthread_t threads[RECEIVERS + WORKERS];

	if (generations_open(&generations, RECEIVERS) < 0)
		return 1;
	generations_restart(&generations, make(1));
	atomic_store(&receiving, RECEIVERS);
	for (unsigned i = 0; i < RECEIVERS; i++)
		if (sequence_open(&rings[i], CAPACITY) < 0)
			return 1;
	for (unsigned i = 0; i < RECEIVERS + WORKERS; i++)
		if (pthread_create(&threads[i], NULL, i < RECEIVERS ? receive : work,
		                   i < RECEIVERS ? &rings[i] : NULL) != 0)
			return 1;
	collect();
	for (unsigned i = 0; i < RECEIVERS + WORKERS; i++)
		pthread_join(threads[i], NULL);
	check(generations_current(&generations) > LEAST, "few generations were exchanged");
	printf("%u generations\n", generations_current(&generations));
	generations_close(&generations);
	for (unsigned i = 0; i < RECEIVERS; i++)
		sequence_close(&rings[i]);
	return atomic_load(&wrong) > 0;
}
