/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_ARRAY10_H
#define INGEST_ARRAY10_H

#include "ingest/protocol.h"

/* PSI array-1.0 (htypes specification, and what GigaFRoST, std_daq, sf_daq and mflow send):
 * part 0 a JSON header, part 1 the pixels, row-major.
 *
 *   {"htype": "array-1.0", "shape": [height, width], "type": "uint16", "frame": 7}
 *
 * htype        "array-1.<n>" or a list of one such string; may be left out
 * shape        [height, width]
 * type         uint8 uint16 uint32 float32; ignored when ingest.pixel_format is given;
 *              pixels of a packed one have as many bytes as all their bits fill
 * frame        0 to 2^64 - 2
 * endianness   "little" (default) or "big"; some senders spell it endianess; packed pixels have
 *              an order of their own
 * encoding     empty, if there
 * image_is_complete, is_good_frame, there or in image_attributes
 *              false or 0: the sender calls the frame damaged; FRAME_INCOMPLETE
 * image_attributes.time_stamp
 *              microseconds; becomes frame.timestamp_ns
 *
 * Other keys are ignored, and null is as good as a key left out. What is wrong is looked for
 * in this order: parts; header; encoding; shape; type; a frame above ingest.frame_limit, which
 * is the shape's fault; length.
 *
 * sf_daq sends 2x2 frames of 8 bytes in place of frames it leaves out, often before any other:
 * VERDICT_DUMMY, unless ingest.frame says that frames are 2x2. */

int array10_open(struct decoder **ret, const struct config_ingest *c, char why[160]);
void array10_decode(struct decoder *d, const struct message *m, struct decoded *ret);
void array10_close(struct decoder *d);

/* What ingest.pixel_format of that name says of a frame: type, packing and bits. False, *ret
 * untouched, for a name that is none, `auto` among them. */
bool array10_pixel_format(const char *name, struct frame *ret);

#endif
