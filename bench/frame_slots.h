/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_FRAME_SLOTS_H
#define BENCH_FRAME_SLOTS_H

#include <stddef.h>
#include <stdint.h>

/* Frames of noise to write, laid out as the daemon's slots: page by page, in huge pages where the
 * kernel gives them. */
struct frame_slots {
	uint32_t width, height; /* pixels of 16 bit */
	size_t frame_bytes;
	size_t slot_bytes; /* frame_bytes, rounded up to 4096 */
	unsigned count;
	unsigned char *memory; /* [count][slot_bytes] */
};

/* 0 or -ENOMEM. */
int frame_slots_open(struct frame_slots *s, uint32_t width, uint32_t height, unsigned count);

/* Accepts a zeroed one. */
void frame_slots_close(struct frame_slots *s);

static inline unsigned char *frame_slots_at(const struct frame_slots *s, uint64_t n)
{
	return s->memory + n % s->count * s->slot_bytes;
}

#endif
