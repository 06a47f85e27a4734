/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_LAYOUT_H
#define KERNELS_LAYOUT_H

#include <stddef.h>

/* How pixels lie in the payload. GenICam's packed formats run on without padding between rows:
 *
 *   10p, 12p, 14p   one stream of bits, each pixel's lowest first, bytes filled from their
 *                   lowest bit
 *   nibbles         2 pixels in a byte, the first in its high half
 *   10, 12 packed   3 bytes for 2 pixels: the high 8 bits of the first; the low bits of the
 *                   first from bit 0 and of the second from bit 4; the high 8 of the second */
enum raw_layout {
	RAW_UINT8,
	RAW_UINT16,
	RAW_UINT16_BE,
	RAW_UINT32,
	RAW_UINT32_BE,
	RAW_FLOAT32,
	RAW_FLOAT32_BE,
	RAW_MONO10P,
	RAW_MONO10_PACKED,
	RAW_MONO12P,
	RAW_MONO12_PACKED,
	RAW_MONO14P,
	RAW_NIBBLES,
	RAW_LAYOUT_COUNT
};

/* Bits of a pixel in the payload. */
unsigned raw_layout_bits(enum raw_layout l);

/* Bytes that the first `pixels` pixels take in the payload; the last one may be in use in part. */
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
