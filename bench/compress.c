/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/compress.h"

#include "kernels/cpu.h"
#include "kernels/pack.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#define PLAIN_BYTES_MAX ((size_t)1 << 30) /* of one block: LZ4's int and the u32 hold it */
#define TOTAL_BYTES_MAX (SIZE_MAX / 16)   /* so that no bound overflows */
#define LENGTH_BYTES    4

/* What zstd compresses blocks with, and why one was not. */
struct codec {
	ZSTD_CCtx *context;
	int level, err;
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

/* Stored where LZ4 does not shrink. */
static size_t stored_bound(size_t bytes)
{
	return bytes;
}

static size_t zstd_block(void *state, void *out, size_t room, const void *in, size_t bytes)
{
	struct codec *codec = state;
	size_t got = ZSTD_compressCCtx(codec->context, out, room, in, bytes, codec->level);

	if (!ZSTD_isError(got))
		return got;
	if (ZSTD_getErrorCode(got) != ZSTD_error_dstSize_tooSmall)
		codec->err = -ENOMEM;
	return 0;
}

/* LZ4 is not given the room for a block that would not be shorter: it then says that none is
 * left, and the block is stored. */
static size_t lz4_or_stored(void *state, void *out, size_t room, const void *in, size_t bytes)
{
	size_t used = pack_lz4(state, out, room < bytes ? room : bytes - 1, in, bytes);

	if (used > 0 || room < bytes)
		return used;
	memcpy(out, in, bytes);
	return bytes;
}

static bool shuffles(size_t bytes, unsigned element_bytes, size_t block_elements, struct pack *ret)
{
	if (element_bytes != 1 && element_bytes != 2 && element_bytes != 4)
		return false;
	if (bytes > TOTAL_BYTES_MAX || bytes % element_bytes != 0 || block_elements % 8 != 0 ||
	    block_elements > PLAIN_BYTES_MAX / 4)
		return false;
	*ret = (struct pack){ .element = element_bytes,
		              .block_bytes = block_elements ? block_elements * element_bytes
		                                            : PACK_BLOCK_BYTES,
		              .shuffle = shuffle_for(cpu_detect()),
		              .bound = pack_lz4_bound,
		              .block = pack_lz4 };
	return true;
}

static int write_shuffled(struct pack *p, const void *in, size_t bytes, void *out, size_t room,
                          size_t *ret_bytes)
{
	size_t used;

	p->shuffled = malloc(p->block_bytes < bytes ? p->block_bytes : bytes + 1);
	if (!p->shuffled)
		return -ENOMEM;
	used = pack_blocks(p, out, room, in, bytes);
	free(p->shuffled);
	if (used == 0)
		return -ENOSPC;
	*ret_bytes = used;
	return 0;
}

size_t compress_bslz4_bound(size_t bytes, unsigned element_bytes, size_t block_elements)
{
	struct pack p;

	return shuffles(bytes, element_bytes, block_elements, &p) ? pack_blocks_bound(&p, bytes)
	                                                          : 0;
}

int compress_bslz4(const void *in, size_t bytes, unsigned element_bytes, size_t block_elements,
                   void *out, size_t room, size_t *ret_bytes)
{
	struct pack p;

	if (!shuffles(bytes, element_bytes, block_elements, &p))
		return -EINVAL;
	return write_shuffled(&p, in, bytes, out, room, ret_bytes);
}

size_t compress_bszstd_bound(size_t bytes, unsigned element_bytes, size_t block_elements)
{
	struct pack p;

	if (!shuffles(bytes, element_bytes, block_elements, &p))
		return 0;
	p.bound = ZSTD_compressBound;
	return pack_blocks_bound(&p, bytes);
}

int compress_bszstd(const void *in, size_t bytes, unsigned element_bytes, size_t block_elements,
                    int level, void *out, size_t room, size_t *ret_bytes)
{
	struct codec codec = { .level = level };
	struct pack p;
	int err;

	if (!shuffles(bytes, element_bytes, block_elements, &p))
		return -EINVAL;
	codec.context = ZSTD_createCCtx();
	if (!codec.context)
		return -ENOMEM;
	p.block = zstd_block;
	p.state = &codec;
	err = write_shuffled(&p, in, bytes, out, room, ret_bytes);
	ZSTD_freeCCtx(codec.context);
	return codec.err ? codec.err : err;
}

/* No bytes have no block: any length will do. */
static bool stores(size_t bytes, size_t block_bytes, struct pack *ret)
{
	size_t block = block_bytes ? block_bytes : PACK_BLOCK_BYTES;

	if (bytes > TOTAL_BYTES_MAX || block_bytes > PLAIN_BYTES_MAX)
		return false;
	*ret = (struct pack){ .block_bytes = bytes && bytes < block ? bytes : block,
		              .bound = stored_bound,
		              .block = lz4_or_stored };
	return true;
}

size_t compress_lz4_hdf5_bound(size_t bytes, size_t block_bytes)
{
	struct pack p;

	return stores(bytes, block_bytes, &p) ? pack_blocks_bound(&p, bytes) : 0;
}

int compress_lz4_hdf5(const void *in, size_t bytes, size_t block_bytes, void *out, size_t room,
                      size_t *ret_bytes)
{
	struct pack p;
	size_t used;

	if (!stores(bytes, block_bytes, &p))
		return -EINVAL;
	used = pack_blocks(&p, out, room, in, bytes);
	if (used == 0)
		return -ENOSPC;
	*ret_bytes = used;
	return 0;
}

static int write_lz4(const void *in, size_t bytes, void *out, size_t room, size_t *ret_bytes)
{
	size_t used = pack_lz4(NULL, out, room, in, bytes);

	if (used == 0)
		return -ENOSPC;
	*ret_bytes = used;
	return 0;
}

size_t compress_lz4_block_bound(size_t bytes)
{
	return bytes <= PLAIN_BYTES_MAX ? pack_lz4_bound(bytes) : 0;
}

int compress_lz4_block(const void *in, size_t bytes, void *out, size_t room, size_t *ret_bytes)
{
	if (bytes > PLAIN_BYTES_MAX)
		return -EINVAL;
	return write_lz4(in, bytes, out, room, ret_bytes);
}

size_t compress_lz4_bsread_bound(size_t bytes)
{
	return bytes <= PLAIN_BYTES_MAX ? LENGTH_BYTES + pack_lz4_bound(bytes) : 0;
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
	err = write_lz4(in, bytes, at + LENGTH_BYTES, room - LENGTH_BYTES, &used);
	if (!err)
		*ret_bytes = LENGTH_BYTES + used;
	return err;
}
