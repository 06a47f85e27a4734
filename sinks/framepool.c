/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/framepool.h"

#include <stdlib.h>
#include <string.h>

#define SLAB_FRAMES 64

struct slab {
	struct slab *next;
	struct datafile_frame frames[SLAB_FRAMES];
	unsigned char rooms[]; /* [SLAB_FRAMES][regions_bytes] */
};

void frame_pool_push(struct frame_pool *p, struct datafile_frame *f)
{
	f->next = p->free_frames;
	p->free_frames = f;
}

struct datafile_frame *frame_pool_pop(struct frame_pool *p)
{
	struct datafile_frame *f;

	if (!p->free_frames) {
		struct slab *slab = calloc(1, sizeof *slab + SLAB_FRAMES * p->regions_bytes);

		if (!slab)
			return NULL;
		slab->next = p->slabs;
		p->slabs = slab;
		for (unsigned i = 0; i < SLAB_FRAMES; i++) {
			slab->frames[i].room = slab->rooms + i * p->regions_bytes;
			frame_pool_push(p, &slab->frames[i]);
		}
	}
	f = p->free_frames;
	p->free_frames = f->next;
	return f;
}

void frame_pool_fill(const struct frame_pool *p, struct datafile_frame *f,
                     const struct datafile_frame *content)
{
	unsigned char *room = f->room;

	*f = *content;
	f->room = room;
	if (!f->record.regions)
		return;
	memcpy(room, f->record.regions, p->regions_bytes);
	f->record.regions = room;
}

void frame_pool_done(struct frame_pool *p)
{
	struct slab *slab = p->slabs;

	while (slab) {
		struct slab *next = slab->next;

		free(slab);
		slab = next;
	}
	*p = (struct frame_pool){ .regions_bytes = p->regions_bytes };
}
