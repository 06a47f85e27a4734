/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu.h"
#include "kernels/unpack.h"
#include "tests/fenced.h"
#include "tests/isa_rows.h"
#include "tests/pixels.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdint.h>

/* The arrays of one call, each at its own fence. */
struct arrays {
	struct fence raw, out, expected;
};

static void arrays_open(struct arrays *a, size_t pixels)
{
	fence_open(&a->raw, pixels * 4);
	fence_open(&a->out, pixels * 4);
	fence_open(&a->expected, pixels * 4);
}

static void arrays_close(struct arrays *a)
{
	fence_close(&a->raw);
	fence_close(&a->out);
	fence_close(&a->expected);
}

static const struct unpack_impl *row_at(unsigned at)
{
	const struct unpack_impl *row = &unpack_impls[at];

	if (row->needs & ~cpu_detect())
		cr_skip_test("this CPU lacks the instruction set");
	return row;
}

static void fill_random(uint8_t *raw, size_t bytes, uint64_t seed)
{
	for (size_t i = 0; i < bytes; i++)
		raw[i] = (uint8_t)(prng_next(&seed) >> 56);
}

static void compare(struct arrays *a, const struct unpack_impl *row, enum raw_layout layout,
                    size_t first, size_t n, size_t gap)
{
	size_t payload = raw_layout_bytes(layout, first + n);
	size_t bytes = n * product_bytes(product_of_layout(layout));
	void *raw = fence_place(&a->raw, payload, gap);
	void *out = fence_place(&a->out, bytes, gap * 13 % 64);
	void *expected = fence_place(&a->expected, bytes, 0);

	fill_random(raw, payload, first + n + gap);
	unpack_impls[0].fn[layout](expected, raw, first, n);
	row->fn[layout](out, raw, first, n);
	cr_assert(memcmp(out, expected, bytes) == 0, "%s, layout %d, first %zu, n %zu, gap %zu",
	          row->name, (int)layout, first, n, gap);
	cr_assert(fence_intact(&a->out, out, bytes),
	          "%s wrote outside, layout %d, first %zu, n %zu", row->name, (int)layout, first,
	          n);
}

ParameterizedTestParameters(unpack, is_the_same_on_every_isa)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(unpack_impls));
}

ParameterizedTest(unsigned *at, unpack, is_the_same_on_every_isa)
{
	const struct unpack_impl *row = row_at(*at);
	struct arrays a;

	arrays_open(&a, 140020);
	for (int layout = 0; layout < RAW_LAYOUT_COUNT; layout++) {
		for (unsigned i = 0; pixels_length(i) != SIZE_MAX; i++)
			for (size_t first = 0; first <= 8; first++)
				compare(&a, row, (enum raw_layout)layout, first, pixels_length(i),
				        0);
		for (size_t gap = 0; gap < 64; gap++)
			compare(&a, row, (enum raw_layout)layout, gap % 11, 99, gap);
	}
	arrays_close(&a);
}

ParameterizedTestParameters(unpack, of_a_part_is_the_part_of_the_whole)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(unpack_impls));
}

ParameterizedTest(unsigned *at, unpack, of_a_part_is_the_part_of_the_whole)
{
	const struct unpack_impl *row = row_at(*at);
	uint8_t raw[4 * 200], whole[4 * 200], part[4 * 200];

	fill_random(raw, sizeof raw, 5);
	for (int layout = 0; layout < RAW_LAYOUT_COUNT; layout++) {
		size_t pixel = product_bytes(product_of_layout((enum raw_layout)layout));

		row->fn[layout](whole, raw, 0, 200);
		for (size_t first = 0; first <= 200; first++) {
			row->fn[layout](part, raw, first, 200 - first);
			cr_assert(memcmp(part, whole + first * pixel, (200 - first) * pixel) == 0,
			          "%s, layout %d from %zu", row->name, layout, first);
		}
	}
}

Test(unpack, gives_the_values_of_big_endian_pixels)
{
	const unsigned char raw[] = { 0x12, 0x34, 0xff, 0x00, 0x3f, 0x80, 0x00, 0x00 };
	uint16_t narrow[4];
	uint32_t wide[2];
	float pixels[2];

	unpack_impls[0].fn[RAW_UINT16_BE](narrow, raw, 0, 4);
	unpack_impls[0].fn[RAW_UINT32_BE](wide, raw, 0, 2);
	unpack_impls[0].fn[RAW_FLOAT32_BE](pixels, raw, 0, 2);
	cr_assert_eq(narrow[0], 0x1234);
	cr_assert_eq(narrow[1], 0xff00);
	cr_assert_eq(wide[0], 0x1234ff00);
	cr_assert_eq(pixels[1], 1.0f);
}

Test(unpack, leaves_native_pixels_as_they_are)
{
	const uint16_t raw[] = { 1, 0x1234, 65535 };
	uint16_t out[3];

	unpack_impls[0].fn[RAW_UINT16](out, raw, 0, 3);
	cr_assert(memcmp(out, raw, sizeof raw) == 0);
}

/* Pixels whose neighbours differ in every bit, and what they are on the wire. */
struct packed_example {
	enum raw_layout layout;
	size_t n;
	uint16_t pixels[8];
	uint8_t payload[12];
};

