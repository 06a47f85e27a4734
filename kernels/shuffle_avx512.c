/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/shuffle.h"

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define COLUMNS 8 /* bytes of each row that are made at once: 64 elements */

/* Make v[b] the bytes b of 64 elements of 2 bytes, which lie in memory order in the two before. */
static inline __attribute__((always_inline)) void split_pairs(__m512i v[4])
{
	__m512i pairs = _mm512_broadcast_i32x4(
		_mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15));
	__m512i halves = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
	__m512i w[2];

	for (int i = 0; i < 2; i++)
		w[i] = _mm512_permutexvar_epi64(halves, _mm512_shuffle_epi8(v[i], pairs));
	v[0] = _mm512_shuffle_i64x2(w[0], w[1], 0x44);
	v[1] = _mm512_shuffle_i64x2(w[0], w[1], 0xee);
}

/* The same for 4 bytes. */
static inline __attribute__((always_inline)) void split_fours(__m512i v[4])
{
	__m512i fours = _mm512_broadcast_i32x4(
		_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
	__m512i quarters = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
	__m512i w[4], low[2], high[2];

	for (int i = 0; i < 4; i++)
		w[i] = _mm512_permutexvar_epi32(quarters, _mm512_shuffle_epi8(v[i], fours));
	for (int i = 0; i < 2; i++) {
		low[i] = _mm512_shuffle_i64x2(w[2 * i], w[2 * i + 1], 0x44);
		high[i] = _mm512_shuffle_i64x2(w[2 * i], w[2 * i + 1], 0xee);
	}
	v[0] = _mm512_shuffle_i64x2(low[0], low[1], 0x88);
	v[1] = _mm512_shuffle_i64x2(low[0], low[1], 0xdd);
	v[2] = _mm512_shuffle_i64x2(high[0], high[1], 0x88);
	v[3] = _mm512_shuffle_i64x2(high[0], high[1], 0xdd);
}

/* The top bits of 64 bytes are eight bytes of a row; then the next lower ones. */
static inline void put_rows(char *at, size_t stride, __m512i v)
{
	for (size_t r = 8; r-- > 0;) {
		uint64_t bits = _mm512_movepi8_mask(v);

		memcpy(at + r * stride, &bits, sizeof bits);
		v = _mm512_add_epi8(v, v);
	}
}

/* One body for all elements: `elem_bytes` is a constant where this is inlined. */
static inline __attribute__((always_inline)) void shuffle(size_t elem_bytes, char *restrict out,
                                                          const char *restrict in, size_t n)
{
	size_t stride = n / 8, j = 0;

	for (; j + COLUMNS <= stride; j += COLUMNS) {
		__m512i v[4];

		for (size_t b = 0; b < elem_bytes; b++)
			v[b] = _mm512_loadu_si512(in + 8 * j * elem_bytes + 64 * b);
		if (elem_bytes == 2)
			split_pairs(v);
		else if (elem_bytes == 4)
			split_fours(v);
		for (size_t b = 0; b < elem_bytes; b++)
			put_rows(out + 8 * b * stride + j, stride, v[b]);
	}
	shuffle_columns(out, in, elem_bytes, n, j);
}

void shuffle8_avx512(void *restrict out, const void *restrict in, size_t n)
{
	shuffle(1, out, in, n);
}

void shuffle16_avx512(void *restrict out, const void *restrict in, size_t n)
{
	shuffle(2, out, in, n);
}

void shuffle32_avx512(void *restrict out, const void *restrict in, size_t n)
{
	shuffle(4, out, in, n);
}
