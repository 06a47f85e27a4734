/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/unshuffle.h"

#include <immintrin.h>

#define COLUMNS 32 /* bytes of each row that are taken at once, eight elements each */

/* Exchange a's bits above `low` with b's bits of `low`, `by` places below. */
static inline void swap_bits(__m256i *a, __m256i *b, int by, __m256i low)
{
	__m256i differ = _mm256_and_si256(_mm256_xor_si256(_mm256_srli_epi16(*a, by), *b), low);

	*b = _mm256_xor_si256(*b, differ);
	*a = _mm256_xor_si256(*a, _mm256_slli_epi16(differ, by));
}

/* From row r to the bytes of elements 8j + r, in every column j. */
static inline __attribute__((always_inline)) void transpose_bits(__m256i v[8])
{
	__m256i low4 = _mm256_set1_epi8(0x0f), low2 = _mm256_set1_epi8(0x33);
	__m256i low1 = _mm256_set1_epi8(0x55);

	for (int r = 0; r < 4; r++)
		swap_bits(&v[r], &v[r + 4], 4, low4);
	for (int r = 0; r < 8; r += r % 2 ? 3 : 1)
		swap_bits(&v[r], &v[r + 2], 2, low2);
	for (int r = 0; r < 8; r += 2)
		swap_bits(&v[r], &v[r + 1], 1, low1);
}

/* Interleave eight vectors of bytes; each half of v[k] then has columns 2k and 2k + 1 of its 16. */
static inline __attribute__((always_inline)) void interleave(__m256i v[8])
{
	__m256i two[8], four[8];

	for (int i = 0; i < 4; i++) {
		two[i] = _mm256_unpacklo_epi8(v[2 * i], v[2 * i + 1]);
		two[i + 4] = _mm256_unpackhi_epi8(v[2 * i], v[2 * i + 1]);
	}
	for (int h = 0; h < 2; h++) {
		for (int i = 0; i < 2; i++) {
			__m256i a = two[4 * h + 2 * i], b = two[4 * h + 2 * i + 1];

			four[4 * h + i] = _mm256_unpacklo_epi16(a, b);
			four[4 * h + i + 2] = _mm256_unpackhi_epi16(a, b);
		}
	}
	for (int k = 0; k < 4; k++) {
		v[2 * k] = _mm256_unpacklo_epi32(four[2 * k], four[2 * k + 1]);
		v[2 * k + 1] = _mm256_unpackhi_epi32(four[2 * k], four[2 * k + 1]);
	}
}

/* The halves of v are `apart` bytes from each other. */
static inline void put(char *at, size_t apart, __m256i v)
{
	_mm_storeu_si128((__m128i *)at, _mm256_castsi256_si128(v));
	_mm_storeu_si128((__m128i *)(at + apart), _mm256_extracti128_si256(v, 1));
}

/* The elements of two columns in each half, from the vectors of their bytes. */
static inline __attribute__((always_inline)) void put_elements(size_t elem_bytes, char *at,
                                                               __m256i v[][8], int k)
{
	size_t apart = COLUMNS / 2 * 8 * elem_bytes;
	__m256i low[2], high[2];

	if (elem_bytes == 1) {
		put(at, apart, v[0][k]);
		return;
	}
	for (size_t b = 0; b < elem_bytes / 2; b++) {
		low[b] = _mm256_unpacklo_epi8(v[2 * b][k], v[2 * b + 1][k]);
		high[b] = _mm256_unpackhi_epi8(v[2 * b][k], v[2 * b + 1][k]);
	}
	if (elem_bytes == 2) {
		put(at, apart, low[0]);
		put(at + 16, apart, high[0]);
		return;
	}
	put(at, apart, _mm256_unpacklo_epi16(low[0], low[1]));
	put(at + 16, apart, _mm256_unpackhi_epi16(low[0], low[1]));
	put(at + 32, apart, _mm256_unpacklo_epi16(high[0], high[1]));
	put(at + 48, apart, _mm256_unpackhi_epi16(high[0], high[1]));
}

/* One body for all elements: `elem_bytes` is a constant where this is inlined. */
static inline __attribute__((always_inline)) void unshuffle(size_t elem_bytes, char *restrict out,
                                                            const char *restrict in, size_t n)
{
	size_t stride = n / 8, j = 0;

	for (; j + COLUMNS <= stride; j += COLUMNS) {
		__m256i v[4][8];

		for (size_t b = 0; b < elem_bytes; b++) {
			for (size_t r = 0; r < 8; r++)
				v[b][r] = _mm256_loadu_si256(
					(const __m256i *)(in + (8 * b + r) * stride + j));
			transpose_bits(v[b]);
			interleave(v[b]);
		}
		for (int k = 0; k < 8; k++)
			put_elements(elem_bytes, out + (8 * j + 16 * (size_t)k) * elem_bytes, v, k);
	}
	unshuffle_columns(out, in, elem_bytes, n, j);
}

void unshuffle8_avx2(void *restrict out, const void *restrict in, size_t n)
{
	unshuffle(1, out, in, n);
}

void unshuffle16_avx2(void *restrict out, const void *restrict in, size_t n)
{
	unshuffle(2, out, in, n);
}

void unshuffle32_avx2(void *restrict out, const void *restrict in, size_t n)
{
	unshuffle(4, out, in, n);
}
