/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/series.h"

#include <errno.h>
#include <stdlib.h>

#define JUMPS_TO_CONFIRM 3
#define NOTHING          UINT64_MAX

/* ---- the window ---- */

static struct series_slot *slot_at(const struct series *s, uint64_t position)
{
	return &s->window[position & (s->window_size - 1)];
}

static enum series_mark mark_of(const struct series *s, uint64_t position)
{
	const struct series_slot *w = slot_at(s, position);

	return w->position == position ? w->mark : MARK_NONE;
}

static void mark(struct series *s, uint64_t position, enum series_mark m, unsigned reason,
                 void *held)
{
	*slot_at(s, position) = (struct series_slot){ position, m, reason, held };
}

static uint64_t number_of(const struct series *s, uint64_t position)
{
	return position * s->rules.step + s->residue;
}

/* The last position of a series whose length is known; else NOTHING. */
static uint64_t last_position(const struct series *s)
{
	if (!s->first_known || s->frames == 0)
		return NOTHING;
	if (s->frames - 1 > NOTHING - 1 - s->first)
		return NOTHING;
	return s->first + s->frames - 1;
}

/* ---- what was declared missing ---- */

static void remember_missing(struct series *s, uint64_t position)
{
	if (s->missing_count > 0 && s->missing[s->missing_count - 1].high + 1 == position) {
		s->missing[s->missing_count - 1].high = position;
		return;
	}
	if (s->missing_count == s->missing_room) {
		uint64_t room = s->missing_room ? 2 * s->missing_room : 64;
		struct series_range *more = realloc(s->missing, room * sizeof *more);

		/* Without memory a very late frame would be taken for a restart: no loss. */
		if (!more)
			return;
		s->missing = more;
		s->missing_room = room;
	}
	s->missing[s->missing_count++] = (struct series_range){ position, position };
}

static bool was_missing(const struct series *s, uint64_t position)
{
	uint64_t low = 0, high = s->missing_count;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (s->missing[middle].high < position)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->missing_count && s->missing[low].low <= position;
}

/* ---- deciding ---- */

static enum missing missing_reason(const struct series *s, uint64_t position)
{
	enum series_mark m = mark_of(s, position);

	if (m == MARK_UNUSABLE)
		return MISSING_REJECTED;
	if (m == MARK_OVERLOAD)
		return MISSING_OVERLOAD_AT_SENDER;
	if (s->overload_low <= position && position <= s->overload_high)
		return MISSING_OVERLOAD_AT_SENDER;
	return MISSING_NEVER;
}

/* Decide the number at `next` for good, and move on. */
static void decide_next(struct series *s)
{
	uint64_t position = s->next++, number = number_of(s, position);
	struct series_slot w = *slot_at(s, position);

	switch (mark_of(s, position)) {
	case MARK_HELD:
		s->held--;
		mark(s, position, MARK_NONE, 0, NULL);
		s->output.place(s->output.user, number, w.held);
		return;
	case MARK_DROPPED:
		s->output.lose(s->output.user, number, FRAME_DROPPED, w.reason);
		return;
	case MARK_NONE:
		if (s->aborted && (!s->any || position > s->newest)) {
			s->output.lose(s->output.user, number, FRAME_DROPPED, DROPPED_ABORTED);
			return;
		}
		break;
	default:
		break;
	}
	remember_missing(s, position);
	s->output.lose(s->output.user, number, FRAME_MISSING, missing_reason(s, position));
}

static bool is_there(const struct series *s, uint64_t position)
{
	enum series_mark m = mark_of(s, position);

	return m == MARK_HELD || m == MARK_DROPPED;
}

static void place_what_is_next(struct series *s)
{
	while (s->first_known && is_there(s, s->next))
		decide_next(s);
}

/* Decide whatever can no longer come, now that `newest` was seen. */
static void decide_passed(struct series *s)
{
	uint64_t last = last_position(s);

	while (s->first_known && s->newest > s->next && s->newest - s->next > s->rules.reorder &&
	       s->next <= last)
		decide_next(s);
}

