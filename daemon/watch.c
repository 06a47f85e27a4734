/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/watch.h"

static bool is_worse(const struct watch_rules *r, double value, double than)
{
	return r->low ? value < than : value > than;
}

static void note(struct watch *w, const struct watch_rules *r, const struct watch_look *look)
{
	if (!w->alarm.active && !w->pending)
		w->first = w->worst = *look;
	else if (is_worse(r, look->value, w->worst.value))
		w->worst = *look;
	w->last = *look;
}

static void raise_alarm(struct watch *w, const struct watch_rules *r)
{
	const struct watch_look *first = &w->first;

	w->alarm = (struct alarm){ .active = true,
		                   .times = w->alarm.times + 1,
		                   .since_ns = first->began_ns ? first->began_ns : first->real_ns,
		                   .of_frames = r->of_frames,
		                   .first_frame = first->began_ns ? first->before : first->frame,
		                   .last_frame = w->last.frame,
		                   .value = w->last.value,
		                   .limit = r->limit };
	w->pending = w->well = false;
	w->text_ns = w->last.steady_ns;
}

static enum watch_change take_passed(struct watch *w, const struct watch_rules *r,
                                     const struct watch_look *look)
{
	note(w, r, look);
	if (!w->alarm.active) {
		w->pending = true;
		if (look->steady_ns - w->first.steady_ns < r->for_ns)
			return WATCH_NOTHING;
		raise_alarm(w, r);
		return WATCH_RAISED;
	}
	w->well = false;
	w->alarm.last_frame = look->frame;
	w->alarm.value = look->value;
	if (look->steady_ns - w->text_ns < WATCH_RENEW_NS)
		return WATCH_NOTHING;
	w->text_ns = look->steady_ns;
	return WATCH_RENEWED;
}

enum watch_change watch_take(struct watch *w, const struct watch_rules *r,
                             const struct watch_look *look)
{
	if (look->passed)
		return take_passed(w, r, look);
	w->pending = false;
	if (!w->alarm.active)
		return WATCH_NOTHING;
	if (!w->well)
		w->well_ns = look->steady_ns;
	w->well = true;
	return look->steady_ns - w->well_ns < r->clear_ns ? WATCH_NOTHING : watch_end(w);
}

enum watch_change watch_end(struct watch *w)
{
	bool was_active = w->alarm.active;

	w->pending = w->well = w->alarm.active = false;
	if (!was_active)
		return WATCH_NOTHING;
	w->alarm.until_ns = w->last.real_ns;
	w->alarm.value = w->worst.value;
	return WATCH_ENDED;
}

double watch_seconds(const struct watch *w)
{
	return (double)(w->last.steady_ns - w->first.steady_ns) / 1e9;
}
