/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SENTINEL_TEXTS_H
#define DAEMON_SENTINEL_TEXTS_H

#include "daemon/watch.h"

/* Write the alarm's text: of the last look while it is active, of the worst once it has ended.
 * `disk`: directory. What looks bring beside their value:
 *
 *   dead, hot    detail: not 0 where there may be more; usual: 0 without a calibration
 *   beam         usual: the share below which it is dumped
 *   flat_drift   detail: the same with its sign
 *   repeated     before: number of the first of these frames
 *   noise        detail: signal-to-noise; usual: what it was
 *   frame_rate   detail: frames/s; usual: what they were
 *   timestamps   detail: seconds; usual: not 0 where time passed here, too; before: number of the
 *                frame before
 *   buffer       detail: seconds until it is full
 *   disk         detail: bytes left; usual: not 0 where these are few */
void sentinel_text(enum sentinel s, struct watch *w, const char *disk);

#endif
