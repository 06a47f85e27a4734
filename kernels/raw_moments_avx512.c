/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/raw_moments.h"

#include <immintrin.h>
#include <math.h>

#define STEP  32        /* pixels of 8 and 16 bit at a time */
#define CHUNK (1 << 15) /* pixels whose sum around the centre fits 32 bits with its sign */

/* Sums of 16-bit pixels. They are summed around `centre` so that they fit the signed multiply:
 * v = c + centre, hence v^2 = c^2 + 2 centre c + centre^2. */
struct lanes {
	__m512i sum;        /* 16 signed 32-bit sums of c */
	__m512i squares[2]; /* 8 64-bit sums of c^2 each */
	__m512i min, max;   /* unsigned 16 bit */
	uint64_t good, saturated;
};

static inline __mmask32 good32(const float *t, __mmask32 k)
{
	__m512 a = _mm512_maskz_loadu_ps((__mmask16)k, t);
	__m512 b = _mm512_maskz_loadu_ps((__mmask16)(k >> 16), t + 16);

	return k & ((__mmask32)_mm512_cmp_ps_mask(a, a, _CMP_ORD_Q) |
	            (__mmask32)_mm512_cmp_ps_mask(b, b, _CMP_ORD_Q) << 16);
}

static inline void add32(struct lanes *l, __mmask32 good, __m512i v, __m512i centre,
                         __m512i saturation)
{
	__m512i c = _mm512_maskz_sub_epi16(good, v, centre);
	__m512i squares = _mm512_madd_epi16(c, c); /* at most 2^31: unsigned */

	l->sum = _mm512_add_epi32(l->sum, _mm512_madd_epi16(c, _mm512_set1_epi16(1)));
	l->squares[0] = _mm512_add_epi64(l->squares[0],
	                                 _mm512_and_si512(squares, _mm512_set1_epi64(UINT32_MAX)));
	l->squares[1] = _mm512_add_epi64(l->squares[1], _mm512_srli_epi64(squares, 32));
	l->min = _mm512_mask_min_epu16(l->min, good, l->min, v);
	l->max = _mm512_mask_max_epu16(l->max, good, l->max, v);
	l->good += (uint64_t)_mm_popcnt_u32(good);
	l->saturated += (uint64_t)_mm_popcnt_u32(_mm512_mask_cmpge_epu16_mask(good, v, saturation));
}

static inline __m512i load32(enum product_type type, __mmask32 k, const char *at)
{
	return type == PRODUCT_UINT8 ? _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(k, at))
	                             : _mm512_maskz_loadu_epi16(k, at);
}

