/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/decompress.h"

#define ZSTD_STATIC_LINKING_ONLY /* a context in memory that is given */
#include <lz4.h>
#include <string.h>
#include <zstd.h>

#define HEAD_BYTES    12u
#define LENGTH_BYTES  4u
#define DEFAULT_BYTES 8192u /* bitshuffle's target for a block, */
#define DEFAULT_LEAST 128u  /* and its least elements */

const char *codec_name(enum codec c)
{
	static const char *const names[CODEC_COUNT] = {
		[CODEC_NONE] = "none",
		[CODEC_LZ4] = "lz4",
		[CODEC_LZ4_BLOCKS] = "lz4 blocks",
		[CODEC_BSLZ4] = "bslz4",
		[CODEC_BSZSTD] = "bszstd",
	};

	return names[c];
}

size_t decompress_scratch_bytes(void)
{
	return DECOMPRESS_BLOCK_MAX + (ZSTD_estimateDCtxSize() + 63) / 64 * 64;
}

void decompress_init(struct decompress *d, void *scratch, unsigned cpu)
{
	*d = (struct decompress){ .unshuffle = unshuffle_for(cpu),
		                  .block = scratch,
		                  .block_bytes = DECOMPRESS_BLOCK_MAX };
	d->zstd = ZSTD_initStaticDCtx((char *)scratch + DECOMPRESS_BLOCK_MAX,
	                              ZSTD_estimateDCtxSize());
}

