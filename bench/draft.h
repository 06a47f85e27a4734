/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_DRAFT_H
#define BENCH_DRAFT_H

#include "bench/faults.h"
#include "bench/wire.h"

/* A message being put together: small parts in memory of its own, and at most one body. */

#define DRAFT_PARTS_MAX 16
#define DRAFT_TEXT_MAX  8192 /* bytes of all small parts together */

struct draft {
	unsigned count;
	struct wire_part parts[DRAFT_PARTS_MAX];
	bool has_body, body_owned; /* owned: malloc'd, free()d by draft_done() or by the wire */
	unsigned body;             /* index of the part */
	unsigned owned_count;
	void *owned[DRAFT_PARTS_MAX]; /* parts that draft_done() free()s */
	size_t used;
	char text[DRAFT_TEXT_MAX];
};

/* Parts point into the draft: it must not move. */
void draft_init(struct draft *d);

/* Free what is still the draft's. */
void draft_done(struct draft *d);

/* Append a part of text, without terminator; longer than the room, it is cut. */
__attribute__((format(printf, 2, 3))) void draft_text(struct draft *d, const char *format, ...);

/* Append a part of few bytes, copied. */
void draft_bytes(struct draft *d, const void *data, size_t bytes);

/* Append a part that is malloc'd, and the draft's from now on; copied when it is sent. */
void draft_own(struct draft *d, void *data, size_t bytes);

/* Append the part that is not copied: once at most. */
void draft_body(struct draft *d, void *data, size_t bytes, bool owned);

/* Damage the first part, which is JSON made by draft_text(), where that is the shot's corruption:
 * cut_header, bracket, noise. The others are the encoder's. */
void draft_damage(struct draft *d, const struct shot *shot);

/* Whether this message is to be damaged in this way. */
static inline bool shot_is(const struct shot *shot, enum corruption c)
{
	return shot->fate == SHOT_CORRUPTED && shot->corruption == c;
}

/* Hand the draft to the wire; an owned body is the wire's then. As wire_message_init(): the draft
 * must stay until wire_message_done(). */
int draft_message(struct draft *d, struct wire *w, struct wire_message *ret);

#endif
