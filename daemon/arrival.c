/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/arrival.h"

#define LAST UINT64_MAX /* rank of what would begin another series */

static bool has_number(const struct entry *e)
{
	return e->kind == ENTRY_FRAME || e->kind == ENTRY_DROPPED || e->kind == ENTRY_ASK;
}

/* A frame of the running series ranks by its number; what could begin another one goes last;
 * what belongs to none goes first. */
static uint64_t rank_of(const struct entry *e, const struct series *s)
{
	if (e->kind == ENTRY_REJECTED || e->kind == ENTRY_DUMMY)
		return 0;
	if (!has_number(e))
		return LAST;
	uint64_t position = e->frame.number / s->rules.step;
	bool back = s->state == SERIES_OPEN && s->any && position < s->newest &&
	            s->newest - position > s->rules.reorder;
	return back ? LAST : e->frame.number;
}

/* Would taking it decide something that a frame of another endpoint could still change? */
static bool could_be_early(const struct entry *e, const struct series *s, uint64_t rank)
{
	if (rank == 0 && !has_number(e))
		return false;
	if (rank == LAST || s->state != SERIES_OPEN || !s->any)
		return true;
	return e->frame.number / s->rules.step > s->newest + 1;
}

/* What an endpoint with an empty ring may still have to show. */
enum silence { SILENCE_ENDED, SILENCE_QUIET, SILENCE_BUSY };

static enum silence silence_of(const struct receiver *r)
{
	/* acquire pairs with receiver_run(): an ended one shows nothing more. */
	if (atomic_load_explicit(&r->stage.ended, memory_order_acquire))
		return SILENCE_ENDED;
	/* relaxed: a stale word makes us wait a turn more, or ARRIVAL_PATIENCE_NS. */
	return atomic_load_explicit(&r->quiet, memory_order_relaxed) ? SILENCE_QUIET : SILENCE_BUSY;
}

/* Must `e` wait for an endpoint that has nothing to show? A busy one has a message in hand, or
 * gets one as soon as slots come back from the sinks, so waiting for it always ends. A quiet one
 * gets a moment. A clock that was set back makes the difference huge: then nothing waits. */
static bool must_wait(const struct entry *e, enum silence silence, uint64_t now_real_ns)
{
	return silence == SILENCE_BUSY ||
	       (silence == SILENCE_QUIET &&
	        now_real_ns - e->frame.received_ns < ARRIVAL_PATIENCE_NS);
}

/* The smallest head, and the most that an endpoint without one may still show. */
static struct arrival smallest(struct receiver *receivers, unsigned count, const struct series *s,
                               enum silence *ret_silence, uint64_t *ret_rank)
{
	struct arrival found = { 0 };
	bool found_done = false;

	*ret_silence = SILENCE_ENDED;
	*ret_rank = 0;
	for (unsigned i = 0; i < count; i++) {
		bool done = false;
		const struct entry *e = sequence_head(&receivers[i].ring, &done);

		if (!e) {
			enum silence silence = silence_of(&receivers[i]);

			*ret_silence = silence > *ret_silence ? silence : *ret_silence;
			continue;
		}
		uint64_t rank = rank_of(e, s);
		if (found.head && rank >= *ret_rank)
			continue;
		found = (struct arrival){ &receivers[i], e, false };
		found_done = done;
		*ret_rank = rank;
	}
	return found_done ? found : (struct arrival){ 0 };
}

struct arrival arrival_any(struct receiver *receivers, unsigned count, const struct series *s)
{
	enum silence silence;
	uint64_t rank;

	return smallest(receivers, count, s, &silence, &rank);
}

struct arrival arrival_next(struct receiver *receivers, unsigned count, const struct series *s,
                            uint64_t now_real_ns)
{
	enum silence silence;
	uint64_t rank;
	struct arrival found = smallest(receivers, count, s, &silence, &rank);

	if (found.head && could_be_early(found.head, s, rank) &&
	    must_wait(found.head, silence, now_real_ns))
		return (struct arrival){ .patient = true };
	return found;
}
