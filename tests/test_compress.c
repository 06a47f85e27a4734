/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/compress.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <lz4.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

/* Read back bit by bit, as the formats are written down, with nothing of compress.c. */

/* What a block is decompressed with: returns the bytes it made, or less than 0. */
typedef long block_fn(const uint8_t *in, size_t size, uint8_t *out, size_t room);

static long read_lz4(const uint8_t *in, size_t size, uint8_t *out, size_t room)
{
	return LZ4_decompress_safe((const char *)in, (char *)out, (int)size, (int)room);
}

static long read_zstd(const uint8_t *in, size_t size, uint8_t *out, size_t room)
{
	size_t got = ZSTD_decompress(out, room, in, size);

	return ZSTD_isError(got) ? -1 : (long)got;
}

static long read_stored_or_lz4(const uint8_t *in, size_t size, uint8_t *out, size_t room)
{
	if (size != room)
		return read_lz4(in, size, out, room);
	memcpy(out, in, size);
	return (long)room;
}

static uint64_t big_endian(const uint8_t *at, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value = value << 8 | at[i];
	return value;
}

/* Bit r of element i is bit i of row r. */
static void unshuffle(uint8_t *out, const uint8_t *in, size_t elements, unsigned element_bytes)
{
	memset(out, 0, elements * element_bytes);
	for (size_t r = 0; r < 8 * (size_t)element_bytes; r++)
		for (size_t i = 0; i < elements; i++) {
			unsigned bit = in[r * (elements / 8) + i / 8] >> (i % 8) & 1;

			out[i * element_bytes + r / 8] |= (uint8_t)(bit << (r % 8));
		}
}

/* Check a whole message of blocks. element_bytes 0: not shuffled, no tail. */
static void expect_blocks(const uint8_t *packed, size_t size, const uint8_t *wanted, size_t bytes,
                          unsigned element_bytes, size_t block_bytes, block_fn *read)
{
	size_t tail = element_bytes ? bytes % (8 * element_bytes) : 0, at = 12, done = 0;
	uint8_t *block = malloc(block_bytes + 1), *plain = malloc(block_bytes + 1);

	cr_assert_geq(size, 12);
	cr_assert_eq(big_endian(packed, 8), bytes);
	cr_assert_eq(big_endian(packed + 8, 4), bytes ? block_bytes : 0);
	while (done < bytes - tail) {
		size_t n = bytes - tail - done < block_bytes ? bytes - tail - done : block_bytes;
		size_t length;

		cr_assert_leq(at + 4, size);
		length = big_endian(packed + at, 4);
		cr_assert_leq(length, size - at - 4);
		cr_assert_eq(read(packed + at + 4, length, block, n), (long)n);
		if (element_bytes)
			unshuffle(plain, block, n / element_bytes, element_bytes);
		cr_assert_eq(memcmp(element_bytes ? plain : block, wanted + done, n), 0);
		at += 4 + length;
		done += n;
	}
	cr_assert_eq(size - at, tail, "%zu bytes behind the blocks", size - at);
	cr_assert_eq(memcmp(packed + at, wanted + done, tail), 0);
	free(plain);
	free(block);
}

/* Values that shrink, as a detector's do, or do not. */
static uint8_t *make_input(size_t bytes, unsigned element_bytes, bool noise)
{
	uint8_t *in = malloc(bytes + 1);
	uint64_t state = 88172645463325252u + bytes;

	for (size_t i = 0; i < bytes; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		in[i] = (uint8_t)(noise || i % element_bytes == 0 ? state >> 40 : 0);
		in[i] &= noise ? 0xff : 0x0f;
	}
	return in;
}

static const size_t elements[] = { 0,    1,    7,    8,    9,    15,    16,   63,   64,
	                           65,   127,  128,  129,  136,  1023,  2047, 2048, 2049,
	                           4095, 4096, 4097, 8192, 8200, 12345, 70007 };
static const size_t block_elements[] = { 0, 8, 64, 136, 4096 };

typedef int shuffled_fn(const void *in, size_t bytes, unsigned element_bytes, size_t block_elements,
                        void *out, size_t room, size_t *ret_bytes);
typedef size_t shuffled_bound_fn(size_t bytes, unsigned element_bytes, size_t block_elements);

static int bszstd_of_default_level(const void *in, size_t bytes, unsigned element_bytes,
                                   size_t block, void *out, size_t room, size_t *ret_bytes)
{
	return compress_bszstd(in, bytes, element_bytes, block, 0, out, room, ret_bytes);
}

/* Compress into a room of the bound, and into one that is just enough and one too small. */
static void check_shuffled(size_t bytes, unsigned e, size_t block, bool noise,
                           shuffled_fn *compress, shuffled_bound_fn *bound_of, block_fn *read)
{
	size_t bound = bound_of(bytes, e, block), used = 0, again = 77;
	uint8_t *in = make_input(bytes, e, noise), *out = malloc(bound), *exact;

	cr_assert_eq(compress(in, bytes, e, block, out, bound, &used), 0);
	cr_assert_leq(used, bound);
	expect_blocks(out, used, in, bytes, e, block ? block * e : 8192, read);
	exact = malloc(used - 1);
	cr_assert_eq(compress(in, bytes, e, block, exact, used - 1, &again), -ENOSPC);
	cr_assert_eq(again, 77, "untouched after an error");
	free(exact);
	free(out);
	free(in);
}

