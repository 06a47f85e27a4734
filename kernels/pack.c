/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/pack.h"

#include <lz4.h>
#include <stdbool.h>
#include <string.h>

#define LENGTH_BYTES 4

/* Where output goes. */
struct output {
	uint8_t *at;
	size_t room;
};

static void put_be32(uint8_t *at, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static size_t tail_bytes(const struct pack *p, size_t bytes)
{
	return p->element ? bytes % (8 * p->element) : 0;
}

size_t pack_blocks_bound(const struct pack *p, size_t bytes)
{
	size_t tail = tail_bytes(p, bytes), last = bytes % p->block_bytes - tail;
	size_t full = bytes / p->block_bytes;
	size_t most = PACK_HEAD_BYTES + full * (LENGTH_BYTES + p->bound(p->block_bytes)) + tail;

	return last ? most + LENGTH_BYTES + p->bound(last) : most;
}

/* A block behind its length. */
static bool put_block(struct output *o, const struct pack *p, const void *in, size_t bytes)
{
	size_t used;

	if (o->room < LENGTH_BYTES)
		return false;
	if (p->element) {
		p->shuffle->fn[p->element / 2](p->shuffled, in, bytes / p->element);
		in = p->shuffled;
	}
	used = p->block(p->state, o->at + LENGTH_BYTES, o->room - LENGTH_BYTES, in, bytes);
	put_be32(o->at, (uint32_t)used);
	o->at += LENGTH_BYTES + used;
	o->room -= LENGTH_BYTES + used;
	return used > 0;
}

size_t pack_blocks(const struct pack *p, void *out, size_t room, const void *in, size_t bytes)
{
	struct output o = { out, room };
	const uint8_t *from = in;
	size_t tail = tail_bytes(p, bytes), left = bytes - tail;

	if (room < PACK_HEAD_BYTES)
		return 0;
	put_be32(o.at, (uint32_t)((uint64_t)bytes >> 32));
	put_be32(o.at + 4, (uint32_t)bytes);
	put_be32(o.at + 8, bytes ? (uint32_t)p->block_bytes : 0);
	o.at += PACK_HEAD_BYTES;
	o.room -= PACK_HEAD_BYTES;
	while (left > 0) {
		size_t n = left < p->block_bytes ? left : p->block_bytes;

		if (!put_block(&o, p, from, n))
			return 0;
		from += n;
		left -= n;
	}
	if (o.room < tail)
		return 0;
	if (tail)
		memcpy(o.at, from, tail);
	return (size_t)(o.at - (uint8_t *)out) + tail;
}

size_t pack_lz4(void *state, void *out, size_t room, const void *in, size_t bytes)
{
	int capacity = room < INT32_MAX ? (int)room : INT32_MAX, used;

	used = state ? LZ4_compress_fast_extState(state, in, out, (int)bytes, capacity, 1)
	             : LZ4_compress_default(in, out, (int)bytes, capacity);
	return used > 0 ? (size_t)used : 0;
}

size_t pack_lz4_state_bytes(void)
{
	return (size_t)LZ4_sizeofState();
}

size_t pack_lz4_bound(size_t bytes)
{
	return (size_t)LZ4_COMPRESSBOUND(bytes);
}

/* The transposed block, and behind it LZ4's state. */
static struct pack bslz4_of(unsigned element, const struct shuffle_impl *shuffle, void *scratch)
{
	return (struct pack){ .element = element,
		              .block_bytes = PACK_BLOCK_BYTES,
		              .shuffle = shuffle,
		              .shuffled = scratch,
		              .bound = pack_lz4_bound,
		              .block = pack_lz4,
		              .state = scratch ? (uint8_t *)scratch + PACK_BLOCK_BYTES : NULL };
}

size_t pack_bound(size_t bytes, unsigned element)
{
	struct pack p = bslz4_of(element, NULL, NULL);

	return pack_blocks_bound(&p, bytes);
}

size_t pack_scratch_bytes(void)
{
	return PACK_BLOCK_BYTES + pack_lz4_state_bytes();
}

size_t pack_bslz4(void *out, size_t room, const void *in, size_t bytes, unsigned element,
                  const struct shuffle_impl *shuffle, void *scratch)
{
	struct pack p = bslz4_of(element, shuffle, scratch);

	return pack_blocks(&p, out, room, in, bytes);
}
