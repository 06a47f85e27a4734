/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keeping.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define BYTES 5000u
#define SMALL 20u /* libzmq keeps so few inside zmq_msg_t */

static struct keeping keeping;
static struct slot slot;
static zmq_msg_t parts[4];

/* A reduced slot with so many messages; pixels begin behind a byte of the first. */
static void fill(unsigned count, size_t bytes)
{
	slot = (struct slot){ .frame.number = 7, .calibration = 3 };
	slot.hold.parts = parts;
	slot.hold.room = 4;
	for (unsigned i = 0; i < count; i++) {
		zmq_msg_t message;

		zmq_msg_init_size(&message, bytes);
		for (size_t b = 0; b < bytes; b++)
			((unsigned char *)zmq_msg_data(&message))[b] = (unsigned char)(b + i);
		hold_take(&slot.hold, i, &message);
		zmq_msg_close(&message);
	}
	slot.raw = count == 1 ? (const char *)zmq_msg_data(parts) + 1 : NULL;
	if (count > 1)
		slot.frame.ports.columns = (uint8_t)count;
}

static void allow(uint64_t limit)
{
	keeping = (struct keeping){ 0 };
	keeping_allow(&keeping, true, limit);
}

static uint64_t bytes_kept(void)
{
	return atomic_load(&keeping.bytes);
}

Test(keeping, leaves_payloads_with_their_slots_and_counts_them)
{
	allow(BYTES);
	fill(1, BYTES);
	cr_assert(keeping_leave(&keeping, &slot));
	cr_expect_eq(bytes_kept(), BYTES);
	keeping_free(&keeping, &slot);
	cr_expect_eq(bytes_kept(), 0);
	cr_expect_eq(slot.hold.count, 0);
	keeping_free(&keeping, &slot);
	cr_expect_eq(bytes_kept(), 0, "once is enough");
}

Test(keeping, leaves_none_beyond_the_limit)
{
	allow(BYTES - 1);
	fill(1, BYTES);
	cr_expect_not(keeping_leave(&keeping, &slot));
	cr_expect_eq(bytes_kept(), 0);
	cr_expect_null(kept_share(&keeping, &slot), "there is nothing to share");
	hold_release(&slot.hold);
}

Test(keeping, leaves_none_unless_it_is_on_or_a_command_was_given)
{
	allow(BYTES);
	keeping_allow(&keeping, false, BYTES);
	fill(1, BYTES);
	cr_expect_not(keeping_leave(&keeping, &slot));
	atomic_store(&keeping.asked, 1);
	cr_expect(keeping_leave(&keeping, &slot));
	keeping_free(&keeping, &slot);
}

Test(keeping, leaves_no_damaged_frame)
{
	allow(BYTES);
	fill(1, BYTES);
	slot.why = "it is damaged";
	cr_expect_not(keeping_leave(&keeping, &slot));
	hold_release(&slot.hold);
}

static void expect_pixels(const struct kept *f, size_t bytes)
{
	for (size_t b = 1; b < bytes; b++)
		cr_expect_eq(((const unsigned char *)f->raw)[b - 1], (unsigned char)b);
}

Test(keeping, what_is_shared_outlives_the_slot)
{
	for (size_t bytes = SMALL; bytes <= BYTES; bytes += BYTES - SMALL) {
		struct kept *f;

		allow(2 * BYTES);
		fill(1, bytes);
		cr_assert(keeping_leave(&keeping, &slot));
		f = kept_share(&keeping, &slot);
		cr_assert_not_null(f);
		cr_expect_geq(bytes_kept(), 2 * bytes);
		keeping_free(&keeping, &slot);
		memset(parts, 0xff, sizeof parts);
		cr_expect(kept_whole(f));
		cr_expect_eq(f->frame.pixels, f->raw);
		cr_expect_eq(f->calibration, 3);
		expect_pixels(f, bytes);
		kept_free(&keeping, f);
		cr_expect_eq(bytes_kept(), 0);
	}
}

Test(keeping, large_payloads_are_not_copied)
{
	struct kept *f;

	allow(2 * BYTES);
	fill(1, BYTES);
	cr_assert(keeping_leave(&keeping, &slot));
	f = kept_share(&keeping, &slot);
	cr_expect_eq(f->raw, slot.raw);
	kept_free(&keeping, f);
	cr_expect_eq(((const unsigned char *)slot.raw)[0], 1, "the slot has it still");
	keeping_free(&keeping, &slot);
}

Test(keeping, the_parts_of_several_ports_are_shared_each)
{
	struct kept *f;

	allow(8 * BYTES);
	fill(3, BYTES);
	cr_assert(keeping_leave(&keeping, &slot));
	f = kept_share(&keeping, &slot);
	keeping_free(&keeping, &slot);
	cr_expect_null(f->raw);
	cr_expect(kept_whole(f), "its pixels are in three parts");
	cr_assert_eq(f->hold.count, 3);
	for (unsigned i = 0; i < 3; i++)
		cr_expect_eq(((unsigned char *)zmq_msg_data(&f->hold.parts[i]))[10], 10 + i);
	kept_free(&keeping, f);
	cr_expect_eq(bytes_kept(), 0);
}

Test(keeping, a_note_is_of_a_frame_without_its_payload)
{
	struct kept *f;

	allow(BYTES);
	fill(1, BYTES);
	f = kept_note(&keeping, &slot);
	cr_expect_not(kept_whole(f));
	cr_expect_null(f->frame.pixels);
	cr_expect_eq(f->frame.number, 7);
	cr_expect_gt(bytes_kept(), 0, "its own room counts");
	kept_free(&keeping, f);
	cr_expect_eq(bytes_kept(), 0);
	hold_release(&slot.hold);
}

Test(keeping, lists_are_in_order_and_add_up)
{
	struct kept_list list;

	allow(100 * BYTES);
	kept_list_init(&list);
	for (unsigned i = 0; i < 5; i++) {
		fill(1, BYTES);
		slot.frame.number = i;
		cr_assert(keeping_leave(&keeping, &slot));
		kept_list_push(&list, kept_share(&keeping, &slot));
		keeping_free(&keeping, &slot);
	}
	cr_expect_eq(list.frames, 5);
	cr_expect_eq(list.bytes, bytes_kept());
	for (unsigned i = 0; i < 2; i++) {
		struct kept *f = kept_list_pop(&list);

		cr_expect_eq(f->frame.number, i);
		kept_free(&keeping, f);
	}
	kept_list_free(&keeping, &list);
	cr_expect_eq(list.frames + list.bytes, 0);
	cr_expect_eq(bytes_kept(), 0);
	cr_expect_null(kept_list_pop(&list));
}
