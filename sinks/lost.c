/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/lost.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SINGLE_MAX 4096 /* entries that may keep their own times */
#define NEAR       16   /* entries that a number out of order may stand beside */

/* Whether the numbers of b go on where those of a end. */
static bool follows(const struct lost_list *l, const struct loss *a, const struct loss *b)
{
	return a->state == b->state && a->reason == b->reason && a->flags == b->flags &&
	       b->number == a->number + a->repeat * l->step;
}

static bool merges(const struct lost_list *l, const struct loss *loss)
{
	const struct loss *last = l->count > l->held ? &l->at[l->count - 1] : NULL;
	bool bare;

	if (!last || !follows(l, last, loss))
		return false;
	bare = !last->timestamp_ns && !last->received_ns && !loss->timestamp_ns &&
	       !loss->received_ns;
	return bare || l->count > SINGLE_MAX;
}

static void extend(struct loss *to, uint64_t number, uint64_t repeat)
{
	to->number = number;
	to->repeat += repeat;
	to->timestamp_ns = 0;
	to->received_ns = 0;
}

/* One of the last few that `loss` stands beside, on either side; NULL when none does. */
static struct loss *find_neighbour(const struct lost_list *l, const struct loss *loss)
{
	for (size_t i = l->count; i > l->held && l->count - i < NEAR; i--)
		if (&l->at[i - 1] != loss &&
		    (follows(l, &l->at[i - 1], loss) || follows(l, loss, &l->at[i - 1])))
			return &l->at[i - 1];
	return NULL;
}

static void join(struct lost_list *l, struct loss *to, const struct loss *loss)
{
	extend(to, loss->number < to->number ? loss->number : to->number, loss->repeat);
	/* What lay between two of them has made one of both. */
	loss = to;
	to = find_neighbour(l, loss);
	if (!to)
		return;
	extend(to, loss->number < to->number ? loss->number : to->number, loss->repeat);
	l->count--;
	memmove(&l->at[loss - l->at], loss + 1, (size_t)(&l->at[l->count] - loss) * sizeof *loss);
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
	struct loss one = *loss, *near;

	one.repeat = 1;
	if (merges(l, &one)) {
		extend(&l->at[l->count - 1], l->at[l->count - 1].number, 1);
		return 0;
	}
	near = l->count > SINGLE_MAX ? find_neighbour(l, &one) : NULL;
	if (near) {
		join(l, near, &one);
		return 0;
	}
	if (l->count == l->capacity && grow(l))
		return -ENOMEM;
	l->at[l->count++] = one;
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
		                        .dose = NAN,
		                        .repeat = loss->repeat,
		                        .step = l->step };
}

void lost_done(struct lost_list *l)
{
	free(l->at);
	*l = (struct lost_list){ 0 };
}
