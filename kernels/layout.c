/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/layout.h"

size_t raw_layout_bytes(enum raw_layout l, size_t pixels)
{
	return pixels * product_bytes(product_of_layout(l));
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
		[RAW_UINT8] = PRODUCT_UINT8,        [RAW_UINT16] = PRODUCT_UINT16,
		[RAW_UINT16_BE] = PRODUCT_UINT16,   [RAW_UINT32] = PRODUCT_UINT32,
		[RAW_UINT32_BE] = PRODUCT_UINT32,   [RAW_FLOAT32] = PRODUCT_FLOAT32,
		[RAW_FLOAT32_BE] = PRODUCT_FLOAT32,
	};

	return types[l];
}
