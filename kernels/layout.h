/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_LAYOUT_H
#define KERNELS_LAYOUT_H

#include <stddef.h>

/* How pixels lie in the payload. */
enum raw_layout {
	RAW_UINT8,
	RAW_UINT16,
	RAW_UINT16_BE,
	RAW_UINT32,
	RAW_UINT32_BE,
	RAW_FLOAT32,
	RAW_FLOAT32_BE,
	RAW_LAYOUT_COUNT
};

/* Bytes that `pixels` pixels take in the payload. */
size_t raw_layout_bytes(enum raw_layout l, size_t pixels);

/* What a pixel of a product is; little-endian in files. Kernels that read raw pixels have one
 * function for each: by then the pixels are in the machine's byte order. */
enum product_type {
	PRODUCT_UINT8,
	PRODUCT_UINT16,
	PRODUCT_UINT32,
	PRODUCT_FLOAT32,
	PRODUCT_TYPE_COUNT
};

/* Bytes of one product pixel. */
unsigned product_bytes(enum product_type t);

/* The product type that holds `l` as it came. */
enum product_type product_of_layout(enum raw_layout l);

#endif
