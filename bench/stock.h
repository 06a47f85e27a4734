/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_STOCK_H
#define BENCH_STOCK_H

#include "bench/framing_kind.h"
#include "bench/pattern.h"

/* The frames of a pattern, compressed. Where the pattern repeats they are made before the first is
 * sent and kept, as long as memory lasts: the counter's are kept from the first time on. Those that
 * find no room are compressed whenever they are taken. */

#define STOCK_NOISE_PLACES 64 /* of a pattern whose noise is to be compressed */

struct stock {
	struct pattern *pattern;
	enum framing framing;
	uint64_t room;   /* bytes that may still be kept */
	uint64_t places; /* of the pattern */
	struct stocked {
		void *data; /* malloc'd; NULL: not kept */
		size_t bytes;
	} * at; /* [places] */
	void *scratch;
	size_t scratch_bytes;
	char why[512]; /* after an error: one sentence */
};

/* Compress what can be prepared: takes seconds at full size.
 *
 * pattern        open, not moved before stock_close()
 * framing        not FRAMING_NONE; FRAMING_PLAIN keeps nothing
 * memory_limit   bytes of compressed frames
 * frames         no more than this many are needed; 0: unknown
 *
 * 0, or -ENOMEM, -EINVAL (frames too large for the framing) or of pattern_take(), with why[]. */
int stock_open(struct stock *s, struct pattern *pattern, enum framing framing,
               uint64_t memory_limit, uint64_t frames);

/* Accepts a zeroed or half-opened one. Nothing taken may still be in use. */
void stock_close(struct stock *s);

/* As pattern_take(), compressed; what is not owned stays until stock_close(). */
int stock_take(struct stock *s, uint64_t number, uint64_t index, struct pattern_pixels *ret,
               size_t *ret_bytes);

/* Make the bytes claim `extra` more bytes of pixels than are in them, where the framing has a
 * size to say it with. */
void stock_overstate(const struct stock *s, void *data, size_t bytes, uint64_t extra);

#endif
