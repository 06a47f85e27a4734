/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_SHM_MAP_H
#define INGEST_SHM_MAP_H

#include "ingest/shm_ring.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The consumer's side of shared-memory rings: mapping them read-only, lending slots to frames,
 * telling the producer when a slot is its own again.
 *
 * Whoever names a ring must own it: memory of another user, or that others can open, is refused.
 * The first page is read once. A producer that cuts the memory short under our feet would end the
 * process with SIGBUS: shm_map_guard() puts zeros in its place, and the frame is given up. */

#define SHM_MAPS_MAX 8 /* rings at once */

struct shm_map;

/* One slot on loan. */
struct shm_lease {
	struct shm_map *map;
	struct shm_lease *next; /* in the list of returned ones */
	uint64_t generation;
	uint32_t slot;
	bool lent;
};

struct shm_map {
	uint64_t ring_id; /* 0: row unused */
	const char *base; /* read-only mapping */
	size_t bytes;
	uint32_t slot_count;
	uint64_t slot_bytes, first_slot;
	uint64_t used;            /* when last, in announcements; the receiving thread's */
	uint32_t lent;            /* the receiving thread's */
	struct shm_lease *leases; /* [slot_count] */
	void *release;            /* ZeroMQ socket */
	_Atomic bool broken;      /* the memory was cut short */
	char memory[168];         /* its name, */
	uint64_t device, inode;   /* and what that was when it was mapped */
	struct shm_lease *_Atomic returned; /* by any thread; taken by the receiving one */
};

struct shm_maps {
	struct shm_map maps[SHM_MAPS_MAX];
	void *context; /* of the release sockets */
	uint64_t clock;
	char why[160]; /* after an error: one sentence */
};

/* Install the handler of SIGBUS, once in the process, before any ring is mapped. */
void shm_map_guard(void);

/* 0 or -ENOMEM. Main thread, then one receiving thread uses it. */
int shm_maps_open(struct shm_maps *m);

/* No slot may be on loan any more; what was returned is released. Accepts a zeroed one. */
void shm_maps_close(struct shm_maps *m);

/* The ring an announcement is about, mapped when it is new. NULL with why[]. */
struct shm_map *shm_maps_find(struct shm_maps *m, const struct shm_announcement *a);

/* Where the pixels of a slot are; the rest of the slot are pixels. slot < slot_count. */
const void *shm_map_pixels(const struct shm_map *map, uint32_t slot);

/* Whether the slot is still filled with that generation and the memory is whole. Any thread. */
bool shm_map_holds(const struct shm_map *map, uint32_t slot, uint64_t generation);

/* Lend a slot. NULL when it is on loan already. Receiving thread. */
struct shm_lease *shm_map_lend(struct shm_map *map, uint32_t slot, uint64_t generation);

/* Release a slot that was announced and not lent: nothing of that generation is used. Not for a
 * generation that is on loan, which shm_lease_return() releases; then nothing is sent. Receiving
 * thread. */
void shm_map_refuse(struct shm_map *map, uint32_t slot, uint64_t generation);

/* Whether what was read through the lease is what was announced. Any thread. */
bool shm_lease_holds(const struct shm_lease *l);

/* Give it back. Any thread, once. */
void shm_lease_return(struct shm_lease *l);

/* Tell producers which slots are theirs again. Receiving thread, often. */
void shm_maps_tend(struct shm_maps *m);

#endif
