/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_PACE_H
#define DAEMON_PACE_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many frames came, and between which moments. */

struct moment {
	uint64_t sent_ns;     /* the sender's clock, 0: not said */
	uint64_t received_ns; /* CLOCK_REALTIME */
};

/* Zeroed: nothing came. */
struct pace {
	uint64_t frames;
	bool follows; /* there is a frame before the first one: */
	struct moment before, first, last;
};

static inline void pace_add(struct pace *p, const struct moment *before, const struct moment *now)
{
	if (p->frames++ == 0) {
		p->follows = before != NULL;
		p->before = before ? *before : *now;
		p->first = *now;
	}
	p->last = *now;
}

/* Go on with what came after it. */
static inline void pace_join(struct pace *p, const struct pace *later)
{
	if (p->frames == 0) {
		*p = *later;
		return;
	}
	p->frames += later->frames;
	if (later->frames > 0)
		p->last = later->last;
}

/* Frames a second, from the frame before the first, where there is one, to the last; by the
 * sender's clock where it has one. NaN: not known. */
static inline double pace_rate(const struct pace *p)
{
	const struct moment *from = p->follows ? &p->before : &p->first, *to = &p->last;
	double intervals = (double)p->frames - !p->follows;

	if (p->frames == 0 || intervals <= 0)
		return NAN;
	if (from->sent_ns != 0 && to->sent_ns > from->sent_ns)
		return intervals * 1e9 / (double)(to->sent_ns - from->sent_ns);
	if (to->received_ns > from->received_ns)
		return intervals * 1e9 / (double)(to->received_ns - from->received_ns);
	return NAN;
}

#endif
