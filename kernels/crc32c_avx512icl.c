/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/crc32c.h"

#include <immintrin.h>

/* Folding with carry-less multiplication (Gopal et al., "Fast CRC Computation for Generic
 * Polynomials Using PCLMULQDQ", Intel 2009): 128 bits that lie D bits before others are
 * multiplied by x^D mod P and added to them. A pair holds x^(D + 32) and x^(D - 32), reflected
 * and shifted left by one, for the low and the high half. */
#define FOLD_2048 0xb9e02b86, 0xdcb17aa4
#define FOLD_512  0x9e4addf8, 0x740eef02
#define FOLD_128  0x14cd00bd6, 0xf20c0dfe

static inline __m512i fold(__m512i v, __m512i by, __m512i onto)
{
	return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(v, by, 0x00),
	                                 _mm512_clmulepi64_epi128(v, by, 0x11), onto, 0x96);
}

static inline __m128i fold1(__m128i v, __m128i by, __m128i onto)
{
	return _mm_xor_si128(
		_mm_xor_si128(_mm_clmulepi64_si128(v, by, 0x00), _mm_clmulepi64_si128(v, by, 0x11)),
		onto);
}

/* The state after 64 bytes whose state before is folded in already. */
static inline uint32_t reduce(__m512i v)
{
	__m128i by = _mm_set_epi64x(FOLD_128);
	__m128i w = _mm512_castsi512_si128(v);

	w = fold1(w, by, _mm512_extracti32x4_epi32(v, 1));
	w = fold1(w, by, _mm512_extracti32x4_epi32(v, 2));
	w = fold1(w, by, _mm512_extracti32x4_epi32(v, 3));
	return (uint32_t)_mm_crc32_u64(_mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(w)),
	                               (uint64_t)_mm_extract_epi64(w, 1));
}

uint32_t crc32c_avx512icl(uint32_t crc, const void *data, size_t n)
{
	const char *at = data;
	__m512i by = _mm512_broadcast_i32x4(_mm_set_epi64x(FOLD_2048));
	__m512i v[4];

	if (n < 256)
		return crc32c_sse42(crc, data, n);
	for (unsigned j = 0; j < 4; j++)
		v[j] = _mm512_loadu_si512(at + 64 * j);
	v[0] = _mm512_xor_si512(v[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)~crc)));
	for (at += 256, n -= 256; n >= 256; at += 256, n -= 256)
		for (unsigned j = 0; j < 4; j++)
			v[j] = fold(v[j], by, _mm512_loadu_si512(at + 64 * j));

	by = _mm512_broadcast_i32x4(_mm_set_epi64x(FOLD_512));
	for (unsigned j = 1; j < 4; j++)
		v[0] = fold(v[0], by, v[j]);
	for (; n >= 64; at += 64, n -= 64)
		v[0] = fold(v[0], by, _mm512_loadu_si512(at));
	return crc32c_sse42(~reduce(v[0]), at, n);
}
