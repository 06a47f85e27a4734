/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_SLS_H
#define INGEST_SLS_H

#include "ingest/protocol.h"

/* The receiver stream of slsDetectorPackage (versions 6 to 9): one endpoint for each UDP port, two
 * parts for each image of the port:
 *
 *   {"jsonversion": 4, "bitmode": 16, "detshape": [2, 1], "shape": [1024, 256], "size": 524288,
 *    "frameNumber": 12, "row": 0, "column": 1, "data": 1, "completeImage": 1, "flipRows": 0, ...}
 *   pixels, little-endian
 *
 * and one part with "data": 0 at the end of an acquisition. A message is the piece of one port
 * (VERDICT_PIECE); ingest/assembly.h puts frames together, by frameNumber (acqIndex in old ones),
 * the detector's own counter: frameIndex begins anew at each port's first image.
 *
 * bitmode     4 (two pixels a byte, the first in the high half), 8, 12 (Mono12p), 16, 32
 * detshape    ports in x and y; at most 64 in all
 * row, column where the port belongs
 * completeImage 0: packets were lost; FRAME_INCOMPLETE. Where the receiver pads, the pixels that
 *             are missing have all bits set; with 16 and 32 bit those count as having no value
 * flipRows    1: the port's last row comes first
 * timestamp   ticks of 100 ns
 *
 * JUNGFRAU's 16 bits are taken as they are: the gain in bits 15 and 14, the ADC below; they are not
 * told apart, so that statistics and normalised pixels are those of the whole number.
 *
 * Refused: quad, a region of interest of the receiver (rx_roi) over several ports. Headers that are
 * no JSON because fname is not escaped or progress is inf or nan are mended first. */

int sls_open(struct decoder **ret, const struct config_ingest *c, char why[160]);
void sls_decode(struct decoder *d, const struct message *m, struct decoded *ret);
void sls_close(struct decoder *d);

#endif
