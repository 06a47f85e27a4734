/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/disk.h"

#include <stdlib.h>
#include <time.h>

/* A disk that takes so many bytes a second of what is queued for it, and no more, for
 * openbeamd_slow: OPENBEAM_TEST_DISK_BYTES_PER_S. The call that would be early waits, in the thread
 * that collects frames, as it does where the operating system's queue is full. */

#define SECOND_NS 1000000000u

struct slow_disk {
	double bytes_per_s;
	uint64_t free_ns; /* monotonic: when it has done what it was given */
};

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / SECOND_NS),
		              .tv_nsec = (long)(ns % SECOND_NS) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
		;
}

static int before(void *user, const struct disk_call *c, uint64_t *length)
{
	struct slow_disk *d = user;
	uint64_t now = clock_ns();

	if (c->kind != DISK_WRITE || !c->queued)
		return 0;
	d->free_ns = d->free_ns > now ? d->free_ns : now;
	d->free_ns += (uint64_t)((double)*length / d->bytes_per_s * SECOND_NS);
	sleep_until(d->free_ns);
	return 0;
}

/* Instead of the one in sinks/disk_default.c. */
const struct disk_io *disk_io_default(void)
{
	static struct slow_disk disk;
	static const struct disk_io io = { .user = &disk, .before = before };
	const char *rate = getenv("OPENBEAM_TEST_DISK_BYTES_PER_S");

	disk.bytes_per_s = rate ? strtod(rate, NULL) : 0;
	return disk.bytes_per_s > 0 ? &io : NULL;
}
