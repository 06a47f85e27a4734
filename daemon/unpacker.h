/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_UNPACKER_H
#define DAEMON_UNPACKER_H

#include "config/config.h"
#include "daemon/keeping.h"
#include "daemon/slot_layout.h"

/* Kept payloads made into plain pixels of the full frame, whatever they were on the wire: what a
 * worker does with reduce.type source, without a pipeline around it. One thread at a time. */

struct unpacker {
	struct config config; /* a shallow copy: texts are the original's */
	struct planes none;   /* no calibration */
	struct layout layout;
	bool open;
};

/* For frames of this shape, compressed or not. `sink`: what the pixels are for, copied; NULL: for
 * nothing but memory. slots: how many frames can be out at once, at least 1. The configuration is
 * borrowed. 0, or negative errno with `why`. */
int unpacker_open(struct unpacker *u, const struct config *c, const struct config_sink *sink,
                  const struct detector *detector, const struct frame_shape *shape, unsigned cpu,
                  unsigned slots, char why[320]);

/* Accepts a zeroed one. */
void unpacker_close(struct unpacker *u);

/* Bytes of one frame's pixels, and their type. */
size_t unpacker_bytes(const struct unpacker *u);
enum product_type unpacker_type(const struct unpacker *u);

/* Unpack a frame into one of layout.slots: reduced and source pixels, histograms and statistics are
 * then there. False when it is damaged: slot.why. The slot does not keep the payload. */
bool unpacker_run(struct unpacker *u, const struct kept *f, struct slot *s);

#endif
