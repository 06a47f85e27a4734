/* SPDX-License-Identifier: Apache-2.0 */
/* Where the series of a dark or flat begins and ends, by the numbers of its frames. */
#include "daemon/calibrating.h"
#include "daemon/closing.h"
#include "daemon/collector.h"
#include "daemon/lineage.h"
#include "daemon/pipeline.h"

#define RESTART_LEAST 8 /* numbers beyond which the first one again is no late copy */

bool calibrating_has_all(struct collector *k)
{
	struct calibrating *c = &k->calibrating;

	if (c->state != CALIBRATION_COLLECTING || !c->own_series)
		return false;
	c->accepted++;
	return !k->lineage.told && c->accepted >= c->wanted;
}

/* How the numbers of the next series are judged. */
static struct series_rules next_rules(const struct collector *k)
{
	const struct calibrating *c = &k->calibrating;
	struct series_rules r = k->rules;

	if (c->state != CALIBRATION_COLLECTING || c->by_key || c->frames.frames > 0) {
		controlling_rules(k, &r);
		return r;
	}
	r.frames = c->wanted;
	if (!r.first_assumed)
		r.first_given = false;
	if (c->has_next_first && !r.first_given) {
		r.first_given = true;
		r.first = c->next_first;
	}
	return r;
}

void calibrating_rules(struct collector *k)
{
	calibrating_poll(k, clock_monotonic_ns());
	k->series.rules = next_rules(k);
	k->calibrating.has_next_first = false;
}

void calibrating_purpose(struct collector *k)
{
	static const enum purpose purposes[CALIBRATE_COUNT] = {
		[CALIBRATE_DARK] = PURPOSE_DARK,
		[CALIBRATE_FLAT] = PURPOSE_FLAT,
		[CALIBRATE_FLAT_DARK] = PURPOSE_FLAT_DARK,
	};
	struct calibrating *c = &k->calibrating;

	if (k->lineage.told) /* it was announced long ago, maybe */
		calibrating_poll(k, clock_monotonic_ns());
	c->after_own = false;
	c->own_series = c->state == CALIBRATION_COLLECTING && !c->by_key && c->frames.frames == 0;
	c->purpose = c->own_series ? purposes[c->role] : PURPOSE_SAMPLE;
}

/* Where the running series' numbers begin, as far as it is known. */
static uint64_t beginning(const struct series *s)
{
	return s->first_known ? s->first : s->smallest;
}

/* A dark or flat is over, though frames of it are missing: what comes is past its end, or counts
 * from its first number again. */
static bool is_passed(const struct collector *k, uint64_t position)
{
	const struct series *s = &k->series;
	uint64_t first = beginning(s);

	if (s->state != SERIES_OPEN || !s->any || !k->calibrating.own_series || k->lineage.told)
		return false;
	return position >= first + s->frames ||
	       (position == first && s->newest - first >= RESTART_LEAST);
}

/* After a dark or flat of a series of its own: whether the next series may begin with this. */
static void settle_own(struct collector *k, uint64_t position)
{
	struct calibrating *c = &k->calibrating;
	uint64_t first = beginning(&k->series), end = first + k->series.frames;
	bool runs_on = position >= end && position - end <= k->series.rules.reorder;

	/* What follows a dark of the sequence is of the next step. After one that was asked for,
	 * frames beyond the last are nobody's, until numbers begin anew. */
	if (!c->by_sequence && position != first)
		return;
	series_settle(&k->series);
	if (c->by_sequence)
		lineage_forget(k);
	if (c->by_sequence && runs_on) {
		c->next_first = end * k->series.rules.step + k->series.residue;
		c->has_next_first = true;
	}
}

void calibrating_settle(struct collector *k, uint64_t number)
{
	uint64_t position = number / k->series.rules.step;

	if (is_passed(k, position))
		closing_finish(k);
	if (k->series.state == SERIES_OPEN)
		return;
	calibrating_poll(k, clock_monotonic_ns());
	if (k->calibrating.after_own && k->series.state == SERIES_CLOSED)
		settle_own(k, position);
	k->series.rules = next_rules(k);
}
