/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/hold.h"

#include "ingest/shm_map.h"

const void *hold_take(struct hold *h, unsigned at, zmq_msg_t *from)
{
	if (at == h->count) {
		zmq_msg_init(&h->parts[at]);
		h->count++;
	}
	zmq_msg_move(&h->parts[at], from);
	return zmq_msg_data(&h->parts[at]);
}

void hold_release(struct hold *h)
{
	while (h->count > 0)
		zmq_msg_close(&h->parts[--h->count]);
	if (h->lease)
		shm_lease_return(h->lease);
	h->lease = NULL;
}
