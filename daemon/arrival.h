/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_ARRIVAL_H
#define DAEMON_ARRIVAL_H

#include "daemon/receiver.h"
#include "daemon/series.h"

/* In which order the collector takes what several endpoints received.
 *
 * One ring is in order by itself. Several share none: a sender deals frames out to its sockets,
 * and one receiver may be hundreds of frames ahead of another that just lost its core. So the
 * smallest number of the running series goes first, and a frame that would open a gap (or looks
 * like another series) waits a moment for endpoints that have nothing to show yet. */

#define ARRIVAL_PATIENCE_NS ((uint64_t)50 * 1000000u)

struct arrival {
	struct receiver *receiver; /* whose head may be taken; NULL: nothing may */
	const struct entry *head;
	bool patient; /* something waits only for other endpoints: look again soon */
};

/* The head that is next. receivers: [count]. now_real_ns: CLOCK_REALTIME, as frames have it. Not
 * while receivers stand still: see arrival_any(). */
struct arrival arrival_next(struct receiver *receivers, unsigned count, const struct series *s,
                            uint64_t now_real_ns);

/* The head that is next among what is there, waiting for nobody. */
struct arrival arrival_any(struct receiver *receivers, unsigned count, const struct series *s);

#endif
