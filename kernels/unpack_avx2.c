/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/unpack.h"

#include <immintrin.h>

/* Shuffle whole vectors of 32 bytes; returns how many bytes that were. */
static inline size_t swap(char *restrict out, const char *restrict raw, size_t bytes, __m256i order)
{
	size_t i = 0;

	for (; i + 32 <= bytes; i += 32) {
		__m256i v = _mm256_loadu_si256((const __m256i *)(raw + i));

		_mm256_storeu_si256((__m256i *)(out + i), _mm256_shuffle_epi8(v, order));
	}
	return i;
}

void swap16_avx2(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	__m128i order = _mm_setr_epi8(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
	size_t done =
		swap(out, (const char *)raw + 2 * first, 2 * n, _mm256_broadcastsi128_si256(order));

	swap16_scalar((char *)out + done, raw, first + done / 2, n - done / 2);
}

void swap32_avx2(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	__m128i order = _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
	size_t done =
		swap(out, (const char *)raw + 4 * first, 4 * n, _mm256_broadcastsi128_si256(order));

	swap32_scalar((char *)out + done, raw, first + done / 4, n - done / 4);
}