/* A known length is at least what was accepted: that has its place, whatever was said. */
static void keep_accepted(struct series *s)
{
	uint64_t end = s->next;

	if (!s->first_known || s->frames == 0)
		return;
	for (uint64_t i = 0; i < s->window_size; i++) {
		const struct series_slot *w = &s->window[i];

		if ((w->mark == MARK_HELD || w->mark == MARK_DROPPED) && w->position >= end)
			end = w->position + 1;
	}
	if (s->frames < end - s->first)
		s->frames = end - s->first;
}

static void fix_first(struct series *s, uint64_t first)
{
	s->first_known = true;
	s->first = s->next = first;
	keep_accepted(s);
	decide_passed(s);
	place_what_is_next(s);
}

static uint64_t smallest_seen(const struct series *s)
{
	return s->unusable_low < s->smallest ? s->unusable_low : s->smallest;
}

/* The first number is known once none smaller can be accepted any more. */
static void look_for_first(struct series *s)
{
	uint64_t span = s->newest - smallest_seen(s);

	if (s->first_known)
		return;
	if (s->accepted >= s->rules.reorder || span >= s->rules.reorder ||
	    (s->frames && span + 1 >= s->frames))
		fix_first(s, smallest_seen(s));
}

/* ---- a number arrives ---- */

static enum series_answer reject(struct series *s, enum reject reason)
{
	s->reason = reason;
	return SERIES_REJECTED;
}

static enum series_answer jumped(struct series *s, uint64_t position)
{
	bool agrees = s->jumps > 0 && position > s->jump_newest &&
	              position - s->jump_newest <= s->rules.reorder;

	s->jumps = agrees ? s->jumps + 1 : 1;
	s->jump_newest = position;
	if (!s->any && s->rules.first_assumed && s->jumps >= JUMPS_TO_CONFIRM) {
		s->first_known = false;
		return SERIES_ACCEPTED;
	}
	/* Without a frame so far a new series would stand where this one does. */
	return s->any && s->jumps >= JUMPS_TO_CONFIRM ? SERIES_RESTART : reject(s, REJECT_JUMP);
}

/* Is `position`, at or below the newest, the sign of a new series? */
static bool restarts(const struct series *s, uint64_t position)
{
	return s->newest - position > s->rules.reorder;
}

/* A number at or below the newest. SERIES_ACCEPTED: it fills a gap. */
static enum series_answer ask_back(struct series *s, uint64_t position)
{
	if (s->first_known && position == s->first && restarts(s, position))
		return SERIES_RESTART;
	if (was_missing(s, position))
		return reject(s, REJECT_LATE);
	if (restarts(s, position))
		return SERIES_RESTART;
	if (position > last_position(s)) /* a number further past the end came before */
		return reject(s, REJECT_NO_SERIES);
	if (is_there(s, position))
		return SERIES_DUPLICATE;
	if (!s->first_known)
		return SERIES_ACCEPTED;
	if (position < s->first)
		return reject(s, REJECT_LATE);
	return position < s->next ? SERIES_DUPLICATE : SERIES_ACCEPTED;
}

/* A number beyond the newest, by `distance` steps. */
static enum series_answer ask_ahead(struct series *s, uint64_t position, uint64_t distance)
{
	if (distance > s->rules.max_gap)
		return jumped(s, position);
	if (!s->first_known && s->frames && s->any && position - smallest_seen(s) >= s->frames)
		fix_first(s, smallest_seen(s));
	if (position <= last_position(s))
		return SERIES_ACCEPTED;
	/* Past the end: not ours, but what is still open before it will not come either. */
	s->newest = position;
	decide_passed(s);
	place_what_is_next(s);
	return reject(s, REJECT_NO_SERIES);
}

static enum series_answer ask_open(struct series *s, uint64_t number)
{
	uint64_t position = number / s->rules.step;

	if (!s->any && !s->rules.first_given) {
		s->residue = number % s->rules.step;
		return SERIES_ACCEPTED;
	}
	if (s->rules.first_given && number < s->rules.first)
		return reject(s, REJECT_NO_SERIES);
	if (number % s->rules.step != s->residue)
		return reject(s, REJECT_STEP);
	if (!s->any)
		return ask_ahead(s, position, position - s->first);
	if (position > s->newest)
		return ask_ahead(s, position, position - s->newest);
	return ask_back(s, position);
}

