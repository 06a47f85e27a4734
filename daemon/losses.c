/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/losses.h"
#include "daemon/collector.h"
#include "daemon/log.h"
#include "daemon/pipeline.h"

#define LOSSES_A_LOOK 64 /* at the clock */

/* ---- the machine ---- */

/* relaxed throughout: what others count, each figure alone. */
static void look_at_receiver(const struct collector *k, struct receiver *r, struct loss_sample *s)
{
	uint64_t spare = spare_count(&r->spare);

	s->bytes_in += atomic_load_explicit(&r->bytes, memory_order_relaxed);
	s->unclaimed += atomic_load_explicit(&r->ring.published, memory_order_relaxed) -
	                atomic_load_explicit(&r->ring.claimed, memory_order_relaxed);
	if (!k->layout)
		return;
	s->slots += k->layout->slots_per_receiver;
	s->used += k->layout->slots_per_receiver - spare;
	/* One that has just come back is taken at once. */
	s->full |= spare <= 1 + k->layout->slots_per_receiver / 20;
}

static void take_sample(struct collector *k, uint64_t now_ns)
{
	struct loss_sample s = { .ns = now_ns,
		                 .frames = k->board.ended.received + k->totals.received,
		                 .held = k->series.held };
	struct sink_figures figures;
	struct sink_longest longest;

	for (unsigned i = 0; i < k->pipeline->receiver_count; i++)
		look_at_receiver(k, &k->pipeline->receivers[i], &s);
	sinks_figures(k->sinks, &figures);
	sinks_longest(k->sinks, &longest);
	s.bytes_out = figures.written_bytes;
	s.write_ns = longest.write_ns;
	s.sync_ns = longest.sync_ns;
	s.under_way = longest.under_way;
	last_loss_sample(&k->last_loss, &s);
	k->sampled_ns = now_ns;
}

/* ---- losses ---- */

/* Of the others the log has said why already, frame by frame or file by file. */
static bool is_news(const struct loss_record *r)
{
	if (r->state == FRAME_MISSING)
		return r->reason != MISSING_REJECTED;
	return r->reason == DROPPED_OVERLOAD;
}

static void tell(struct collector *k, uint64_t now_ns, bool all)
{
	struct loss_record r;
	char text[LOSS_TEXT];

	while (last_loss_due(&k->last_loss, now_ns, all, &r)) {
		if (!is_news(&r))
			continue;
		last_loss_text(&r, text);
		log_line(LOG_WARNING, "series", "lost at %s", text);
	}
}

/* A gap may be a million numbers long: the clock is read for some of them. */
static uint64_t moment(struct collector *k)
{
	if (k->lost++ % LOSSES_A_LOOK == 0)
		k->lost_ns = clock_monotonic_ns();
	return k->lost_ns;
}

static struct lost_frame lost(struct collector *k, uint64_t number, uint64_t count,
                              enum frame_state state, unsigned reason)
{
	return (struct lost_frame){ .number = number,
		                    .count = count,
		                    .step = k->series.rules.step,
		                    .series = k->series_begun,
		                    .state = state,
		                    .reason = reason,
		                    .monotonic_ns = moment(k) };
}

void losses_add(struct collector *k, uint64_t number, enum frame_state state, unsigned reason)
{
	struct lost_frame f = lost(k, number, 1, state, reason);

	if (last_loss_begins(&k->last_loss, &f)) {
		f.real_ns = clock_real_ns();
		tell(k, f.monotonic_ns, false);
		take_sample(k, f.monotonic_ns);
	}
	last_loss_add(&k->last_loss, &f);
}

void losses_add_all(struct collector *k, uint64_t expected)
{
	const struct series *s = &k->series;
	uint64_t first = s->first_known ? s->first * s->rules.step + s->residue : 0;
	struct lost_frame f = lost(k, first, expected, FRAME_MISSING, MISSING_NEVER);
	struct loss_record r;

	f.real_ns = clock_real_ns();
	tell(k, f.monotonic_ns, true);
	take_sample(k, f.monotonic_ns);
	last_loss_begin(&k->last_loss);
	last_loss_add(&k->last_loss, &f);
	while (last_loss_due(&k->last_loss, f.monotonic_ns, true, &r))
		;
}

void losses_turn(struct collector *k, uint64_t now_ns)
{
	k->lost = 0;
	if (now_ns >= k->sampled_ns + LOSS_SAMPLE_NS)
		take_sample(k, now_ns);
	tell(k, now_ns, false);
}

void losses_list(struct collector *k, struct losses_listed *ret)
{
	struct loss_record records[LOSS_KINDS];

	tell(k, clock_monotonic_ns(), true);
	ret->count = last_loss_series(&k->last_loss, records);
	for (unsigned i = 0; i < ret->count; i++) {
		const struct loss_record *r = &records[i];
		enum frame_state state = (enum frame_state)r->state;

		last_loss_text(r, ret->texts[i]);
		ret->at[i] =
			(struct sink_loss){ .state = frame_state_name(state),
			                    .reason = frame_reason_name(state, (unsigned)r->reason),
			                    .first_frame = r->first_frame,
			                    .last_frame = r->last_frame,
			                    .frames = r->frames,
			                    .time_ns = r->time_ns,
			                    .text = ret->texts[i] };
	}
}
