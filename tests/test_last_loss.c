/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/last_loss.h"

#include <criterion/criterion.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)
#define NOON_NS   (UINT64_C(43385) * SECOND_NS) /* 12:03:05 of the first day */

static struct last_loss losses;
static struct loss_sample now;

/* A hundredth of a second: `in` and `out` MB come and go. */
static void pass(unsigned times, double in, double out)
{
	for (unsigned i = 0; i < times; i++) {
		now.ns += LOSS_SAMPLE_NS;
		now.frames += 10;
		now.bytes_in += (uint64_t)(in * 1e4);
		now.bytes_out += (uint64_t)(out * 1e4);
		last_loss_sample(&losses, &now);
		now.write_ns = now.sync_ns = 0;
	}
}

static void lose(uint64_t first, uint64_t last, enum frame_state state, unsigned reason)
{
	for (uint64_t n = first; n <= last; n++)
		last_loss_add(&losses, &(struct lost_frame){ .number = n,
		                                             .count = 1,
		                                             .step = 1,
		                                             .series = 1,
		                                             .state = state,
		                                             .reason = reason,
		                                             .monotonic_ns = now.ns,
		                                             .real_ns = NOON_NS });
}

static struct loss_record last(void)
{
	struct loss_record r;

	last_loss_get(&losses, &r);
	return r;
}

static void expect_text(const struct loss_record *r, const char *wanted)
{
	char text[LOSS_TEXT];

	last_loss_text(r, text);
	cr_expect_eq(strncmp(text, wanted, strlen(wanted)), 0, "'%s' is not '%s...'", text, wanted);
}

static void begin(void)
{
	now = (struct loss_sample){ .ns = 5 * SECOND_NS, .slots = 100, .used = 10 };
}

static void fill_buffer(void)
{
	now.used = 100;
	now.full = true;
}

Test(last_loss, a_disk_that_is_too_slow_is_named_with_its_figures)
{
	begin();
	cr_expect_eq(last().time_ns, 0);
	pass(200, 1210, 300);
	fill_buffer();
	now.under_way = 3;
	pass(40, 1210, 300);
	now.write_ns = 480000000;
	pass(41, 1210, 300);
	lose(512, 530, FRAME_DROPPED, DROPPED_OVERLOAD);
	struct loss_record r = last();
	cr_expect_eq(r.first_frame, 512);
	cr_expect_eq(r.last_frame, 530);
	cr_expect_eq(r.frames, 19);
	cr_expect_eq(r.buffer_used, 1);
	cr_expect_eq(r.under_way, 3);
	cr_expect_float_eq(r.fps, 1000, 1e-6);
	expect_text(&r, "12:03:05 UTC: frames 512 to 530 dropped (overload): the buffer was full "
	                "for 800 ms; 1.21 GB/s came, 300 MB/s reached the disk, the longest write "
	                "took 480 ms: the disk is too slow: ");
}

Test(last_loss, what_waits_tells_what_is_too_slow)
{
	begin();
	fill_buffer();
	now.unclaimed = 60;
	pass(150, 900, 0);
	lose(7, 7, FRAME_MISSING, MISSING_OVERLOAD_AT_SENDER);
	struct loss_record r = last();
	cr_expect_eq(last_loss_cause(&r), LOSS_WORKERS);
	expect_text(&r, "12:03:05 UTC: frame 7 missing (overload_at_sender): the buffer was full "
	                "for 1.5 s; 900 MB/s came, nothing reached the disk: 60 frames waited to "
	                "be reduced: the processor is too slow: ");
	now.unclaimed = 0;
	now.held = 80;
	pass(150, 900, 0);
	lose(9, 9, FRAME_DROPPED, DROPPED_OVERLOAD);
	r = last();
	cr_expect_eq(last_loss_cause(&r), LOSS_GAP);
	expect_text(&r, "12:03:05 UTC: frame 9 dropped (overload): the buffer was full for 3.0 s; "
	                "900 MB/s came, nothing reached the disk: 80 frames waited for a number "
	                "before theirs: lower series.reorder");
}

Test(last_loss, the_sender_is_blamed_only_where_there_was_room)
{
	begin();
	pass(150, 100, 100);
	lose(3, 5, FRAME_MISSING, MISSING_NEVER);
	struct loss_record r = last();
	expect_text(&r,
	            "12:03:05 UTC: frames 3 to 5 missing (never): no message had these numbers; "
	            "the buffer was 10 % full: the sender or the network lost them: ");
	fill_buffer();
	pass(300, 100, 50);
	lose(8, 8, FRAME_MISSING, MISSING_NEVER);
	r = last();
	expect_text(&r, "12:03:05 UTC: frame 8 missing (never): no message had this number; the "
	                "buffer was full for 3.0 s, so that the sender may have had to drop them; "
	                "100 MB/s came, 50 MB/s reached the disk: the disk is too slow: ");
}

