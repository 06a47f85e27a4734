/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/faults.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES 20000

static struct fault_options everything(void)
{
	return (struct fault_options){ .first = 100,
		                       .step = 1,
		                       .frames = FRAMES,
		                       .seed = 5,
		                       .lose = 0.02,
		                       .corrupt = 0.01,
		                       .truncate = 0.03,
		                       .duplicate = 0.05,
		                       .reorder = 0.04 };
}

static size_t take_all(const struct fault_options *o, struct shot *ret, size_t room)
{
	struct faults f;
	size_t count = 0;

	faults_init(&f, o);
	while (count < room && faults_next(&f, &ret[count]))
		count++;
	cr_assert_lt(count, room, "the plan ends");
	cr_assert_not(faults_next(&f, &ret[count]), "and stays at its end");
	return count;
}

static struct shot *plan_of(const struct fault_options *o, size_t *ret_count)
{
	struct shot *shots = calloc(2 * FRAMES + 2, sizeof *shots);

	cr_assert_not_null(shots);
	*ret_count = take_all(o, shots, 2 * FRAMES + 1);
	return shots;
}

static void expect_share(size_t count, double share, const char *what)
{
	double found = (double)count / FRAMES;

	cr_assert(found > 0.8 * share && found < 1.2 * share, "%s: %g for %g", what, found, share);
}

Test(send_faults, without_faults_is_the_plain_sequence)
{
	struct fault_options o = { .first = 7, .step = 50, .frames = 1003, .seed = 1 };
	size_t count;
	struct shot *shots = plan_of(&o, &count);

	cr_assert_eq(count, 1003);
	for (size_t i = 0; i < count; i++) {
		cr_assert_eq(shots[i].number, 7 + 50 * i);
		cr_assert(shots[i].index == i && shots[i].slot == i);
		cr_assert(shots[i].fate == SHOT_USABLE && !shots[i].repeated && !shots[i].swapped);
	}
	free(shots);
}

/* Member by member: what lies between members may differ. */
static bool equal(const struct shot *a, const struct shot *b)
{
	return a->number == b->number && a->index == b->index && a->slot == b->slot &&
	       a->fate == b->fate && a->corruption == b->corruption && a->repeated == b->repeated &&
	       a->swapped == b->swapped && a->partner == b->partner && a->random == b->random;
}

Test(send_faults, same_seed_same_plan_and_another_seed_another)
{
	struct fault_options o = everything();
	size_t a_count, b_count, c_count, same = 0;
	struct shot *a = plan_of(&o, &a_count), *b = plan_of(&o, &b_count), *c;

	o.seed++;
	c = plan_of(&o, &c_count);
	cr_assert_eq(a_count, b_count);
	for (size_t i = 0; i < a_count; i++)
		cr_assert(equal(&a[i], &b[i]), "shot %zu", i);
	for (size_t i = 0; i < a_count && i < c_count; i++)
		same += a[i].number == c[i].number && a[i].fate == c[i].fate;
	cr_assert_lt(same, a_count / 2);
	free(a);
	free(b);
	free(c);
}

Test(send_faults, gives_every_number_one_fate)
{
	struct fault_options o = everything();
	size_t count;
	struct shot *shots = plan_of(&o, &count);
	unsigned *seen = calloc(FRAMES, sizeof *seen), *again = calloc(FRAMES, sizeof *again);

	for (size_t i = 0; i < count; i++) {
		const struct shot *s = &shots[i];

		cr_assert_lt(s->index, FRAMES);
		cr_assert_eq(s->number, 100 + s->index);
		if (s->repeated)
			cr_assert_eq(s->fate, SHOT_USABLE, "only usable frames are sent twice");
		++(s->repeated ? again : seen)[s->index];
	}
	for (size_t i = 0; i < FRAMES; i++) {
		cr_assert_eq(seen[i], 1, "number %zu has %u fates", i, seen[i]);
		cr_assert_leq(again[i], 1);
	}
	free(seen);
	free(again);
	free(shots);
}

Test(send_faults, keeps_the_chances)
{
	struct fault_options o = everything();
	size_t fates[SHOT_FATE_COUNT] = { 0 }, kinds[CORRUPTION_COUNT] = { 0 };
	size_t count, repeated = 0, swapped = 0;
	struct shot *shots = plan_of(&o, &count);

	for (size_t i = 0; i < count; i++) {
		repeated += shots[i].repeated;
		swapped += shots[i].swapped;
		if (shots[i].repeated)
			continue;
		fates[shots[i].fate]++;
		if (shots[i].fate == SHOT_CORRUPTED)
			kinds[shots[i].corruption]++;
	}
	expect_share(fates[SHOT_LOST], o.lose, "lost");
	expect_share(fates[SHOT_CORRUPTED], o.corrupt, "corrupted");
	expect_share(fates[SHOT_TRUNCATED], o.truncate, "truncated");
	expect_share(repeated, o.duplicate * 0.94, "duplicated");
	expect_share(swapped, o.reorder * 0.94 * 7 / 8, "swapped"); /* the last has no later one */
	for (int k = 0; k < CORRUPTION_COUNT; k++)
		cr_assert_gt(kinds[k], 0, "%s", corruption_name((enum corruption)k));
	free(shots);
}

Test(send_faults, swaps_pairs_within_eight)
{
	struct fault_options o = everything();
	size_t count, pairs = 0;
	struct shot *shots;
	int64_t *partner = calloc(FRAMES, sizeof *partner);

	o.reorder = 1.0;
	shots = plan_of(&o, &count);
	for (size_t i = 0; i < count; i++) {
		const struct shot *s = &shots[i];
		uint64_t distance = s->index > s->slot ? s->index - s->slot : s->slot - s->index;

		cr_assert_lt(distance, FAULT_BLOCK);
		if (!s->swapped)
			continue;
		cr_assert_gt(s->number, s->partner, "the early one is the later number");
		cr_assert_eq(partner[s->index], 0, "nobody swaps twice");
		cr_assert_eq(partner[s->partner - 100], 0);
		partner[s->index] = partner[s->partner - 100] = 1;
		pairs++;
	}
	for (size_t i = 0; i < count; i++)
		if (!shots[i].repeated)
			cr_assert_eq(shots[i].index != shots[i].slot, partner[shots[i].index]);
	cr_assert_gt(pairs, FRAMES / 3);
	free(partner);
	free(shots);
}

Test(send_faults, all_lost_all_corrupted_and_all_duplicated_are_exact)
{
	struct fault_options o = { .step = 1, .frames = 999, .seed = 3 };
	size_t count;
	struct shot *shots;

	o.lose = 1.0;
	shots = plan_of(&o, &count);
	cr_assert_eq(count, 999);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(shots[i].fate, SHOT_LOST);
	free(shots);
	o.lose = 0.0;
	o.corrupt = 1.0;
	o.duplicate = 1.0;
	shots = plan_of(&o, &count);
	cr_assert_eq(count, 999, "what is corrupted is sent once");
	free(shots);
	o.corrupt = 0.0;
	shots = plan_of(&o, &count);
	cr_assert_eq(count, 2 * 999);
	free(shots);
}

Test(send_faults, a_plan_of_nothing_is_empty)
{
	struct fault_options o = { .step = 1, .frames = 0, .seed = 3 };
	size_t count;
	struct shot *shots = plan_of(&o, &count);

	cr_assert_eq(count, 0);
	free(shots);
}
