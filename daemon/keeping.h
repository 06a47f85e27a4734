/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_KEEPING_H
#define DAEMON_KEEPING_H

#include "daemon/slot.h"
#include "ingest/hold.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Payloads that outlive their reduction: what the black box holds, what a dark or flat is made of,
 * and frames that may have to be reduced again with a calibration that is being made.
 *
 * Nothing is copied: the messages stay where ZeroMQ put them (those of shared memory are copied,
 * since a producer waits for its slots). The worker leaves a payload with its slot instead of
 * freeing it, as long as all that is kept stays below a limit; the collector then keeps it or lets
 * it go. */

struct keeping {
	_Atomic uint32_t asked;       /* commands given and not yet followed: a dark may begin */
	_Alignas(64) _Atomic bool on; /* collector: workers leave payloads with their slots */
	_Atomic uint64_t limit;       /* collector: bytes */
	_Alignas(64) _Atomic uint64_t bytes; /* of all payloads that are kept now */
};

/* Say whether workers leave payloads, and how many bytes of them may be kept. Collector. */
void keeping_allow(struct keeping *k, bool on, uint64_t limit);

/* Leave the payload of a reduced slot with it. False: it is not to be kept, or there is no room for
 * it; free it. The worker that reduced it. */
bool keeping_leave(struct keeping *k, struct slot *s);

/* Let go of what was left with the slot. Accepts a slot without. Collector. */
void keeping_free(struct keeping *k, struct slot *s);

/* One kept payload and its frame. */
struct kept {
	struct kept *next;
	struct frame frame;   /* its pixels are `raw` */
	uint32_t calibration; /* id that it was reduced with */
	uint64_t series;      /* a count: equal for frames of one series */
	const void *raw;      /* NULL: one part for each port, or there is no payload */
	struct hold hold;     /* of one part or one for each port */
	uint64_t bytes;       /* of the payload and of what is kept beside it */
};

struct kept_list {
	struct kept *first, **end; /* end: where the next one goes */
	uint64_t frames, bytes;
};

void kept_list_init(struct kept_list *l);
void kept_list_push(struct kept_list *l, struct kept *f);
struct kept *kept_list_pop(struct kept_list *l); /* the first, or NULL */

/* Keep what was left with the slot; the slot keeps it too. NULL: nothing was left, or there is no
 * memory. Collector. */
struct kept *kept_share(struct keeping *k, const struct slot *s);

/* Keep the slot's frame without its payload. NULL without memory. Collector. */
struct kept *kept_note(struct keeping *k, const struct slot *s);

/* Whether the payload is there. */
static inline bool kept_whole(const struct kept *f)
{
	return f->raw || f->hold.count > 0;
}

/* Any thread. Accepts NULL. */
void kept_free(struct keeping *k, struct kept *f);

/* All of a list; it is empty then. */
void kept_list_free(struct keeping *k, struct kept_list *l);

#endif
