/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_HOLD_H
#define INGEST_HOLD_H

#include "ingest/source.h"

/* What keeps the pixels of one frame where they are from reception to reduction: parts of ZeroMQ
 * messages, or a slot of shared memory. Not to be copied by assignment: libzmq keeps parts up to
 * 33 bytes inside zmq_msg_t. */

struct shm_lease;

struct hold {
	unsigned count;          /* parts[0..count) are open */
	unsigned room;           /* of parts */
	zmq_msg_t *parts;        /* the layout's [room] */
	struct shm_lease *lease; /* NULL: the pixels are in parts */
};

/* Take part `from` of a received message into the hold, which has room, as its part `at` below
 * count; or as the next one when `at` is count. Returns where its bytes are now. */
const void *hold_take(struct hold *h, unsigned at, zmq_msg_t *from);

/* Give up whatever is held. Accepts a released one. Any thread, once. */
void hold_release(struct hold *h);

#endif
