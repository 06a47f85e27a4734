/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/shm.h"

#include "ingest/fields.h"
#include "ingest/shm_map.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct decoder {
	uint64_t frame_limit; /* bytes */
	struct shm_maps maps;
};

static bool read_frame(const struct decoder *d, const struct shm_announcement *a,
                       struct decoded *ret)
{
	struct frame *f = &ret->frame;

	if (a->frame == UINT64_MAX)
		return field_reject(ret, REJECT_HEADER, "frame is 2^64 - 1, which stands for none");
	f->number = a->frame;
	ret->number_known = true;
	if (a->pixel > SHM_FLOAT32)
		return field_reject(ret, REJECT_TYPE, "pixel is %u; 0 to 3 are taken", a->pixel);
	if (a->width == 0 || a->height == 0)
		return field_reject(ret, REJECT_SHAPE, "the frame is %u x %u", a->width, a->height);
	if (a->bits > 32)
		return field_reject(ret, REJECT_TYPE, "bits is %u, at most 32 are taken", a->bits);
	f->width = a->width;
	f->height = a->height;
	f->type = (enum pixel_type)a->pixel;
	f->bits = (uint8_t)a->bits;
	f->timestamp_ns = a->timestamp_ns;
	f->series = a->series;
	f->flags = a->flags & SHM_DAMAGED ? FRAME_INCOMPLETE : 0;
	return a->bytes <= SIZE_MAX && field_size(d->frame_limit, (size_t)a->bytes, ret);
}

/* Borrow the slot. A slot that is ours already was announced against the rules. */
static bool borrow(struct shm_map *map, const struct shm_announcement *a, struct decoded *ret)
{
	if (a->slot >= map->slot_count)
		return field_reject(ret, REJECT_HEADER, "slot %u of a ring of %u", a->slot,
		                    map->slot_count);
	if (a->generation == 0 || a->generation % 2)
		return field_reject(ret, REJECT_HEADER,
		                    "generation %llu is not an even number above 0",
		                    (unsigned long long)a->generation);
	ret->lease = shm_map_lend(map, a->slot, a->generation);
	if (!ret->lease)
		shm_map_refuse(map, a->slot, a->generation);
	if (!ret->lease)
		return field_reject(ret, REJECT_HEADER,
		                    "slot %u is announced again before it was "
		                    "released",
		                    a->slot);
	return true;
}

static void decode_frame(struct decoder *d, const struct shm_announcement *a, struct decoded *ret)
{
	struct shm_map *map = shm_maps_find(&d->maps, a);

	if (!map) {
		field_reject(ret, REJECT_HEADER, "%s", d->maps.why);
		return;
	}
	if (!borrow(map, a, ret) || !read_frame(d, a, ret))
		return;
	if (a->bytes > map->slot_bytes - SHM_PAGE) {
		field_reject(ret, REJECT_LENGTH, "%llu bytes do not fit a slot of %llu",
		             (unsigned long long)a->bytes,
		             (unsigned long long)(map->slot_bytes - SHM_PAGE));
		return;
	}
	ret->frame.pixels = shm_map_pixels(map, a->slot);
	ret->verdict = VERDICT_FRAME;
}

void shm_decode(struct decoder *d, const struct message *m, struct decoded *ret)
{
	struct shm_announcement a;

	*ret = (struct decoded){ .verdict = VERDICT_REJECTED };
	if (m->part_count != 1) {
		field_reject(ret, REJECT_PARTS, "the announcement has %u parts, 1 is expected",
		             m->part_count);
		return;
	}
	if (m->parts[0].size != sizeof a) {
		field_reject(ret, REJECT_HEADER, "the announcement has %zu bytes, %zu are expected",
		             m->parts[0].size, sizeof a);
		return;
	}
	memcpy(&a, m->parts[0].data, sizeof a);
	if (memcmp(a.magic, "OBSA", sizeof a.magic) != 0) {
		field_reject(ret, REJECT_HEADER, "the announcement does not begin with OBSA");
		return;
	}
	ret->frame.series = a.series;
	switch (a.kind) {
	case SHM_FRAME:
		decode_frame(d, &a, ret);
		break;
	case SHM_START:
		ret->announced = a.frame;
		ret->verdict = VERDICT_START;
		break;
	case SHM_END:
		ret->verdict = VERDICT_END;
		break;
	default:
		field_reject(ret, REJECT_HEADER, "the announcement is of kind %u; 1 to 3 are taken",
		             a.kind);
	}
}

void shm_tend(struct decoder *d)
{
	shm_maps_tend(&d->maps);
}

int shm_open_decoder(struct decoder **ret, const struct config_ingest *c, char why[160])
{
	struct decoder *d = calloc(1, sizeof *d);

	if (!d || shm_maps_open(&d->maps) != 0) {
		free(d);
		snprintf(why, 160, "no memory for the decoder of shm");
		return -ENOMEM;
	}
	d->frame_limit = c->frame_limit;
	shm_map_guard();
	*ret = d;
	return 0;
}

void shm_close(struct decoder *d)
{
	if (!d)
		return;
	shm_maps_tend(&d->maps);
	shm_maps_close(&d->maps);
	free(d);
}
