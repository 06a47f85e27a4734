/* SPDX-License-Identifier: Apache-2.0 */
/* The thread `disks` owns nothing but its figures.
 * It waits for a second to pass, and for file systems to answer.
 * It ends when it is told to; one that hangs is left behind. */
#include "daemon/disks.h"
#include "daemon/idle.h"
#include "daemon/stage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#define SECOND_MS 1000
#define STALE_NS  UINT64_C(10000000000)
#define JOIN_MS   2000

struct disks {
	const struct config *config;
	struct stage stage;
	struct bell bell;
	_Atomic bool stop;
	struct {
		_Atomic uint64_t asked_ns; /* CLOCK_MONOTONIC; 0: never */
		_Atomic uint64_t free_bytes, size_bytes;
	} sinks[CONFIG_SINKS_MAX];
};

bool disks_has_files(const struct config_sink *s)
{
	return s->format != SINK_STREAM && s->format != SINK_NULL;
}

static void ask(struct disks *d, unsigned i)
{
	struct statvfs fs;

	if (!disks_has_files(&d->config->sinks[i]) ||
	    statvfs(d->config->sinks[i].directory, &fs) != 0)
		return;
	/* relaxed, both: figures for people. */
	atomic_store_explicit(&d->sinks[i].free_bytes, (uint64_t)fs.f_bavail * fs.f_frsize,
	                      memory_order_relaxed);
	atomic_store_explicit(&d->sinks[i].size_bytes, (uint64_t)fs.f_blocks * fs.f_frsize,
	                      memory_order_relaxed);
	/* release pairs with the acquire in disks_space(): publishes both. */
	atomic_store_explicit(&d->sinks[i].asked_ns, clock_monotonic_ns(), memory_order_release);
}

static void *watch(void *argument)
{
	struct disks *d = argument;

	unsigned sinks = d->config->sink_count;

	while (!atomic_load(&d->stop)) {
		for (unsigned i = 0; i < sinks && !atomic_load(&d->stop); i++)
			ask(d, i);
		bell_prepare(&d->bell);
		/* seq_cst pairs with disks_close(), after our word that we sleep. */
		if (!atomic_load(&d->stop))
			bell_sleep(&d->bell, SECOND_MS);
		bell_leave(&d->bell);
	}
	return NULL;
}

int disks_open(struct disks **ret, const struct config *c)
{
	struct disks *d = aligned_alloc(64, (sizeof *d + 63) / 64 * 64);
	int err;

	if (!d)
		return -ENOMEM;
	memset(d, 0, sizeof *d);
	d->config = c;
	err = bell_open(&d->bell);
	if (err == 0)
		err = stage_start(&d->stage, "disks", watch, d, -1);
	if (err < 0) {
		disks_close(d);
		return err;
	}
	*ret = d;
	return 0;
}

struct disk_space disks_space(struct disks *d, unsigned sink)
{
	/* acquire pairs with the release in ask(). */
	uint64_t asked_ns = atomic_load_explicit(&d->sinks[sink].asked_ns, memory_order_acquire);

	return (struct disk_space){
		.known = asked_ns && clock_monotonic_ns() - asked_ns < STALE_NS,
		.free_bytes =
			atomic_load_explicit(&d->sinks[sink].free_bytes, memory_order_relaxed),
		.size_bytes =
			atomic_load_explicit(&d->sinks[sink].size_bytes, memory_order_relaxed),
	};
}

bool disks_close(struct disks *d)
{
	if (!d)
		return true;
	/* seq_cst: ordered before the look whether the thread sleeps. */
	atomic_store(&d->stop, true);
	if (d->stage.started)
		bell_ring(&d->bell);
	if (!stage_join(&d->stage, JOIN_MS))
		return false;
	bell_close(&d->bell);
	free(d);
	return true;
}
