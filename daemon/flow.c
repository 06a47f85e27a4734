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

/* Row by row; without memory there are none. Returns how many there are, or would be. */
static unsigned add(struct flow *f, unsigned row, const struct stage *s, enum stage_wait w)
{
	if (f->waits) {
		uint64_t ns = waited_ns(s, w), from_ns = f->from_ns[row];

		f->waits[row] = (struct sink_wait){ s->name, stage_wait_name(w),
			                            (double)(ns - from_ns) * 1e-9 };
	}
	return row + 1;
}

static unsigned list_waits(struct collector *k)
{
	struct pipeline *p = k->pipeline;
	struct flow *f = &k->flow;
	unsigned row = 0;

	for (unsigned i = 0; i < p->receiver_count; i++) {
		row = add(f, row, &p->receivers[i].stage, WAIT_MESSAGES);
		row = add(f, row, &p->receivers[i].stage, WAIT_ROOM);
	}
	for (unsigned i = 0; i < p->worker_count; i++)
		row = add(f, row, &p->workers[i].stage, WAIT_FRAMES);
	return add(f, row, &k->stage, WAIT_FRAMES);
}

static void remember_waits(struct collector *k)
{
	struct pipeline *p = k->pipeline;
	unsigned row = 0;

	for (unsigned i = 0; i < p->receiver_count; i++) {
		k->flow.from_ns[row++] = waited_ns(&p->receivers[i].stage, WAIT_MESSAGES);
		k->flow.from_ns[row++] = waited_ns(&p->receivers[i].stage, WAIT_ROOM);
	}
	for (unsigned i = 0; i < p->worker_count; i++)
		k->flow.from_ns[row++] = waited_ns(&p->workers[i].stage, WAIT_FRAMES);
	k->flow.from_ns[row] = waited_ns(&k->stage, WAIT_FRAMES);
}

void flow_begin(struct collector *k)
{
	struct flow *f = &k->flow;

	if (!f->waits) {
		f->wait_count = list_waits(k);
		f->from_ns = calloc(f->wait_count, sizeof *f->from_ns);
		f->waits = f->from_ns ? calloc(f->wait_count, sizeof *f->waits) : NULL;
		if (!f->waits)
			flow_close(f);
	}
	if (f->waits)
		remember_waits(k);
	for (unsigned i = 0; i < k->pipeline->receiver_count; i++) {
		struct receiver *r = &k->pipeline->receivers[i];

		atomic_store_explicit(&r->slots_peak, 0, memory_order_relaxed);
		atomic_store_explicit(&r->payloads_peak, 0, memory_order_relaxed);
	}
}

void flow_list(struct collector *k, struct sink_flow *ret)
{
	struct flow *f = &k->flow;

	if (f->waits)
		list_waits(k);
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
