/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/unpack.h"

#include <immintrin.h>
#include <stdint.h>

static inline void swap(char *restrict out, const char *restrict raw, size_t bytes, __m512i order)
{
	size_t i = 0;

	for (; i + 64 <= bytes; i += 64)
		_mm512_storeu_si512(out + i,
		                    _mm512_shuffle_epi8(_mm512_loadu_si512(raw + i), order));
	if (i < bytes) {
		__mmask64 k = (UINT64_C(1) << (bytes - i)) - 1;
		__m512i v = _mm512_maskz_loadu_epi8(k, raw + i);

		_mm512_mask_storeu_epi8(out + i, k, _mm512_shuffle_epi8(v, order));
	}
}

void swap16_avx512(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	__m128i order = _mm_setr_epi8(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);

	swap(out, (const char *)raw + 2 * first, 2 * n, _mm512_broadcast_i32x4(order));
}

void swap32_avx512(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	__m128i order = _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);

	swap(out, (const char *)raw + 4 * first, 4 * n, _mm512_broadcast_i32x4(order));
}
