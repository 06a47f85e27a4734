/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/frame_slots.h"

#include "bench/prng.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE      ((size_t)4096)
#define HUGE_PAGE ((size_t)2 << 20)

int frame_slots_open(struct frame_slots *s, uint32_t width, uint32_t height, unsigned count)
{
	size_t frame_bytes = (size_t)2 * width * height, bytes;
	uint64_t seed = 1;
	void *memory;

	*s = (struct frame_slots){ .width = width,
		                   .height = height,
		                   .frame_bytes = frame_bytes,
		                   .slot_bytes = (frame_bytes + PAGE - 1) / PAGE * PAGE,
		                   .count = count };
	bytes = s->count * s->slot_bytes;
	if (posix_memalign(&memory, HUGE_PAGE, bytes))
		return -ENOMEM;
	madvise(memory, bytes, MADV_HUGEPAGE);
	s->memory = memory;
	for (size_t at = 0; at < bytes; at += sizeof seed) {
		uint64_t word = prng_next(&seed);

		memcpy(s->memory + at, &word, sizeof word);
	}
	return 0;
}

void frame_slots_close(struct frame_slots *s)
{
	free(s->memory);
	*s = (struct frame_slots){ 0 };
}
