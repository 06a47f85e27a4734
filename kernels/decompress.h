/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_DECOMPRESS_H
#define KERNELS_DECOMPRESS_H

#include "kernels/unshuffle.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Compressed pixels, in the framings that detectors send them in.
 *
 *   lz4         one bare LZ4 block (DECTRIS V1 "lz4<")
 *   lz4 blocks  u64 BE plain bytes, u32 BE block bytes; for each block u32 BE length and an LZ4
 *               block, or the plain bytes when the length is theirs (HDF5 filter 32004)
 *   bslz4       the same head; each block is taken apart by bitshuffle and compressed; block
 *               bytes 0 stand for the library's default; what is left of the last 8 elements
 *               comes plain at the end, without a length (HDF5 filter 32008)
 *   bszstd      likewise, with zstd
 *
 * LZ4 and zstd are the libraries'. This is the one kernel that can say no: what it reads comes
 * from a sender. Every length is held against what is there and what is expected before anything
 * is written. */
enum codec { CODEC_NONE, CODEC_LZ4, CODEC_LZ4_BLOCKS, CODEC_BSLZ4, CODEC_BSZSTD, CODEC_COUNT };

/* "none", "lz4", "lz4 blocks", "bslz4", "bszstd". */
const char *codec_name(enum codec c);

/* Of a decompressor; one thread uses it. */
struct decompress {
	const struct unshuffle_impl *unshuffle;
	void *block;        /* one block before it is put together [block_bytes] */
	size_t block_bytes; /* larger blocks are refused */
	void *zstd;         /* zstd's context, in the scratch; NULL: no zstd */
};

#define DECOMPRESS_BLOCK_MAX ((size_t)1 << 20) /* bytes of a bitshuffled block */

/* Bytes of scratch that decompress_init() needs, 64-byte aligned. */
size_t decompress_scratch_bytes(void);

/* cpu: enum cpu_flag, what kernels may use. */
void decompress_init(struct decompress *d, void *scratch, unsigned cpu);

/* The plain bytes that the head of compressed data announces. False with *ret_why when the head is
 * damaged, not of this codec, or has none (CODEC_LZ4). element: bytes, with bitshuffle. */
bool decompress_announced(enum codec c, unsigned element, const void *data, size_t bytes,
                          uint64_t *ret_plain, const char **ret_why);

/* Decompress.
 *
 * out    exactly `plain` bytes, any alignment
 * data   as received                              [bytes], any alignment
 *
 * NULL, or one sentence that says why the data cannot be right; then `out` may be written in part.
 * No allocation. */
const char *decompress(const struct decompress *d, enum codec c, unsigned element, void *out,
                       size_t plain, const void *data, size_t bytes);

#endif
