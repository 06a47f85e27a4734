/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_CLOSING_H
#define DAEMON_CLOSING_H

#include "daemon/collector.h"

/* Beginning and closing a series: folder, histograms, totals, the verdict. All of it on the
 * collecting thread. */

/* Make the folder of the running series, if it has none yet. */
void closing_begin(struct collector *k);

/* Add a frame's histograms to the series'. */
void closing_count(struct collector *k, const struct slot *s);

/* Whether another series may begin: the limit is not reached, the run goes on, and it was armed
 * where it has to be. */
bool closing_may_begin(const struct collector *k);

/* Decide what is left of the open series and close its files. Does nothing when none is open. */
void closing_finish(struct collector *k);

#endif
