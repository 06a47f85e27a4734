/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/format.h"

/* Frames back to back, little-endian, nothing else. */

static uint64_t tail_bytes(uint64_t frames, bool large)
{
	(void)frames;
	(void)large;
	return 0;
}

static struct format_plan plan(const struct config_sink *c, const struct sink_shape *shape)
{
	return (struct format_plan){ .frames =
		                             format_frames(c, shape->bytes, 0, tail_bytes, false) };
}

const struct format format_raw = {
	.id = SINK_RAW,
	.name = "raw",
	.suffix = ".raw",
	.plan = plan,
	.tail_bytes = tail_bytes,
};
