/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/format.h"

#define FRAMES_AUTO 1000

const struct format *format_find(enum sink_format f)
{
	for (const struct format *const *row = formats; *row; row++)
		if ((*row)->id == f)
			return *row;
	return NULL;
}

static uint64_t frames_in(uint64_t bytes, uint64_t frame_bytes, uint64_t head,
                          uint64_t (*tail_bytes)(uint64_t frames, bool large), bool large)
{
	uint64_t fixed = head + tail_bytes(0, large);
	uint64_t each = frame_bytes + tail_bytes(1, large) - tail_bytes(0, large);

	return bytes < fixed + each ? 1 : (bytes - fixed) / each;
}

uint64_t format_frames(const struct config_sink *c, uint64_t frame_bytes, uint64_t head,
                       uint64_t (*tail_bytes)(uint64_t frames, bool large), bool large)
{
	bool counted = c->frames_per_file != CONFIG_AUTO;
	uint64_t frames = counted ? (uint64_t)c->frames_per_file : FRAMES_AUTO;
	uint64_t sized, most; /* offsets are signed, indices have 32 bits */

	if (c->file_size) {
		sized = frames_in(c->file_size, frame_bytes, head, tail_bytes, large);
		frames = counted && frames < sized ? frames : sized;
	}
	most = INT64_MAX / 2 / (frame_bytes + tail_bytes(1, large));
	most = most < UINT32_MAX ? most : UINT32_MAX;
	frames = frames < most ? frames : most;
	return frames ? frames : 1;
}
