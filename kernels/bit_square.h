/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_BIT_SQUARE_H
#define KERNELS_BIT_SQUARE_H

#include <stdint.h>

/* Exchange the bits of x that `mask` picks with those `by` places higher. */
static inline uint64_t bit_square_swap(uint64_t x, unsigned by, uint64_t mask)
{
	uint64_t differ = (x ^ x >> by) & mask;

	return x ^ differ ^ differ << by;
}

/* Transpose 8 x 8 bits: bit i of byte r goes to bit r of byte i. Twice is nothing. H. Warren,
 * Hacker's Delight, 7-3. */
static inline uint64_t bit_square_transpose(uint64_t x)
{
	x = bit_square_swap(x, 7, UINT64_C(0x00aa00aa00aa00aa));
	x = bit_square_swap(x, 14, UINT64_C(0x0000cccc0000cccc));
	return bit_square_swap(x, 28, UINT64_C(0x00000000f0f0f0f0));
}

#endif
