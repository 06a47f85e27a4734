/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_BSREAD_H
#define INGEST_BSREAD_H

#include "ingest/protocol.h"

/* PSI's bsread (htypes bsr_m-1 and bsr_d-1; cam_server, SwissFEL cameras, std_live_stream):
 *
 *   part 0       {"htype": "bsr_m-1.1", "pulse_id": 1, "hash": "...", "global_timestamp":
 *                {"sec": 1, "ns": 2}, "dh_compression": "none"}
 *   part 1       {"htype": "bsr_d-1.1", "channels": [{"name", "type", "shape": [x, y],
 *                "encoding": "little", "compression": "none"}]}, compressed as part 0 says
 *   part 2 + 2c  the value of channel c, empty: none this time
 *   part 3 + 2c  its timestamp, may be empty; of the last channel it may be left out
 *
 * The frames are of the channel that ingest.channel names; without a name, of the first that has
 * two dimensions. Its pulse_id is the frame number. An empty value is a message without a frame
 * (VERDICT_DUMMY). compression: none; bitshuffle_lz4, with its head; lz4, 4 bytes of plain size in
 * the channel's byte order and a bare block.
 *
 * Part 1 is read only when its bytes are others than those read last. */

int bsread_open(struct decoder **ret, const struct config_ingest *c, char why[160]);
void bsread_decode(struct decoder *d, const struct message *m, struct decoded *ret);
void bsread_close(struct decoder *d);

#endif
