/* SPDX-License-Identifier: Apache-2.0 */
/* libzmq takes each large message from malloc() and gives it back when the last hold on it is
 * dropped: a few frames, going round. So glibc is told to keep one heap for ever, and the part of
 * it that frames will go round in is made ready before the first one. */
#include "ingest/sanitizer.h"
#include "ingest/source.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE      ((size_t)4096)
#define HUGE_PAGE ((size_t)2 << 20)

void source_tune_allocator(void)
{
	/* No mapping of its own for any block: mallopt() takes thresholds up to 32 MiB only. One
	 * heap: the others are built of pieces of 64 MiB. */
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TRIM_THRESHOLD, -1);
	mallopt(M_TOP_PAD, 64 << 20);
}

/* Whole huge pages inside the block. */
static void ask_for_huge_pages(char *block, size_t bytes)
{
	char *from = block + (HUGE_PAGE - (uintptr_t)block % HUGE_PAGE) % HUGE_PAGE;
	char *to = block + bytes - ((uintptr_t)block + bytes) % HUGE_PAGE;

	if (from < to)
		madvise(from, (size_t)(to - from), MADV_HUGEPAGE);
}

bool source_reserve_memory(size_t bytes, size_t more, bool huge)
{
	char *block;

	if (SANITIZED)
		return true;
	block = malloc(bytes + more);
	if (!block)
		return false;
	if (huge)
		ask_for_huge_pages(block, bytes + more);
	for (size_t at = 0; at < bytes; at += PAGE)
		((volatile char *)block)[at] = 0;
	free(block); /* to the top of the heap, which is not trimmed */
	return true;
}
