/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/unshuffle_lanes.h"

#define SELECT 0xca /* of a ternary logic: a ? b : c */

/* Exchange a's bits above `low` with b's bits of `low`, `by` places below. */
static inline void swap_bits(__m512i *a, __m512i *b, unsigned by, __m512i low)
{
	__m512i above = _mm512_srli_epi32(*a, by), below = _mm512_slli_epi32(*b, by);

	*a = _mm512_ternarylogic_epi32(low, *a, below, SELECT);
	*b = _mm512_ternarylogic_epi32(low, above, *b, SELECT);
}

/* From row r to the bytes of elements 8j + r, in every column j, while rows are vectors of their
 * own: in one register the same bits take twice the work. */
static inline __attribute__((always_inline)) void bytes_of_rows(__m512i v[8], const char *in,
                                                                size_t stride)
{
	__m512i low4 = _mm512_set1_epi8(0x0f), low2 = _mm512_set1_epi8(0x33);
	__m512i low1 = _mm512_set1_epi8(0x55);

	for (size_t r = 0; r < 8; r++)
		v[r] = _mm512_loadu_si512(in + r * stride);
	for (int r = 0; r < 4; r++)
		swap_bits(&v[r], &v[r + 4], 4, low4);
	for (int r = 0; r < 8; r += r % 2 ? 3 : 1)
		swap_bits(&v[r], &v[r + 2], 2, low2);
	for (int r = 0; r < 8; r += 2)
		swap_bits(&v[r], &v[r + 1], 1, low1);
	interleave(v);
}

void unshuffle8_avx512(void *restrict out, const void *restrict in, size_t n)
{
	unshuffle_lanes(bytes_of_rows, 1, out, in, n);
}

void unshuffle16_avx512(void *restrict out, const void *restrict in, size_t n)
{
	unshuffle_lanes(bytes_of_rows, 2, out, in, n);
}

void unshuffle32_avx512(void *restrict out, const void *restrict in, size_t n)
{
	unshuffle_lanes(bytes_of_rows, 4, out, in, n);
}
