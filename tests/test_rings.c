/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/rings_run.h"

#include <criterion/criterion.h>

static const struct rings_side *const sides[] = { &rings_lock_free, &rings_locked };

/* A run of at least so many entries: on a busy machine it takes longer. */
static struct rings_figures run(const struct rings_side *side, struct rings_plan plan,
                                uint64_t least)
{
	struct rings_figures f = { 0 };

	for (; f.entries < least && plan.seconds < 10; plan.seconds *= 2) {
		cr_assert_eq(rings_run(side, &plan, &f), 0, "%s", side->name);
		cr_assert_eq(f.wrong, 0, "%s", side->name);
	}
	cr_assert_geq(f.entries, least, "%s", side->name);
	return f;
}

Test(rings, every_entry_comes_once_and_in_order)
{
	static const unsigned loads[][2] = { { 1, 1 }, { 1, 8 }, { 3, 1 }, { 3, 8 } };

	for (unsigned s = 0; s < 2; s++)
		for (unsigned i = 0; i < 4; i++) {
			struct rings_plan plan = { .workers = loads[i][0],
				                   .hand = loads[i][1],
				                   .seconds = 0.05 };
			/* Every slot is used, and more than once. */
			struct rings_figures f = run(sides[s], plan, 2 * RINGS_SLOTS);

			cr_assert(f.ns_per_entry > 0 && f.cpu_ns_per_entry > 0);
		}
}

Test(rings, waiting_is_measured_at_a_low_rate)
{
	for (unsigned s = 0; s < 2; s++)
		for (unsigned spin = 0; spin < 2; spin++) {
			struct rings_plan plan = { .workers = 1,
				                   .hand = 1,
				                   .seconds = 0.1,
				                   .period_ns = 500000,
				                   .spin = spin };
			struct rings_figures f = run(sides[s], plan, 2);

			cr_assert(f.claim_p50_us > 0 && f.claim_p50_us <= f.claim_p99_us);
			cr_assert(f.collect_p50_us > 0 && f.collect_p50_us <= f.collect_p99_us);
		}
}

/* A side where every tenth entry is not as it should be. */
static int open_bad(struct rings_run *run)
{
	run->side = run;
	return 0;
}

static void close_bad(struct rings_run *run)
{
	run->side = NULL;
}

static void nothing(struct rings_run *run)
{
	(void)run;
}

static void collect_bad(struct rings_run *run)
{
	for (; run->collected < 100; run->collected++)
		rings_check(run, run->collected % 10 != 0);
}

Test(rings, what_is_not_in_order_is_counted)
{
	const struct rings_side bad = { "bad", open_bad, close_bad, nothing, nothing, collect_bad };
	struct rings_plan plan = { .workers = 2, .hand = 1, .seconds = 0.01 };
	struct rings_figures f;

	cr_assert_eq(rings_run(&bad, &plan, &f), 0);
	cr_assert_eq(f.entries, 100);
	cr_assert_eq(f.wrong, 10);
}
