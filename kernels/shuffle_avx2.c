/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/shuffle.h"

#include <immintrin.h>
#include <string.h>

#define COLUMNS 4 /* bytes of each row that are made at once: 32 elements */

/* Make v[b] the bytes b of 32 elements of 2 bytes, which lie in memory order in the two before. */
static inline __attribute__((always_inline)) void split_pairs(__m256i v[4])
{
	__m256i pairs = _mm256_broadcastsi128_si256(
		_mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15));
	__m256i w[2];

	for (int i = 0; i < 2; i++)
		w[i] = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(v[i], pairs), 0xd8);
	v[0] = _mm256_permute2x128_si256(w[0], w[1], 0x20);
	v[1] = _mm256_permute2x128_si256(w[0], w[1], 0x31);
}

/* The same for 4 bytes. */
static inline __attribute__((always_inline)) void split_fours(__m256i v[4])
{
	__m256i fours = _mm256_broadcastsi128_si256(
		_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
	__m256i quarters = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
	__m256i w[4], even[2], odd[2];

	for (int i = 0; i < 4; i++)
		w[i] = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(v[i], fours), quarters);
	for (int i = 0; i < 2; i++) {
		even[i] = _mm256_unpacklo_epi64(w[2 * i], w[2 * i + 1]); /* bytes 0, then 2 */
		odd[i] = _mm256_unpackhi_epi64(w[2 * i], w[2 * i + 1]);
	}
	v[0] = _mm256_permute2x128_si256(even[0], even[1], 0x20);
	v[1] = _mm256_permute2x128_si256(odd[0], odd[1], 0x20);
	v[2] = _mm256_permute2x128_si256(even[0], even[1], 0x31);
	v[3] = _mm256_permute2x128_si256(odd[0], odd[1], 0x31);
}

/* The top bits of 32 bytes are four bytes of a row; then the next lower ones. */
static inline void put_rows(char *at, size_t stride, __m256i v)
{
	for (size_t r = 8; r-- > 0;) {
		int bits = _mm256_movemask_epi8(v);

		memcpy(at + r * stride, &bits, sizeof bits);
		v = _mm256_add_epi8(v, v);
	}
}

/* One body for all elements: `elem_bytes` is a constant where this is inlined. */
static inline __attribute__((always_inline)) void shuffle(size_t elem_bytes, char *restrict out,
                                                          const char *restrict in, size_t n)
{
	size_t stride = n / 8, j = 0;

	for (; j + COLUMNS <= stride; j += COLUMNS) {
		__m256i v[4];

		for (size_t b = 0; b < elem_bytes; b++)
			v[b] = _mm256_loadu_si256(
				(const __m256i *)(in + 8 * j * elem_bytes + 32 * b));
		if (elem_bytes == 2)
			split_pairs(v);
		else if (elem_bytes == 4)
			split_fours(v);
		for (size_t b = 0; b < elem_bytes; b++)
			put_rows(out + 8 * b * stride + j, stride, v[b]);
	}
	shuffle_columns(out, in, elem_bytes, n, j);
}

void shuffle8_avx2(void *restrict out, const void *restrict in, size_t n)
{
	shuffle(1, out, in, n);
}

void shuffle16_avx2(void *restrict out, const void *restrict in, size_t n)
{
	shuffle(2, out, in, n);
}

void shuffle32_avx2(void *restrict out, const void *restrict in, size_t n)
{
	shuffle(4, out, in, n);
}