static const struct packed_example packed_examples[] = {
	{ RAW_MONO10P, 4, { 0x001, 0x155, 0x2aa, 0x3ff }, { 0x01, 0x54, 0xa5, 0xea, 0xff } },
	{ RAW_MONO10_PACKED,
	  4,
	  { 0x001, 0x155, 0x2aa, 0x3ff },
	  { 0x00, 0x11, 0x55, 0xaa, 0x32, 0xff } },
	{ RAW_MONO12P, 4, { 0x123, 0xabc, 0x456, 0xfed }, { 0x23, 0xc1, 0xab, 0x56, 0xd4, 0xfe } },
	{ RAW_MONO12_PACKED,
	  4,
	  { 0x123, 0xabc, 0x456, 0xfed },
	  { 0x12, 0xc3, 0xab, 0x45, 0xd6, 0xfe } },
	{ RAW_MONO14P,
	  4,
	  { 0x0001, 0x1555, 0x2aaa, 0x3fff },
	  { 0x01, 0x40, 0x55, 0xa5, 0xaa, 0xfe, 0xff } },
	{ RAW_MONO12P,
	  8,
	  { 513, 514, 515, 516, 1538, 1539, 1540, 1541 },
	  { 0x01, 0x22, 0x20, 0x03, 0x42, 0x20, 0x02, 0x36, 0x60, 0x04, 0x56, 0x60 } },
	/* what is no pixel's has no meaning */
	{ RAW_MONO10_PACKED, 2, { 0x001, 0x3fc }, { 0x00, 0xcd, 0xff } },
	{ RAW_MONO10P, 1, { 0x2ff }, { 0xff, 0xfe } },
	{ RAW_MONO12_PACKED, 1, { 0x12f }, { 0x12, 0xff } },
	{ RAW_MONO14P, 3, { 0x0001, 0x1555, 0x2aaa }, { 0x01, 0x40, 0x55, 0xa5, 0xaa, 0xfe } },
};

ParameterizedTestParameters(unpack, gives_the_values_of_packed_pixels)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(unpack_impls));
}

/* The example stands 1, 2, 3, ... times in a row where it is whole groups. */
ParameterizedTest(unsigned *at, unpack, gives_the_values_of_packed_pixels)
{
	const struct unpack_impl *row = row_at(*at);

	for (size_t e = 0; e < sizeof packed_examples / sizeof *packed_examples; e++) {
		const struct packed_example *x = &packed_examples[e];
		size_t bytes = raw_layout_bytes(x->layout, x->n), times = x->n % 4 ? 1 : 30;
		uint8_t payload[30 * sizeof x->payload];
		uint16_t out[30 * 8];

		for (size_t i = 0; i < times; i++)
			memcpy(payload + i * bytes, x->payload, bytes);
		row->fn[x->layout](out, payload, 0, times * x->n);
		for (size_t i = 0; i < times * x->n; i++)
			cr_assert_eq(out[i], x->pixels[i % x->n], "%s, example %zu, pixel %zu: %x",
			             row->name, e, i, out[i]);
	}
}

ParameterizedTestParameters(unpack, gives_the_first_pixel_of_a_byte_from_its_high_half)
{
	return cr_make_param_array(unsigned, isa_rows, ISA_ROWS_OF(unpack_impls));
}

ParameterizedTest(unsigned *at, unpack, gives_the_first_pixel_of_a_byte_from_its_high_half)
{
	const struct unpack_impl *row = row_at(*at);
	const uint8_t payload[] = { 0x12, 0x34, 0x56, 0x78, 0x9f };
	const uint8_t pixels[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 15 };

	for (size_t first = 0; first <= 10; first++)
		for (size_t n = 0; first + n <= 10; n++) {
			uint8_t out[11];

			memset(out, 0xa5, sizeof out);
			row->fn[RAW_NIBBLES](out, payload, first, n);
			cr_assert_eq(memcmp(out, pixels + first, n), 0, "%s: %zu from %zu",
			             row->name, n, first);
			cr_assert_eq(out[n], 0xa5);
		}
}

Test(unpack, knows_the_bytes_of_packed_pixels)
{
	static const struct {
		enum raw_layout layout;
		size_t pixels, bytes;
	} lengths[] = {
		{ RAW_MONO10P, 0, 0 },       { RAW_MONO10P, 1, 2 },
		{ RAW_MONO10P, 3, 4 },       { RAW_MONO10P, 4, 5 },
		{ RAW_MONO10P, 8, 10 },      { RAW_MONO10_PACKED, 1, 2 },
		{ RAW_MONO10_PACKED, 2, 3 }, { RAW_MONO10_PACKED, 3, 5 },
		{ RAW_MONO12P, 1, 2 },       { RAW_MONO12P, 9, 14 },
		{ RAW_MONO12_PACKED, 5, 8 }, { RAW_MONO14P, 1, 2 },
		{ RAW_MONO14P, 3, 6 },       { RAW_MONO14P, 4, 7 },
		{ RAW_MONO14P, 11, 20 },     { RAW_NIBBLES, 0, 0 },
		{ RAW_NIBBLES, 1, 1 },       { RAW_NIBBLES, 2, 1 },
		{ RAW_NIBBLES, 3, 2 },
	};

	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
		cr_assert_eq(raw_layout_bytes(lengths[i].layout, lengths[i].pixels),
		             lengths[i].bytes, "row %zu", i);
	cr_assert_eq(raw_layout_bytes(RAW_MONO14P, SIZE_MAX / 2), SIZE_MAX / 16 * 14 + 13);
}
