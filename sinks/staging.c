/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/staging.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* In huge pages where the kernel gives them: for the disk a block is then two pieces, not a
 * thousand pages in several requests. Faulted in now, not by the first frames. */
static void *take(size_t bytes)
{
	void *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	madvise(memory, bytes, MADV_HUGEPAGE);
	memset(memory, 0, bytes);
	return memory;
}

int staging_open(struct staging *s, unsigned count, size_t block_bytes)
{
	*s = (struct staging){ .count = count, .block_bytes = block_bytes };
	if (count == 0)
		return 0;
	s->blocks = calloc(count, sizeof *s->blocks);
	s->memory = take(count * block_bytes);
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
