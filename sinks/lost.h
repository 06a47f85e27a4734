/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_LOST_H
#define SINKS_LOST_H

#include "sinks/record.h"

#include <stddef.h>

/* Frames that were lost and wait for the journal. Neighbours with the same fate share an entry
 * where nothing else is known of them, and always once many wait, a little out of order too: a gap
 * of a million frames, or a disk that stays full for a day, takes no memory to speak of. */

struct loss {
	uint64_t number, repeat;
	uint64_t timestamp_ns, received_ns;
	uint32_t flags;
	uint8_t state, reason;
};

struct lost_list {
	uint64_t step; /* between the numbers of the series */
	size_t count, capacity;
	size_t held; /* the first so many are in a batch of the journal: not to be changed */
	struct loss *at;
};

/* 0 or -ENOMEM. repeat is 1. */
int lost_add(struct lost_list *l, const struct loss *loss);

/* Forget the first so many. */
void lost_drop(struct lost_list *l, size_t count);

/* Entry i as a record. */
void lost_record(const struct lost_list *l, size_t i, struct journal_record *ret);

/* Accepts a zeroed one. */
void lost_done(struct lost_list *l);

#endif
