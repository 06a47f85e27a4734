/* SPDX-License-Identifier: Apache-2.0 */
/* A worker owns its scratch and, from claim to done, the entries of one hand with their slots.
 * It waits at the gate that receivers notify.
 * It ends once the collector has taken everything.
 * While the layout changes every ring is empty, so a worker never holds a slot of an old one. */
#include "daemon/worker.h"
#include "daemon/expand.h"
#include "daemon/packing.h"
#include "daemon/pictures.h"
#include "daemon/pipeline.h"
#include "ingest/shm_map.h"

#define SLEEP_NS 200000000u

struct hand {
	struct receiver *receiver;
	uint64_t first;
	unsigned count;
};

/* Every worker gets its part of what waits: a hand is never larger than it must be. */
static unsigned hand_size(const struct pipeline *p, const struct receiver *r)
{
	uint64_t waiting = atomic_load_explicit(&r->ring.published, memory_order_relaxed) -
	                   atomic_load_explicit(&r->ring.claimed, memory_order_relaxed);
	uint64_t share = (waiting + p->worker_count - 1) / p->worker_count;
	uint64_t most = p->config->daemon.batch < HAND_MOST ? p->config->daemon.batch : HAND_MOST;

	return (unsigned)(share < 1 ? 1 : share > most ? most : share);
}

static bool claim(struct worker *w, struct hand *ret)
{
	struct pipeline *p = w->pipeline;

	w->turn++; /* no ring is always last */
	for (unsigned i = 0; i < p->receiver_count; i++) {
		struct receiver *r = &p->receivers[(w->turn + i) % p->receiver_count];

		ret->receiver = r;
		ret->count = sequence_claim(&r->ring, hand_size(p, r), &ret->first);
		if (ret->count > 0)
			return true;
	}
	return false;
}

/* What the pass reads of a grid of ports. */
static void gather_pieces(struct slot *s, const void *ret_pieces[PORTS_MAX])
{
	for (unsigned i = 0; i < s->hold.count; i++) {
		bool there = zmq_msg_size(&s->hold.parts[i]) > 0;

		ret_pieces[i] = there ? zmq_msg_data(&s->hold.parts[i]) : NULL;
		s->frame.ports.missing |= (uint64_t)!there << i;
	}
}

static struct reduce_job job_of(struct slot *s)
{
	return (struct reduce_job){
		.raw = s->raw,
		.flipped = s->frame.ports.flipped,
		.reduced = s->reduced,
		.source = s->source,
		.raw_counts = s->raw_counts,
		.normalised_counts = s->normalised_counts,
		.result = &s->reduction,
		.regions = s->regions,
	};
}

/* A producer that did not wait for us may have written over its slot meanwhile. */
static void check_lease(struct slot *s)
{
	if (!s->hold.lease || shm_lease_holds(s->hold.lease))
		return;
	s->why = "its slot of shared memory was filled anew before it was reduced";
	s->lost = DROPPED_OVERLOAD;
}

/* The frame's job, its pixels as the pass reads them. */
static struct reduce_job prepare(const struct layout *l, void *scratch,
                                 const void *pieces[PORTS_MAX], unsigned place, struct slot *s)
{
	struct reduce_job job = job_of(s);

	if (l->shape.port_columns) {
		gather_pieces(s, pieces);
		job.pieces = pieces;
	} else {
		job.raw = expand(l, scratch, place, s);
	}
	return job;
}

/* Every so many frames a look for pixels that have failed, where a sentinel asks for it. */
static void look_for_defects(const struct worker *w, const struct layout *l,
                             const struct calibrated *c, struct slot *s,
                             const struct reduce_job *job)
{
	const struct config *config = w->pipeline->config;
	const struct config_sentinels *asks = &config->sentinels;
	uint64_t position = s->frame.number / config->series.step;

	if ((asks->dead == 0 && asks->hot == 0) || position % asks->pixels_every != 0)
		return;
	s->defects = layout_take_defects(l);
	if (s->defects)
		reduce_defects(&c->plan, l->scratch[w->index], job, s->defects);
}

/* The newest of a hand can become the picture that people look at. */
static void show(const struct worker *w, const struct layout *l, const struct calibrated *c,
                 const struct slot *s, const struct reduce_job *job)
{
	struct pictures *pictures = w->pipeline->pictures;
	struct picture *picture = NULL;

	if (pictures && !s->why)
		picture = pictures_begin(pictures, &s->frame, s->times.claimed_ns);
	if (!picture)
		return;
	pictures_draw(pictures, picture, c, l->scratch[w->index], s, job);
	pictures_end(pictures, picture, !s->hold.lease || shm_lease_holds(s->hold.lease));
}

/* At most a hand of them, of one generation. Damaged ones are left out: slot.why. */
static void reduce_some(struct worker *w, const struct layout *l, struct slot *const *slots,
                        unsigned count)
{
	const struct calibrated *c =
		generations_at(&w->pipeline->generations, slots[0]->generation);
	void *scratch = l->scratch[w->index];
	struct reduce_job jobs[HAND_MOST];
	struct slot *reduced[HAND_MOST];
	unsigned good = 0;

	for (unsigned i = 0; i < count; i++) {
		struct slot *s = slots[i];

		jobs[good] = prepare(l, scratch, w->pieces[good], good, s);
		s->calibration = c->id;
		s->defects = NULL;
		if (!s->why)
			reduced[good++] = s;
	}
	if (good > 0)
		reduce_hand(&c->plan, scratch, jobs, good);
	for (unsigned i = 0; i < good; i++)
		look_for_defects(w, l, c, reduced[i], &jobs[i]);
	for (unsigned i = 0; i < count; i++)
		check_lease(slots[i]);
	if (good > 0)
		show(w, l, c, reduced[good - 1], &jobs[good - 1]);
}

