/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/relayout.h"
#include "daemon/closing.h"
#include "daemon/detectors.h"
#include "daemon/lineage.h"
#include "daemon/pipeline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STANDSTILL_POLL_MS 2

static struct layout_needs needs_of(struct collector *k, const struct frame_shape *shape)
{
	const struct pipeline *p = k->pipeline;

	return (struct layout_needs){ .config = p->config,
		                      .planes = applied_choose(k, shape),
		                      .detector = k->detector,
		                      .receivers = p->receiver_count,
		                      .workers = p->worker_count,
		                      .cpu = p->cpu };
}

/* ---- making it ---- */

/* What messages of this layout take goes round in the heap: once, for the largest layout. */
static void reserve_for_messages(struct pipeline *p, const struct layout *l)
{
	const struct config *c = p->config;
	const struct layout_budget *b = &l->budget;
	uint64_t frames =
		(uint64_t)p->receiver_count * (b->payloads + (unsigned)b->queue_messages + 1);
	uint64_t bytes = frames * b->frame_bytes;
	uint64_t box = blackbox_wanted(c) ? c->blackbox.memory : 0;

	if (p->receivers->feed || p->receivers->protocol->in_shared_memory ||
	    bytes <= p->reserved_bytes)
		return;
	if (!source_reserve_memory(bytes, box, c->ingest.huge_pages == HUGE_PAGES_AUTO))
		log_line(LOG_WARNING, "layout",
		         "cannot take %llu bytes for messages before the first: the first frames "
		         "may be slower",
		         (unsigned long long)(bytes + box));
	p->reserved_bytes = bytes;
}

static void describe(const struct layout *l, const struct sinks *sinks)
{
	const struct layout_budget *b = &l->budget;

	log_line(LOG_INFO, "layout",
	         "frames of %u x %u %s: %u slots, %u frames per endpoint in reduction, queue of %d "
	         "messages per peer, hand=%u tile_rows=%u product=%u x %u buffer_bytes=%llu "
	         "writer=%s",
	         l->shape.width, l->shape.height, wire_name(l->shape.type, l->shape.packing),
	         b->slots, b->payloads, b->queue_messages, l->plan.hand, l->plan.tile_rows,
	         l->plan.out_width, l->plan.out_height, (unsigned long long)b->total_bytes,
	         sinks_writer_summary(sinks));
}

static void hand_out_slots(struct collector *k, struct layout *l)
{
	for (unsigned i = 0; i < k->pipeline->receiver_count; i++) {
		struct receiver *r = &k->pipeline->receivers[i];

		/* relaxed: the receiver stands still or was not started. */
		atomic_store_explicit(&r->spare.head, 0, memory_order_relaxed);
		atomic_store_explicit(&r->spare.tail, 0, memory_order_relaxed);
		for (unsigned s = 0; s < l->slots_per_receiver; s++)
			spare_push(&r->spare, &l->slots[i * l->slots_per_receiver + s]);
	}
}

