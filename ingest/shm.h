/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_SHM_H
#define INGEST_SHM_H

#include "ingest/protocol.h"

/* Frames in shared memory, announced by messages of one part: ingest/shm.md describes it,
 * ingest/shm_ring.h has the layout. The pixels of a frame are in the ring, on loan:
 * decoded.lease. */

int shm_open_decoder(struct decoder **ret, const struct config_ingest *c, char why[160]);
void shm_decode(struct decoder *d, const struct message *m, struct decoded *ret);

/* Tell producers which slots are theirs again. */
void shm_tend(struct decoder *d);

void shm_close(struct decoder *d);

#endif
