/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/invalidate.h"

#include <immintrin.h>
#include <math.h>

/* Which of the pixels in 64 bytes have the value, a bit each; those outside k are not read. `value`
 * fits the pixel. */
static inline uint64_t equal(size_t pixel_bytes, uint64_t k, const char *at, uint32_t value)
{
	if (pixel_bytes == 1)
		return _mm512_mask_cmpeq_epi8_mask(k, _mm512_maskz_loadu_epi8(k, at),
		                                   _mm512_set1_epi8((char)value));
	if (pixel_bytes == 2)
		return _mm512_mask_cmpeq_epi16_mask((__mmask32)k,
		                                    _mm512_maskz_loadu_epi16((__mmask32)k, at),
		                                    _mm512_set1_epi16((short)value));
	return _mm512_mask_cmpeq_epi32_mask((__mmask16)k,
	                                    _mm512_maskz_loadu_epi32((__mmask16)k, at),
	                                    _mm512_set1_epi32((int)value));
}

/* NaN to t at each bit. */
static inline void put_nan(float *t, uint64_t bad)
{
	for (size_t i = 0; bad; bad >>= 16, i += 16)
		_mm512_mask_storeu_ps(t + i, (__mmask16)bad, _mm512_set1_ps(NAN));
}

/* One body for all types: `pixel_bytes` is a constant where this is inlined. */
static inline __attribute__((always_inline)) void invalidate(size_t pixel_bytes, float *restrict t,
                                                             const char *restrict raw,
                                                             uint32_t value, size_t n)
{
	size_t step = 64 / pixel_bytes, i = 0;

	for (; i + step <= n; i += step)
		put_nan(t + i, equal(pixel_bytes, UINT64_MAX, raw + i * pixel_bytes, value));
	if (i < n)
		put_nan(t + i, equal(pixel_bytes, (UINT64_C(1) << (n - i)) - 1,
		                     raw + i * pixel_bytes, value));
}

void invalidate_uint8_avx512(float *restrict t, const void *restrict raw, uint32_t value, size_t n)
{
	if (value <= UINT8_MAX)
		invalidate(1, t, raw, value, n);
}

void invalidate_uint16_avx512(float *restrict t, const void *restrict raw, uint32_t value, size_t n)
{
	if (value <= UINT16_MAX)
		invalidate(2, t, raw, value, n);
}

void invalidate_uint32_avx512(float *restrict t, const void *restrict raw, uint32_t value, size_t n)
{
	invalidate(4, t, raw, value, n);
}
