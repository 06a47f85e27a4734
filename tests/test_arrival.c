/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/arrival.h"
#include "daemon/sequence.h"

#include <criterion/criterion.h>

#define NOW       ((uint64_t)1000 * 1000000000u)
#define LONG_AGO  (NOW - 2 * ARRIVAL_PATIENCE_NS)
#define JUST_NOW  (NOW - 1000)
#define RECEIVERS 2

static struct receiver receivers[RECEIVERS];
static struct series series;

static void ignore_place(void *user, uint64_t number, void *held)
{
	(void)user;
	(void)number;
	(void)held;
}

static void ignore_lose(void *user, uint64_t number, enum frame_state state, unsigned reason)
{
	(void)user;
	(void)number;
	(void)state;
	(void)reason;
}

/* A series that has taken everything up to 100, two endpoints with empty rings. */
static void open_rings(void)
{
	struct series_rules rules = {
		.first_given = true, .first = 100, .step = 1, .reorder = 8, .max_gap = 1000
	};
	struct series_output output = { NULL, ignore_place, ignore_lose };

	for (unsigned i = 0; i < RECEIVERS; i++)
		cr_assert_eq(sequence_open(&receivers[i].ring, 8), 0);
	cr_assert_eq(series_open(&series, &rules, &output), 0);
	series_begin(&series, 0);
	series_frame(&series, 100, &series, false);
}

static void close_rings(void)
{
	for (unsigned i = 0; i < RECEIVERS; i++)
		sequence_close(&receivers[i].ring);
	series_close(&series);
}

TestSuite(arrival, .init = open_rings, .fini = close_rings);

static void show(unsigned receiver, enum entry_kind kind, uint64_t number, uint64_t received_ns,
                 bool done)
{
	struct sequence *q = &receivers[receiver].ring;
	struct entry *e = sequence_next(q);
	uint64_t first = 0;

	*e = (struct entry){ .kind = kind,
		             .frame = { .number = number, .received_ns = received_ns } };
	sequence_publish(q);
	cr_assert_eq(sequence_claim(q, 1, &first), 1);
	sequence_claimed(q, first);
	if (done)
		sequence_done(q, first);
}

static struct arrival next(void)
{
	return arrival_next(receivers, RECEIVERS, &series, NOW);
}

Test(arrival, nothing_is_next_when_nothing_came)
{
	struct arrival a = next();

	cr_assert_null(a.receiver);
	cr_assert_not(a.patient);
}

Test(arrival, takes_the_smaller_number_whoever_was_first)
{
	show(0, ENTRY_FRAME, 102, LONG_AGO, true);
	show(1, ENTRY_FRAME, 101, JUST_NOW, true);
	cr_assert_eq(next().receiver, &receivers[1]);
}

Test(arrival, waits_for_the_smaller_number_to_be_done)
{
	show(0, ENTRY_FRAME, 102, LONG_AGO, true);
	show(1, ENTRY_FRAME, 101, LONG_AGO, false);
	cr_assert_null(next().receiver);
}

Test(arrival, takes_the_next_number_without_waiting_for_anybody)
{
	receivers[1].quiet = false;
	show(0, ENTRY_FRAME, 101, JUST_NOW, true);
	cr_assert_eq(next().receiver, &receivers[0]);
}

Test(arrival, a_gap_waits_for_a_busy_endpoint_however_long)
{
	receivers[1].quiet = false;
	show(0, ENTRY_FRAME, 103, LONG_AGO, true);
	cr_assert_null(next().receiver);
	cr_assert(next().patient);
}

Test(arrival, a_gap_waits_a_moment_for_a_quiet_endpoint)
{
	receivers[1].quiet = true;
	show(0, ENTRY_FRAME, 103, JUST_NOW, true);
	cr_assert(next().patient);
}

Test(arrival, a_gap_is_taken_once_a_quiet_endpoint_had_its_moment)
{
	receivers[1].quiet = true;
	show(0, ENTRY_FRAME, 103, LONG_AGO, true);
	cr_assert_eq(next().receiver, &receivers[0]);
}

Test(arrival, nobody_waits_for_an_endpoint_that_ended)
{
	receivers[1].stage.ended = true;
	show(0, ENTRY_FRAME, 103, JUST_NOW, true);
	cr_assert_eq(next().receiver, &receivers[0]);
}

Test(arrival, a_clock_that_was_set_back_makes_nothing_wait)
{
	receivers[1].quiet = true;
	show(0, ENTRY_FRAME, 103, NOW + 5000000000u, true);
	cr_assert_eq(next().receiver, &receivers[0]);
}

Test(arrival, what_looks_like_another_series_goes_last)
{
	show(0, ENTRY_FRAME, 1, LONG_AGO, true);
	show(1, ENTRY_FRAME, 105, JUST_NOW, true);
	series_frame(&series, 104, &series, false);
	series.newest = 104;
	cr_assert_eq(next().receiver, &receivers[1]);
}

Test(arrival, a_frame_of_another_geometry_keeps_its_place)
{
	show(0, ENTRY_ASK, 101, JUST_NOW, true);
	show(1, ENTRY_FRAME, 102, LONG_AGO, true);
	cr_assert_eq(next().receiver, &receivers[0]);
}

Test(arrival, a_rejected_message_waits_for_nobody)
{
	receivers[1].quiet = false;
	show(0, ENTRY_REJECTED, 0, JUST_NOW, true);
	cr_assert_eq(next().receiver, &receivers[0]);
}

Test(arrival, at_a_standstill_nothing_waits)
{
	receivers[1].quiet = false;
	show(0, ENTRY_FRAME, 103, JUST_NOW, true);
	cr_assert_eq(arrival_any(receivers, RECEIVERS, &series).receiver, &receivers[0]);
}
