/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/packed_words.h"
#include "kernels/unpack.h"

#include <immintrin.h>
#include <stdint.h>

/* Sixteen pixels from two lanes of payload that each begin with eight of them. */
typedef __m256i pixels_fn(__m256i payload);

/* Four words in turn. */
static inline __m256i words4(uint16_t a, uint16_t b, uint16_t c, uint16_t d)
{
	return _mm256_set1_epi64x(
		(int64_t)((uint64_t)d << 48 | (uint64_t)c << 32 | (uint64_t)b << 16 | a));
}

static inline __m256i gather(__m256i payload, __m128i words)
{
	return _mm256_shuffle_epi8(payload, _mm256_broadcastsi128_si256(words));
}

/* To the top of the word and down again: there is no shift by a count for each word. */
static inline __m256i pixels_10p(__m256i payload)
{
	__m256i v = gather(payload, _mm_setr_epi8(WORDS_MONO10P));

	return _mm256_srli_epi16(_mm256_mullo_epi16(v, words4(1 << 6, 1 << 4, 1 << 2, 1)), 6);
}

static inline __m256i pixels_12p(__m256i payload)
{
	__m256i v = gather(payload, _mm_setr_epi8(WORDS_MONO12P));

	return _mm256_srli_epi16(_mm256_mullo_epi16(v, words4(1 << 4, 1, 1 << 4, 1)), 4);
}

/* What lies in the first two bytes shifted down, through the high half of a product, and what
 * lies in the third shifted up; the first pixel of four is in place and counts as the latter. */
static inline __m256i pixels_14p(__m256i payload)
{
	__m128i words = _mm_setr_epi8(WORDS_MONO14P);
	__m128i third = _mm_setr_epi8(THIRD_MONO14P);
	__m256i v = gather(payload, words), in_place = words4(UINT16_MAX, 0, 0, 0);
	__m256i down = _mm256_mulhi_epu16(v, words4(0, 1 << 10, 1 << 12, 1 << 14));
	__m256i up = _mm256_mullo_epi16(gather(payload, third), words4(0, 1 << 10, 1 << 12, 0));

	v = _mm256_or_si256(_mm256_or_si256(down, up), _mm256_and_si256(v, in_place));
	return _mm256_and_si256(v, _mm256_set1_epi16(0x3fff));
}

static inline __m256i pixels_10packed(__m256i payload)
{
	__m256i v = gather(payload, _mm_setr_epi8(WORDS_SHARED));
	__m256i low = _mm256_srli_epi16(_mm256_mullo_epi16(v, words4(1 << 4, 1, 1 << 4, 1)), 4);
	__m256i high = _mm256_and_si256(_mm256_srli_epi16(v, 6), _mm256_set1_epi16(0x3fc));

	return _mm256_or_si256(high, _mm256_and_si256(low, _mm256_set1_epi16(3)));
}

static inline __m256i pixels_12packed(__m256i payload)
{
	__m256i v = gather(payload, _mm_setr_epi8(WORDS_SHARED));
	__m256i in_place = words4(0xf, 0, 0xf, 0);

	return _mm256_or_si256(_mm256_and_si256(v, in_place),
	                       _mm256_andnot_si256(in_place, _mm256_srli_epi16(v, 4)));
}

/* Sixteen pixels at a time from the first one that begins on a byte, while both loads stay inside
 * the payload. */
static inline void unpack(char *restrict out, const char *restrict raw, size_t first, size_t n,
                          unsigned bits, pixels_fn *pixels, unpack_fn *scalar)
{
	size_t lead = -first % 4, bytes = ((first + n) * bits + 7) / 8;
	size_t i = lead < n ? lead : n, at = (first + i) / 4 * (bits / 2);

	scalar(out, raw, first, i);
	for (; i + 16 <= n && at + bits + 16 <= bytes; i += 16, at += (size_t)2 * bits) {
		__m128i a = _mm_loadu_si128((const __m128i *)(raw + at));
		__m128i b = _mm_loadu_si128((const __m128i *)(raw + at + bits));

		_mm256_storeu_si256((__m256i *)(out + 2 * i), pixels(_mm256_set_m128i(b, a)));
	}
	scalar(out + 2 * i, raw, first + i, n - i);
}

void mono10p_avx2(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	unpack(out, raw, first, n, 10, pixels_10p, mono10p_scalar);
}

void mono10packed_avx2(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	unpack(out, raw, first, n, 12, pixels_10packed, mono10packed_scalar);
}

void mono12p_avx2(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	unpack(out, raw, first, n, 12, pixels_12p, mono12p_scalar);
}

void mono12packed_avx2(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	unpack(out, raw, first, n, 12, pixels_12packed, mono12packed_scalar);
}

void mono14p_avx2(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	unpack(out, raw, first, n, 14, pixels_14p, mono14p_scalar);
}
