/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_COMPRESS_H
#define BENCH_COMPRESS_H

#include <stdbool.h>
#include <stddef.h>

/* What detectors do to their pixels before they send them: the framings of LZ4 and of bitshuffle
 * that receivers meet. Blocks are compressed one after the other on the caller's thread.
 *
 * All functions:
 *
 *   in         what to compress, any alignment              [bytes]
 *   out        what to send; must not overlap in            [room]
 *   ret_bytes  of them used
 *
 *   0, or -EINVAL (arguments that this framing cannot have), -ENOSPC (room is too small, never
 *   where it is the bound), -ENOMEM. After an error out holds anything.
 *
 * The bounds are bytes that are room enough for every input of that size; 0 where the arguments
 * are such that compressing would be -EINVAL. */

/* Bitshuffle: HDF5 filter 32008, "bs16-lz4<" and the like of the DECTRIS streams, "bslz4",
 * "bszstd", "bitshuffle_lz4" of bsread.
 *
 *   u64 big endian   bytes
 *   u32 big endian   bytes of a block, before compression
 *   for each block:  u32 big endian length, one LZ4 block or zstd frame
 *   tail             bytes mod (8 * element_bytes) bytes as they are
 *
 * A block is bit-transposed: of its n elements, row r of n / 8 bytes holds bit r of each, least
 * significant first in byte and row. The last block may be shorter. No bytes give 12 zeros.
 *
 * element_bytes   1, 2 or 4; bytes is a multiple of it
 * block_elements  a multiple of 8, at most 2^28; 0: 8192 bytes, as libbitshuffle and detectors do
 */
size_t compress_bslz4_bound(size_t bytes, unsigned element_bytes, size_t block_elements);
int compress_bslz4(const void *in, size_t bytes, unsigned element_bytes, size_t block_elements,
                   void *out, size_t room, size_t *ret_bytes);

/* level   of zstd; 0: its default */
size_t compress_bszstd_bound(size_t bytes, unsigned element_bytes, size_t block_elements);
int compress_bszstd(const void *in, size_t bytes, unsigned element_bytes, size_t block_elements,
                    int level, void *out, size_t room, size_t *ret_bytes);

/* LZ4 as HDF5 filter 32004 frames it, "lz4" of the DECTRIS stream V2: the same 12 bytes, and for
 * each block its length and an LZ4 block, or the block as it is where that is not shorter: then
 * the length is that of the block. block_bytes is cut to bytes, as the filter does.
 *
 * block_bytes   1 to 2^30; 0: 8192 */
size_t compress_lz4_hdf5_bound(size_t bytes, size_t block_bytes);
int compress_lz4_hdf5(const void *in, size_t bytes, size_t block_bytes, void *out, size_t room,
                      size_t *ret_bytes);

/* One LZ4 block with nothing before it, "lz4<" of the DECTRIS stream V1. At most 2^30 bytes. */
size_t compress_lz4_block_bound(size_t bytes);
int compress_lz4_block(const void *in, size_t bytes, void *out, size_t room, size_t *ret_bytes);

/* "lz4" of bsread: u32 bytes in the byte order of the channel, one LZ4 block. At most 2^30 bytes.
 */
size_t compress_lz4_bsread_bound(size_t bytes);
int compress_lz4_bsread(const void *in, size_t bytes, bool big_endian, void *out, size_t room,
                        size_t *ret_bytes);

#endif
