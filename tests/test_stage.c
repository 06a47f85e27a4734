/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/idle.h"
#include "daemon/stage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define SECOND_NS ((uint64_t)1000000000u)

/* A stage whose thread does what the test says and ends when told. */
struct subject {
	struct stage stage;
	struct gate gate;
	_Atomic unsigned turns_wanted, turns_made;
	_Atomic bool end;
	bool blocks_signals;
	char name[16];
	cpu_set_t cpus;
};

static struct subject subject;

static void *obey(void *argument)
{
	struct subject *s = argument;
	sigset_t blocked;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	s->blocks_signals = sigismember(&blocked, SIGINT) && sigismember(&blocked, SIGTERM);
	sched_getaffinity(0, sizeof s->cpus, &s->cpus);
	while (!atomic_load(&s->end)) {
		for (; s->turns_made < s->turns_wanted; s->turns_made++)
			stage_turn(&s->stage);
		uint32_t turn = gate_prepare(&s->gate);
		if (!atomic_load(&s->end) && s->turns_made == s->turns_wanted)
			gate_sleep(&s->gate, turn, SECOND_NS / 100);
		gate_leave(&s->gate);
	}
	pthread_getname_np(pthread_self(), s->name, sizeof s->name);
	atomic_store(&s->stage.ended, true);
	return NULL;
}

static void make_turns(struct subject *s, unsigned count)
{
	s->turns_wanted += count;
	gate_notify(&s->gate, 1);
	while (atomic_load(&s->turns_made) < s->turns_wanted)
		sched_yield();
}

static void end(struct subject *s)
{
	atomic_store(&s->end, true);
	gate_notify(&s->gate, 1);
}

Test(stage, counts_turns)
{
	struct stage s = { 0 };

	for (unsigned i = 0; i < 5; i++)
		stage_turn(&s);
	cr_assert_eq(s.turns, 5);
}

Test(stage, is_not_still_at_the_first_look)
{
	struct stage s = { 0 };

	cr_assert_eq(stage_still_ns(&s, 1234 * SECOND_NS), 0);
}

Test(stage, sees_a_thread_that_does_not_turn)
{
	struct stage s = { 0 };

	stage_turn(&s);
	cr_assert_eq(stage_still_ns(&s, 100 * SECOND_NS), 0);
	cr_assert_eq(stage_still_ns(&s, 101 * SECOND_NS), SECOND_NS);
	cr_assert_eq(stage_still_ns(&s, 111 * SECOND_NS), 11 * SECOND_NS);
	stage_turn(&s);
	cr_assert_eq(stage_still_ns(&s, 112 * SECOND_NS), 0, "one turn is enough");
	cr_assert_eq(stage_still_ns(&s, 115 * SECOND_NS), 3 * SECOND_NS);
}

/* `on_disk` excuses, it does not hide: the main thread decides what to say. */
Test(stage, tells_how_long_it_stands_still_on_the_disk)
{
	struct stage s = { 0 };

	stage_turn(&s);
	stage_still_ns(&s, 100 * SECOND_NS);
	atomic_store(&s.on_disk, true);
	cr_assert_eq(stage_still_ns(&s, 130 * SECOND_NS), 30 * SECOND_NS);
	cr_assert(atomic_load(&s.on_disk), "looking does not take it back");
	atomic_store(&s.on_disk, false);
	cr_assert_eq(stage_still_ns(&s, 131 * SECOND_NS), 31 * SECOND_NS);
}

Test(stage, does_not_call_an_ended_thread_still)
{
	struct stage s = { 0 };

	stage_turn(&s);
	stage_still_ns(&s, 100 * SECOND_NS);
	atomic_store(&s.ended, true);
	cr_assert_eq(stage_still_ns(&s, 200 * SECOND_NS), 0);
	cr_assert_eq(stage_still_ns(&s, 300 * SECOND_NS), 0);
}

Test(stage, watches_a_live_thread)
{
	cr_assert_eq(stage_start(&subject.stage, "watched", obey, &subject, -1), 0);
	make_turns(&subject, 3);
	cr_assert_eq(stage_still_ns(&subject.stage, 10 * SECOND_NS), 0);
	cr_assert_eq(stage_still_ns(&subject.stage, 12 * SECOND_NS), 2 * SECOND_NS);
	make_turns(&subject, 1);
	cr_assert_eq(stage_still_ns(&subject.stage, 13 * SECOND_NS), 0);
	end(&subject);
	cr_assert(stage_join(&subject.stage, 10000));
}

Test(stage, joins_one_that_was_not_started)
{
	struct stage s = { 0 };

	cr_assert(stage_join(&s, 0));
}

Test(stage, gives_up_joining_after_the_time_limit)
{
	cr_assert_eq(stage_start(&subject.stage, "stubborn", obey, &subject, -1), 0);
	uint64_t began_ns = clock_monotonic_ns();
	cr_assert_not(stage_join(&subject.stage, 300));
	uint64_t waited_ns = clock_monotonic_ns() - began_ns;
	cr_assert_geq(waited_ns, SECOND_NS / 5);
	cr_assert_lt(waited_ns, 5 * SECOND_NS);
	cr_assert(subject.stage.started, "it can be joined later");
	end(&subject);
	cr_assert(stage_join(&subject.stage, 10000));
	cr_assert_not(subject.stage.started);
	cr_assert(stage_join(&subject.stage, 0), "joining again is harmless");
}

/* The nanoseconds of the limit pass a full second from most starting points. */
Test(stage, joins_with_limits_just_below_a_second)
{
	cr_assert_eq(stage_start(&subject.stage, "brief", obey, &subject, -1), 0);
	end(&subject);
	cr_assert(stage_join(&subject.stage, 999));
}

Test(stage, names_the_thread_and_blocks_its_signals)
{
	sigset_t before, after;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	cr_assert_eq(stage_start(&subject.stage, "rx17", obey, &subject, -1), 0);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	end(&subject);
	cr_assert(stage_join(&subject.stage, 10000));
	cr_assert_str_eq(subject.name, "rx17");
	cr_assert(subject.blocks_signals);
	cr_assert_eq(sigismember(&before, SIGINT), sigismember(&after, SIGINT),
	             "the caller's mask is as it was");
}

Test(stage, cuts_a_name_that_is_too_long)
{
	cr_assert_eq(stage_start(&subject.stage, "a-name-of-many-letters", obey, &subject, -1), 0);
	end(&subject);
	cr_assert(stage_join(&subject.stage, 10000));
	cr_assert_str_eq(subject.name, "a-name-of-many-");
}

static int first_cpu(void)
{
	cpu_set_t allowed;

	cr_assert_eq(sched_getaffinity(0, sizeof allowed, &allowed), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET((unsigned)cpu, &allowed))
			return cpu;
	return -1;
}

Test(stage, pins_to_a_core)
{
	int cpu = first_cpu();

	cr_assert_eq(stage_start(&subject.stage, "pinned", obey, &subject, cpu), 0);
	end(&subject);
	cr_assert(stage_join(&subject.stage, 10000));
	cr_assert_eq(CPU_COUNT(&subject.cpus), 1);
	cr_assert(CPU_ISSET((unsigned)cpu, &subject.cpus));
}

Test(stage, refuses_a_core_that_is_not_there)
{
	cr_assert_eq(stage_start(&subject.stage, "nowhere", obey, &subject, CPU_SETSIZE - 1),
	             -EINVAL);
	cr_assert_not(subject.stage.started);
	cr_assert(stage_join(&subject.stage, 0));
}
