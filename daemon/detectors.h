/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_DETECTORS_H
#define DAEMON_DETECTORS_H

#include "ingest/protocol.h"

/* What start messages say of the detector, kept beyond the message. */

/* A copy that owns its mask. NULL without memory. */
struct detector *detector_copy(const struct detector *d);

/* Accepts NULL. */
void detector_free(struct detector *d);

/* Whether frames are reduced alike with both; NULL: nothing is known. */
bool detector_equal(const struct detector *a, const struct detector *b);

/* Bad pixels of the mask. */
uint64_t detector_bad(const struct detector *d);

#endif
