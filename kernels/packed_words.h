/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_PACKED_WORDS_H
#define KERNELS_PACKED_WORDS_H

/* Which bytes of the payload each of 8 packed pixels is in, as the 16 bytes of a shuffle that
 * puts them into words; 8 pixels begin on a whole byte. -1 gives 0.
 *
 * Streams of bits: from the byte that the pixel begins in. With 10 and 12 bits that word has all
 * of the pixel; with 14 bits the second and third of four end in one byte more. */
#define WORDS_MONO10P 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 6, 7, 7, 8, 8, 9
#define WORDS_MONO12P 0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9, 10, 10, 11
#define WORDS_MONO14P 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10, 11, 12, 13
#define THIRD_MONO14P -1, -1, 3, -1, 5, -1, -1, -1, -1, -1, 10, -1, 12, -1, -1, -1

/* Packed: the shared byte below the pixel's own. */
#define WORDS_SHARED 1, 0, 1, 2, 4, 3, 4, 5, 7, 6, 7, 8, 10, 9, 10, 11

/* By how many bits a pixel of a stream lies above the beginning of its word; four in turn. */
#define SHIFTS_MONO10P 0, 2, 4, 6
#define SHIFTS_MONO12P 0, 4, 0, 4
#define SHIFTS_MONO14P 0, 6, 4, 2

#endif
