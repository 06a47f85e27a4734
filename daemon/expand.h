/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_EXPAND_H
#define DAEMON_EXPAND_H

#include "daemon/slot_layout.h"

/* From pixels as they were sent to pixels that the pass reads: decompressed, signed ones widened.
 * Done by the worker, into memory of its own. */

/* Whether frames of this shape need it. */
bool expand_needed(const struct frame_shape *s);

/* Bytes that a worker needs behind the scratch of the pass for `frames` frames. */
size_t expand_bytes(const struct layout *l, unsigned frames);

/* Prepare the memory of a worker. */
void expand_init(const struct layout *l, void *scratch, unsigned cpu);

/* The pixels of the slot, as number `frame` of this worker's frames. NULL when they are damaged:
 * slot.why and slot.lost say it. */
const void *expand(const struct layout *l, void *scratch, unsigned frame, struct slot *s);

#endif
