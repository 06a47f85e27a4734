/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_SHM_PRODUCER_H
#define BENCH_SHM_PRODUCER_H

#include "ingest/shm_ring.h"

#include <stdbool.h>
#include <stddef.h>

/* The producer's side of `protocol: shm`, as ingest/shm.md describes it: the memory, the
 * announcements, the releases. One thread uses a producer. */

#define SHM_WHY_BYTES 256

struct shm_producer_options {
	uint32_t slots;         /* 2 to 65536 */
	uint64_t pixel_bytes;   /* room for pixels in a slot, above 0 */
	uint32_t width, height; /* pixels, as announced */
	enum shm_pixel pixel;
	uint32_t bits;        /* significant ones, 0: all */
	const char *endpoint; /* of the announcements */
	bool bind;            /* to it; otherwise connect */
	const char *name;     /* "/name" of POSIX shared memory; NULL: a memfd */
	const char *release;  /* ipc://PATH, ipc://@NAME or tcp://127.0.0.1:PORT; PORT may be * */
	unsigned wait_ms;     /* without a release, until the consumer is taken for dead */
};

struct shm_producer {
	struct shm_producer_options options;
	void *context, *announcements, *releases; /* ZeroMQ */
	int fd;                                   /* of the memory; -1: none */
	bool named;                               /* the name is ours to unlink */
	char *base;
	size_t bytes;
	struct shm_ring ring; /* what the first page says */
	char memory[168];     /* as announced */
	uint64_t series;      /* 0: none */

	struct shm_producer_slot *slots; /* [options.slots] */
	uint32_t *free;                  /* queue: the longest free first */
	uint32_t free_first, free_count;
	uint32_t out;        /* slots that were announced and not released */
	uint64_t waiting_ns; /* since when a release is missed, CLOCK_MONOTONIC; 0: it is not */
	uint64_t swept_ns;   /* when overdue slots were looked for */
	uint64_t newest_return_ns; /* latest announcement among the released slots */

	/* Counts, for whoever wants them. */
	uint64_t announced; /* frames */
	uint64_t waits;     /* times that no slot was free when one was wanted */
	uint64_t reclaimed; /* slots taken back without a release */
	uint64_t ignored;   /* releases that were none: of another ring, slot, generation or size */

	char why[SHM_WHY_BYTES]; /* after an error: one sentence */
};

/* Make the memory, bind for releases, bind or connect for announcements. The struct must not move
 * afterwards; the strings of the options are used until the close.
 *
 * 0; -EINVAL: an option, -EBUSY: the name belongs to a producer that runs, -EADDRINUSE and others:
 * an endpoint, -ENOSPC, -ENOMEM: the memory; with why[]. A name left by a producer that crashed
 * is replaced. */
int shm_producer_open(struct shm_producer *p, const struct shm_producer_options *o);

/* Accepts a zeroed or half-opened one. Gives the last announcements a second to leave. The
 * consumer keeps the memory for as long as it looks at it. */
void shm_producer_close(struct shm_producer *p);

/* Whether an announcement can be sent now: somebody is there and the queue has room. Waits for
 * it, at most timeout_ms; a signal ends it. */
bool shm_producer_ready(struct shm_producer *p, int timeout_ms);

/* Announce that a series begins: `series` other than 0, `frames` 0 when not known. 0; -EAGAIN:
 * nobody is there, try again; another negative errno with why[]. */
int shm_producer_start(struct shm_producer *p, uint64_t series, uint64_t frames);

/* Announce that the series is over. As shm_producer_start(). */
int shm_producer_end(struct shm_producer *p);

/* A free slot to fill. Waits for a release, at most timeout_ms, negative: as long as it takes;
 * across calls, options.wait_ms
 * without one take all slots back. 0; -EAGAIN: none is free yet; -EINTR: a signal came. */
int shm_producer_take(struct shm_producer *p, int timeout_ms, uint32_t *ret_slot);

/* Begin to fill a slot that was taken: what it held is no longer to be used. Returns where its
 * pixels go [options.pixel_bytes], page-aligned. */
void *shm_producer_fill(struct shm_producer *p, uint32_t slot);

/* The slot, of shm_producer_fill(), is filled with frame `number`: announce it with enum shm_flag
 * and the producer's own clock, 0: none. 0: it is the consumer's; -EAGAIN: nobody is there, the
 * slot is still the caller's, to publish again or to put back; another negative errno with why[].
 */
int shm_producer_publish(struct shm_producer *p, uint32_t slot, uint64_t number, uint32_t flags,
                         uint64_t timestamp_ns);

/* Free a slot that was taken and not published. */
void shm_producer_put_back(struct shm_producer *p, uint32_t slot);

/* Wait until no slot is out, at most timeout_ms as above; a consumer taken for dead counts as that.
 * 0; -EAGAIN: some are out yet; -EINTR: a signal came. */
int shm_producer_drain(struct shm_producer *p, int timeout_ms);

#endif
