/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/packing.h"
#include "kernels/pack.h"

size_t packing_bytes(const struct layout *l)
{
	return l->reduced_packed_room || l->source_packed_room ? pack_scratch_bytes() : 0;
}

/* The room is always enough. */
static size_t pack(const struct layout *l, void *scratch, const struct sink_shape *shape,
                   const void *pixels, void *out, size_t room)
{
	if (room == 0)
		return 0;
	return pack_bslz4(out, room, pixels, shape->bytes, product_bytes(shape->type),
	                  shuffle_for(l->plan.cpu), (char *)scratch + l->pack_from);
}

void packing_reduced(const struct layout *l, void *scratch, struct slot *s)
{
	s->reduced_packed_bytes = pack(l, scratch, &l->geometry.reduced, s->reduced,
	                               s->reduced_packed, l->reduced_packed_room);
}

void packing_source(const struct layout *l, void *scratch, struct slot *s)
{
	s->source_packed_bytes = pack(l, scratch, &l->geometry.source, s->source, s->source_packed,
	                              l->source_packed_room);
}
