/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sequence.h"

#include <criterion/criterion.h>
#include <errno.h>

#define CAPACITY 4u

static struct sequence ring;

static void open_ring(void)
{
	cr_assert_eq(sequence_open(&ring, CAPACITY), 0);
}

static void close_ring(void)
{
	sequence_close(&ring);
}

TestSuite(sequence, .init = open_ring, .fini = close_ring);

/* Publish an entry that says its own number. */
static bool publish(uint64_t number)
{
	struct entry *e = sequence_next(&ring);

	if (!e)
		return false;
	*e = (struct entry){ .kind = ENTRY_DUMMY, .frame.number = number };
	sequence_publish(&ring);
	return true;
}

static void publish_many(uint64_t first, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		cr_assert(publish(first + i), "number %u", i);
}

/* Take one entry all the way; returns the number it says. */
static uint64_t pass_one(void)
{
	bool done = false;
	uint64_t first = 0;

	cr_assert_eq(sequence_claim(&ring, 1, &first), 1);
	sequence_claimed(&ring, first);
	sequence_done(&ring, first);
	const struct entry *head = sequence_head(&ring, &done);
	cr_assert_not_null(head);
	cr_assert(done);
	uint64_t number = head->frame.number;
	sequence_recycle(&ring);
	return number;
}

Test(sequence, takes_only_powers_of_two_as_capacity)
{
	static const uint64_t refused[] = { 0, 3, 5, 6, 7, 12, 8191, 8193, UINT64_MAX };
	struct sequence other;

	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		cr_assert_eq(sequence_open(&other, refused[i]), -EINVAL, "%llu",
		             (unsigned long long)refused[i]);
		sequence_close(&other);
	}
	for (uint64_t capacity = 1; capacity <= 8192; capacity *= 2) {
		cr_assert_eq(sequence_open(&other, capacity), 0);
		cr_assert_eq(other.capacity, capacity);
		sequence_close(&other);
	}
}

Test(sequence, closes_a_zeroed_one_and_twice)
{
	struct sequence other = { 0 };

	sequence_close(&other);
	cr_assert_eq(sequence_open(&other, 8), 0);
	sequence_close(&other);
	sequence_close(&other);
	cr_assert_null(other.entries);
}

Test(sequence, keeps_entries_on_cache_lines_of_their_own)
{
	for (uint64_t i = 0; i < CAPACITY; i++)
		cr_assert_eq((uintptr_t)sequence_at(&ring, i) % 64, 0);
}

Test(sequence, has_nothing_at_first)
{
	bool done = true;
	uint64_t first = 77;

	cr_assert_null(sequence_head(&ring, &done));
	cr_assert(done, "an output is untouched when there is nothing");
	cr_assert_eq(sequence_claim(&ring, 8, &first), 0);
	cr_assert_eq(first, 77);
	cr_assert_eq(sequence_waiting(&ring), 0);
}

Test(sequence, refuses_an_entry_when_full)
{
	publish_many(0, CAPACITY);
	cr_assert_null(sequence_next(&ring));
	cr_assert_eq(sequence_waiting(&ring), CAPACITY);
}

Test(sequence, stays_full_until_the_head_is_recycled)
{
	bool done = false;
	uint64_t first = 0;

	publish_many(0, CAPACITY);
	cr_assert_eq(sequence_claim(&ring, CAPACITY, &first), CAPACITY);
	for (unsigned i = 0; i < CAPACITY; i++) {
		sequence_claimed(&ring, i);
		sequence_done(&ring, i);
		cr_assert_null(sequence_next(&ring));
	}
	cr_assert_not_null(sequence_head(&ring, &done));
	cr_assert_null(sequence_next(&ring));
	sequence_recycle(&ring);
	cr_assert(publish(CAPACITY));
	cr_assert_null(sequence_next(&ring), "one was recycled, not two");
}

Test(sequence, shows_nothing_before_publication)
{
	bool done = false;
	uint64_t first = 0;
	struct entry *e = sequence_next(&ring);

	cr_assert_not_null(e);
	e->frame.number = 5;
	cr_assert_null(sequence_head(&ring, &done));
	cr_assert_eq(sequence_claim(&ring, 1, &first), 0);
	cr_assert_eq(sequence_next(&ring), e, "asking again gives the same one");
}

