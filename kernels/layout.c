/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/layout.h"

unsigned raw_layout_bits(enum raw_layout l)
{
	static const unsigned bits[RAW_LAYOUT_COUNT] = {
		[RAW_UINT8] = 8,       [RAW_UINT16] = 16,        [RAW_UINT16_BE] = 16,
		[RAW_UINT32] = 32,     [RAW_UINT32_BE] = 32,     [RAW_FLOAT32] = 32,
		[RAW_FLOAT32_BE] = 32, [RAW_MONO10P] = 10,       [RAW_MONO10_PACKED] = 12,
		[RAW_MONO12P] = 12,    [RAW_MONO12_PACKED] = 12, [RAW_MONO14P] = 14,
		[RAW_NIBBLES] = 4,
	};

	return bits[l];
}

/* By eights of pixels, which are whole bytes, so that nothing overflows before the result. */
size_t raw_layout_bytes(enum raw_layout l, size_t pixels)
{
	size_t bits = raw_layout_bits(l);

	return pixels / 8 * bits + (pixels % 8 * bits + 7) / 8;
}

unsigned product_bytes(enum product_type t)
{
	static const unsigned bytes[PRODUCT_TYPE_COUNT] = {
		[PRODUCT_UINT8] = 1,
		[PRODUCT_UINT16] = 2,
		[PRODUCT_UINT32] = 4,
		[PRODUCT_FLOAT32] = 4,
	};

	return bytes[t];
}

enum product_type product_of_layout(enum raw_layout l)
{
	static const enum product_type types[RAW_LAYOUT_COUNT] = {
		[RAW_UINT8] = PRODUCT_UINT8,          [RAW_UINT16] = PRODUCT_UINT16,
		[RAW_UINT16_BE] = PRODUCT_UINT16,     [RAW_UINT32] = PRODUCT_UINT32,
		[RAW_UINT32_BE] = PRODUCT_UINT32,     [RAW_FLOAT32] = PRODUCT_FLOAT32,
		[RAW_FLOAT32_BE] = PRODUCT_FLOAT32,   [RAW_MONO10P] = PRODUCT_UINT16,
		[RAW_MONO10_PACKED] = PRODUCT_UINT16, [RAW_MONO12P] = PRODUCT_UINT16,
		[RAW_MONO12_PACKED] = PRODUCT_UINT16, [RAW_MONO14P] = PRODUCT_UINT16,
		[RAW_NIBBLES] = PRODUCT_UINT8,
	};

	return types[l];
}
