/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_IDLE_H
#define DAEMON_IDLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* How threads wait for each other: pause, yield, then sleep in the kernel. A notifier that finds
 * nobody asleep makes no system call.
 *
 * The waiter:   if (nothing to do) { gate_prepare; if (still nothing) gate_sleep; gate_leave; }
 * The notifier: publish (seq_cst); gate_notify.
 *
 * Publication and the sleeper count are both sequentially consistent, so either the waiter sees
 * what was published or the notifier sees the waiter. */

/* Waited for with a futex, by any number of threads. */
struct gate {
	_Alignas(64) _Atomic uint32_t turn; /* notifiers; moves on with each wake */
	_Atomic uint32_t sleepers;          /* waiters */
};

/* Say that we are about to sleep; the value goes to gate_sleep(). */
static inline uint32_t gate_prepare(struct gate *g)
{
	/* acquire pairs with the release in gate_notify(): a stale turn only wakes us early. */
	uint32_t turn = atomic_load_explicit(&g->turn, memory_order_acquire);

	/* seq_cst pairs with the load of sleepers in gate_notify(). */
	atomic_fetch_add(&g->sleepers, 1);
	return turn;
}

/* Sleep until notified since gate_prepare(), or timeout_ns passed. May return early. */
void gate_sleep(struct gate *g, uint32_t turn, uint64_t timeout_ns);

/* After gate_prepare(), slept or not. */
static inline void gate_leave(struct gate *g)
{
	/* relaxed: a notifier that still counts us makes one wake too many. */
	atomic_fetch_sub_explicit(&g->sleepers, 1, memory_order_relaxed);
}

/* Wake up to `count` sleepers. What they wait for was published with seq_cst before. */
void gate_notify(struct gate *g, int count);

/* Waited for with an eventfd, by one thread that also waits for sockets or completions. */
struct bell {
	_Alignas(64) _Atomic bool asleep;
	int fd;
};

/* 0 or negative errno. */
int bell_open(struct bell *b);

/* Accepts a zeroed one. */
void bell_close(struct bell *b);

/* Say that we are about to sleep; then look again for work, then poll() on the fd. */
static inline void bell_prepare(struct bell *b)
{
	atomic_store(&b->asleep, true); /* seq_cst pairs with the load in bell_ring() */
}

/* After bell_prepare(), slept or not; empties the eventfd. */
void bell_leave(struct bell *b);

/* Wake the thread if it sleeps. What it waits for was published with seq_cst before. */
void bell_ring(struct bell *b);

/* Sleep on the fd alone for at most timeout_ms. */
void bell_sleep(struct bell *b, int timeout_ms);

/* Before sleeping: spin a little, then give the core away. `round` counts from 0; false when it
 * is time to sleep. */
bool idle_spin(unsigned round);

/* Time as a loop sees it pass: what lies between two turns counts up to a limit, so that a machine
 * that stood still, or a process that was stopped, is not taken for silence or a dead thread. */
struct watched_clock {
	uint64_t last_ns, now_ns;
};

/* Look at the clock. Returns its time. */
uint64_t watched_clock_ns(struct watched_clock *c, uint64_t monotonic_ns);

/* CLOCK_MONOTONIC and CLOCK_REALTIME in ns. */
uint64_t clock_monotonic_ns(void);
uint64_t clock_real_ns(void);

#endif