/* A hand has room for so many, and never spans two calibrations. */
static unsigned run_length(const struct layout *l, struct slot *const *slots, unsigned count)
{
	unsigned n = 1;

	while (n < count && n < l->plan.hand && slots[n]->generation == slots[0]->generation)
		n++;
	return n;
}

static void reduce(struct worker *w, const struct layout *l, struct slot *const *slots,
                   unsigned count)
{
	for (unsigned done = 0; done < count;) {
		unsigned n = run_length(l, slots + done, count - done);

		reduce_some(w, l, slots + done, n);
		done += n;
	}
}

void worker_reduce_again(const struct layout *l, const struct calibrated *c, struct slot *s)
{
	void *scratch = l->scratch[l->workers];
	const void *pieces[PORTS_MAX];
	struct reduce_job job = prepare(l, scratch, pieces, 0, s);

	s->calibration = c->id;
	s->defects = NULL;
	if (s->why)
		return;
	reduce_hand(&c->plan, scratch, &job, 1);
	if (!l->plan.averaged)
		packing_reduced(l, scratch, s);
}

/* The payload is not needed any more, unless it is to be kept: give its memory back before the
 * frame is written. */
static void free_payloads(struct receiver *r, struct slot *const *slots, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (!keeping_leave(&r->pipeline->keeping, slots[i]))
			hold_release(&slots[i]->hold);
	/* seq_cst: ordered before the look whether the receiver sleeps. */
	atomic_fetch_add(&r->payloads_freed, count);
	bell_ring(&r->bell);
}

/* Of an average the collector makes the page. */
static void pack(struct worker *w, const struct layout *l, struct slot *const *slots,
                 unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct slot *s = slots[i];

		if (s->why)
			continue;
		if (!l->plan.averaged)
			packing_reduced(l, l->scratch[w->index], s);
		packing_source(l, l->scratch[w->index], s);
	}
}

/* A frame goes on with its hand. */
static void stamp_reduced(struct slot *const *slots, unsigned count)
{
	uint64_t now_ns = clock_monotonic_ns();

	for (unsigned i = 0; i < count; i++)
		slots[i]->times.reduced_ns = now_ns;
}

static void process(struct worker *w, const struct hand *h)
{
	struct pipeline *p = w->pipeline;
	struct slot *slots[HAND_MOST];
	unsigned frames = 0;
	uint64_t claimed_ns = clock_monotonic_ns();
	bool abort = atomic_load_explicit(&p->phase, memory_order_relaxed) == PHASE_ABORT;

	for (unsigned i = 0; i < h->count; i++) {
		struct entry *e = sequence_claimed(&h->receiver->ring, h->first + i);

		if (e->kind != ENTRY_FRAME)
			continue;
		slots[frames++] = e->slot;
		e->slot->times.claimed_ns = claimed_ns;
	}
	/* acquire pairs with the collector's store: a claimed frame was published after it. */
	const struct layout *l = atomic_load_explicit(&p->layout, memory_order_acquire);

	if (frames > 0 && !abort)
		reduce(w, l, slots, frames);
	if (frames > 0)
		free_payloads(h->receiver, slots, frames);
	if (frames > 0 && !abort)
		pack(w, l, slots, frames);
	if (frames > 0)
		stamp_reduced(slots, frames);
	for (unsigned i = 0; i < h->count; i++)
		sequence_done(&h->receiver->ring, h->first + i);
	bell_ring(&p->collect);
}

static bool anything_waits(const struct pipeline *p)
{
	for (unsigned i = 0; i < p->receiver_count; i++) {
		const struct sequence *q = &p->receivers[i].ring;

		/* seq_cst pairs with sequence_publish(), after our word that we sleep. */
		if (atomic_load(&q->published) !=
		    atomic_load_explicit(&q->claimed, memory_order_relaxed))
			return true;
	}
	/* seq_cst pairs with the collector's last store, like a publication. */
	return atomic_load(&p->collected);
}

static void sleep_at_gate(struct worker *w)
{
	struct pipeline *p = w->pipeline;
	uint32_t turn = gate_prepare(&p->work);

	if (!anything_waits(p)) {
		uint64_t from_ns = clock_monotonic_ns();

		gate_sleep(&p->work, turn, SLEEP_NS);
		stage_waited(&w->stage, WAIT_FRAMES, from_ns);
	}
	gate_leave(&p->work);
}

void *worker_run(void *argument)
{
	struct worker *w = argument;
	struct pipeline *p = w->pipeline;
	struct hand hand;
	unsigned round = 0;

	/* acquire pairs with the collector's store of `collected`. */
	while (!atomic_load_explicit(&p->collected, memory_order_acquire)) {
		stage_turn(&w->stage);
		if (claim(w, &hand)) {
			process(w, &hand);
			round = 0;
		} else if (!idle_spin(round++)) {
			sleep_at_gate(w);
			round = 0;
		}
	}
	/* relaxed: a figure for the main thread. */
	atomic_store_explicit(&w->stage.ended, true, memory_order_relaxed);
	return NULL;
}
