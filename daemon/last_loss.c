/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/last_loss.h"

#include <string.h>

#define SECOND_NS 1000000000u
#define AGAIN_NS  ((uint64_t)10 * SECOND_NS)

_Static_assert(sizeof(struct loss_record) % sizeof(uint64_t) == 0, "whole words");

/* ---- samples ---- */

static const struct loss_sample *newest(const struct last_loss *l)
{
	return &l->at[(l->count - 1) % LOSS_SAMPLES];
}

/* Of those that are kept: 0 is the newest. NULL: it is not there, or more than a second old. */
static const struct loss_sample *sample_before(const struct last_loss *l, uint64_t back)
{
	const struct loss_sample *s;

	if (back >= l->count || back >= LOSS_SAMPLES)
		return NULL;
	s = &l->at[(l->count - 1 - back) % LOSS_SAMPLES];
	return newest(l)->ns - s->ns <= SECOND_NS ? s : NULL;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* What a sample adds to a burst. */
static void describe(struct loss_record *r, const struct loss_sample *s)
{
	double used = s->slots ? (double)s->used / (double)s->slots : 0;

	r->write_ns = larger(r->write_ns, s->write_ns);
	r->sync_ns = larger(r->sync_ns, s->sync_ns);
	r->buffer_used = used > r->buffer_used ? used : r->buffer_used;
	if (!s->full)
		return;
	r->samples++;
	r->used += s->used;
	r->unclaimed += s->unclaimed;
	r->held += s->held;
}

static void note_full(struct last_loss *l, struct loss_record *r)
{
	if (l->full_since_ns)
		r->full_ns = larger(r->full_ns, newest(l)->ns - l->full_since_ns);
}

static double per_second(uint64_t now, uint64_t before, uint64_t ns)
{
	return ns > 0 && now > before ? (double)(now - before) * 1e9 / (double)ns : 0;
}

static void describe_rates(const struct last_loss *l, struct loss_record *r)
{
	const struct loss_sample *now = newest(l), *oldest = now, *s;

	for (uint64_t back = 0; (s = sample_before(l, back)); back++)
		oldest = s;
	uint64_t ns = now->ns - oldest->ns;

	r->fps = per_second(now->frames, oldest->frames, ns);
	r->bytes_in_per_s = per_second(now->bytes_in, oldest->bytes_in, ns);
	r->bytes_out_per_s = per_second(now->bytes_out, oldest->bytes_out, ns);
}

static void describe_second(struct last_loss *l, struct loss_record *r)
{
	const struct loss_sample *s;

	if (l->count == 0)
		return;
	for (uint64_t back = 0; (s = sample_before(l, back)); back++)
		describe(r, s);
	r->under_way = newest(l)->under_way;
	describe_rates(l, r);
	note_full(l, r);
}

/* ---- bursts ---- */

static unsigned kind_of(const struct lost_frame *f)
{
	return f->state == FRAME_DROPPED ? f->reason : DROPPED_COUNT + f->reason;
}

static bool is_over(const struct loss_burst *b, uint64_t now_ns)
{
	return b->last_ns == 0 || now_ns > b->last_ns + SECOND_NS;
}

static void publish(struct last_loss *l)
{
	const struct loss_record *r = &l->kinds[l->shown].record;

	snapshot_put(l->board, r, sizeof *r);
}

void last_loss_sample(struct last_loss *l, const struct loss_sample *s)
{
	l->at[l->count++ % LOSS_SAMPLES] = *s;
	if (s->full && l->full_since_ns == 0)
		l->full_since_ns = s->ns;
	else if (s->used * 2 < s->slots) /* a slot that just came back changes nothing */
		l->full_since_ns = 0;
	for (unsigned i = 0; l->open && i < LOSS_KINDS; i++) {
		if (!(l->open >> i & 1))
			continue;
		describe(&l->kinds[i].record, s);
		note_full(l, &l->kinds[i].record);
	}
	if (l->open >> l->shown & 1)
		publish(l);
}

void last_loss_begin(struct last_loss *l)
{
	memset(l->kinds, 0, sizeof l->kinds);
	l->open = 0;
}

bool last_loss_begins(const struct last_loss *l, const struct lost_frame *f)
{
	return is_over(&l->kinds[kind_of(f)], f->monotonic_ns);
}

void last_loss_add(struct last_loss *l, const struct lost_frame *f)
{
	struct loss_burst *b = &l->kinds[kind_of(f)];
	bool begins = last_loss_begins(l, f);

	if (begins) {
		*b = (struct loss_burst){ .began_ns = f->monotonic_ns,
			                  .told_ns = f->monotonic_ns,
			                  .record = { .time_ns = f->real_ns,
			                              .series = f->series,
			                              .step = f->step,
			                              .first_frame = f->number,
			                              .last_frame = f->number,
			                              .state = f->state,
			                              .reason = f->reason } };
		describe_second(l, &b->record);
	}
	if (f->number < b->record.first_frame)
		b->record.first_frame = f->number;
	b->record.last_frame = larger(b->record.last_frame, f->number + (f->count - 1) * f->step);
	b->record.frames += f->count;
	/* Who joins in the middle of an overload has seen no second of it. */
	if (l->count > 0 && newest(l)->ns > b->last_ns && f->monotonic_ns - b->began_ns < SECOND_NS)
		describe_rates(l, &b->record);
	b->last_ns = f->monotonic_ns;
	l->open |= 1u << kind_of(f);
	l->shown = kind_of(f);
	publish(l);
}

bool last_loss_due(struct last_loss *l, uint64_t now_ns, bool all, struct loss_record *ret)
{
	for (unsigned i = 0; l->open && i < LOSS_KINDS; i++) {
		struct loss_burst *b = &l->kinds[i];
		bool over = all || is_over(b, now_ns);

		if (!(l->open >> i & 1))
			continue;
		if (!over && now_ns < b->told_ns + AGAIN_NS)
			continue;
		*ret = b->record;
		b->told_ns = now_ns;
		if (over) {
			b->last_ns = 0;
			l->open &= ~(1u << i);
		}
		return true;
	}
	return false;
}

enum loss_cause last_loss_cause(const struct loss_record *r)
{
	if (r->unclaimed * 2 > r->used)
		return LOSS_WORKERS;
	return r->held * 2 > r->used ? LOSS_GAP : LOSS_DISK;
}

unsigned last_loss_series(const struct last_loss *l, struct loss_record ret[LOSS_KINDS])
{
	unsigned count = 0;

	for (unsigned i = 0; i < LOSS_KINDS; i++)
		if (l->kinds[i].record.frames > 0)
			ret[count++] = l->kinds[i].record;
	return count;
}

void last_loss_get(struct last_loss *l, struct loss_record *ret)
{
	snapshot_get(l->board, ret, sizeof *ret);
}
