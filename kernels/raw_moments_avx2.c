/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/raw_moments.h"

#include <immintrin.h>
#include <math.h>

#define STEP  16        /* pixels of 8 and 16 bit at a time */
#define CHUNK (1 << 17) /* pixels before a lane could overflow: 2^13 steps of at most 2^16 */

/* Sums of 16-bit pixels around `centre`, as in raw_moments_avx512.c. */
struct lanes {
	__m256i sum;       /* 8 signed 32-bit sums of c */
	__m256i squares;   /* 4 64-bit sums of c^2 */
	__m256i min, max;  /* unsigned 16 bit */
	__m256i saturated; /* unsigned 16 bit, at most CHUNK / STEP */
	uint64_t good;
};

/* All ones in the 16-bit lanes of good pixels. */
static inline __m256i good16(const float *t)
{
	__m256 a = _mm256_loadu_ps(t), b = _mm256_loadu_ps(t + 8);
	__m256i packed = _mm256_packs_epi32(_mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_ORD_Q)),
	                                    _mm256_castps_si256(_mm256_cmp_ps(b, b, _CMP_ORD_Q)));

	return _mm256_permute4x64_epi64(packed, 0xd8); /* packing works within 128 bits */
}

static inline void add16(struct lanes *l, __m256i good, __m256i v, __m256i centre,
                         __m256i saturation)
{
	__m256i c = _mm256_and_si256(_mm256_sub_epi16(v, centre), good);
	__m256i squares = _mm256_madd_epi16(c, c); /* at most 2^31: unsigned */
	__m256i low = _mm256_and_si256(squares, _mm256_set1_epi64x(UINT32_MAX));
	__m256i reached = _mm256_cmpeq_epi16(_mm256_max_epu16(v, saturation), v);

	l->sum = _mm256_add_epi32(l->sum, _mm256_madd_epi16(c, _mm256_set1_epi16(1)));
	l->squares = _mm256_add_epi64(l->squares, low);
	l->squares = _mm256_add_epi64(l->squares, _mm256_srli_epi64(squares, 32));
	l->min = _mm256_min_epu16(l->min, _mm256_or_si256(v, ~good));
	l->max = _mm256_max_epu16(l->max, _mm256_and_si256(v, good));
	l->saturated = _mm256_sub_epi16(l->saturated, _mm256_and_si256(reached, good));
	l->good += (uint64_t)_mm_popcnt_u32((unsigned)_mm256_movemask_epi8(good)) / 2;
}

static inline __m256i load16(enum product_type type, const char *at)
{
	return type == PRODUCT_UINT8 ? _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)at))
	                             : _mm256_loadu_si256((const __m256i *)at);
}

static inline uint32_t lowest(__m256i v)
{
	__m128i x = _mm_min_epu16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

	return (uint32_t)_mm_extract_epi16(_mm_minpos_epu16(x), 0);
}

