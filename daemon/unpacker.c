/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/unpacker.h"
#include "daemon/calibrated.h"
#include "daemon/worker.h"

#include <errno.h>
#include <string.h>

#define BUFFER_MOST ((uint64_t)1 << 42)

/* Nothing is done to the pixels, and nothing but this sink takes them. */
static void plain_config(struct unpacker *u, const struct config *c, const struct config_sink *sink)
{
	u->config = *c;
	u->config.reduce = (struct config_reduce){ .normalise = NORMALISE_NONE,
		                                   .average = 1,
		                                   .bin = 1,
		                                   .type = REDUCE_SOURCE,
		                                   .window_high = 1 };
	u->config.region_count = 0;
	u->config.beam.regions.count = 0;
	u->config.daemon.batch = 1;
	u->config.sink_count = sink != NULL;
	if (sink)
		u->config.sinks[0] = *sink;
}

/* The smallest buffer that has so many slots. */
static int plan(struct unpacker *u, struct layout_needs *needs, const struct frame_shape *shape,
                unsigned slots, char why[320])
{
	uint64_t pixels = (uint64_t)shape->width * shape->height;
	int err = -EINVAL;

	u->config.ingest.buffer = 32 * (pixels + 4096);
	do {
		u->config.ingest.buffer += u->config.ingest.buffer / 2;
		err = layout_plan(&u->layout, needs, shape, why);
	} while ((err < 0 || u->layout.slot_count < slots) &&
	         u->config.ingest.buffer < BUFFER_MOST);
	return err;
}

int unpacker_open(struct unpacker *u, const struct config *c, const struct config_sink *sink,
                  const struct detector *detector, const struct frame_shape *shape, unsigned cpu,
                  unsigned slots, char why[320])
{
	struct layout_needs needs = { .config = &u->config,
		                      .planes = &u->none,
		                      .detector = detector,
		                      .receivers = 1,
		                      .workers = 1,
		                      .cpu = cpu };
	struct frame_shape either = *shape;
	int err;

	*u = (struct unpacker){ 0 };
	either.compressed = true;
	plain_config(u, c, sink);
	err = plan(u, &needs, &either, slots, why);
	if (err == 0 && slots < u->layout.slot_count)
		layout_limit_slots(&u->layout, slots);
	if (err == 0)
		err = layout_open(&u->layout, why);
	u->open = err == 0;
	return err;
}

void unpacker_close(struct unpacker *u)
{
	if (u->open)
		layout_close(&u->layout);
	*u = (struct unpacker){ 0 };
}

size_t unpacker_bytes(const struct unpacker *u)
{
	return u->layout.geometry.reduced.bytes;
}

enum product_type unpacker_type(const struct unpacker *u)
{
	return u->layout.plan.type;
}

bool unpacker_run(struct unpacker *u, const struct kept *f, struct slot *s)
{
	const struct calibrated plain = { .plan = u->layout.plan };
	const struct hold own = s->hold;

	s->frame = f->frame;
	s->raw = f->raw;
	s->why = NULL;
	s->hold = f->hold; /* read only, and given back below */
	worker_reduce_again(&u->layout, &plain, s);
	s->hold = own;
	return s->why == NULL;
}
