/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/compress.h"

#include "kernels/cpu.h"
#include "kernels/shuffle.h"

#include <errno.h>
#include <lz4.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#define BLOCK_BYTES     8192              /* where the caller names none */
#define PLAIN_BYTES_MAX ((size_t)1 << 30) /* of one block: LZ4's int and the u32 hold it */
#define TOTAL_BYTES_MAX (SIZE_MAX / 16)   /* so that no bound overflows */
#define HEADER_BYTES    12
#define LENGTH_BYTES    4

/* How bytes are cut; all in bytes. */
struct cut {
	size_t block, full_count, last, tail;
};

/* Where output goes. */
struct writer {
	uint8_t *at;
	size_t room;
};

/* Compress one block. ret_bytes: of out used; 0 or negative errno. */
typedef int block_fn(void *state, const uint8_t *in, size_t bytes, uint8_t *out, size_t room,
                     size_t *ret_bytes);

/* What compresses the blocks: level and context are zstd's. */
struct codec {
	block_fn *block;
	int level;
	ZSTD_CCtx *context;
};

static void put_be32(uint8_t *at, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void put_le32(uint8_t *at, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static void put_header(uint8_t *at, size_t bytes, size_t block_bytes)
{
	put_be32(at, (uint32_t)((uint64_t)bytes >> 32));
	put_be32(at + 4, (uint32_t)bytes);
	put_be32(at + 8, (uint32_t)block_bytes);
}

static bool cut_shuffled(size_t bytes, unsigned element_bytes, size_t block_elements,
                         struct cut *ret)
{
	struct cut c;

	if (element_bytes != 1 && element_bytes != 2 && element_bytes != 4)
		return false;
	if (bytes > TOTAL_BYTES_MAX || bytes % element_bytes != 0 || block_elements % 8 != 0 ||
	    block_elements > PLAIN_BYTES_MAX / 4)
		return false;
	c.block = block_elements ? block_elements * element_bytes : BLOCK_BYTES;
	c.full_count = bytes / c.block;
	c.tail = bytes % (8 * element_bytes);
	c.last = bytes % c.block - c.tail;
	*ret = c;
	return true;
}

static bool cut_plain(size_t bytes, size_t block_bytes, struct cut *ret)
{
	struct cut c;

	if (bytes > TOTAL_BYTES_MAX || block_bytes > PLAIN_BYTES_MAX)
		return false;
	c.block = block_bytes ? block_bytes : BLOCK_BYTES;
	c.block = bytes < c.block ? bytes : c.block;
	c.full_count = c.block ? bytes / c.block : 0;
	c.last = c.block ? bytes % c.block : 0;
	c.tail = 0;
	*ret = c;
	return true;
}

/* Room for all blocks, where the codec makes of one at most what bound() says. */
static size_t bound_of(const struct cut *c, size_t (*bound)(size_t))
{
	size_t bytes = HEADER_BYTES + c->full_count * (LENGTH_BYTES + bound(c->block)) + c->tail;

	return c->last ? bytes + LENGTH_BYTES + bound(c->last) : bytes;
}

static size_t lz4_bound(size_t bytes)
{
	return (size_t)LZ4_COMPRESSBOUND(bytes);
}

/* Stored where LZ4 does not shrink. */
static size_t stored_bound(size_t bytes)
{
	return bytes;
}

static int lz4_block(void *state, const uint8_t *in, size_t bytes, uint8_t *out, size_t room,
                     size_t *ret_bytes)
{
	int capacity = room < INT32_MAX ? (int)room : INT32_MAX;
	int got = LZ4_compress_default((const char *)in, (char *)out, (int)bytes, capacity);

	(void)state;
	if (got <= 0)
		return -ENOSPC;
	*ret_bytes = (size_t)got;
	return 0;
}

static int zstd_block(void *state, const uint8_t *in, size_t bytes, uint8_t *out, size_t room,
                      size_t *ret_bytes)
{
	const struct codec *codec = state;
	size_t got = ZSTD_compressCCtx(codec->context, out, room, in, bytes, codec->level);

	if (ZSTD_isError(got))
		return ZSTD_getErrorCode(got) == ZSTD_error_dstSize_tooSmall ? -ENOSPC : -ENOMEM;
	*ret_bytes = got;
	return 0;
}

/* LZ4 is not given the room for a block that would not be shorter: it then says that none is
 * left, and the block is stored. */
static int lz4_or_stored(void *state, const uint8_t *in, size_t bytes, uint8_t *out, size_t room,
                         size_t *ret_bytes)
{
	if (lz4_block(state, in, bytes, out, room < bytes ? room : bytes - 1, ret_bytes) == 0)
		return 0;
	if (room < bytes)
		return -ENOSPC;
	memcpy(out, in, bytes);
	*ret_bytes = bytes;
	return 0;
}

/* A block behind its length. */
static int write_block(struct writer *w, struct codec *codec, const uint8_t *in, size_t bytes)
{
	size_t used = 0;
	int err;

	if (w->room < LENGTH_BYTES)
		return -ENOSPC;
	err = codec->block(codec, in, bytes, w->at + LENGTH_BYTES, w->room - LENGTH_BYTES, &used);
	if (err)
		return err;
	put_be32(w->at, (uint32_t)used);
	w->at += LENGTH_BYTES + used;
	w->room -= LENGTH_BYTES + used;
	return 0;
}

/* element_bytes 0: blocks are not shuffled, and shuffled is not used. */
static int write_blocks(struct writer *w, struct codec *codec, const struct cut *c,
                        const uint8_t *in, unsigned element_bytes, uint8_t *shuffled)
{
	const struct shuffle_impl *shuffle = shuffle_for(cpu_detect());

	for (size_t i = 0; i <= c->full_count; i++) {
		size_t bytes = i < c->full_count ? c->block : c->last;
		const uint8_t *block;
		int err;

		if (bytes == 0)
			continue;
		block = in + i * c->block;
		if (element_bytes) {
			shuffle->fn[element_bytes / 2](shuffled, block, bytes / element_bytes);
			block = shuffled;
		}
		err = write_block(w, codec, block, bytes);
		if (err)
			return err;
	}
	return 0;
}

static int compress_shuffled(const uint8_t *in, size_t bytes, unsigned element_bytes,
                             const struct cut *c, struct codec *codec, uint8_t *out, size_t room,
                             size_t *ret_bytes)
{
	struct writer w;
	uint8_t *shuffled;
	int err;

	if (room < HEADER_BYTES)
		return -ENOSPC;
	put_header(out, bytes, bytes ? c->block : 0);
	w = (struct writer){ out + HEADER_BYTES, room - HEADER_BYTES };
	shuffled = malloc(c->block < bytes ? c->block : bytes + 1);
	if (!shuffled)
		return -ENOMEM;
	err = write_blocks(&w, codec, c, in, element_bytes, shuffled);
	free(shuffled);
	if (err)
		return err;
	if (w.room < c->tail)
		return -ENOSPC;
	if (c->tail)
		memcpy(w.at, in + bytes - c->tail, c->tail);
	*ret_bytes = (size_t)(w.at - out) + c->tail;
	return 0;
}

size_t compress_bslz4_bound(size_t bytes, unsigned element_bytes, size_t block_elements)
{
	struct cut c;

	return cut_shuffled(bytes, element_bytes, block_elements, &c) ? bound_of(&c, lz4_bound) : 0;
}

int compress_bslz4(const void *in, size_t bytes, unsigned element_bytes, size_t block_elements,
                   void *out, size_t room, size_t *ret_bytes)
{
	struct codec codec = { .block = lz4_block };
	struct cut c;

	if (!cut_shuffled(bytes, element_bytes, block_elements, &c))
		return -EINVAL;
	return compress_shuffled(in, bytes, element_bytes, &c, &codec, out, room, ret_bytes);
}

size_t compress_bszstd_bound(size_t bytes, unsigned element_bytes, size_t block_elements)
{
	struct cut c;

	if (!cut_shuffled(bytes, element_bytes, block_elements, &c))
		return 0;
	return bound_of(&c, ZSTD_compressBound);
}

int compress_bszstd(const void *in, size_t bytes, unsigned element_bytes, size_t block_elements,
                    int level, void *out, size_t room, size_t *ret_bytes)
{
	struct codec codec = { .block = zstd_block, .level = level };
	struct cut c;
	int err;

	if (!cut_shuffled(bytes, element_bytes, block_elements, &c))
		return -EINVAL;
	codec.context = ZSTD_createCCtx();
	if (!codec.context)
		return -ENOMEM;
	err = compress_shuffled(in, bytes, element_bytes, &c, &codec, out, room, ret_bytes);
	ZSTD_freeCCtx(codec.context);
	return err;
}

size_t compress_lz4_hdf5_bound(size_t bytes, size_t block_bytes)
{
	struct cut c;

	return cut_plain(bytes, block_bytes, &c) ? bound_of(&c, stored_bound) : 0;
}

int compress_lz4_hdf5(const void *in, size_t bytes, size_t block_bytes, void *out, size_t room,
                      size_t *ret_bytes)
{
	struct codec codec = { .block = lz4_or_stored };
	struct writer w;
	struct cut c;
	int err;

	if (!cut_plain(bytes, block_bytes, &c))
		return -EINVAL;
	if (room < HEADER_BYTES)
		return -ENOSPC;
	put_header(out, bytes, c.block);
	w = (struct writer){ (uint8_t *)out + HEADER_BYTES, room - HEADER_BYTES };
	err = write_blocks(&w, &codec, &c, in, 0, NULL);
	if (!err)
		*ret_bytes = (size_t)(w.at - (uint8_t *)out);
	return err;
}

size_t compress_lz4_block_bound(size_t bytes)
{
	return bytes <= PLAIN_BYTES_MAX ? lz4_bound(bytes) : 0;
}

int compress_lz4_block(const void *in, size_t bytes, void *out, size_t room, size_t *ret_bytes)
{
	if (bytes > PLAIN_BYTES_MAX)
		return -EINVAL;
	return lz4_block(NULL, in, bytes, out, room, ret_bytes);
}

size_t compress_lz4_bsread_bound(size_t bytes)
{
	return bytes <= PLAIN_BYTES_MAX ? LENGTH_BYTES + lz4_bound(bytes) : 0;
}

int compress_lz4_bsread(const void *in, size_t bytes, bool big_endian, void *out, size_t room,
                        size_t *ret_bytes)
{
	uint8_t *at = out;
	size_t used;
	int err;

	if (bytes > PLAIN_BYTES_MAX)
		return -EINVAL;
	if (room < LENGTH_BYTES)
		return -ENOSPC;
	(big_endian ? put_be32 : put_le32)(at, (uint32_t)bytes);
	err = lz4_block(NULL, in, bytes, at + LENGTH_BYTES, room - LENGTH_BYTES, &used);
	if (!err)
		*ret_bytes = LENGTH_BYTES + used;
	return err;
}
