/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_LASTING_H
#define DAEMON_LASTING_H

#include "kernels/defects.h"

#include <stdbool.h>
#include <stdint.h>

/* Pixels that are in LASTING_LOOKS looks in a row: what a particle leaves in one frame is not. */
#define LASTING_LOOKS 3

/* Zeroed: no look yet. */
struct lasting {
	unsigned count; /* pixels of the last look */
	struct lasting_pixel {
		uint32_t pixel;
		uint32_t looks; /* that have it, in a row, at most LASTING_LOOKS */
	} at[DEFECTS_MAX];      /* pixels rising [count] */
	unsigned beyond;        /* looks in which some pixels of the last ones were not listed */
	uint32_t found;         /* pixels that last, of those listed, */
	bool more;              /* and perhaps others */
};

/* Take a look: numbers of pixels, rising [total, at most DEFECTS_MAX]. */
void lasting_look(struct lasting *l, const uint32_t *pixels, uint64_t total);

void lasting_clear(struct lasting *l);

#endif