/* Replace the layout by a planned one. Every slot is home, nobody looks at the old one. */
static int replace(struct collector *k, struct layout *next, char why[320])
{
	struct layout *old = k->layout;
	struct layout_needs needs = needs_of(k, &next->shape);
	uint32_t id = applied_id(k, needs.planes);
	const struct planes *before;
	struct calibrated *first;
	int err;

	/* relaxed: receivers stand still, workers have nothing to do. */
	atomic_store_explicit(&k->pipeline->layout, NULL, memory_order_relaxed);
	k->layout = NULL;
	if (old) {
		struct sink_geometry nothing = { 0 };

		sinks_lay_out(k->sinks, &nothing);
		layout_close(old);
		free(old);
	}
	err = layout_open(next, why);
	if (err < 0)
		return err;
	reserve_for_messages(k->pipeline, next);
	err = sinks_lay_out(k->sinks, &next->geometry);
	if (err < 0) {
		snprintf(why, 320, "the sinks have no memory for frames of this size");
		layout_close(next);
		return err;
	}
	applied_forget_generations(k);
	first = calibrated_make(next, layout_mask(&needs, &next->shape), id, needs.planes);
	if (!first) {
		struct sink_geometry nothing = { 0 };

		snprintf(why, 320, "no memory for the calibration of frames of this size");
		sinks_lay_out(k->sinks, &nothing);
		layout_close(next);
		return -ENOMEM;
	}
	applied_warn_of_beam(first);
	generations_restart(&k->pipeline->generations, first);
	before = k->planes;
	k->planes = needs.planes;
	k->calibration_id = id;
	applied_tell(k, before);
	if (id < k->least_id) /* there is nothing newer to reduce frames with again */
		k->least_id = id;
	/* relaxed: a figure for whoever asks for a dark. */
	atomic_store_explicit(&k->pipeline->commands.frame_bytes, layout_kept_bytes(next),
	                      memory_order_relaxed);
	hand_out_slots(k, next);
	k->layout = next;
	memset(k->held, 0, k->pipeline->receiver_count * sizeof *k->held);
	/* release pairs with acquire in receivers and workers: publishes the layout. */
	atomic_store_explicit(&k->pipeline->layout, next, memory_order_release);
	describe(next, k->sinks);
	return 0;
}

int relayout_at_start(struct collector *k, char why[400])
{
	struct layout_needs needs;
	struct frame_shape shape;
	struct layout *l;
	char sentence[320];
	int err;

	if (!layout_known_shape(k->pipeline->config, k->planes, &shape))
		return 0;
	needs = needs_of(k, &shape);
	l = malloc(sizeof *l);
	if (!l)
		return -ENOMEM;
	err = layout_plan(l, &needs, &shape, sentence);
	if (err == 0)
		err = replace(k, l, sentence);
	if (err < 0) {
		snprintf(why, 400, "%s", sentence);
		free(l);
	}
	return err;
}

/* ---- standing still ---- */

static bool all_still(const struct collector *k)
{
	for (unsigned i = 0; i < k->pipeline->receiver_count; i++) {
		struct receiver *r = &k->pipeline->receivers[i];

		/* seq_cst: `pause` was stored before; see park() in receiver.c. */
		if (!atomic_load(&r->parked) && !atomic_load(&r->stage.ended))
			return false;
		if (sequence_waiting(&r->ring) > 0)
			return false;
	}
	return true;
}

/* Bring every receiver to a standstill and every slot home. */
static void stand_still(struct collector *k)
{
	struct pipeline *p = k->pipeline;

	atomic_store(&p->pause, true); /* seq_cst: before the looks at `parked` */
	for (unsigned i = 0; i < p->receiver_count; i++)
		bell_ring(&p->receivers[i].bell);
	while (!all_still(k)) {
		stage_turn(&k->stage);
		if (collector_take(k) == 0) {
			bell_sleep(&p->collect, STANDSTILL_POLL_MS);
			bell_leave(&p->collect);
		}
		sinks_poll(k->sinks, clock_monotonic_ns());
	}
	/* A series of the old geometry ends; one that has no frame yet goes on in the new one. */
	if (k->begun || k->series.any)
		closing_finish(k);
	collector_on_disk(k, true);
	sinks_drain(k->sinks);
	collector_on_disk(k, false);
}

static void go_on(struct collector *k)
{
	struct pipeline *p = k->pipeline;

	atomic_store(&p->pause, false); /* seq_cst: before the looks whether they sleep */
	for (unsigned i = 0; i < p->receiver_count; i++)
		bell_ring(&p->receivers[i].bell);
}

/* ---- answers ---- */

static void answer(struct receiver *r, enum ask_answer a)
{
	atomic_store(&r->answer, a); /* seq_cst pairs with ask() in receiver.c */
	bell_ring(&r->bell);
}