Test(last_loss, every_reason_has_a_sentence_that_fits)
{
	char text[LOSS_TEXT];

	begin();
	now.sync_ns = now.write_ns + 1;
	for (unsigned full = 0; full < 2; full++) {
		for (unsigned i = 0; i < DROPPED_COUNT + MISSING_COUNT; i++) {
			bool missing = i >= DROPPED_COUNT;

			if (!missing && i == DROPPED_CRASH)
				continue; /* recovery's */
			pass(200, 12345, 2345);
			lose(UINT64_MAX - 3, UINT64_MAX - 3,
			     missing ? FRAME_MISSING : FRAME_DROPPED,
			     missing ? i - DROPPED_COUNT : i);
			lose(UINT64_MAX - 1, UINT64_MAX - 1,
			     missing ? FRAME_MISSING : FRAME_DROPPED,
			     missing ? i - DROPPED_COUNT : i);
			struct loss_record r = last();
			last_loss_text(&r, text);
			cr_expect_lt(strlen(text), LOSS_TEXT - 1, "%s", text);
			cr_expect_not_null(strstr(text, "2 of the frames 18446744073709551612 to "),
			                   "%s", text);
			cr_expect_gt(strlen(strstr(text, "): ")), 40, "%s", text);
		}
		fill_buffer();
	}
}

/* "12:03:05" and what was told, in order. */
static unsigned told(bool all, uint64_t frames)
{
	struct loss_record r;
	unsigned count = 0;

	while (last_loss_due(&losses, now.ns, all, &r)) {
		cr_expect_eq(r.frames, frames);
		count++;
	}
	return count;
}

Test(last_loss, a_burst_is_told_of_once_it_is_over)
{
	begin();
	pass(10, 1, 1);
	for (uint64_t n = 0; n < 300; n++) {
		lose(n, n, FRAME_DROPPED, DROPPED_OVERLOAD);
		pass(1, 1, 1);
		cr_expect_eq(told(false, 0), 0);
	}
	pass(98, 1, 1);
	cr_expect_eq(told(false, 0), 0);
	pass(3, 1, 1);
	cr_expect_eq(told(false, 300), 1);
	cr_expect_eq(told(true, 0), 0);
	lose(301, 301, FRAME_DROPPED, DROPPED_OVERLOAD);
	cr_expect_eq(last().frames, 1, "a new burst");
	cr_expect_eq(told(true, 1), 1, "a series that ends waits for nobody");
	lose(302, 302, FRAME_DROPPED, DROPPED_OVERLOAD);
	cr_expect_eq(last().frames, 1, "what was told of is over");
}

/* The collector reads its clock once a turn, and frames are lost in the middle of one. */
Test(last_loss, a_turn_that_began_before_a_loss_does_not_end_its_burst)
{
	struct loss_record r;

	begin();
	pass(10, 1, 1);
	lose(1, 1, FRAME_DROPPED, DROPPED_WRITE);
	now.ns -= LOSS_SAMPLE_NS / 2;
	cr_expect_not(last_loss_due(&losses, now.ns, false, &r));
	now.ns += LOSS_SAMPLE_NS;
	lose(2, 2, FRAME_DROPPED, DROPPED_WRITE);
	cr_expect_eq(last().frames, 2);
}

Test(last_loss, a_burst_without_end_is_told_of_every_ten_seconds)
{
	struct loss_record r;
	unsigned times = 0;

	begin();
	for (uint64_t n = 0; n < 350; n++) {
		lose(n, n, FRAME_DROPPED, DROPPED_WRITE);
		pass(10, 1, 1);
		times += last_loss_due(&losses, now.ns, false, &r);
	}
	cr_expect_eq(times, 3);
	cr_expect_eq(last().frames, 350);
}

Test(last_loss, each_kind_has_its_bursts_and_the_last_is_shown)
{
	struct loss_record series[LOSS_KINDS];

	begin();
	for (uint64_t n = 0; n < 20; n += 2) {
		lose(n, n, FRAME_DROPPED, DROPPED_OVERLOAD);
		lose(n + 1, n + 1, FRAME_MISSING, MISSING_NEVER);
		pass(1, 1, 1);
	}
	cr_expect_eq(last().state, FRAME_MISSING);
	cr_expect_eq(last().first_frame, 1);
	cr_expect_eq(last().frames, 10);
	cr_assert_eq(last_loss_series(&losses, series), 2);
	cr_expect_eq(series[0].state, FRAME_DROPPED);
	cr_expect_eq(series[0].last_frame, 18);
	last_loss_begin(&losses);
	cr_expect_eq(last_loss_series(&losses, series), 0);
	cr_expect_eq(last().frames, 10, "people still see the last one");
}

Test(last_loss, a_series_of_which_nothing_came_is_one_loss)
{
	begin();
	last_loss_add(&losses, &(struct lost_frame){ .number = 100,
	                                             .count = 50,
	                                             .step = 2,
	                                             .state = FRAME_MISSING,
	                                             .reason = MISSING_NEVER,
	                                             .monotonic_ns = now.ns,
	                                             .real_ns = NOON_NS });
	struct loss_record r = last();
	expect_text(&r, "12:03:05 UTC: frames 100 to 198 missing (never): ");
	cr_expect_eq(r.frames, 50);
}

/* A write that was under way when the loss began, and is what it came from. */
Test(last_loss, what_ends_during_a_burst_is_part_of_it)
{
	begin();
	fill_buffer();
	pass(100, 10, 0);
	lose(1, 1, FRAME_DROPPED, DROPPED_OVERLOAD);
	cr_expect_eq(last().write_ns, 0);
	now.write_ns = 3 * SECOND_NS;
	pass(50, 10, 0);
	cr_expect_eq(last().write_ns, 3 * SECOND_NS);
	cr_expect_float_eq((double)last().full_ns, 1.49e9, 1e-3);
}
