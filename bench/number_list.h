/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_NUMBER_LIST_H
#define BENCH_NUMBER_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* A growing list of frame numbers. Zeroed is empty; numbers are free()d by the owner. */
struct number_list {
	uint64_t *at;
	size_t count, room;
};

/* Append. False without memory; the list is then as before. */
static inline bool number_list_add(struct number_list *l, uint64_t number)
{
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		uint64_t *at = realloc(l->at, room * sizeof *at);

		if (!at)
			return false;
		l->at = at;
		l->room = room;
	}
	l->at[l->count++] = number;
	return true;
}

#endif