static void refuse(struct collector *k, struct receiver *r, uint64_t number, enum reject reason,
                   const char *why)
{
	char text[400];

	k->totals.rejected[reason]++;
	if (reason == REJECT_SHAPE)
		series_unusable(&k->series, number);
	snprintf(text, sizeof text, "frame %llu rejected: %s reason=%s", (unsigned long long)number,
	         why, reject_name(reason));
	if (log_limit_take(&k->rejections, clock_monotonic_ns(), text))
		log_line(LOG_WARNING, "series", "%s", text);
	answer(r, ASK_REFUSED);
}

static void answer_waiting(struct collector *k)
{
	for (unsigned i = 0; i < k->pipeline->receiver_count; i++) {
		struct receiver *r = &k->pipeline->receivers[i];

		if (!k->asks[i].open)
			continue;
		k->asks[i].open = false;
		if (k->layout && shape_fits(&k->layout->shape, &k->asks[i].shape))
			answer(r, ASK_ACCEPTED);
		else
			refuse(k, r, k->asks[i].number, REJECT_SHAPE,
			       "its geometry came while another one was being laid out");
	}
}

/* Replace the layout by a planned one, everybody standing still; go_on() afterwards. */
static int change(struct collector *k, struct layout *next, char why[320])
{
	k->laying_out = true;
	stand_still(k);
	collector_on_disk(k, true);
	int err = replace(k, next, why);
	collector_on_disk(k, false);
	k->laying_out = false;
	k->odd_count = 0;
	if (err < 0)
		free(next);
	return err;
}

static void lay_out(struct collector *k, struct receiver *r, const struct entry *e,
                    struct layout *next)
{
	char why[320];

	if (change(k, next, why) < 0) {
		log_line(LOG_ERROR, "layout", "%s", why);
		refuse(k, r, e->frame.number, REJECT_SHAPE, why);
	} else {
		/* The frame that changed the geometry is the first of a series of its own. */
		if (k->series.state == SERIES_CLOSED && closing_may_begin(k))
			lineage_begin(k, e->frame.series, 0);
		answer(r, ASK_ACCEPTED);
	}
	answer_waiting(k);
	go_on(k);
}

/* A series runs and a frame of another geometry comes: only when as many in a row agree as may
 * come out of order is it taken for a new series. */
static bool enough_agree(struct collector *k, const struct frame_shape *shape)
{
	bool same = k->odd_count > 0 && shape_equal(shape, &k->odd_shape);

	k->odd_shape = *shape;
	k->odd_count = same ? k->odd_count + 1 : 1;
	return k->odd_count >= k->pipeline->config->series.reorder;
}

/* Whether the geometry may change now, as far as the series is concerned. */
static bool may_change(struct collector *k, const struct frame_shape *shape)
{
	bool armed = k->series.state == SERIES_CLOSED && k->controlling.next.waiting;

	return !k->layout || k->series.state == SERIES_IDLE || armed ||
	       (k->series.state == SERIES_OPEN && !k->begun && k->series.held == 0) ||
	       enough_agree(k, shape);
}

static void refuse_shape(struct collector *k, struct receiver *r, const struct entry *e,
                         const struct frame_shape *shape)
{
	char why[200];

	snprintf(why, sizeof why, "it is %u x %u %s%s%s in a series of %u x %u %s%s", shape->width,
	         shape->height, wire_name(shape->type, shape->packing),
	         shape->big_endian ? " big-endian" : "", shape->compressed ? " compressed" : "",
	         k->layout->shape.width, k->layout->shape.height,
	         wire_name(k->layout->shape.type, k->layout->shape.packing),
	         k->layout->shape.compressed ? " compressed" : "");
	refuse(k, r, e->frame.number, REJECT_SHAPE, why);
}

