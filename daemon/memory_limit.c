/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/memory_limit.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define AREA_BYTES  ((size_t)256 << 20) /* beyond any cache, within any machine */
#define TOTAL_BYTES ((size_t)1 << 30)

int memory_limit_open(struct memory_limit *m, unsigned threads)
{
	*m = (struct memory_limit){ .threads = threads, .bytes = AREA_BYTES };
	if (m->bytes > TOTAL_BYTES / threads)
		m->bytes = TOTAL_BYTES / threads & ~(size_t)0xffff;
	m->area = mmap(NULL, threads * m->bytes, PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->area == MAP_FAILED) {
		m->area = NULL;
		return -ENOMEM;
	}
	madvise(m->area, threads * m->bytes, MADV_HUGEPAGE);
	memset(m->area, 1, threads * m->bytes);
	return 0;
}

void memory_limit_close(struct memory_limit *m)
{
	if (m->area)
		munmap(m->area, m->threads * m->bytes);
	m->area = NULL;
}

/* Eight independent sums: the loads, not the additions, are what is waited for. */
static uint64_t sum(const uint64_t *restrict words, size_t n)
{
	uint64_t s[8] = { 0 };

	for (size_t i = 0; i < n; i += 8)
		for (int k = 0; k < 8; k++)
			s[k] += words[i + (size_t)k];
	return s[0] + s[1] + s[2] + s[3] + s[4] + s[5] + s[6] + s[7];
}

static void read_area(void *user, unsigned member)
{
	struct memory_limit *m = user;
	const void *area = m->area + member * m->bytes;

	m->sums[member] += sum(area, m->bytes / sizeof(uint64_t));
}

static void copy_area(void *user, unsigned member)
{
	struct memory_limit *m = user;
	unsigned char *area = m->area + member * m->bytes;

	memcpy(area + m->bytes / 2, area, m->bytes / 2);
}

/* The first run warms up and is dropped. */
static void measure(struct memory_limit *m, crew_work_fn *work, size_t bytes, unsigned runs,
                    struct samples *ret_gbs)
{
	crew_time_ns(m->threads, work, m);
	for (unsigned i = 0; i < runs; i++) {
		uint64_t ns = crew_time_ns(m->threads, work, m);

		if (ns)
			samples_add(ret_gbs, (double)m->threads * (double)bytes / (double)ns);
	}
}

void memory_limit_read(struct memory_limit *m, unsigned runs, struct samples *ret_gbs)
{
	measure(m, read_area, m->bytes, runs, ret_gbs);
}

void memory_limit_copy(struct memory_limit *m, unsigned runs, struct samples *ret_gbs)
{
	measure(m, copy_area, m->bytes / 2, runs, ret_gbs);
}
