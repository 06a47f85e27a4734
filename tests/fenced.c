/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fenced.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define POISON 0xa5
#define MARGIN 128 /* bytes before an array that are poisoned and checked */

void fence_open(struct fence *f, size_t room)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t usable = (room + 64 + MARGIN + page - 1) / page * page;

	f->map_bytes = usable + page;
	f->map = mmap(NULL, f->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	              0);
	if (f->map == MAP_FAILED)
		abort();
	f->end = f->map + usable;
	if (mprotect(f->end, page, PROT_NONE) != 0)
		abort();
}

void fence_close(struct fence *f)
{
	munmap(f->map, f->map_bytes);
}

void *fence_place(struct fence *f, size_t bytes, size_t gap)
{
	unsigned char *at = f->end - gap - bytes;

	if (at - MARGIN < f->map)
		abort();
	memset(at - MARGIN, POISON, MARGIN + bytes + gap);
	return at;
}

bool fence_intact(const struct fence *f, const void *at, size_t bytes)
{
	const unsigned char *first = at, *last = first + bytes;

	for (const unsigned char *p = first - MARGIN; p < first; p++)
		if (*p != POISON)
			return false;
	for (const unsigned char *p = last; p < f->end; p++)
		if (*p != POISON)
			return false;
	return true;
}
