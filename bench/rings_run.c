/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/rings_run.h"

#include "daemon/clock.h"
#include "daemon/crew.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct rings_thread {
	pthread_t thread;
	void (*body)(struct rings_run *run);
	struct rings_run *run;
};

bool rings_next(struct rings_run *run, uint64_t number)
{
	uint64_t period_ns = run->plan.period_ns;

	if (period_ns == 0)
		return number % 64 != 0 || number == 0 || clock_now_ns() < run->until_ns;
	clock_sleep_until(clock_now_ns() + period_ns);
	return number == 0 || (number < RINGS_NOTED && clock_now_ns() < run->until_ns);
}

uint64_t rings_clock_ns(const struct rings_run *run)
{
	return run->plan.period_ns ? clock_now_ns() : 0;
}

void rings_note(const struct rings_run *run, uint64_t *waits_ns, uint64_t number, uint64_t since_ns)
{
	if (run->plan.period_ns && number < RINGS_NOTED)
		waits_ns[number] = clock_now_ns() - since_ns;
}

static void *run_body(void *argument)
{
	struct rings_thread *t = argument;

	t->body(t->run);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double at_share_us(const uint64_t *sorted, uint64_t n, double share)
{
	return n ? 1e-3 * (double)sorted[(uint64_t)(share * (double)(n - 1))] : 0.0;
}

static void tell_waits(struct rings_run *run, struct rings_figures *f)
{
	uint64_t n = run->collected < RINGS_NOTED ? run->collected : RINGS_NOTED;

	if (!run->plan.period_ns)
		return;
	qsort(run->claim_ns, n, sizeof *run->claim_ns, compare);
	qsort(run->collect_ns, n, sizeof *run->collect_ns, compare);
	f->claim_p50_us = at_share_us(run->claim_ns, n, 0.50);
	f->claim_p99_us = at_share_us(run->claim_ns, n, 0.99);
	f->collect_p50_us = at_share_us(run->collect_ns, n, 0.50);
	f->collect_p99_us = at_share_us(run->collect_ns, n, 0.99);
}

/* Workers first: the receiver finds them waiting. One that cannot be started ends the run at once,
 * and those that were started with it. */
static int run_threads(const struct rings_side *side, struct rings_run *run,
                       struct rings_thread *threads)
{
	unsigned count = run->plan.workers + 1, started = 0;
	int err = 0;

	while (started < count && !err) {
		struct rings_thread *t = &threads[started];

		*t = (struct rings_thread){
			.body = started + 1 < count ? side->work : side->receive,
			.run = run,
		};
		err = pthread_create(&t->thread, NULL, run_body, t);
		started += !err;
	}
	if (err)
		atomic_store(&run->ended, true);
	side->collect(run);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i].thread, NULL);
	return -err;
}

static int measure(const struct rings_side *side, struct rings_run *run, struct rings_figures *ret)
{
	struct rings_thread *threads = calloc(run->plan.workers + 1, sizeof *threads);
	uint64_t begin_ns = clock_now_ns(), begin_cpu_ns = clock_cpu_ns();
	struct rings_figures f = { 0 };
	int err = threads ? 0 : -ENOMEM;

	run->until_ns = begin_ns + (uint64_t)(run->plan.seconds * (double)NS_PER_S);
	if (!err)
		err = run_threads(side, run, threads);
	free(threads);
	if (err)
		return err;
	f.entries = run->collected;
	f.wrong = atomic_load(&run->wrong);
	if (f.entries) {
		f.ns_per_entry = (double)(clock_now_ns() - begin_ns) / (double)f.entries;
		f.cpu_ns_per_entry = (double)(clock_cpu_ns() - begin_cpu_ns) / (double)f.entries;
	}
	tell_waits(run, &f);
	*ret = f;
	return 0;
}

int rings_run(const struct rings_side *side, const struct rings_plan *plan,
              struct rings_figures *ret)
{
	struct rings_run run = {
		.plan = *plan,
		.claim_ns = calloc(RINGS_NOTED, sizeof *run.claim_ns),
		.collect_ns = calloc(RINGS_NOTED, sizeof *run.collect_ns),
	};
	int err = run.claim_ns && run.collect_ns ? side->open(&run) : -ENOMEM;

	if (!err)
		err = measure(side, &run, ret);
	if (run.side)
		side->close(&run);
	free(run.claim_ns);
	free(run.collect_ns);
	return err;
}
