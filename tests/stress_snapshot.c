/* SPDX-License-Identifier: Apache-2.0 */
/* One thread renews a board as fast as it can, others read it: what they see is of one moment, and
 * no older than what they saw before. */
#include "daemon/snapshot.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define READERS 2
#define WORDS   96
#define SECONDS 1.0

struct moment {
	uint64_t words[WORDS]; /* all the same */
};

static _Atomic uint64_t board[SNAPSHOT_WORDS(struct moment)];
static _Atomic bool stop;
static _Atomic uint64_t torn, back, reads;

static void *read_board(void *argument)
{
	struct moment m, first;
	uint64_t last = 0;

	while (!atomic_load(&stop)) {
		snapshot_get(board, &m, sizeof m);
		memset(&first, 0, sizeof first);
		for (unsigned i = 0; i < WORDS; i++)
			first.words[i] = m.words[0];
		if (memcmp(&first, &m, sizeof m) != 0)
			atomic_fetch_add(&torn, 1);
		if (m.words[0] < last)
			atomic_fetch_add(&back, 1);
		last = m.words[0];
		atomic_fetch_add(&reads, 1);
	}
	return argument;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(void)
{
	pthread_t readers[READERS];
	struct moment m;
	uint64_t turn = 0;
	double end = seconds() + SECONDS;

	for (unsigned i = 0; i < READERS; i++)
		if (pthread_create(&readers[i], NULL, read_board, NULL) != 0)
			return 77;
	while (seconds() < end) {
		turn++;
		for (unsigned i = 0; i < WORDS; i++)
			m.words[i] = turn;
		snapshot_put(board, &m, sizeof m);
		/* A collector does something in between. */
		for (volatile unsigned pause = 0; pause < 200; pause++)
			;
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	printf("%llu renewals, %llu reads, %llu torn, %llu went back\n", (unsigned long long)turn,
	       (unsigned long long)reads, (unsigned long long)torn, (unsigned long long)back);
	return torn == 0 && back == 0 && reads > 0 ? 0 : 1;
}
