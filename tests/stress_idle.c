/* SPDX-License-Identifier: Apache-2.0 */
/* Two threads hand a turn to each other, through two gates and then through two bells, as fast as
 * they can and with random delays. The answer to a turn comes at once, so a sleep that lasts to
 * its time limit is a wake-up that was lost: that fails. */
#include "daemon/idle.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define LIMIT_NS    ((uint64_t)5 * 1000000000u) /* of one sleep */
#define TIME_NS     ((uint64_t)3 * 1000000000u) /* of one game */
#define LEAST_TURNS 1000u

struct side {
	_Alignas(64) _Atomic uint64_t turns; /* played by this side */
	struct gate gate;                    /* where the other side waits for them */
	struct bell bell;
};

struct game {
	struct side sides[2];
	bool bells;
	uint64_t until_ns;
	_Atomic bool over;
	_Atomic unsigned lost, slept;
};

struct player {
	struct game *game;
	unsigned me;
	uint64_t random; /* xorshift */
};

static uint64_t next_random(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

/* Half the time nothing, else up to what a look at the other side takes. */
static void dawdle(uint64_t *random)
{
	unsigned rounds = (unsigned)(next_random(random) % 128);

	if (rounds >= 64)
		return;
	for (volatile unsigned i = 0; i < rounds; i++)
		;
}

/* The side plays alternately: mine follows each of theirs. */
static bool my_turn(const struct game *g, const struct side *theirs, uint64_t wanted)
{
	return atomic_load(&theirs->turns) >= wanted || atomic_load(&g->over);
}

static void sleep_at_gate(struct game *g, struct side *theirs, uint64_t wanted, uint64_t *random)
{
	uint32_t turn = gate_prepare(&theirs->gate);

	dawdle(random);
	if (!my_turn(g, theirs, wanted)) {
		dawdle(random);
		gate_sleep(&theirs->gate, turn, LIMIT_NS);
	}
	gate_leave(&theirs->gate);
}

static void sleep_at_bell(struct game *g, struct side *theirs, uint64_t wanted, uint64_t *random)
{
	bell_prepare(&theirs->bell);
	dawdle(random);
	if (!my_turn(g, theirs, wanted)) {
		dawdle(random);
		bell_sleep(&theirs->bell, (int)(LIMIT_NS / 1000000u));
	}
	bell_leave(&theirs->bell);
}

static void wait_for_turn(struct game *g, struct side *theirs, uint64_t wanted, uint64_t *random)
{
	while (!my_turn(g, theirs, wanted)) {
		uint64_t began_ns = clock_monotonic_ns();

		if (g->bells)
			sleep_at_bell(g, theirs, wanted, random);
		else
			sleep_at_gate(g, theirs, wanted, random);
		/* relaxed: read after joining. */
		atomic_fetch_add_explicit(&g->slept, 1, memory_order_relaxed);
		if (clock_monotonic_ns() - began_ns >= LIMIT_NS)
			atomic_fetch_add_explicit(&g->lost, 1, memory_order_relaxed);
	}
}

static void notify(const struct game *g, struct side *mine)
{
	if (g->bells)
		bell_ring(&mine->bell);
	else
		gate_notify(&mine->gate, 1);
}

static void *play(void *argument)
{
	struct player *p = argument;
	struct game *g = p->game;
	struct side *mine = &g->sides[p->me], *theirs = &g->sides[1 - p->me];

	for (uint64_t turn = 0; !atomic_load(&g->over); turn++) {
		wait_for_turn(g, theirs, p->me == 0 ? turn : turn + 1, &p->random);
		dawdle(&p->random);
		atomic_store(&mine->turns, turn + 1);
		if (turn % 64 == 0 && clock_monotonic_ns() >= g->until_ns)
			atomic_store(&g->over, true);
		notify(g, mine);
	}
	return NULL;
}

static bool run_game(bool bells)
{
	static struct game g;
	struct player players[2] = { { &g, 0, 88172645463325252u }, { &g, 1, 362436069u } };
	pthread_t threads[2];

	g = (struct game){ .bells = bells, .until_ns = clock_monotonic_ns() + TIME_NS };
	for (unsigned i = 0; i < 2; i++)
		if (bell_open(&g.sides[i].bell) < 0)
			return false;
	for (unsigned i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, play, &players[i]) != 0)
			abort();
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < 2; i++)
		bell_close(&g.sides[i].bell);
	uint64_t turns = g.sides[0].turns + g.sides[1].turns;
	printf("%s: %llu turns, %u sleeps, %u wake-ups lost\n", bells ? "bell" : "gate",
	       (unsigned long long)turns, g.slept, g.lost);
	return g.lost == 0 && turns >= LEAST_TURNS && g.slept > 0;
}

/* A gate with several sleepers: told to wake all, it does. */
struct crowd {
	struct gate gate;
	_Atomic uint64_t round;
	_Alignas(64) _Atomic uint64_t arrived;
	_Atomic unsigned lost;
};

#define CROWD  3u
#define ROUNDS 2000u

static void *follow(void *argument)
{
	struct crowd *c = argument;

	for (uint64_t round = 1; round <= ROUNDS; round++) {
		while (atomic_load(&c->round) < round) {
			uint64_t began_ns = clock_monotonic_ns();
			uint32_t turn = gate_prepare(&c->gate);

			if (atomic_load(&c->round) < round)
				gate_sleep(&c->gate, turn, LIMIT_NS);
			gate_leave(&c->gate);
			if (clock_monotonic_ns() - began_ns >= LIMIT_NS)
				atomic_fetch_add(&c->lost, 1);
		}
		atomic_fetch_add(&c->arrived, 1);
	}
	return NULL;
}

static bool run_crowd(void)
{
	static struct crowd c;
	pthread_t threads[CROWD];

	for (unsigned i = 0; i < CROWD; i++)
		if (pthread_create(&threads[i], NULL, follow, &c) != 0)
			abort();
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		atomic_store(&c.round, round);
		gate_notify(&c.gate, (int)CROWD);
		for (unsigned spins = 0; atomic_load(&c.arrived) < round * CROWD;)
			if (!idle_spin(spins++))
				spins = 0;
	}
	for (unsigned i = 0; i < CROWD; i++)
		pthread_join(threads[i], NULL);
	printf("crowd: %u rounds of %u, %u wake-ups lost\n", ROUNDS, CROWD, c.lost);
	return c.lost == 0;
}

int main(void)
{
	bool good = run_game(false);

	good = run_game(true) && good;
	good = run_crowd() && good;
	return good ? 0 : 1;
}
