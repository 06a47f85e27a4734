/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_ASSEMBLY_H
#define INGEST_ASSEMBLY_H

#include "ingest/protocol.h"

#include <zmq.h>

/* Frames whose pieces come from several endpoints: kept open until every port has given its piece,
 * or for too long. Nothing is copied: the pieces stay in their messages. One receiving thread.
 *
 * How many frames are open at once is bounded (assembly_open_most), and so is how far whole ones
 * may be ahead of one that still lacks a piece. */

#define ASSEMBLY_OPEN_MAX 256 /* a power of two */
#define ASSEMBLY_BEHIND   24  /* frames; below series.reorder, so that the number is not lost */

/* A frame with the pieces that are there. */
struct gathered {
	bool used;
	struct frame frame; /* of the first piece; flags of all, angle of the first that has one */
	unsigned ports;
	uint64_t there; /* bit p: parts[p] has the piece of port p, else it is empty */
	uint64_t began_ns;
	zmq_msg_t parts[PORTS_MAX]; /* [ports] */
};

struct assembly {
	uint64_t timeout_ns, buffer_bytes;
	struct gathered *open;             /* by number [ASSEMBLY_OPEN_MAX] */
	unsigned count, whole;             /* of them in use, and with all pieces */
	uint64_t newest;                   /* largest number of a whole one given away since numbers
	                                      began */
	uint64_t given[ASSEMBLY_OPEN_MAX]; /* by number: given away last, plus one; 0: none */
	uint64_t last_ns;                  /* when a piece came last, */
	uint64_t checked_ns;     /* and when it was looked for frames that wait too long, */
	uint64_t checked_newest; /* with this one the newest */
	unsigned most;           /* frames of the last one's size may be open */
};

enum assembly_answer {
	ASSEMBLY_TAKEN,
	ASSEMBLY_DUPLICATE, /* that port's piece is there already */
	ASSEMBLY_LATE,      /* the frame was given away without it */
	ASSEMBLY_OTHER,     /* the frame's other pieces say another geometry */
};

/* How many frames of this size may be open in a buffer. At least 2. */
unsigned assembly_open_most(uint64_t buffer_bytes, uint64_t frame_bytes);

/* 0 or -ENOMEM. */
int assembly_open(struct assembly *a, uint64_t timeout_ns, uint64_t buffer_bytes);

/* Accepts a zeroed one. */
void assembly_close(struct assembly *a);

/* Add the piece of a message (VERDICT_PIECE); `part` is moved when it is taken. Call
 * assembly_next() until it is NULL, and assembly_in_the_way(), first: then there is room. now_ns:
 * CLOCK_MONOTONIC. */
enum assembly_answer assembly_add(struct assembly *a, const struct decoded *piece, zmq_msg_t *part,
                                  uint64_t now_ns);

/* A frame that is whole, or that waits no longer: for too long, too far behind, `all`, or because
 * another one needs its room. NULL: none. It has FRAME_INCOMPLETE when a piece lacks. It stays
 * until assembly_done(). */
struct gathered *assembly_next(struct assembly *a, uint64_t now_ns, bool all);

/* The frame in whose place one of this number would be; give it away first, whole or not. NULL:
 * none. */
struct gathered *assembly_in_the_way(const struct assembly *a, uint64_t number);

/* Let go of what is left of a frame that assembly_next() gave. */
void assembly_done(struct assembly *a, struct gathered *g);

/* The series is over: numbers may begin again. What is open stays so. */
void assembly_restart(struct assembly *a);

#endif