void relayout_ask(struct collector *k, struct receiver *r, const struct entry *e)
{
	struct frame_shape shape = shape_of_frame(&e->frame);
	struct layout_needs needs = needs_of(k, &shape);
	char why[320];

	if (k->laying_out) {
		k->asks[r->index] = (struct ask){ .open = true,
			                          .shape = shape,
			                          .number = e->frame.number,
			                          .number_known = true };
		return;
	}
	if (k->layout && shape_fits(&k->layout->shape, &shape)) {
		answer(r, ASK_ACCEPTED);
		return;
	}
	/* What runs may go on; of what shape its frames are is asked below. */
	if (!closing_may_begin(k) && !(k->series.state == SERIES_OPEN && !controlling_allows(k))) {
		refuse(k, r, e->frame.number, REJECT_NO_SERIES,
		       controlling_allows(k) ? "no further series is taken"
		                             : controlling_refusal(k));
		controlling_explain(k);
		return;
	}
	struct layout *next = malloc(sizeof *next);
	if (!next) {
		refuse(k, r, e->frame.number, REJECT_SHAPE, "no memory to lay out its geometry");
		return;
	}
	if (layout_plan(next, &needs, &shape, why) < 0) {
		free(next);
		refuse(k, r, e->frame.number, REJECT_SHAPE, why);
		return;
	}
	if (!may_change(k, &shape)) {
		free(next);
		refuse_shape(k, r, e, &shape);
		return;
	}
	lay_out(k, r, e, next);
}

/* ---- what a start message says ---- */

static void describe_detector(const struct detector *d)
{
	log_line(LOG_INFO, "series",
	         "the detector says: %s%s%u x %u pixels, %llu of them bad, saturation=%llu "
	         "exposure_s=%g period_s=%g",
	         d->description, d->description[0] ? ", " : "", d->width, d->height,
	         (unsigned long long)detector_bad(d), (unsigned long long)d->saturation,
	         d->exposure_s, d->period_s);
}

/* Whether the layout that is there is for what the detector is about to send. */
static bool fits_layout(const struct collector *k, const struct detector *d)
{
	const struct frame_shape *s = &k->layout->shape;

	return !d || d->width == 0 || (d->width == s->width && d->height == s->height);
}

void relayout_detector(struct collector *k, struct detector *d)
{
	struct detector *old = k->detector;
	bool same = detector_equal(old, d);
	struct layout_needs needs;
	struct layout *next;
	char why[320];

	k->detector = d;
	if (d && (d->width || d->description[0]))
		describe_detector(d);
	/* What does not fit is laid out when the first frame comes. */
	if (same || k->laying_out || !k->layout || !fits_layout(k, d)) {
		if (k->layout && !k->laying_out && fits_layout(k, d))
			applied_refit(k);
		detector_free(old);
		return;
	}
	needs = needs_of(k, &k->layout->shape);
	next = malloc(sizeof *next);
	if (!next || layout_plan(next, &needs, &k->layout->shape, why) < 0) {
		log_line(LOG_ERROR, "layout", "the detector's pixel mask is not used: %s",
		         next ? why : "no memory");
		free(next);
	} else {
		if (change(k, next, why) < 0)
			log_line(LOG_ERROR, "layout", "%s", why);
		answer_waiting(k);
		go_on(k);
	}
	detector_free(old);
}

void relayout_from_detector(struct collector *k)
{
	const struct detector *d = k->detector;
	struct layout_needs needs;
	struct frame_shape shape;
	struct layout *next;
	uint64_t bytes;
	char why[320];

	if (!d || d->width == 0 || d->height == 0)
		return;
	shape = (struct frame_shape){ .width = d->width,
		                      .height = d->height,
		                      .type = d->type_known ? d->type : PIXEL_UINT32 };
	needs = needs_of(k, &shape);
	/* As for frames; beyond it sizes may overflow. */
	if (!wire_bytes(shape.width, shape.height, shape.type, PACKING_NONE, &bytes) ||
	    bytes > k->pipeline->config->ingest.frame_limit)
		return;
	next = malloc(sizeof *next);
	/* Nobody needs to stand still: without a layout no receiver has a slot. */
	if (!next || layout_plan(next, &needs, &shape, why) < 0 || replace(k, next, why) < 0)
		free(next);
}

void relayout_answer(struct receiver *r)
{
	answer(r, ASK_ACCEPTED);
}
