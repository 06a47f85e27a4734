/* SPDX-License-Identifier: Apache-2.0 */
/* Frames whose pieces come from several endpoints: ingest/assembly.h keeps them, this says when
 * they go on and when the series is over. All of it on the receiving thread. */
#include "daemon/receiver_parts.h"
#include "daemon/pipeline.h"

#include <stdio.h>

static void give_gathered(struct receiver *r, struct gathered *g)
{
	struct bundle bundle = { .parts = g->parts, .count = g->ports };

	receiver_take_frame(r, &bundle, &g->frame);
	assembly_done(&r->assembly, g);
}

void pieces_give(struct receiver *r, bool all)
{
	struct gathered *g;

	while ((g = assembly_next(&r->assembly, clock_monotonic_ns(), all)))
		give_gathered(r, g);
}

/* The series is over once every endpoint has said so, or has had time to. */
void pieces_end(struct receiver *r)
{
	struct decoded end = { .verdict = VERDICT_END, .frame.received_ns = clock_real_ns() };

	pieces_give(r, true);
	assembly_restart(&r->assembly);
	r->ended = 0;
	receiver_publish_verdict(r, &end);
}

void pieces_end_of(struct receiver *r, unsigned endpoint)
{
	if (r->ended == 0)
		r->ended_ns = clock_monotonic_ns();
	r->ended |= (uint64_t)1 << endpoint;
	if (r->ended == UINT64_MAX >> (64 - r->source_count))
		pieces_end(r);
}

/* What waits for nothing but time. */
void pieces_tend(struct receiver *r)
{
	if (!r->protocol->in_pieces)
		return;
	pieces_give(r, false);
	if (r->ended && clock_monotonic_ns() - r->ended_ns > r->assembly.timeout_ns)
		pieces_end(r);
}

static void refuse_piece(struct receiver *r, struct decoded *d, enum reject reason, const char *why)
{
	d->verdict = VERDICT_REJECTED;
	d->reason = reason;
	snprintf(d->why, sizeof d->why, "port %u: %s", d->port, why);
	receiver_tell_rejection(r, d);
	receiver_publish_verdict(r, d);
}

void pieces_take(struct receiver *r, struct decoded *d, unsigned endpoint)
{
	struct entry duplicate = { .kind = ENTRY_DUPLICATE,
		                   .number_known = true,
		                   .frame = d->frame };

	/* A port that has ended begins anew: the others' words were lost. */
	if (r->ended >> endpoint & 1)
		pieces_end(r);
	pieces_give(r, false);
	struct gathered *other = assembly_in_the_way(&r->assembly, d->frame.number);
	if (other) {
		other->frame.flags |= FRAME_INCOMPLETE;
		give_gathered(r, other);
	}
	switch (assembly_add(&r->assembly, d, &r->payload.parts[d->pixel_part],
	                     clock_monotonic_ns())) {
	case ASSEMBLY_DUPLICATE:
		receiver_publish(r, &duplicate);
		break;
	case ASSEMBLY_LATE:
		refuse_piece(r, d, REJECT_LATE, "its frame was given up for lack of it");
		break;
	case ASSEMBLY_OTHER:
		refuse_piece(r, d, REJECT_SHAPE, "it is of another geometry than the other ports");
		break;
	case ASSEMBLY_TAKEN:
		break;
	}
	pieces_give(r, false);
}
