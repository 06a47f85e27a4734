/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_FRAMEPOOL_H
#define SINKS_FRAMEPOOL_H

#include "sinks/datafile.h"

/* Memory for frames on their way. It grows by slabs that stay where they are until
 * frame_pool_done(), since writes point into them; a steady stream allocates nothing. */
struct frame_pool {
	struct datafile_frame *free_frames;
	void *slabs;
};

/* A frame with any content, or NULL without memory. */
struct datafile_frame *frame_pool_pop(struct frame_pool *p);

void frame_pool_push(struct frame_pool *p, struct datafile_frame *f);

/* Accepts a zeroed one. Frames still out are gone with it. */
void frame_pool_done(struct frame_pool *p);

#endif
