/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/packed_words.h"
#include "kernels/unpack.h"

#include <immintrin.h>
#include <stdint.h>

#define SELECT  0xca /* of a ternary logic: a ? b : c */
#define EITHER  0xa8 /* (a | b) & c */
#define LANE(i) ((i)*INT64_C(0x0001000100010001))

/* Thirty-two pixels from the payload's bytes. */
typedef __m512i pixels_fn(__m512i payload);

/* Four words in turn. */
static inline __m512i words4(uint16_t a, uint16_t b, uint16_t c, uint16_t d)
{
	return _mm512_set1_epi64(
		(int64_t)((uint64_t)d << 48 | (uint64_t)c << 32 | (uint64_t)b << 16 | a));
}

/* Eight pixels of the payload into each lane, and there their bytes into words. */
static inline __m512i gather(__m512i payload, int bits, __m128i words)
{
	__m512i lane = _mm512_broadcast_i32x4(_mm_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7));
	__m512i begin = _mm512_mullo_epi16(_mm512_set1_epi16((short)(bits / 2)),
	                                   _mm512_set_epi64(LANE(3), LANE(3), LANE(2), LANE(2),
	                                                    LANE(1), LANE(1), LANE(0), LANE(0)));

	payload = _mm512_permutexvar_epi16(_mm512_add_epi16(lane, begin), payload);
	return _mm512_shuffle_epi8(payload, _mm512_broadcast_i32x4(words));
}

static inline __m512i pixels_10p(__m512i payload)
{
	__m512i v = gather(payload, 10, _mm_setr_epi8(WORDS_MONO10P));

	return _mm512_and_si512(_mm512_srlv_epi16(v, words4(SHIFTS_MONO10P)),
	                        _mm512_set1_epi16(0x3ff));
}

static inline __m512i pixels_12p(__m512i payload)
{
	__m512i v = gather(payload, 12, _mm_setr_epi8(WORDS_MONO12P));

	return _mm512_and_si512(_mm512_srlv_epi16(v, words4(SHIFTS_MONO12P)),
	                        _mm512_set1_epi16(0xfff));
}

/* What lies in the first two bytes shifted down, what lies in the third shifted up. */
static inline __m512i pixels_14p(__m512i payload)
{
	__m512i v = gather(payload, 14, _mm_setr_epi8(WORDS_MONO14P));
	__m512i third = gather(payload, 14, _mm_setr_epi8(THIRD_MONO14P));
	__m512i down = _mm512_srlv_epi16(v, words4(SHIFTS_MONO14P));
	__m512i up = _mm512_sllv_epi16(third, words4(0, 10, 12, 0));

	return _mm512_ternarylogic_epi32(down, up, _mm512_set1_epi16(0x3fff), EITHER);
}

/* The high bits from the word shifted down; of the low ones the first pixel's are in place, the
 * second's four bits above. */
static inline __m512i pixels_10packed(__m512i payload)
{
	__m512i v = gather(payload, 12, _mm_setr_epi8(WORDS_SHARED));
	__m512i low = _mm512_srlv_epi16(v, words4(0, 4, 0, 4));

	return _mm512_ternarylogic_epi32(_mm512_set1_epi16(3), low, _mm512_srli_epi16(v, 6),
	                                 SELECT);
}

static inline __m512i pixels_12packed(__m512i payload)
{
	__m512i v = gather(payload, 12, _mm_setr_epi8(WORDS_SHARED));

	return _mm512_ternarylogic_epi32(words4(0xf, 0, 0xf, 0), v, _mm512_srli_epi16(v, 4),
	                                 SELECT);
}

/* Thirty-two pixels at a time from the first one that begins on a byte. */
static inline void unpack(char *restrict out, const char *restrict raw, size_t first, size_t n,
                          unsigned bits, pixels_fn *pixels, unpack_fn *scalar)
{
	__mmask64 whole = (UINT64_C(1) << 4 * bits) - 1;
	size_t lead = -first % 4, i = lead < n ? lead : n;

	scalar(out, raw, first, i);
	raw += (first + i) / 4 * (bits / 2);
	for (; i + 32 <= n; i += 32, raw += (size_t)4 * bits)
		_mm512_storeu_si512(out + 2 * i, pixels(_mm512_maskz_loadu_epi8(whole, raw)));
	if (i < n) {
		__mmask64 rest = (UINT64_C(1) << ((n - i) * bits + 7) / 8) - 1;
		__mmask32 kept = (UINT32_C(1) << (n - i)) - 1;

		_mm512_mask_storeu_epi16(out + 2 * i, kept,
		                         pixels(_mm512_maskz_loadu_epi8(rest, raw)));
	}
}

void mono10p_avx512(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	unpack(out, raw, first, n, 10, pixels_10p, mono10p_scalar);
}

void mono10packed_avx512(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	unpack(out, raw, first, n, 12, pixels_10packed, mono10packed_scalar);
}

void mono12p_avx512(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	unpack(out, raw, first, n, 12, pixels_12p, mono12p_scalar);
}

void mono12packed_avx512(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	unpack(out, raw, first, n, 12, pixels_12packed, mono12packed_scalar);
}

void mono14p_avx512(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	unpack(out, raw, first, n, 14, pixels_14p, mono14p_scalar);
}
