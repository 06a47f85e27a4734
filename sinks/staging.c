/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/staging.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

int staging_open(struct staging *s, unsigned count, size_t block_bytes)
{
	void *memory;

	*s = (struct staging){ .count = count, .block_bytes = block_bytes };
	if (count == 0)
		return 0;
	s->blocks = calloc(count, sizeof *s->blocks);
	/* Faulted in now, not by the first frames. */
	memory = mmap(NULL, count * block_bytes, PROT_READ | PROT_WRITE,
	              MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	s->memory = memory == MAP_FAILED ? NULL : memory;
	if (!s->blocks || !s->memory) {
		staging_close(s);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < count; i++) {
		s->blocks[i].at = s->memory + i * block_bytes;
		staging_push(s, &s->blocks[i]);
	}
	return 0;
}

void staging_close(struct staging *s)
{
	if (s->memory)
		munmap(s->memory, s->count * s->block_bytes);
	free(s->blocks);
	*s = (struct staging){ 0 };
}

struct staging_block *staging_pop(struct staging *s)
{
	struct staging_block *b = s->free_blocks;

	if (!b)
		return NULL;
	s->free_blocks = b->next;
	b->next = NULL;
	b->fill = b->flushed = 0;
	b->locked = false;
	b->write.block = b;
	return b;
}

void staging_push(struct staging *s, struct staging_block *b)
{
	b->next = s->free_blocks;
	s->free_blocks = b;
}
