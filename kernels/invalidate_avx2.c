/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/invalidate.h"

#include <immintrin.h>
#include <math.h>
#include <stdbool.h>

/* Whether one of the pixels in 32 bytes has the value; `value` fits the pixel. */
static inline bool any(size_t pixel_bytes, const char *at, uint32_t value)
{
	__m256i v = _mm256_loadu_si256((const __m256i *)at), equal;

	if (pixel_bytes == 1)
		equal = _mm256_cmpeq_epi8(v, _mm256_set1_epi8((char)value));
	else if (pixel_bytes == 2)
		equal = _mm256_cmpeq_epi16(v, _mm256_set1_epi16((short)value));
	else
		equal = _mm256_cmpeq_epi32(v, _mm256_set1_epi32((int)value));
	return !_mm256_testz_si256(equal, equal);
}

static inline void invalidate8(size_t pixel_bytes, float *t, const char *at, uint32_t value)
{
	__m256i v, equal;

	if (pixel_bytes == 1)
		v = _mm256_cvtepu8_epi32(_mm_loadu_si64(at));
	else if (pixel_bytes == 2)
		v = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)at));
	else
		v = _mm256_loadu_si256((const __m256i *)at);
	equal = _mm256_cmpeq_epi32(v, _mm256_set1_epi32((int)value));
	_mm256_maskstore_ps(t, equal, _mm256_set1_ps(NAN));
}

/* One body for all types: `pixel_bytes` is a constant where this is inlined. Bad pixels are few and
 * lie together: without one, t is not touched. Returns how many pixels were whole vectors. */
static inline __attribute__((always_inline)) size_t invalidate(size_t pixel_bytes,
                                                               float *restrict t,
                                                               const char *restrict raw,
                                                               uint32_t value, size_t n)
{
	size_t step = 32 / pixel_bytes, i = 0;

	for (; i + step <= n; i += step) {
		if (!any(pixel_bytes, raw + i * pixel_bytes, value))
			continue;
		for (size_t j = i; j < i + step; j += 8)
			invalidate8(pixel_bytes, t + j, raw + j * pixel_bytes, value);
	}
	return i;
}

void invalidate_uint8_avx2(float *restrict t, const void *restrict raw, uint32_t value, size_t n)
{
	size_t done;

	if (value > UINT8_MAX)
		return;
	done = invalidate(1, t, raw, value, n);
	invalidate_uint8_scalar(t + done, (const char *)raw + done, value, n - done);
}

void invalidate_uint16_avx2(float *restrict t, const void *restrict raw, uint32_t value, size_t n)
{
	size_t done;

	if (value > UINT16_MAX)
		return;
	done = invalidate(2, t, raw, value, n);
	invalidate_uint16_scalar(t + done, (const char *)raw + 2 * done, value, n - done);
}

void invalidate_uint32_avx2(float *restrict t, const void *restrict raw, uint32_t value, size_t n)
{
	size_t done = invalidate(4, t, raw, value, n);

	invalidate_uint32_scalar(t + done, (const char *)raw + 4 * done, value, n - done);
}