static inline uint32_t lowest(__m512i v)
{
	__m256i w = _mm256_min_epu16(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
	__m128i x = _mm_min_epu16(_mm256_castsi256_si128(w), _mm256_extracti128_si256(w, 1));

	return (uint32_t)_mm_extract_epi16(_mm_minpos_epu16(x), 0);
}

static inline void fold(struct raw_sums *sums, const struct lanes *l, int32_t centre)
{
	int64_t c = _mm512_reduce_add_epi32(l->sum);
	uint64_t squares =
		(uint64_t)_mm512_reduce_add_epi64(_mm512_add_epi64(l->squares[0], l->squares[1]));
	uint32_t min = lowest(l->min);
	uint32_t max = 0xffff & ~lowest(_mm512_xor_si512(l->max, _mm512_set1_epi16(-1)));

	squares += (uint64_t)(2 * centre * c) + l->good * (uint64_t)(centre * (int64_t)centre);
	sums->good += l->good;
	sums->saturated += l->saturated;
	sums->sum += (uint64_t)(c + (int64_t)l->good * centre);
	sums->squares_low += (uint32_t)squares;
	sums->squares_high += squares >> 32;
	sums->min = min < sums->min ? min : sums->min;
	sums->max = max > sums->max ? max : sums->max;
}

/* At most CHUNK pixels. */
static inline __attribute__((always_inline)) void add_chunk(enum product_type type, int32_t centre,
                                                            struct raw_sums *sums, const char *raw,
                                                            const float *t, uint32_t saturation,
                                                            size_t n)
{
	size_t pixel_bytes = type == PRODUCT_UINT8 ? 1 : 2;
	__m512i middle = _mm512_set1_epi16((short)centre);
	__m512i limit = _mm512_set1_epi16((short)saturation);
	struct lanes l = { .min = _mm512_set1_epi16(-1) };
	size_t i = 0;

	for (; i + STEP <= n; i += STEP)
		add32(&l, good32(t + i, UINT32_MAX),
		      load32(type, UINT32_MAX, raw + i * pixel_bytes), middle, limit);
	if (i < n) {
		__mmask32 k = (1u << (n - i)) - 1;

		add32(&l, good32(t + i, k), load32(type, k, raw + i * pixel_bytes), middle, limit);
	}
	if (l.good)
		fold(sums, &l, centre);
}

static inline size_t chunk(size_t n)
{
	return n < CHUNK ? n : CHUNK;
}

void raw_sums_uint8_avx512(struct raw_sums *sums, const void *restrict raw, const float *restrict t,
                           uint32_t saturation, size_t n)
{
	for (size_t i = 0; i < n; i += CHUNK)
		add_chunk(PRODUCT_UINT8, 0, sums, (const char *)raw + i, t + i, saturation,
		          chunk(n - i));
}

void raw_sums_uint16_avx512(struct raw_sums *sums, const void *restrict raw,
                            const float *restrict t, uint32_t saturation, size_t n)
{
	for (size_t i = 0; i < n; i += CHUNK)
		add_chunk(PRODUCT_UINT16, 32768, sums, (const char *)raw + 2 * i, t + i, saturation,
		          chunk(n - i));
}

struct wide_lanes {
	__m512i sum, squares_low, squares_high; /* 64 bit */
	__m512i min, max;                       /* unsigned 32 bit */
	uint64_t good, saturated;
};

static inline void add_wide8(struct wide_lanes *l, __m256i v)
{
	__m512i wide = _mm512_cvtepu32_epi64(v);
	__m512i square = _mm512_mul_epu32(wide, wide);

	l->sum = _mm512_add_epi64(l->sum, wide);
	l->squares_low = _mm512_add_epi64(l->squares_low,
	                                  _mm512_and_si512(square, _mm512_set1_epi64(UINT32_MAX)));
	l->squares_high = _mm512_add_epi64(l->squares_high, _mm512_srli_epi64(square, 32));
}

static inline void add_wide16(struct wide_lanes *l, __mmask16 k, const char *raw, const float *t,
                              __m512i saturation)
{
	__m512 pixels = _mm512_maskz_loadu_ps(k, t);
	__mmask16 good = _mm512_mask_cmp_ps_mask(k, pixels, pixels, _CMP_ORD_Q);
	__m512i v = _mm512_maskz_loadu_epi32(good, raw);

	add_wide8(l, _mm512_castsi512_si256(v));
	add_wide8(l, _mm512_extracti64x4_epi64(v, 1));
	l->min = _mm512_mask_min_epu32(l->min, good, l->min, v);
	l->max = _mm512_max_epu32(l->max, v);
	l->good += (uint64_t)_mm_popcnt_u32(good);
	l->saturated += (uint64_t)_mm_popcnt_u32(_mm512_mask_cmpge_epu32_mask(good, v, saturation));
}

static inline void fold_wide(struct raw_sums *sums, const struct wide_lanes *l)
{
	uint32_t min = _mm512_reduce_min_epu32(l->min);
	uint32_t max = _mm512_reduce_max_epu32(l->max);

	sums->good += l->good;
	sums->saturated += l->saturated;
	sums->sum += (uint64_t)_mm512_reduce_add_epi64(l->sum);
	sums->squares_low += (uint64_t)_mm512_reduce_add_epi64(l->squares_low);
	sums->squares_high += (uint64_t)_mm512_reduce_add_epi64(l->squares_high);
	sums->min = min < sums->min ? min : sums->min;
	sums->max = max > sums->max ? max : sums->max;
}

void raw_sums_uint32_avx512(struct raw_sums *sums, const void *restrict raw,
                            const float *restrict t, uint32_t saturation, size_t n)
{
	const char *at = raw;
	__m512i limit = _mm512_set1_epi32((int)saturation);
	struct wide_lanes l = { .min = _mm512_set1_epi32(-1) };
	size_t i = 0;

	for (; i + 16 <= n; i += 16)
		add_wide16(&l, 0xffff, at + 4 * i, t + i, limit);
	if (i < n)
		add_wide16(&l, (__mmask16)((1u << (n - i)) - 1), at + 4 * i, t + i, limit);
	fold_wide(sums, &l);
}

static inline uint64_t screen16(float *out, __mmask16 k, const char *raw, const float *t,
                                __m512 saturation)
{
	__m512 pixels = _mm512_maskz_loadu_ps(k, t);
	__mmask16 good = _mm512_mask_cmp_ps_mask(k, pixels, pixels, _CMP_ORD_Q);
	__m512 v = _mm512_mask_loadu_ps(_mm512_set1_ps(NAN), good, raw);

	_mm512_mask_storeu_ps(out, k, v);
	return (uint64_t)_mm_popcnt_u32(_mm512_mask_cmp_ps_mask(good, v, saturation, _CMP_GE_OQ));
}

uint64_t raw_screen_avx512(float *restrict out, const void *restrict raw, const float *restrict t,
                           float saturation, size_t n)
{
	const char *at = raw;
	__m512 limit = _mm512_set1_ps(saturation);
	uint64_t saturated = 0;
	size_t i = 0;

	for (; i + 16 <= n; i += 16)
		saturated += screen16(out + i, 0xffff, at + 4 * i, t + i, limit);
	if (i < n)
		saturated += screen16(out + i, (__mmask16)((1u << (n - i)) - 1), at + 4 * i, t + i,
		                      limit);
	return saturated;
}
