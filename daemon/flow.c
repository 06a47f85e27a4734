/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/flow.h"
#include "daemon/pipeline.h"

#include <stdlib.h>

/* relaxed, all of them: figures for people, from threads that run on. */
static uint64_t waited_ns(const struct stage *s, enum stage_wait w)
{
	return atomic_load_explicit(&s->waited_ns[w], memory_order_relaxed);
}

static uint32_t peak_of(const _Atomic uint32_t *peak)
{
	return atomic_load_explicit(peak, memory_order_relaxed);
}

/* What a thread has waited, at the begin of a series or since. Without memory rows are only
 * counted; returns the next. */
static unsigned note(struct flow *f, unsigned row, const struct stage *s, enum stage_wait w,
                     bool begins)
{
	uint64_t ns = waited_ns(s, w);

	if (f->waits && begins)
		f->from_ns[row] = ns;
	if (f->waits)
		f->waits[row] = (struct sink_wait){ s->name, stage_wait_name(w),
			                            (double)(ns - f->from_ns[row]) * 1e-9 };
	return row + 1;
}

/* Of all threads. Returns how many rows there are. */
static unsigned note_waits(struct collector *k, bool begins)
{
	struct pipeline *p = k->pipeline;
	struct flow *f = &k->flow;
	unsigned row = 0;

	for (unsigned i = 0; i < p->receiver_count; i++) {
		row = note(f, row, &p->receivers[i].stage, WAIT_MESSAGES, begins);
		row = note(f, row, &p->receivers[i].stage, WAIT_ROOM, begins);
	}
	for (unsigned i = 0; i < p->worker_count; i++)
		row = note(f, row, &p->workers[i].stage, WAIT_FRAMES, begins);
	return note(f, row, &k->stage, WAIT_FRAMES, begins);
}

void flow_begin(struct collector *k)
{
	struct flow *f = &k->flow;

	if (!f->waits) {
		f->wait_count = note_waits(k, true);
		f->from_ns = calloc(f->wait_count, sizeof *f->from_ns);
		f->waits = f->from_ns ? calloc(f->wait_count, sizeof *f->waits) : NULL;
		if (!f->waits)
			flow_close(f);
	}
	note_waits(k, true);
	for (unsigned i = 0; i < k->pipeline->receiver_count; i++) {
		struct receiver *r = &k->pipeline->receivers[i];

		atomic_store_explicit(&r->slots_peak, 0, memory_order_relaxed);
		atomic_store_explicit(&r->payloads_peak, 0, memory_order_relaxed);
	}
}

void flow_list(struct collector *k, struct sink_flow *ret)
{
	struct flow *f = &k->flow;

	note_waits(k, false);
	*ret = (struct sink_flow){ .waits = f->waits, .wait_count = f->wait_count };
	for (unsigned i = 0; k->layout && i < k->pipeline->receiver_count; i++) {
		const struct receiver *r = &k->pipeline->receivers[i];

		ret->slots += k->layout->slots_per_receiver;
		ret->slots_peak += peak_of(&r->slots_peak);
		ret->payloads += k->layout->budget.payloads;
		ret->payloads_peak += peak_of(&r->payloads_peak);
	}
	ret->peak_ratio = flow_peak_ratio(k);
}

static double share(uint32_t part, unsigned whole)
{
	double s = whole ? (double)part / whole : 0;

	return s < 1 ? s : 1;
}

double flow_peak_ratio(const struct collector *k)
{
	const struct pipeline *p = k->pipeline;
	const struct layout *l = k->layout;
	double most = 0;

	for (unsigned i = 0; l && i < p->receiver_count; i++) {
		const struct receiver *r = &p->receivers[i];
		double slots = share(peak_of(&r->slots_peak), l->slots_per_receiver);
		double payloads = share(peak_of(&r->payloads_peak), l->budget.payloads);

		most = slots > most ? slots : most;
		most = payloads > most ? payloads : most;
	}
	return most;
}

void flow_close(struct flow *f)
{
	free(f->waits);
	free(f->from_ns);
	*f = (struct flow){ 0 };
}
