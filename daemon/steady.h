/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_STEADY_H
#define DAEMON_STEADY_H

#include <stdbool.h>
#include <stdint.h>

/* Time that does not go back, from times of CLOCK_REALTIME in nearly rising order: frames of
 * several endpoints come a little out of it, and somebody may set the clock. */

#define STEADY_BACK_NS ((uint64_t)2 * 1000000000u) /* more than that: the clock was set back */

struct steady {
	bool begun;
	uint64_t now_ns;
	uint64_t ahead_ns; /* of CLOCK_REALTIME */
};

/* The time at `real_ns`, not before what it was the last time. */
static inline uint64_t steady_at(struct steady *s, uint64_t real_ns)
{
	uint64_t at_ns = real_ns + s->ahead_ns;

	if (s->begun && at_ns < s->now_ns && s->now_ns - at_ns > STEADY_BACK_NS) {
		s->ahead_ns += s->now_ns - at_ns;
		at_ns = s->now_ns;
	}
	if (!s->begun || at_ns > s->now_ns)
		s->now_ns = at_ns;
	s->begun = true;
	return s->now_ns;
}

#endif