Test(sequence, claims_no_more_than_asked_for)
{
	uint64_t first = 77;

	publish_many(0, CAPACITY);
	cr_assert_eq(sequence_claim(&ring, 0, &first), 0);
	cr_assert_eq(first, 77);
	cr_assert_eq(sequence_claim(&ring, 3, &first), 3);
	cr_assert_eq(first, 0);
	cr_assert_eq(sequence_claim(&ring, 3, &first), 1, "no more than there is");
	cr_assert_eq(first, 3);
	cr_assert_eq(sequence_claim(&ring, 3, &first), 0);
}

Test(sequence, shows_the_head_before_it_is_done)
{
	bool done = true;
	uint64_t first = 0;

	cr_assert(publish(40));
	cr_assert_eq(sequence_head(&ring, &done)->frame.number, 40);
	cr_assert_not(done, "published is not done");
	sequence_claim(&ring, 1, &first);
	done = true;
	cr_assert_eq(sequence_head(&ring, &done)->frame.number, 40);
	cr_assert_not(done, "counted out is not done");
	cr_assert_eq(sequence_claimed(&ring, first)->frame.number, 40);
	done = true;
	cr_assert_eq(sequence_head(&ring, &done)->frame.number, 40);
	cr_assert_not(done, "claimed is not done");
	sequence_done(&ring, first);
	cr_assert_eq(sequence_head(&ring, &done)->frame.number, 40);
	cr_assert(done);
}

Test(sequence, keeps_the_order_when_workers_finish_out_of_it)
{
	bool done = true;
	uint64_t first = 0, second = 0;

	publish_many(10, 2);
	cr_assert_eq(sequence_claim(&ring, 1, &first), 1);
	cr_assert_eq(sequence_claim(&ring, 1, &second), 1);
	sequence_claimed(&ring, first);
	sequence_claimed(&ring, second);
	sequence_done(&ring, second);
	cr_assert_eq(sequence_head(&ring, &done)->frame.number, 10);
	cr_assert_not(done);
	sequence_done(&ring, first);
	cr_assert_not_null(sequence_head(&ring, &done));
	cr_assert(done);
	sequence_recycle(&ring);
	cr_assert_eq(sequence_head(&ring, &done)->frame.number, 11);
	cr_assert(done);
}

/* The stamps of an earlier round are all there still, at the same places. */
Test(sequence, never_takes_an_entry_of_an_earlier_round)
{
	bool done = false;
	uint64_t first = 0;

	for (uint64_t round = 0; round < 5; round++) {
		uint64_t base = round * CAPACITY;

		cr_assert_null(sequence_head(&ring, &done), "round %llu",
		               (unsigned long long)round);
		cr_assert_eq(sequence_claim(&ring, CAPACITY, &first), 0);
		publish_many(base, CAPACITY);
		cr_assert_null(sequence_next(&ring));
		for (unsigned i = 0; i < CAPACITY; i++) {
			cr_assert_eq(sequence_waiting(&ring), CAPACITY - i);
			cr_assert_eq(pass_one(), base + i);
		}
	}
}

Test(sequence, wraps_at_every_offset)
{
	uint64_t published = 0, passed = 0;

	for (unsigned step = 0; step < 40; step++) {
		unsigned count = 1 + step % CAPACITY;

		publish_many(published, count);
		published += count;
		for (; passed < published; passed++)
			cr_assert_eq(pass_one(), passed);
	}
}

Test(sequence, works_with_a_single_entry)
{
	sequence_close(&ring);
	cr_assert_eq(sequence_open(&ring, 1), 0);
	for (uint64_t i = 0; i < 5; i++) {
		cr_assert(publish(i));
		cr_assert_not(publish(i + 1));
		cr_assert_eq(pass_one(), i);
	}
}

/* Every state of every number has a stamp of its own. */
Test(sequence, gives_every_state_of_every_round_its_stamp)
{
	for (uint64_t number = 0; number < 3 * CAPACITY; number++)
		for (enum entry_state state = ENTRY_SPARE; state <= ENTRY_DONE; state++) {
			uint64_t stamp = sequence_stamp(number, state);

			cr_assert_eq(stamp / 4, number);
			cr_assert_eq(stamp % 4, state);
		}
}
