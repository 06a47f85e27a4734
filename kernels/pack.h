/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_PACK_H
#define KERNELS_PACK_H

#include "kernels/shuffle.h"

#include <stdint.h>

/* Compressed pixels in blocks; kernels/decompress.h undoes it.
 *
 *   u64 big endian   bytes
 *   u32 big endian   bytes of a block before compression; 0 where there are no pixels
 *   for each block:  u32 big endian length, what the codec made of it
 *   tail             bytes mod (8 * element) bytes as they are
 *
 * With an element each block is taken apart by bitshuffle first: HDF5 filter 32008, and what
 * detectors call bslz4 or bszstd. Without one there is no tail: HDF5 filter 32004. The last block
 * may be shorter. A chunk's size in the file is what was written here: nothing is padded. */

#define PACK_BLOCK_BYTES                                                                           \
	8192 /* the bitshuffle library's, of elements of 1, 2 and 4 bytes alike                    \
	      */
#define PACK_HEAD_BYTES 12

/* Compress one block.
 *
 * state   of the codec, its own
 * out     [room]
 * in      [bytes]
 *
 * Bytes used; 0 when the room is too small, or for a reason that the state knows. */
typedef size_t pack_block_fn(void *state, void *out, size_t room, const void *in, size_t bytes);

/* A framing. */
struct pack {
	unsigned element;                   /* 1, 2 or 4 bytes; 0: blocks are not shuffled */
	size_t block_bytes;                 /* a multiple of 8 * element, above 0 */
	const struct shuffle_impl *shuffle; /* with an element, */
	void *shuffled;                     /* and memory for one block [block_bytes] */
	size_t (*bound)(size_t bytes);      /* the most that block() makes of so many */
	pack_block_fn *block;
	void *state; /* block()'s */
};

/* Bytes that are room enough for whatever `bytes` bytes of pixels. */
size_t pack_blocks_bound(const struct pack *p, size_t bytes);

/* Frame and compress.
 *
 * out    any alignment                                     [room]
 * in     little-endian elements, any alignment             [bytes], whole elements
 *
 * Bytes used; 0 when a block did not get its room: never where it is the bound and the codec's
 * state does not say otherwise. Then out holds anything. No allocation. */
size_t pack_blocks(const struct pack *p, void *out, size_t room, const void *in, size_t bytes);

/* One LZ4 block. state: of pack_lz4_state_bytes(), 8-byte aligned; NULL: on the stack. */
size_t pack_lz4(void *state, void *out, size_t room, const void *in, size_t bytes);
size_t pack_lz4_state_bytes(void);

/* The most that LZ4 makes of a block. */
size_t pack_lz4_bound(size_t bytes);

/* Bitshuffle and LZ4 in blocks of PACK_BLOCK_BYTES: a chunk of an HDF5 dataset with filter 32008.
 *
 * element   bytes of a pixel: 1, 2 or 4
 * scratch   pack_scratch_bytes(), 64-byte aligned; one thread uses it
 *
 * Every implementation of the transpose gives the same bytes. Otherwise as pack_blocks(): with
 * room of pack_bound() it cannot fail. */
size_t pack_bound(size_t bytes, unsigned element);
size_t pack_scratch_bytes(void);
size_t pack_bslz4(void *out, size_t room, const void *in, size_t bytes, unsigned element,
                  const struct shuffle_impl *shuffle, void *scratch);

#endif
