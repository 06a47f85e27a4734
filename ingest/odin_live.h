/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_ODIN_LIVE_H
#define INGEST_ODIN_LIVE_H

#include "ingest/protocol.h"

/* The live view of odin-data: two parts.
 *
 *   {"frame_num": 2, "acquisition_id": "", "dtype": "uint16", "dsize": 12, "dataset": "data",
 *    "compression": "none", "shape": ["2", "3"]}
 *
 * dtype        uint8 uint16 uint32 uint64 (as float32) float (32 bit)
 * shape        texts; [y, x], with a leading "1" or not
 * compression  none, LZ4 (one bare block), BSLZ4 (with its head), in upper or lower case
 * dataset      several can share one socket: ingest.channel names ours, else the first that is
 *              taken is it; messages about others are passed over
 *
 * The stream is every n-th frame or so many a second: gaps are normal (series.step). */

int odin_live_open(struct decoder **ret, const struct config_ingest *c, char why[160]);
void odin_live_decode(struct decoder *d, const struct message *m, struct decoded *ret);
void odin_live_close(struct decoder *d);

#endif
