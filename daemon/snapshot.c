/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/snapshot.h"

#include <sched.h>
#include <stdbool.h>
#include <string.h>

#define TRIES 8 /* before the core is given away: the writer may have been interrupted on it */

void snapshot_put(_Atomic uint64_t *board, const void *from, size_t bytes)
{
	/* relaxed: only this thread writes it. */
	uint64_t turn = atomic_load_explicit(&board[0], memory_order_relaxed);

	/* relaxed: ordered before the words by their release. */
	atomic_store_explicit(&board[0], turn + 1, memory_order_relaxed);
	for (size_t i = 0; i < bytes / sizeof(uint64_t); i++) {
		uint64_t word;

		memcpy(&word, (const char *)from + i * sizeof word, sizeof word);
		/* release pairs with the acquire in try_get(): who sees this word sees the odd
		 * turn. */
		atomic_store_explicit(&board[1 + i], word, memory_order_release);
	}
	/* release pairs with the first acquire in try_get(): publishes all words. */
	atomic_store_explicit(&board[0], turn + 2, memory_order_release);
}

static bool try_get(_Atomic uint64_t *board, void *ret, size_t bytes)
{
	/* acquire pairs with the last release in snapshot_put(). */
	uint64_t turn = atomic_load_explicit(&board[0], memory_order_acquire);

	if (turn % 2)
		return false;
	for (size_t i = 0; i < bytes / sizeof(uint64_t); i++) {
		/* acquire pairs with the release in snapshot_put(): a newer word shows the newer
		 * turn below. */
		uint64_t word = atomic_load_explicit(&board[1 + i], memory_order_acquire);

		memcpy((char *)ret + i * sizeof word, &word, sizeof word);
	}
	/* relaxed: ordered after the words by their acquire. */
	return atomic_load_explicit(&board[0], memory_order_relaxed) == turn;
}

void snapshot_get(_Atomic uint64_t *board, void *ret, size_t bytes)
{
	for (unsigned tries = 1; !try_get(board, ret, bytes); tries++)
		if (tries % TRIES == 0)
			sched_yield();
}
