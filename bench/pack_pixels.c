/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/pack_pixels.h"

/* Pixels one after the other, lowest bit first, into bytes from their lowest bit. What is written
 * stays behind what is read. */
static void pack_stream(uint8_t *out, const uint16_t *pixels, size_t n, unsigned bits)
{
	uint32_t waiting = 0;
	unsigned have = 0;

	for (size_t i = 0; i < n; i++) {
		waiting |= (uint32_t)pixels[i] << have;
		for (have += bits; have >= 8; have -= 8) {
			*out++ = (uint8_t)waiting;
			waiting >>= 8;
		}
	}
	if (have)
		*out = (uint8_t)waiting;
}

/* Pairs: high bits, the `low` bits of both in one byte, high bits. */
static void pack_pairs(uint8_t *out, const uint16_t *pixels, size_t n, unsigned low)
{
	unsigned mask = (1u << low) - 1;

	for (size_t i = 0; i < n; i += 2) {
		unsigned first = pixels[i], second = i + 1 < n ? pixels[i + 1] : 0;

		*out++ = (uint8_t)(first >> low);
		*out++ = (uint8_t)((first & mask) | (second & mask) << 4);
		if (i + 1 < n)
			*out++ = (uint8_t)(second >> low);
	}
}

/* Pairs, the first in the high half. */
static void pack_halves(uint8_t *out, const uint8_t *pixels, size_t n)
{
	for (size_t i = 0; i < n; i += 2) {
		unsigned second = i + 1 < n ? pixels[i + 1] : 0;

		*out++ = (uint8_t)((unsigned)pixels[i] << 4 | second);
	}
}

void pack_pixels(void *out, const void *pixels, size_t n, enum pixel_packing p)
{
	switch (p) {
	case PACKING_MONO10P:
	case PACKING_MONO12P:
	case PACKING_MONO14P:
		pack_stream(out, pixels, n, wire_bits(PIXEL_UINT16, p));
		return;
	case PACKING_MONO10_PACKED:
		pack_pairs(out, pixels, n, 2);
		return;
	case PACKING_MONO12_PACKED:
		pack_pairs(out, pixels, n, 4);
		return;
	case PACKING_NIBBLES:
		pack_halves(out, pixels, n);
		return;
	case PACKING_NONE:
	case PACKING_COUNT:
		return;
	}
}
