/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/idle.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SPINS         40
#define YIELDS        4
#define TURN_LIMIT_NS 250000000u

void gate_sleep(struct gate *g, uint32_t turn, uint64_t timeout_ns)
{
	struct timespec limit = {
		.tv_sec = (time_t)(timeout_ns / 1000000000u),
		.tv_nsec = (long)(timeout_ns % 1000000000u),
	};

	syscall(SYS_futex, &g->turn, FUTEX_WAIT_PRIVATE, turn, &limit, NULL, 0);
}

void gate_notify(struct gate *g, int count)
{
	/* seq_cst pairs with the increment in gate_prepare(). */
	if (atomic_load(&g->sleepers) == 0)
		return;
	atomic_fetch_add_explicit(&g->turn, 1, memory_order_release);
	syscall(SYS_futex, &g->turn, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

int bell_open(struct bell *b)
{
	atomic_init(&b->asleep, false);
	b->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return b->fd < 0 ? -errno : 0;
}

void bell_close(struct bell *b)
{
	if (b->fd > 0)
		close(b->fd);
	b->fd = 0;
}

void bell_leave(struct bell *b)
{
	uint64_t rings;

	atomic_store_explicit(&b->asleep, false,
	                      memory_order_relaxed); /* stale: one ring too many */
	while (read(b->fd, &rings, sizeof rings) < 0 && errno == EINTR)
		;
}

void bell_ring(struct bell *b)
{
	uint64_t one = 1;

	/* seq_cst pairs with the store in bell_prepare(). */
	if (!atomic_load(&b->asleep))
		return;
	/* Full (EAGAIN) is as good as rung. */
	while (write(b->fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

void bell_sleep(struct bell *b, int timeout_ms)
{
	struct pollfd wait = { .fd = b->fd, .events = POLLIN };

	poll(&wait, 1, timeout_ms);
}

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

bool idle_spin(unsigned round)
{
	if (round < SPINS) {
		relax();
		return true;
	}
	if (round < SPINS + YIELDS) {
		sched_yield();
		return true;
	}
	return false;
}

uint64_t watched_clock_ns(struct watched_clock *c, uint64_t monotonic_ns)
{
	uint64_t passed = c->last_ns ? monotonic_ns - c->last_ns : 1;

	c->last_ns = monotonic_ns;
	c->now_ns += passed < TURN_LIMIT_NS ? passed : TURN_LIMIT_NS;
	return c->now_ns;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t clock_real_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}
