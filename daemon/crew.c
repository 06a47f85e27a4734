/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of one measurement. Each owns nothing, waits at the gate for the others, does its
 * share once and ends; crew_time_ns() joins them all. */
#include "daemon/crew.h"

#include "daemon/clock.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t opened;
	pthread_cond_t arrived;
	unsigned waiting;
	bool open;
};

struct member {
	struct gate *gate;
	crew_work_fn *work;
	void *user;
	unsigned index;
	pthread_t thread;
};

/* On the index-th core that the process may use, round and round. */
static void pin(unsigned index)
{
	cpu_set_t allowed, one;
	unsigned left;

	if (sched_getaffinity(0, sizeof allowed, &allowed))
		return;
	left = index % (unsigned)CPU_COUNT(&allowed);
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed) || left--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		pthread_setaffinity_np(pthread_self(), sizeof one, &one);
		return;
	}
}

static void wait_at(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->waiting++;
	pthread_cond_signal(&g->arrived);
	while (!g->open)
		pthread_cond_wait(&g->opened, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

static void *live(void *user)
{
	struct member *m = user;

	pin(m->index);
	wait_at(m->gate);
	if (m->work)
		m->work(m->user, m->index);
	return NULL;
}

/* Let everybody start once `members` are there; the time they did. */
static uint64_t open_gate(struct gate *g, unsigned members)
{
	uint64_t start;

	pthread_mutex_lock(&g->lock);
	while (g->waiting < members)
		pthread_cond_wait(&g->arrived, &g->lock);
	start = clock_now_ns();
	g->open = true;
	pthread_cond_broadcast(&g->opened);
	pthread_mutex_unlock(&g->lock);
	return start;
}

uint64_t crew_time_ns(unsigned members, crew_work_fn *work, void *user)
{
	struct gate gate = { .lock = PTHREAD_MUTEX_INITIALIZER,
		             .opened = PTHREAD_COND_INITIALIZER,
		             .arrived = PTHREAD_COND_INITIALIZER };
	struct member crew[CREW_MAX];
	unsigned made = 0;
	uint64_t start;

	if (members > CREW_MAX)
		members = CREW_MAX;
	for (; made < members; made++) {
		crew[made] = (struct member){ &gate, work, user, made, 0 };
		if (pthread_create(&crew[made].thread, NULL, live, &crew[made]))
			break;
	}
	for (unsigned i = 0; made < members && i < made; i++)
		crew[i].work = NULL; /* they are read behind the gate */
	start = open_gate(&gate, made);
	for (unsigned i = 0; i < made; i++)
		pthread_join(crew[i].thread, NULL);
	return made < members ? 0 : clock_now_ns() - start;
}