/* After the end: only what a running series would take for a restart. */
static enum series_answer ask_closed(struct series *s, uint64_t number)
{
	uint64_t position = number / s->rules.step;

	if (s->rules.first_given && number < s->rules.first)
		return reject(s, REJECT_NO_SERIES);
	if (s->any && position <= s->newest && restarts(s, position))
		return SERIES_RESTART;
	return reject(s, REJECT_NO_SERIES);
}

static enum series_answer ask(struct series *s, uint64_t number)
{
	if (s->state == SERIES_OPEN)
		return ask_open(s, number);
	if (s->state == SERIES_CLOSED)
		return ask_closed(s, number);
	if (s->rules.first_given && number < s->rules.first)
		return reject(s, REJECT_NO_SERIES);
	return SERIES_RESTART;
}

/* Numbers between the newest and `position` were lost at a sender that could not wait. */
static void mark_overload(struct series *s, uint64_t position)
{
	s->overload_low = s->newest + 1;
	s->overload_high = position - 1;
	for (uint64_t p = position; p-- > s->overload_low && position - p <= s->rules.reorder;)
		if (mark_of(s, p) == MARK_NONE)
			mark(s, p, MARK_OVERLOAD, 0, NULL);
}

static void take(struct series *s, uint64_t number, enum series_mark m, unsigned reason, void *held)
{
	uint64_t position = number / s->rules.step;

	s->jumps = 0;
	if (!s->any) {
		s->smallest = position;
		s->newest = position;
		s->any = true;
	}
	if (position < s->smallest)
		s->smallest = position;
	if (position > s->newest)
		s->newest = position;
	/* Before the mark: what a jump leaves behind must not share its place in the window. */
	look_for_first(s);
	decide_passed(s);
	mark(s, position, m, reason, held);
	s->held += m == MARK_HELD;
	s->accepted++;
}

static void apply_early(struct series *s)
{
	unsigned count = s->early_count;

	s->early_count = 0;
	for (unsigned i = 0; i < count; i++)
		series_unusable(s, s->early[i]);
}

static enum series_answer arrive(struct series *s, uint64_t number, enum series_mark m,
                                 unsigned reason, void *held, bool gap_at_sender)
{
	enum series_answer answer = ask(s, number);
	uint64_t position = number / s->rules.step;

	if (answer != SERIES_ACCEPTED)
		return answer;
	if (gap_at_sender && s->any && position > s->newest + 1)
		mark_overload(s, position);
	bool begins = !s->any;
	take(s, number, m, reason, held);
	if (begins)
		apply_early(s);
	look_for_first(s);
	place_what_is_next(s);
	return SERIES_ACCEPTED;
}

enum series_answer series_frame(struct series *s, uint64_t number, void *held, bool gap_at_sender)
{
	return arrive(s, number, MARK_HELD, 0, held, gap_at_sender);
}

enum series_answer series_drop(struct series *s, uint64_t number, enum dropped reason)
{
	return arrive(s, number, MARK_DROPPED, reason, NULL, false);
}

void series_unusable(struct series *s, uint64_t number)
{
	uint64_t position = number / s->rules.step;

	if (s->state != SERIES_OPEN || (!s->any && !s->first_known)) {
		if (s->early_count < sizeof s->early / sizeof *s->early)
			s->early[s->early_count++] = number;
		return;
	}
	if (number % s->rules.step != s->residue || position > last_position(s))
		return;
	if (s->first_known ? position < s->next : s->newest > position && restarts(s, position))
		return;
	if (position > s->newest && position - s->newest > s->rules.reorder)
		return;
	enum series_mark m = mark_of(s, position);
	if (m != MARK_NONE && m != MARK_OVERLOAD)
		return;
	mark(s, position, MARK_UNUSABLE, 0, NULL);
	if (position < s->unusable_low)
		s->unusable_low = position;
	if (s->unusable_high == NOTHING || position > s->unusable_high)
		s->unusable_high = position;
}

bool series_force(struct series *s)
{
	if (s->state != SERIES_OPEN || s->held == 0)
		return false;
	if (!s->first_known) {
		fix_first(s, smallest_seen(s));
		return true;
	}
	while (!is_there(s, s->next))
		decide_next(s);
	place_what_is_next(s);
	return true;
}

