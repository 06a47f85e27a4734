/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_FRAMEPOOL_H
#define SINKS_FRAMEPOOL_H

#include "sinks/datafile.h"

/* Memory for frames on their way, each with room for what is known of its regions. It grows by
 * slabs that stay where they are until frame_pool_done(), since writes point into them; a steady
 * stream allocates nothing. */
struct frame_pool {
	struct datafile_frame *free_frames;
	void *slabs;
	size_t regions_bytes; /* of a frame; set before the first is popped */
};

/* A frame with any content but its room, or NULL without memory. */
struct datafile_frame *frame_pool_pop(struct frame_pool *p);

/* Fill it with `content` but the room; the regions of its record are copied there. */
void frame_pool_fill(const struct frame_pool *p, struct datafile_frame *f,
                     const struct datafile_frame *content);

void frame_pool_push(struct frame_pool *p, struct datafile_frame *f);

/* Accepts a zeroed one. Frames still out are gone with it. */
void frame_pool_done(struct frame_pool *p);

#endif
