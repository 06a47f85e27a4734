/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_STAGE_H
#define DAEMON_STAGE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What a thread sleeps for. */
enum stage_wait {
	WAIT_MESSAGES, /* receivers */
	WAIT_ROOM,     /* receivers: the buffer is full, or the layout changes */
	WAIT_FRAMES,   /* workers, the collector */
	WAIT_COUNT
};

/* "messages", "room", "frames". */
const char *stage_wait_name(enum stage_wait w);

/* One thread of the pipeline as the main thread sees it. */
struct stage {
	char name[16]; /* as `top -H` shows it */
	pthread_t thread;
	bool started;
	_Alignas(64) _Atomic uint64_t turns; /* the thread: moves on with each turn of its loop */
	_Atomic bool on_disk; /* the thread: waiting for the disk, which may take its time */
	_Atomic bool ended;   /* the thread: returned */
	_Atomic uint64_t waited_ns[WAIT_COUNT]; /* the thread: slept so long since it began */

	/* Main thread: what stage_still_ns() last saw, and when. */
	uint64_t turns_seen, seen_ns;
};

/* Start a named thread, all signals blocked, pinned to `cpu` unless negative. 0 or negative
 * errno. */
int stage_start(struct stage *s, const char *name, void *(*body)(void *), void *argument, int cpu);

/* Wait for the thread, at most timeout_ms; false when it did not end. Accepts one not started. */
bool stage_join(struct stage *s, unsigned timeout_ms);

/* The loop turned. The thread itself. */
static inline void stage_turn(struct stage *s)
{
	/* relaxed: only this thread writes it, and a stale figure delays an alarm, no more. */
	uint64_t turns = atomic_load_explicit(&s->turns, memory_order_relaxed);

	atomic_store_explicit(&s->turns, turns + 1, memory_order_relaxed);
}

/* It slept since CLOCK_MONOTONIC from_ns. The thread itself, where it slept at all. */
void stage_waited(struct stage *s, enum stage_wait w, uint64_t from_ns);

/* Nanoseconds since the loop last turned, as far as repeated calls could tell. Main thread. */
uint64_t stage_still_ns(struct stage *s, uint64_t now_ns);

/* How a thread is: it turns; it stands still, but for the disk; it stands still. */
enum pulse { PULSE_MOVES, PULSE_ON_DISK, PULSE_STILL };

/* The worst of several threads; zeroed: none was looked at. */
struct vitals {
	enum pulse pulse;
	const struct stage *stage; /* whose it is; NULL: all move */
	uint64_t still_ns;
};

/* Look at one more. It moves when its loop turned within limit_ns, for work or for none; also when
 * it was not started, or has ended. Main thread. */
void vitals_take(struct vitals *v, struct stage *s, uint64_t now_ns, uint64_t limit_ns);

#endif
