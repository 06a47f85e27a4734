/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_FITTING_H
#define DAEMON_FITTING_H

#include "daemon/planes.h"
#include "daemon/slot_layout.h"

/* Whether frames of this shape, of a detector that says `d` of itself (or NULL), are not what the
 * images were made for: another size, another pixel type, or, where both are known, another
 * exposure of the dark, or of the flat without a dark of its own. `why`: one sentence. */
bool calibration_misfits(const struct planes *p, const struct frame_shape *s,
                         const struct detector *d, char why[320]);

#endif