static void check_all_shuffled(shuffled_fn *compress, shuffled_bound_fn *bound, block_fn *read)
{
	for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
		for (size_t b = 0; b < sizeof block_elements / sizeof *block_elements; b++)
			for (unsigned e = 1; e <= 4; e *= 2) {
				check_shuffled(elements[i] * e, e, block_elements[b], false,
				               compress, bound, read);
				check_shuffled(elements[i] * e, e, block_elements[b], true,
				               compress, bound, read);
			}
}

Test(compress, bslz4_reads_back)
{
	check_all_shuffled(compress_bslz4, compress_bslz4_bound, read_lz4);
}

Test(compress, bszstd_reads_back)
{
	check_all_shuffled(bszstd_of_default_level, compress_bszstd_bound, read_zstd);
}

Test(compress, no_pixels_are_twelve_zeros)
{
	static const uint8_t zeros[12];
	uint8_t out[12];
	size_t used;

	memset(out, 1, sizeof out);
	cr_assert_eq(compress_bslz4(NULL, 0, 2, 0, out, sizeof out, &used), 0);
	cr_assert_eq(used, 12);
	cr_assert_arr_eq(out, zeros, 12);
	memset(out, 1, sizeof out);
	cr_assert_eq(compress_lz4_hdf5(NULL, 0, 0, out, sizeof out, &used), 0);
	cr_assert_eq(used, 12);
	cr_assert_arr_eq(out, zeros, 12);
}

/* Worked by hand: of eight 16-bit elements, bit 0 is set in the first, bit 9 in the last. */
Test(compress, a_row_holds_one_bit_of_every_element)
{
	const uint8_t in[16] = { 0x01, 0x00, [14] = 0x00, [15] = 0x02 };
	const uint8_t rows[16] = { [0] = 0x01, [9] = 0x80 };
	uint8_t out[64], shuffled[16];
	size_t used;

	cr_assert_eq(compress_bslz4(in, 16, 2, 8, out, sizeof out, &used), 0);
	cr_assert_eq(read_lz4(out + 16, used - 16, shuffled, 16), 16);
	cr_assert_arr_eq(shuffled, rows, 16);
}

/* A case of the tests of dectris/compression: elements of 2 bytes, blocks of 64, one of which does
 * not shrink, so that there is one way only to compress it; and a tail. */
Test(compress, makes_what_dectris_reads)
{
	const char text[] =
		"My hair is shingled, and the longest strands are about nine inches long.";
	const uint8_t packed[] = { 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x48, 0x00, 0x00,
		                   0x00, 0x40, 0x00, 0x00, 0x00, 0x42, 0xf0, 0x31, 0x15, 0x80,
		                   0x13, 0xf4, 0x88, 0x88, 0x83, 0x82, 0x81, 0x8b, 0x29, 0x24,
		                   0xd1, 0xa9, 0x00, 0x50, 0x08, 0x00, 0x8a, 0x04, 0xfe, 0xff,
		                   0xff, 0xff, 0xdd, 0xab, 0xbb, 0xf6, 0x00, 0x00, 0x00, 0x00,
		                   0xf5, 0x25, 0xe5, 0x03, 0xb0, 0x80, 0x3c, 0x5a, 0x80, 0xfb,
		                   0x93, 0x5e, 0x47, 0xc2, 0x10, 0xda, 0x31, 0x10, 0x2e, 0x04,
		                   0xff, 0xff, 0xff, 0xff, 0xf7, 0xfd, 0xff, 0xdf, 0x00, 0x00,
		                   0x00, 0x00, 0x65, 0x73, 0x20, 0x6c, 0x6f, 0x6e, 0x67, 0x2e };
	uint8_t out[128];
	size_t used;

	cr_assert_eq(compress_bslz4(text, 72, 2, 32, out, sizeof out, &used), 0);
	cr_assert_eq(used, sizeof packed);
	cr_assert_arr_eq(out, packed, sizeof packed);
}

Test(compress, lz4_hdf5_reads_back_with_stored_blocks)
{
	static const size_t blocks[] = { 0, 1, 3, 1000, 8192, 1 << 20 };

	for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
		for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++)
			for (unsigned noise = 0; noise < 2; noise++) {
				size_t bytes = elements[i], used = 0, again = 77;
				size_t block = blocks[b] ? blocks[b] : 8192;
				size_t bound = compress_lz4_hdf5_bound(bytes, blocks[b]);
				uint8_t *in = make_input(bytes, 2, noise), *out = malloc(bound);

				block = bytes < block ? bytes : block;
				cr_assert_eq(
					compress_lz4_hdf5(in, bytes, blocks[b], out, bound, &used),
					0);
				cr_assert_leq(used, bound);
				expect_blocks(out, used, in, bytes, 0, block, read_stored_or_lz4);
				cr_assert(!noise || used == bound, "noise is stored");
				cr_assert_eq(compress_lz4_hdf5(in, bytes, blocks[b], out,
				                               noise ? used - 1 : 11, &again),
				             -ENOSPC);
				free(out);
				free(in);
			}
}

