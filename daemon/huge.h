/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HUGE_H
#define DAEMON_HUGE_H

#include <stdlib.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

/* Memory that workers read all the time, in huge pages where it is large and the kernel gives them:
 * fewer misses of the address cache. At least 4096-byte aligned; free() it. NULL without memory. */
static inline void *huge_alloc(size_t bytes)
{
	size_t align = bytes < HUGE_PAGE / 8 ? 4096 : HUGE_PAGE;
	void *at = aligned_alloc(align, (bytes + align - 1) / align * align);

	if (at && align == HUGE_PAGE)
		madvise(at, (bytes + align - 1) / align * align, MADV_HUGEPAGE);
	return at;
}

#endif