static inline int64_t sum64(__m256i v)
{
	__m128i two = _mm_add_epi64(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

	return _mm_extract_epi64(two, 0) + _mm_extract_epi64(two, 1);
}

static inline int64_t sum32(__m256i v)
{
	__m256i low = _mm256_cvtepi32_epi64(_mm256_castsi256_si128(v));

	return sum64(_mm256_add_epi64(low, _mm256_cvtepi32_epi64(_mm256_extracti128_si256(v, 1))));
}

static inline uint64_t sum_pairs16(__m256i v)
{
	__m256i low = _mm256_and_si256(v, _mm256_set1_epi32(0xffff));

	return (uint64_t)sum32(_mm256_add_epi32(low, _mm256_srli_epi32(v, 16)));
}

static inline void fold(struct raw_sums *sums, const struct lanes *l, int32_t centre)
{
	int64_t c = sum32(l->sum);
	uint64_t squares = (uint64_t)sum64(l->squares);
	uint32_t min = lowest(l->min);
	uint32_t max = 0xffff & ~lowest(~l->max);

	squares += (uint64_t)(2 * centre * c) + l->good * (uint64_t)(centre * (int64_t)centre);
	sums->good += l->good;
	sums->saturated += sum_pairs16(l->saturated);
	sums->sum += (uint64_t)(c + (int64_t)l->good * centre);
	sums->squares_low += (uint32_t)squares;
	sums->squares_high += squares >> 32;
	sums->min = min < sums->min ? min : sums->min;
	sums->max = max > sums->max ? max : sums->max;
}

/* Whole steps of at most CHUNK pixels. Returns how many were taken. */
static inline __attribute__((always_inline)) size_t add_chunk(enum product_type type,
                                                              int32_t centre, struct raw_sums *sums,
                                                              const char *raw, const float *t,
                                                              uint32_t saturation, size_t n)
{
	size_t pixel_bytes = type == PRODUCT_UINT8 ? 1 : 2;
	__m256i middle = _mm256_set1_epi16((short)centre);
	__m256i limit = _mm256_set1_epi16((short)saturation);
	struct lanes l = { .min = _mm256_set1_epi16(-1) };
	size_t i = 0;

	for (; i + STEP <= n && i < CHUNK; i += STEP)
		add16(&l, good16(t + i), load16(type, raw + i * pixel_bytes), middle, limit);
	if (l.good)
		fold(sums, &l, centre);
	return i;
}

void raw_sums_uint8_avx2(struct raw_sums *sums, const void *restrict raw, const float *restrict t,
                         uint32_t saturation, size_t n)
{
	const char *at = raw;
	size_t i = 0;

	while (n - i >= STEP)
		i += add_chunk(PRODUCT_UINT8, 0, sums, at + i, t + i, saturation, n - i);
	raw_sums_uint8_scalar(sums, at + i, t + i, saturation, n - i);
}

void raw_sums_uint16_avx2(struct raw_sums *sums, const void *restrict raw, const float *restrict t,
                          uint32_t saturation, size_t n)
{
	const char *at = raw;
	size_t i = 0;

	while (n - i >= STEP)
		i += add_chunk(PRODUCT_UINT16, 32768, sums, at + 2 * i, t + i, saturation, n - i);
	raw_sums_uint16_scalar(sums, at + 2 * i, t + i, saturation, n - i);
}

struct wide_lanes {
	__m256i sum, squares_low, squares_high; /* 64 bit */
	__m256i min, max;                       /* unsigned 32 bit */
	uint64_t good, saturated;
};

static inline void add_wide4(struct wide_lanes *l, __m128i v)
{
	__m256i wide = _mm256_cvtepu32_epi64(v);
	__m256i square = _mm256_mul_epu32(wide, wide);
	__m256i low = _mm256_and_si256(square, _mm256_set1_epi64x(UINT32_MAX));

	l->sum = _mm256_add_epi64(l->sum, wide);
	l->squares_low = _mm256_add_epi64(l->squares_low, low);
	l->squares_high = _mm256_add_epi64(l->squares_high, _mm256_srli_epi64(square, 32));
}

static inline unsigned lanes_set(__m256i mask)
{
	return (unsigned)_mm_popcnt_u32((unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(mask)));
}

static inline void add_wide8(struct wide_lanes *l, const char *raw, const float *t,
                             __m256i saturation)
{
	__m256 pixels = _mm256_loadu_ps(t);
	__m256i good = _mm256_castps_si256(_mm256_cmp_ps(pixels, pixels, _CMP_ORD_Q));
	__m256i v = _mm256_and_si256(_mm256_loadu_si256((const __m256i *)raw), good);
	__m256i reached = _mm256_cmpeq_epi32(_mm256_max_epu32(v, saturation), v);

	add_wide4(l, _mm256_castsi256_si128(v));
	add_wide4(l, _mm256_extracti128_si256(v, 1));
	l->min = _mm256_min_epu32(l->min, _mm256_or_si256(v, ~good));
	l->max = _mm256_max_epu32(l->max, v);
	l->good += lanes_set(good);
	l->saturated += lanes_set(_mm256_and_si256(reached, good));
}

static inline void fold_wide(struct raw_sums *sums, const struct wide_lanes *l)
{
	uint32_t min[8], max[8];

	_mm256_storeu_si256((__m256i *)min, l->min);
	_mm256_storeu_si256((__m256i *)max, l->max);
	for (unsigned i = 0; i < 8; i++) {
		sums->min = min[i] < sums->min ? min[i] : sums->min;
		sums->max = max[i] > sums->max ? max[i] : sums->max;
	}
	sums->good += l->good;
	sums->saturated += l->saturated;
	sums->sum += (uint64_t)sum64(l->sum);
	sums->squares_low += (uint64_t)sum64(l->squares_low);
	sums->squares_high += (uint64_t)sum64(l->squares_high);
}

void raw_sums_uint32_avx2(struct raw_sums *sums, const void *restrict raw, const float *restrict t,
                          uint32_t saturation, size_t n)
{
	const char *at = raw;
	__m256i limit = _mm256_set1_epi32((int)saturation);
	struct wide_lanes l = { .min = _mm256_set1_epi32(-1) };
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
		add_wide8(&l, at + 4 * i, t + i, limit);
	fold_wide(sums, &l);
	raw_sums_uint32_scalar(sums, at + 4 * i, t + i, saturation, n - i);
}

uint64_t raw_screen_avx2(float *restrict out, const void *restrict raw, const float *restrict t,
                         float saturation, size_t n)
{
	const char *at = raw;
	__m256 limit = _mm256_set1_ps(saturation);
	uint64_t saturated = 0;
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		__m256 pixels = _mm256_loadu_ps(t + i);
		__m256 good = _mm256_cmp_ps(pixels, pixels, _CMP_ORD_Q);
		__m256 v = _mm256_loadu_ps((const float *)(const void *)(at + 4 * i));

		v = _mm256_blendv_ps(_mm256_set1_ps(NAN), v, good);
		_mm256_storeu_ps(out + i, v);
		saturated += lanes_set(_mm256_castps_si256(_mm256_cmp_ps(v, limit, _CMP_GE_OQ)));
	}
	return saturated + raw_screen_scalar(out + i, at + 4 * i, t + i, saturation, n - i);
}
