/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_RATE_CHANGE_H
#define DAEMON_RATE_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

/* The frame rate of the last second against that of the last ten. By the numbers of frames, so
 * that a lost frame is no change of the detector's rate. */

#define RATE_MOMENTS 256

/* Zeroed: no frame yet. */
struct rate_change {
	unsigned count, oldest;
	struct rate_moment {
		uint64_t ns;
		uint64_t number;
	} moments[RATE_MOMENTS]; /* a ring from `oldest` on, 50 ms apart or more */
	double carried;          /* the rate before a pause, frames/s; 0: none */
};

struct rate_change_figures {
	double last, usual; /* of the last second, and before; frames/s, lost ones included */
};

/* The frame `number`, counted in ones, at `ns` of a clock that does not go back by itself; where it
 * does, or the frame comes long after the one before it, the last second begins anew. Once in 50 ms
 * there are new figures: true. */
bool rate_change_take(struct rate_change *r, uint64_t number, uint64_t ns,
                      struct rate_change_figures *ret);

/* Numbers begin anew. */
void rate_change_clear(struct rate_change *r);

#endif
