/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_SHM_RING_H
#define INGEST_SHM_RING_H

#include <stdint.h>

/* Frames through shared memory on one host: what producer and daemon write to each other. This
 * header needs nothing else of openbeam; ingest/shm.md describes the protocol. All integers are
 * little-endian, as they are on the machines it runs on. */

#define SHM_RING_MAGIC   "OBSHM001"
#define SHM_RING_VERSION 1
#define SHM_PAGE         4096u

/* The first page of the memory. Written once, before the first announcement. */
struct shm_ring {
	char magic[8];       /* SHM_RING_MAGIC, no 0 */
	uint32_t version;    /* SHM_RING_VERSION */
	uint32_t slot_count; /* 2 to 65536 */
	uint64_t slot_bytes; /* from one slot to the next, a multiple of SHM_PAGE */
	uint64_t first_slot; /* where slot 0 begins, a multiple of SHM_PAGE, at least SHM_PAGE */
	uint64_t ring_id;    /* random, other than 0: no two rings have the same */
	char release[216];   /* ZeroMQ endpoint where the producer takes releases, 0-ended:
	                        ipc://PATH or tcp://127.0.0.1:PORT */
};

/* The first page of a slot; the pixels begin SHM_PAGE behind it. */
struct shm_slot {
	uint64_t generation; /* odd while the slot is being filled; even and not 0: filled. Rises by
	                        2 with every frame. Store it odd, then a release fence; fill; store
	                        it even with release */
	uint64_t frame;      /* number of the frame in it, for people */
};

enum shm_kind {
	SHM_FRAME = 1, /* a slot is filled */
	SHM_START = 2, /* a series begins; `frame` is how many frames it has, 0: not known */
	SHM_END = 3,   /* the series is over */
};

/* As array-1.0's types. */
enum shm_pixel { SHM_UINT8, SHM_UINT16, SHM_UINT32, SHM_FLOAT32 };

enum shm_flag {
	SHM_DAMAGED = 1u << 0, /* pixels of this frame are missing or wrong */
};

/* One announcement: a ZeroMQ message of one part. */
struct shm_announcement {
	char magic[4]; /* "OBSA" */
	uint32_t kind; /* enum shm_kind */
	uint64_t ring_id;
	uint64_t series;       /* any number but 0 that tells series apart, 0: no series messages */
	uint64_t frame;        /* number */
	uint64_t generation;   /* of the slot, even */
	uint64_t timestamp_ns; /* the producer's own clock, 0: none */
	uint64_t bytes;        /* of the pixels */
	uint32_t slot;         /* below slot_count */
	uint32_t width, height; /* pixels */
	uint32_t pixel;         /* enum shm_pixel */
	uint32_t bits;          /* significant ones, 0: all */
	uint32_t flags;         /* enum shm_flag */
	char memory[168];       /* "/name" of shm_open(), or "/proc/<pid>/fd/<n>" of a memfd with
	                           F_SEAL_SHRINK; 0-ended */
};

/* The daemon's answer: it will not look at this generation of the slot again. */
struct shm_release {
	char magic[4]; /* "OBSR" */
	uint32_t slot;
	uint64_t ring_id;
	uint64_t generation;
};

_Static_assert(sizeof(struct shm_ring) == 256, "no padding");
_Static_assert(sizeof(struct shm_announcement) == 248, "no padding");
_Static_assert(sizeof(struct shm_release) == 24, "no padding");

#endif
