/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_STINS_H
#define INGEST_STINS_H

#include "ingest/protocol.h"

/* MAX IV's STINS ("stream1"):
 *
 *   {"htype": "header", "filename": ...}     1 part, more are skipped
 *   {"htype": "image", "frame": 0, "shape": [y, x], "type": "uint32", "compression": "none"}
 *                                            the pixels, and Python-pickled extras, if any: these
 *                                            are never looked at
 *   {"htype": "series_end"}                  1 part, more are skipped
 *
 * Numbers begin at 0 in every series. */

int stins_open(struct decoder **ret, const struct config_ingest *c, char why[160]);
void stins_decode(struct decoder *d, const struct message *m, struct decoded *ret);
void stins_close(struct decoder *d);

#endif
