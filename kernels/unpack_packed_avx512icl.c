/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/packed_words.h"
#include "kernels/unpack.h"

#include <immintrin.h>
#include <stdint.h>

#define SELECT  0xca /* of a ternary logic: a ? b : c */
#define LANE(i) ((i)*INT64_C(0x0101010101010101))

/* Thirty-two pixels from the payload's bytes. */
typedef __m512i pixels_fn(__m512i payload);

/* Four words in turn. */
static inline __m512i words4(uint16_t a, uint16_t b, uint16_t c, uint16_t d)
{
	return _mm512_set1_epi64(
		(int64_t)((uint64_t)d << 48 | (uint64_t)c << 32 | (uint64_t)b << 16 | a));
}

/* The bytes at `words` of each eight pixels. */
static inline __m512i gather(__m512i payload, int bits, __m128i words)
{
	__m512i begin = _mm512_set_epi64(LANE(3 * bits), LANE(3 * bits), LANE(2 * bits),
	                                 LANE(2 * bits), LANE(bits), LANE(bits), 0, 0);

	return _mm512_permutexvar_epi8(_mm512_add_epi8(_mm512_broadcast_i32x4(words), begin),
	                               payload);
}

/* Four pixels of a stream into each 64 bits, and there any eight bits into any byte. */
static inline __m512i stream(__m512i payload, int bits)
{
	char half = (char)(bits / 2);
	__m128i fours = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, half, (char)(half + 1),
	                              (char)(half + 2), (char)(half + 3), (char)(half + 4),
	                              (char)(half + 5), (char)(half + 6), (char)(half + 7));
	uint64_t from = 0;

	for (int i = 0; i < 4; i++)
		from |= (uint64_t)(i * bits | (i * bits + 8) % 64 << 8) << 16 * i;
	return _mm512_and_si512(_mm512_multishift_epi64_epi8(_mm512_set1_epi64((int64_t)from),
	                                                     gather(payload, bits, fours)),
	                        _mm512_set1_epi16((short)((1 << bits) - 1)));
}

static inline __m512i pixels_10p(__m512i payload)
{
	return stream(payload, 10);
}

static inline __m512i pixels_12p(__m512i payload)
{
	return stream(payload, 12);
}

static inline __m512i pixels_14p(__m512i payload)
{
	return stream(payload, 14);
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

void mono10p_avx512icl(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	unpack(out, raw, first, n, 10, pixels_10p, mono10p_scalar);
}

void mono10packed_avx512icl(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	unpack(out, raw, first, n, 12, pixels_10packed, mono10packed_scalar);
}

void mono12p_avx512icl(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	unpack(out, raw, first, n, 12, pixels_12p, mono12p_scalar);
}

void mono12packed_avx512icl(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	unpack(out, raw, first, n, 12, pixels_12packed, mono12packed_scalar);
}

void mono14p_avx512icl(void *restrict out, const void *restrict raw, size_t first, size_t n)
{
	unpack(out, raw, first, n, 14, pixels_14p, mono14p_scalar);
}
