/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/lost.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SINGLE_MAX 4096 /* entries that may keep their own times */

static bool merges(const struct lost_list *l, const struct loss *loss)
{
	const struct loss *last = l->count > l->held ? &l->at[l->count - 1] : NULL;
	bool bare;

	if (!last || last->state != loss->state || last->reason != loss->reason ||
	    last->flags != loss->flags || loss->number != last->number + last->repeat * l->step)
		return false;
	bare = !last->timestamp_ns && !last->received_ns && !loss->timestamp_ns &&
	       !loss->received_ns;
	return bare || l->count > SINGLE_MAX;
}

static int grow(struct lost_list *l)
{
	size_t capacity = l->capacity ? l->capacity * 2 : 64;
	struct loss *at = realloc(l->at, capacity * sizeof *at);

	if (!at)
		return -ENOMEM;
	l->at = at;
	l->capacity = capacity;
	return 0;
}

int lost_add(struct lost_list *l, const struct loss *loss)
{
	if (merges(l, loss)) {
		l->at[l->count - 1].repeat++;
		l->at[l->count - 1].timestamp_ns = 0;
		l->at[l->count - 1].received_ns = 0;
		return 0;
	}
	if (l->count == l->capacity && grow(l))
		return -ENOMEM;
	l->at[l->count] = *loss;
	l->at[l->count++].repeat = 1;
	return 0;
}

void lost_drop(struct lost_list *l, size_t count)
{
	if (count == 0)
		return;
	l->count -= count;
	memmove(l->at, l->at + count, l->count * sizeof *l->at);
}

void lost_record(const struct lost_list *l, size_t i, struct journal_record *ret)
{
	const struct loss *loss = &l->at[i];

	*ret = (struct journal_record){ .number = loss->number,
		                        .state = (enum frame_state)loss->state,
		                        .reason = loss->reason,
		                        .flags = loss->flags,
		                        .file = JOURNAL_NO_FILE,
		                        .timestamp_ns = loss->timestamp_ns,
		                        .received_ns = loss->received_ns,
		                        .rotation = NAN,
		                        .min = NAN,
		                        .max = NAN,
		                        .mean = NAN,
		                        .std = NAN,
		                        .raw_min = NAN,
		                        .raw_max = NAN,
		                        .raw_mean = NAN,
		                        .raw_std = NAN,
		                        .repeat = loss->repeat,
		                        .step = l->step };
}

void lost_done(struct lost_list *l)
{
	free(l->at);
	*l = (struct lost_list){ 0 };
}
