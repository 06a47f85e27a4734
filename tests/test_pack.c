/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/decompress.h"
#include "kernels/pack.h"
#include "tests/fenced.h"
#include "tests/isa_rows.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

#define MOST_PIXELS 70007

static const size_t larger[] = { 2047, 2048, 2049, 4095,  4096,  4097,       8191,
	                         8192, 8193, 8200, 16384, 20479, MOST_PIXELS };

enum content { ZEROS, COUNTS, NOISE, CONTENTS };

static void fill(unsigned char *at, size_t bytes, unsigned element, enum content content)
{
	uint64_t state = 88172645463325252u;

	for (size_t i = 0; i < bytes; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		at[i] = content == NOISE                        ? (unsigned char)(state >> 40)
		        : content == COUNTS && i % element == 0 ? (unsigned char)(state >> 44 & 15)
		                                                : 0;
	}
}

static void *scratch_new(size_t bytes)
{
	void *at = aligned_alloc(64, (bytes + 63) / 64 * 64);

	cr_assert_not_null(at);
	memset(at, 0xa5, bytes);
	return at;
}

static struct fence in_fence, out_fence; /* each case is a process: opened once, never closed */

/* Into a room of the bound, at an unmapped page. Until the next call. */
static const unsigned char *packed(const struct shuffle_impl *shuffle, const void *in, size_t bytes,
                                   unsigned element, size_t *ret_bytes)
{
	size_t bound = pack_bound(bytes, element);
	void *scratch = scratch_new(pack_scratch_bytes());
	unsigned char *out;

	out = fence_place(&out_fence, bound, 0);
	*ret_bytes = pack_bslz4(out, bound, in, bytes, element, shuffle, scratch);
	cr_assert(*ret_bytes >= PACK_HEAD_BYTES && *ret_bytes <= bound, "%zu of %zu", *ret_bytes,
	          bound);
	cr_assert(fence_intact(&out_fence, out, bound));
	free(scratch);
	return out;
}

static void expect_round_trip(const unsigned char *chunk, size_t size, const void *in, size_t bytes,
                              unsigned element)
{
	void *scratch = scratch_new(decompress_scratch_bytes()), *back = malloc(bytes + 1);
	struct decompress d;
	uint64_t plain;
	const char *why;

	decompress_init(&d, scratch, 0);
	cr_assert(decompress_announced(CODEC_BSLZ4, element, chunk, size, &plain, &why), "%s", why);
	cr_assert_eq(plain, bytes);
	why = decompress(&d, CODEC_BSLZ4, element, back, bytes, chunk, size);
	cr_assert_null(why, "%zu bytes of %u: %s", bytes, element, why);
	cr_assert_eq(memcmp(back, in, bytes), 0, "%zu bytes of %u", bytes, element);
	free(back);
	free(scratch);
}

/* The same chunk as scalar makes, which reads back. */
static void check(const struct shuffle_impl *shuffle, size_t pixels, unsigned element,
                  enum content content)
{
	size_t bytes = pixels * element, size, again;
	unsigned char *in = fence_place(&in_fence, bytes, 0), *expected;
	const unsigned char *chunk;

	fill(in, bytes, element, content);
	expected = malloc(pack_bound(bytes, element));
	chunk = packed(&shuffle_impls[0], in, bytes, element, &size);
	memcpy(expected, chunk, size);
	if (bytes)
		expect_round_trip(expected, size, in, bytes, element);
	chunk = packed(shuffle, in, bytes, element, &again);
	cr_assert(again == size && memcmp(expected, chunk, size) == 0, "%s, %zu pixels of %u",
	          shuffle->name, pixels, element);
	free(expected);
}

static void check_content(const struct shuffle_impl *shuffle, unsigned element,
                          enum content content)
{
	for (size_t n = 0; n <= 130; n++)
		check(shuffle, n, element, content);
	for (size_t i = 0; i < sizeof larger / sizeof *larger; i++)
		check(shuffle, larger[i], element, content);
}

ParameterizedTestParameters(pack, reads_back_and_is_the_same_on_every_isa)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(shuffle_impls));
}

ParameterizedTest(unsigned *at, pack, reads_back_and_is_the_same_on_every_isa)
{
	const struct shuffle_impl *row = &shuffle_impls[*at];

	skip_unless(row->needs);
	fence_open(&in_fence, 4 * MOST_PIXELS);
	fence_open(&out_fence, pack_bound(4 * MOST_PIXELS, 4));
	for (unsigned element = 1; element <= 4; element *= 2)
		for (unsigned content = 0; content < CONTENTS; content++)
			check_content(row, element, (enum content)content);
}

/* Worked by hand: 8 elements of 2 bytes, bit 0 set in the first and bit 9 in the last, and one
 * more, which is the tail. LZ4 leaves blocks of 16 bytes as they are, behind a token. */
Test(pack, frames_as_filter_32008_does)
{
	static const uint8_t in[18] = { [0] = 0x01, [15] = 0x02, [16] = 0xfe, [17] = 0xca };
	static const uint8_t head[] = { 0, 0, 0, 0, 0, 0, 0, 18, 0, 0, 0x20, 0 };
	uint8_t out[128];
	void *scratch = scratch_new(pack_scratch_bytes());
	size_t used;

	used = pack_bslz4(out, sizeof out, in, sizeof in, 2, &shuffle_impls[0], scratch);
	cr_assert_arr_eq(out, head, sizeof head);
	cr_assert_eq(used, 12u + 4 + out[15] + 2);
	cr_expect(out[used - 2] == 0xfe && out[used - 1] == 0xca);
	cr_expect(pack_bslz4(out, sizeof out, in, 0, 2, &shuffle_impls[0], scratch) == 12);
	for (unsigned i = 0; i < 12; i++)
		cr_expect_eq(out[i], 0);
	free(scratch);
}

Test(pack, says_where_the_room_is_too_small)
{
	static uint8_t in[20000], out[24000];
	void *scratch = scratch_new(pack_scratch_bytes());
	size_t used;

	fill(in, sizeof in, 2, NOISE);
	used = pack_bslz4(out, sizeof out, in, sizeof in, 2, &shuffle_impls[0], scratch);
	cr_assert_gt(used, sizeof in);
	for (size_t room = 0; room < used; room += room < 32 ? 1 : 997)
		cr_expect_eq(pack_bslz4(out, room, in, sizeof in, 2, &shuffle_impls[0], scratch), 0,
		             "%zu", room);
	free(scratch);
}

Test(pack, shrinks_what_repeats)
{
	static uint8_t in[1 << 20], out[1 << 21];
	void *scratch = scratch_new(pack_scratch_bytes());

	fill(in, sizeof in, 2, COUNTS); /* 4 of 16 bits say something */
	cr_assert_leq(pack_bslz4(out, sizeof out, in, sizeof in, 2, &shuffle_impls[0], scratch),
	              sizeof in * 3 / 10);
	free(scratch);
}