static uint32_t read_be32(const unsigned char *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint64_t read_be64(const unsigned char *at)
{
	return (uint64_t)read_be32(at) << 32 | read_be32(at + 4);
}

static bool is_bitshuffled(enum codec c)
{
	return c == CODEC_BSLZ4 || c == CODEC_BSZSTD;
}

static size_t default_block(unsigned element)
{
	size_t elements = DEFAULT_BYTES / element / 8 * 8;

	return (elements < DEFAULT_LEAST ? DEFAULT_LEAST : elements) * element;
}

/* The head of data that have one. */
struct head {
	uint64_t plain;
	size_t block; /* bytes */
};

static const char *read_head(enum codec c, unsigned element, const unsigned char *data,
                             size_t bytes, struct head *ret)
{
	uint32_t block;

	if (bytes < HEAD_BYTES)
		return "the compressed data are shorter than their head of 12 bytes";
	ret->plain = read_be64(data);
	block = read_be32(data + 8);
	ret->block = block;
	if (is_bitshuffled(c)) {
		if (element != 1 && element != 2 && element != 4)
			return "bitshuffle of elements other than 1, 2 and 4 bytes";
		if (block == 0)
			ret->block = default_block(element);
		if (ret->block % (8 * element))
			return "the block size is no multiple of 8 elements";
		return NULL;
	}
	if (ret->plain > 0 && (block == 0 || block > INT32_MAX))
		return "the block size is 0 or above 2^31 - 1";
	return NULL;
}

bool decompress_announced(enum codec c, unsigned element, const void *data, size_t bytes,
                          uint64_t *ret_plain, const char **ret_why)
{
	struct head head;

	*ret_why = c == CODEC_LZ4 ? "a bare LZ4 block says nothing of its size"
	                          : read_head(c, element, data, bytes, &head);
	if (*ret_why)
		return false;
	*ret_plain = head.plain;
	return true;
}

/* A part of the data that is left. */
struct rest {
	const unsigned char *at;
	size_t bytes;
};

/* Take the length in front of a block, and the block. */
static const char *take_block(struct rest *r, const unsigned char **ret_block, size_t *ret_bytes)
{
	size_t length;

	if (r->bytes < LENGTH_BYTES)
		return "the data end before a block's length";
	length = read_be32(r->at);
	if (length > r->bytes - LENGTH_BYTES)
		return "a block is longer than the data that are left";
	*ret_block = r->at + LENGTH_BYTES;
	*ret_bytes = length;
	r->at += LENGTH_BYTES + length;
	r->bytes -= LENGTH_BYTES + length;
	return NULL;
}

/* Walk over all blocks: so that nothing is written when a length is wrong. */
static const char *check_blocks(struct rest r, uint64_t blocks, size_t tail)
{
	for (uint64_t i = 0; i < blocks; i++) {
		const unsigned char *block;
		size_t bytes;
		const char *why = take_block(&r, &block, &bytes);

		if (why)
			return why;
	}
	if (r.bytes != tail)
		return r.bytes > tail ? "bytes are left behind the last block"
		                      : "the data end before the last pixels";
	return NULL;
}

static bool expand_lz4(void *out, size_t plain, const void *data, size_t bytes)
{
	return plain <= LZ4_MAX_INPUT_SIZE && bytes <= INT32_MAX &&
	       LZ4_decompress_safe(data, out, (int)bytes, (int)plain) == (int)plain;
}

static const char *decompress_lz4(void *out, size_t plain, const void *data, size_t bytes)
{
	return expand_lz4(out, plain, data, bytes) ? NULL : "the LZ4 block is damaged";
}

static const char *decompress_lz4_blocks(unsigned char *out, size_t plain, struct rest r,
                                         size_t block)
{
	uint64_t blocks = plain / block + (plain % block != 0);
	const char *why = check_blocks(r, blocks, 0);

	for (size_t done = 0; !why && done < plain; done += block) {
		size_t wanted = plain - done < block ? plain - done : block, bytes = 0;
		const unsigned char *from = NULL;

		why = take_block(&r, &from, &bytes);
		if (!why && bytes == wanted)
			memcpy(out + done, from, bytes);
		else if (!why && !expand_lz4(out + done, wanted, from, bytes))
			why = "an LZ4 block is damaged";
	}
	return why;
}

static bool expand(const struct decompress *d, enum codec c, void *out, size_t plain,
                   const void *data, size_t bytes)
{
	if (c == CODEC_BSLZ4)
		return expand_lz4(out, plain, data, bytes);
	return d->zstd && ZSTD_decompressDCtx(d->zstd, out, plain, data, bytes) == plain;
}

static const char *decompress_bitshuffled(const struct decompress *d, enum codec c,
                                          unsigned element, unsigned char *out, size_t plain,
                                          struct rest r, size_t block)
{
	unshuffle_fn *unshuffle = d->unshuffle->fn[element / 2];
	size_t tail = plain % (8 * element), shuffled = plain - tail;
	uint64_t blocks = shuffled / block + (shuffled % block != 0);
	const char *why;

	if (block > d->block_bytes && shuffled > d->block_bytes)
		return "the blocks are larger than 1 MiB";
	why = check_blocks(r, blocks, tail);
	for (size_t done = 0; !why && done < shuffled; done += block) {
		size_t wanted = shuffled - done < block ? shuffled - done : block, bytes = 0;
		const unsigned char *from = NULL;

		why = take_block(&r, &from, &bytes);
		if (!why && !expand(d, c, d->block, wanted, from, bytes))
			why = "a compressed block is damaged";
		if (!why)
			unshuffle(out + done, d->block, wanted / element);
		if (block > shuffled)
			break; /* done += block could pass the end of the address space */
	}
	if (!why && tail)
		memcpy(out + shuffled, r.at, tail);
	return why;
}

const char *decompress(const struct decompress *d, enum codec c, unsigned element, void *out,
                       size_t plain, const void *data, size_t bytes)
{
	struct rest rest;
	struct head head;
	const char *why;

	if (c == CODEC_LZ4)
		return decompress_lz4(out, plain, data, bytes);
	why = read_head(c, element, data, bytes, &head);
	if (why)
		return why;
	if (head.plain != plain)
		return "the data are of another size than the frame";
	rest = (struct rest){ (const unsigned char *)data + HEAD_BYTES, bytes - HEAD_BYTES };
	if (is_bitshuffled(c))
		return decompress_bitshuffled(d, c, element, out, plain, rest, head.block);
	return plain == 0 ? check_blocks(rest, 0, 0)
	                  : decompress_lz4_blocks(out, plain, rest, head.block);
}