/* The last position that is expected or was seen. */
static uint64_t end_position(const struct series *s)
{
	uint64_t last = last_position(s);

	if (last != NOTHING)
		return last;
	if (s->unusable_high != NOTHING && s->unusable_high > s->newest &&
	    s->unusable_high - s->newest <= s->rules.reorder)
		return s->unusable_high;
	return s->newest;
}

void series_stop(struct series *s)
{
	if (s->state != SERIES_OPEN)
		return;
	s->stopped = true;
	s->frames = 0;
}

void series_abort(struct series *s)
{
	s->aborted = s->state == SERIES_OPEN;
}

bool series_complete(const struct series *s)
{
	return s->state == SERIES_OPEN && s->first_known && s->frames > 0 &&
	       s->next > last_position(s);
}

/* A detector that was told to make a million million frames and then stopped has not lost them:
 * what is missing behind the last frame is bounded like any other gap. */
static void cut_tail(struct series *s)
{
	uint64_t last = last_position(s), seen = s->any ? s->newest : s->first;

	if (!s->announced || !s->first_known || s->frames == 0 || last <= seen ||
	    (last != NOTHING && last - seen <= s->rules.max_gap))
		return;
	s->cut = true;
	s->frames = 0;
}

void series_finish(struct series *s)
{
	if (s->state != SERIES_OPEN)
		return;
	if (s->any && !s->first_known)
		fix_first(s, smallest_seen(s));
	cut_tail(s);
	if (s->first_known && (s->any || s->frames))
		while (s->next <= end_position(s))
			decide_next(s);
	s->state = SERIES_CLOSED;
}

void series_settle(struct series *s)
{
	if (s->state == SERIES_CLOSED)
		s->state = SERIES_IDLE;
	if (s->state == SERIES_IDLE)
		s->early_count = 0;
}

uint64_t series_expected(const struct series *s)
{
	if (s->frames)
		return s->frames;
	if (!s->any)
		return 0;
	return end_position(s) - (s->first_known ? s->first : smallest_seen(s)) + 1;
}

const char *series_expected_from(const struct series *s)
{
	return s->cut || s->stopped ? "seen"
	       : s->announced       ? "protocol"
	       : s->frames          ? "config"
	                            : "seen";
}

/* ---- life ---- */

void series_announce(struct series *s, uint64_t announced)
{
	if (s->state != SERIES_OPEN || announced == 0 || s->announced || s->rules.frames_given)
		return;
	s->announced = true;
	s->announced_frames = s->frames = announced;
	keep_accepted(s);
}

void series_begin(struct series *s, uint64_t announced)
{
	s->announced_frames = announced;
	announced = s->rules.frames_given ? 0 : announced;
	s->announced = announced != 0;
	s->cut = s->stopped = s->aborted = false;
	s->frames = announced ? announced : s->rules.frames;
	s->state = SERIES_OPEN;
	s->any = false;
	s->first_known = s->rules.first_given;
	s->first = s->next = s->rules.first_given ? s->rules.first / s->rules.step : 0;
	s->residue = s->rules.first_given ? s->rules.first % s->rules.step : 0;
	s->newest = s->first;
	s->smallest = NOTHING;
	s->held = s->accepted = 0;
	s->unusable_low = s->unusable_high = NOTHING;
	s->jumps = 0;
	s->overload_low = 1;
	s->overload_high = 0;
	s->missing_count = 0;
	for (uint64_t i = 0; i < s->window_size; i++)
		s->window[i] = (struct series_slot){ .mark = MARK_NONE };
}

int series_open(struct series *s, const struct series_rules *rules,
                const struct series_output *output)
{
	*s = (struct series){ .rules = *rules, .output = *output };
	/* Positions from `reorder` behind the newest to `reorder` ahead of it are told apart. */
	s->window_size = 4;
	while (s->window_size < 2 * rules->reorder + 2)
		s->window_size *= 2;
	s->window = calloc(s->window_size, sizeof *s->window);
	if (!s->window)
		return -ENOMEM;
	return 0;
}

void series_close(struct series *s)
{
	free(s->window);
	free(s->missing);
	*s = (struct series){ 0 };
}
