/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/stage.h"
#include "daemon/idle.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

int stage_start(struct stage *s, const char *name, void *(*body)(void *), void *argument, int cpu)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int err;

	snprintf(s->name, sizeof s->name, "%s", name);
	pthread_attr_init(&attributes);
	if (cpu >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((unsigned)cpu, &set);
		pthread_attr_setaffinity_np(&attributes, sizeof set, &set);
	}
	sigfillset(&all);
	sigdelset(&all, SIGBUS); /* of shared memory that is cut short: ingest/shm_map.c */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&s->thread, &attributes, body, argument);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (err != 0)
		return -err;
	pthread_setname_np(s->thread, s->name);
	s->started = true;
	return 0;
}

bool stage_join(struct stage *s, unsigned timeout_ms)
{
	struct timespec limit;

	if (!s->started)
		return true;
	clock_gettime(CLOCK_MONOTONIC, &limit);
	limit.tv_sec += timeout_ms / 1000;
	limit.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (limit.tv_nsec >= 1000000000) {
		limit.tv_sec++;
		limit.tv_nsec -= 1000000000;
	}
	if (pthread_clockjoin_np(s->thread, NULL, CLOCK_MONOTONIC, &limit) != 0)
		return false;
	s->started = false;
	return true;
}

const char *stage_wait_name(enum stage_wait w)
{
	static const char *const names[] = { "messages", "room", "frames" };

	return names[w];
}

void stage_waited(struct stage *s, enum stage_wait w, uint64_t from_ns)
{
	uint64_t passed = clock_monotonic_ns() - from_ns;

	/* relaxed: only this thread writes it; a figure for people. */
	atomic_store_explicit(&s->waited_ns[w],
	                      atomic_load_explicit(&s->waited_ns[w], memory_order_relaxed) + passed,
	                      memory_order_relaxed);
}

uint64_t stage_still_ns(struct stage *s, uint64_t now_ns)
{
	uint64_t turns = atomic_load_explicit(&s->turns, memory_order_relaxed); /* a figure */

	if (turns != s->turns_seen || s->seen_ns == 0 ||
	    atomic_load_explicit(&s->ended, memory_order_relaxed)) {
		s->turns_seen = turns;
		s->seen_ns = now_ns;
	}
	return now_ns - s->seen_ns;
}

static enum pulse pulse_of(const struct stage *s, uint64_t still_ns, uint64_t limit_ns)
{
	if (!s->started || still_ns < limit_ns)
		return PULSE_MOVES;
	/* relaxed: a hint which of the two it is. */
	return atomic_load_explicit(&s->on_disk, memory_order_relaxed) ? PULSE_ON_DISK
	                                                               : PULSE_STILL;
}

void vitals_take(struct vitals *v, struct stage *s, uint64_t now_ns, uint64_t limit_ns)
{
	uint64_t still_ns = stage_still_ns(s, now_ns);
	enum pulse pulse = pulse_of(s, still_ns, limit_ns);

	if (pulse > v->pulse || (pulse == v->pulse && still_ns > v->still_ns && v->stage))
		*v = (struct vitals){ pulse, s, still_ns };
}