/* The image of the synthetic vector v2_image_lz4_stored.cbor: six pixels in one stored block. */
Test(compress, lz4_hdf5_stores_what_does_not_shrink)
{
	const uint8_t in[12] = { 0, 0, 1, 0, 2, 0, 0xff, 0xff, 4, 0, 0xf4, 1 };
	const uint8_t head[16] = { 0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0, 12, 0, 0, 0, 12 };
	uint8_t out[28];
	size_t used;

	cr_assert_eq(compress_lz4_hdf5(in, 12, 0, out, sizeof out, &used), 0);
	cr_assert_eq(used, 28);
	cr_assert_arr_eq(out, head, 16);
	cr_assert_arr_eq(out + 16, in, 12);
}

Test(compress, a_bare_block_reads_back)
{
	for (size_t i = 1; i < sizeof elements / sizeof *elements; i++)
		for (unsigned noise = 0; noise < 2; noise++) {
			size_t bytes = elements[i], bound = compress_lz4_block_bound(bytes), used;
			uint8_t *in = make_input(bytes, 4, noise), *out = malloc(bound);
			uint8_t *back = malloc(bytes);

			cr_assert_eq(compress_lz4_block(in, bytes, out, bound, &used), 0);
			cr_assert_eq(read_lz4(out, used, back, bytes), (long)bytes);
			cr_assert_eq(memcmp(in, back, bytes), 0);
			cr_assert_eq(compress_lz4_block(in, bytes, out, used - 1, &used), -ENOSPC);
			free(back);
			free(out);
			free(in);
		}
}

Test(compress, bsread_says_the_size_in_the_byte_order_of_the_channel)
{
	const uint8_t big[] = { 0, 0, 0x03, 0xe8 }, little[] = { 0xe8, 0x03, 0, 0 };
	size_t bound = compress_lz4_bsread_bound(1000), used;
	uint8_t *in = make_input(1000, 2, false), *out = malloc(bound), back[1000];

	for (unsigned order = 0; order < 2; order++) {
		cr_assert_eq(compress_lz4_bsread(in, 1000, order, out, bound, &used), 0);
		cr_assert_arr_eq(out, order ? big : little, 4);
		cr_assert_eq(read_lz4(out + 4, used - 4, back, sizeof back), 1000);
		cr_assert_arr_eq(in, back, 1000);
	}
	cr_assert_eq(compress_lz4_bsread(in, 1000, false, out, 3, &used), -ENOSPC);
	free(out);
	free(in);
}

Test(compress, refuses_what_a_framing_cannot_have)
{
	static const struct {
		size_t bytes, block;
		unsigned element;
	} rows[] = {
		{ 16, 0, 0 },           { 16, 0, 3 },  { 16, 0, 8 },
		{ 15, 0, 2 },           { 16, 12, 2 }, { 16, ((size_t)1 << 28) + 8, 1 },
		{ SIZE_MAX - 7, 0, 1 },
	};
	uint8_t out[64], in[16] = { 0 };
	size_t used = 77;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		cr_expect_eq(compress_bslz4(in, rows[i].bytes, rows[i].element, rows[i].block, out,
		                            sizeof out, &used),
		             -EINVAL, "row %zu", i);
		cr_expect_eq(compress_bszstd(in, rows[i].bytes, rows[i].element, rows[i].block, 0,
		                             out, sizeof out, &used),
		             -EINVAL, "row %zu", i);
		cr_expect_eq(compress_bslz4_bound(rows[i].bytes, rows[i].element, rows[i].block),
		             0);
		cr_expect_eq(compress_bszstd_bound(rows[i].bytes, rows[i].element, rows[i].block),
		             0);
	}
	cr_expect_eq(compress_lz4_hdf5(in, 16, ((size_t)1 << 30) + 1, out, sizeof out, &used),
	             -EINVAL);
	cr_expect_eq(compress_lz4_hdf5_bound(16, ((size_t)1 << 30) + 1), 0);
	cr_expect_eq(compress_lz4_block(in, ((size_t)1 << 30) + 1, out, sizeof out, &used),
	             -EINVAL);
	cr_expect_eq(compress_lz4_block_bound(((size_t)1 << 30) + 1), 0);
	cr_expect_eq(compress_lz4_bsread(in, ((size_t)1 << 30) + 1, false, out, sizeof out, &used),
	             -EINVAL);
	cr_expect_eq(compress_lz4_bsread_bound(((size_t)1 << 30) + 1), 0);
	cr_expect_eq(used, 77);
}
