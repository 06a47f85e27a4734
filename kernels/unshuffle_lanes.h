/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_UNSHUFFLE_LANES_H
#define KERNELS_UNSHUFFLE_LANES_H

#include "kernels/unshuffle.h"

#ifdef __AVX512BW__ /* elsewhere the header compiles, and is empty */

#include <immintrin.h>

/* The inverse of bitshuffle for AVX-512. The files that include this are compiled for different
 * sets of it, and transpose bits in different ways. */

#define COLUMNS 64 /* bytes of each row that are taken at once, eight elements each */

/* Make eight rows of a byte, `stride` bytes apart, the bytes of elements: each quarter of v[k] then
 * has columns 2k and 2k + 1 of its 16. */
typedef void bytes_of_rows_fn(__m512i v[8], const char *in, size_t stride);

/* Interleave eight vectors of bytes; each quarter of v[k] then has 2k and 2k + 1 of its 16. */
static inline __attribute__((always_inline)) void interleave(__m512i v[8])
{
	__m512i two[8], four[8];

	for (int i = 0; i < 4; i++) {
		two[i] = _mm512_unpacklo_epi8(v[2 * i], v[2 * i + 1]);
		two[i + 4] = _mm512_unpackhi_epi8(v[2 * i], v[2 * i + 1]);
	}
	for (int h = 0; h < 2; h++) {
		for (int i = 0; i < 2; i++) {
			__m512i a = two[4 * h + 2 * i], b = two[4 * h + 2 * i + 1];

			four[4 * h + i] = _mm512_unpacklo_epi16(a, b);
			four[4 * h + i + 2] = _mm512_unpackhi_epi16(a, b);
		}
	}
	for (int k = 0; k < 4; k++) {
		v[2 * k] = _mm512_unpacklo_epi32(four[2 * k], four[2 * k + 1]);
		v[2 * k + 1] = _mm512_unpackhi_epi32(four[2 * k], four[2 * k + 1]);
	}
}

/* The quarters of v are `apart` bytes from each other. Four stores take no unit that shuffles. */
static inline void put(char *at, size_t apart, __m512i v)
{
	_mm_storeu_si128((__m128i *)at, _mm512_castsi512_si128(v));
	_mm_storeu_si128((__m128i *)(at + apart), _mm512_extracti32x4_epi32(v, 1));
	_mm_storeu_si128((__m128i *)(at + 2 * apart), _mm512_extracti32x4_epi32(v, 2));
	_mm_storeu_si128((__m128i *)(at + 3 * apart), _mm512_extracti32x4_epi32(v, 3));
}

/* The elements of two columns in each quarter, from the vectors of their bytes. */
static inline __attribute__((always_inline)) void put_elements(size_t elem_bytes, char *at,
                                                               __m512i v[][8], int k)
{
	size_t apart = COLUMNS / 4 * 8 * elem_bytes;
	__m512i low[2], high[2];

	if (elem_bytes == 1) {
		put(at, apart, v[0][k]);
		return;
	}
	for (size_t b = 0; b < elem_bytes / 2; b++) {
		low[b] = _mm512_unpacklo_epi8(v[2 * b][k], v[2 * b + 1][k]);
		high[b] = _mm512_unpackhi_epi8(v[2 * b][k], v[2 * b + 1][k]);
	}
	if (elem_bytes == 2) {
		put(at, apart, low[0]);
		put(at + 16, apart, high[0]);
		return;
	}
	put(at, apart, _mm512_unpacklo_epi16(low[0], low[1]));
	put(at + 16, apart, _mm512_unpackhi_epi16(low[0], low[1]));
	put(at + 32, apart, _mm512_unpacklo_epi16(high[0], high[1]));
	put(at + 48, apart, _mm512_unpackhi_epi16(high[0], high[1]));
}

/* One body for all elements: `bytes` and `elem_bytes` are constants where this is inlined. */
static inline __attribute__((always_inline)) void unshuffle_lanes(bytes_of_rows_fn *bytes,
                                                                  size_t elem_bytes,
                                                                  char *restrict out,
                                                                  const char *restrict in, size_t n)
{
	size_t stride = n / 8, j = 0;

	for (; j + COLUMNS <= stride; j += COLUMNS) {
		__m512i v[4][8];

		for (size_t b = 0; b < elem_bytes; b++)
			bytes(v[b], in + 8 * b * stride + j, stride);
		for (int k = 0; k < 8; k++)
			put_elements(elem_bytes, out + (8 * j + 16 * (size_t)k) * elem_bytes, v, k);
	}
	unshuffle_columns(out, in, elem_bytes, n, j);
}

#endif
#endif
