/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/histogram.h"

#include <immintrin.h>

/* Counts of the tails, 8 lanes of 32 bits each. */
struct tail_lanes {
	__m256i below, above, nan;
};

static inline uint64_t sum(__m256i v)
{
	__m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
	__m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));

	return (uint32_t)(_mm_extract_epi32(two, 0) + _mm_extract_epi32(two, 1));
}

static inline void fold(struct histogram_tails *tails, const struct tail_lanes *l)
{
	tails->below += sum(l->below);
	tails->above += sum(l->above);
	tails->nan += sum(l->nan);
}

/* 8 bin numbers below 65536 as 16 bit. */
static inline void store8(uint16_t *index, __m256i bin)
{
	__m128i packed =
		_mm_packus_epi32(_mm256_castsi256_si128(bin), _mm256_extracti128_si256(bin, 1));

	_mm_storeu_si128((__m128i *)index, packed);
}

/* All ones where a > b, unsigned. */
static inline __m256i greater(__m256i a, __m256i b)
{
	return ~_mm256_cmpeq_epi32(_mm256_max_epu32(a, b), b);
}

/* 8 integers; lanes outside are not read. */
static inline __m256i load8(enum product_type type, const char *at)
{
	if (type == PRODUCT_UINT8)
		return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)at));
	if (type == PRODUCT_UINT16)
		return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)at));
	return _mm256_loadu_si256((const __m256i *)at);
}

/* Whole steps of 8. Returns how many pixels were taken. */
static inline __attribute__((always_inline)) size_t
bin_by_shift(enum product_type type, size_t pixel_bytes, uint16_t *restrict index,
             struct histogram_tails *tails, const char *restrict raw, size_t n,
             const struct bin_map *m)
{
	__m256i first = _mm256_set1_epi32((int)m->first), top = _mm256_set1_epi32((int)m->top);
	__m256i last = _mm256_set1_epi32((int)m->bins.bins - 1);
	__m128i shift = _mm_cvtsi32_si128((int)m->shift);
	struct tail_lanes l = { 0 };
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		__m256i v = load8(type, raw + i * pixel_bytes);
		__m256i below = greater(first, v), above = greater(v, top);
		__m256i bin = _mm256_srl_epi32(_mm256_sub_epi32(v, first), shift);

		l.below = _mm256_sub_epi32(l.below, below);
		l.above = _mm256_sub_epi32(l.above, above);
		store8(index + i, _mm256_andnot_si256(below | above, _mm256_min_epu32(bin, last)));
	}
	fold(tails, &l);
	return i;
}

/* 4 values within [low, high] or anything: the numpy edges of histogram.c. */
static inline __m128i edges4(__m256d v, const struct bin_map *m)
{
	__m256d low = _mm256_set1_pd(m->bins.low), step = _mm256_set1_pd(m->step);
	__m256d last = _mm256_set1_pd(m->bins.bins - 1), one = _mm256_set1_pd(1);
	__m256d guess = _mm256_mul_pd(_mm256_sub_pd(v, low), _mm256_set1_pd(m->norm));
	__m256d bin = _mm256_floor_pd(_mm256_min_pd(guess, last));
	__m256d next = _mm256_add_pd(bin, one);
	__m256d edge = _mm256_add_pd(_mm256_mul_pd(bin, step), low);
	__m256d next_edge = _mm256_add_pd(_mm256_mul_pd(next, step), low);
	__m256d down = _mm256_cmp_pd(v, edge, _CMP_LT_OQ);
	__m256d up = _mm256_and_pd(_mm256_cmp_pd(bin, last, _CMP_LT_OQ),
	                           _mm256_cmp_pd(v, next_edge, _CMP_GE_OQ));

	up = _mm256_andnot_pd(down, up);
	bin = _mm256_sub_pd(bin, _mm256_and_pd(down, one));
	return _mm256_cvttpd_epi32(_mm256_blendv_pd(bin, next, up));
}

/* 4 masks of 64 bits as masks of 32. */
static inline __m128i narrow(__m256d mask)
{
	__m128 low = _mm_castpd_ps(_mm256_castpd256_pd128(mask));
	__m128 high = _mm_castpd_ps(_mm256_extractf128_pd(mask, 1));

	return _mm_castps_si128(_mm_shuffle_ps(low, high, 0x88));
}

/* Signed conversion around 2^31; both steps are exact. */
static inline __m256d uint32_to_double(__m128i v)
{
	__m128i around_zero = _mm_xor_si128(v, _mm_set1_epi32((int)0x80000000));

	return _mm256_add_pd(_mm256_cvtepi32_pd(around_zero), _mm256_set1_pd(2147483648.0));
}

static inline __m256d load4(enum product_type type, const char *at)
{
	int32_t packed;

	if (type == PRODUCT_FLOAT32)
		return _mm256_cvtps_pd(_mm_loadu_ps((const float *)(const void *)at));
	if (type == PRODUCT_UINT32)
		return uint32_to_double(_mm_loadu_si128((const __m128i *)at));
	if (type == PRODUCT_UINT16)
		return _mm256_cvtepi32_pd(_mm_cvtepu16_epi32(_mm_loadl_epi64((const __m128i *)at)));
	__builtin_memcpy(&packed, at, sizeof packed);
	return _mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(packed)));
}

/* Whole steps of 4. Returns how many pixels were taken. */
static inline __attribute__((always_inline)) size_t
bin_by_edges(enum product_type type, size_t pixel_bytes, uint16_t *restrict index,
             struct histogram_tails *tails, const char *restrict raw, size_t n,
             const struct bin_map *m)
{
	__m256d low = _mm256_set1_pd(m->bins.low), high = _mm256_set1_pd(m->bins.high);
	__m128i counts[3] = { 0 };
	size_t i = 0;

	for (; i + 4 <= n; i += 4) {
		__m256d v = load4(type, raw + i * pixel_bytes);
		__m128i below = narrow(_mm256_cmp_pd(v, low, _CMP_LT_OQ));
		__m128i above = narrow(_mm256_cmp_pd(v, high, _CMP_GT_OQ));
		__m128i nan = narrow(_mm256_cmp_pd(v, v, _CMP_UNORD_Q));
		__m128i bin = _mm_andnot_si128(below | above | nan, edges4(v, m));

		_mm_storel_epi64((__m128i *)(index + i), _mm_packus_epi32(bin, bin));
		counts[0] = _mm_sub_epi32(counts[0], below);
		counts[1] = _mm_sub_epi32(counts[1], above);
		counts[2] = _mm_sub_epi32(counts[2], nan);
	}
	fold(tails, &(struct tail_lanes){ _mm256_zextsi128_si256(counts[0]),
	                                  _mm256_zextsi128_si256(counts[1]),
	                                  _mm256_zextsi128_si256(counts[2]) });
	return i;
}

void bin_uint8_avx2(uint16_t *restrict index, struct histogram_tails *tails,
                    const void *restrict raw, size_t n, const struct bin_map *m)
{
	size_t done = m->by_shift ? bin_by_shift(PRODUCT_UINT8, 1, index, tails, raw, n, m)
	                          : bin_by_edges(PRODUCT_UINT8, 1, index, tails, raw, n, m);

	bin_uint8_scalar(index + done, tails, (const char *)raw + done, n - done, m);
}

void bin_uint16_avx2(uint16_t *restrict index, struct histogram_tails *tails,
                     const void *restrict raw, size_t n, const struct bin_map *m)
{
	size_t done = m->by_shift ? bin_by_shift(PRODUCT_UINT16, 2, index, tails, raw, n, m)
	                          : bin_by_edges(PRODUCT_UINT16, 2, index, tails, raw, n, m);

	bin_uint16_scalar(index + done, tails, (const char *)raw + 2 * done, n - done, m);
}

void bin_uint32_avx2(uint16_t *restrict index, struct histogram_tails *tails,
                     const void *restrict raw, size_t n, const struct bin_map *m)
{
	size_t done = m->by_shift ? bin_by_shift(PRODUCT_UINT32, 4, index, tails, raw, n, m)
	                          : bin_by_edges(PRODUCT_UINT32, 4, index, tails, raw, n, m);

	bin_uint32_scalar(index + done, tails, (const char *)raw + 4 * done, n - done, m);
}

void bin_float32_avx2(uint16_t *restrict index, struct histogram_tails *tails,
                      const void *restrict raw, size_t n, const struct bin_map *m)
{
	size_t done = bin_by_edges(PRODUCT_FLOAT32, 4, index, tails, raw, n, m);

	bin_float32_scalar(index + done, tails, (const char *)raw + 4 * done, n - done, m);
}

void bin_flat_avx2(uint16_t *restrict index, struct histogram_tails *tails, const float *restrict t,
                   size_t n, const struct bin_map *m)
{
	__m256 low = _mm256_set1_ps(m->low), high = _mm256_set1_ps(m->high);
	__m256 scale = _mm256_set1_ps(m->scale), last = _mm256_set1_ps(m->last);
	struct tail_lanes l = { 0 };
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		__m256 v = _mm256_loadu_ps(t + i);
		__m256 bin = _mm256_mul_ps(_mm256_sub_ps(v, low), scale);
		__m256i below = _mm256_castps_si256(_mm256_cmp_ps(v, low, _CMP_LT_OQ));
		__m256i above = _mm256_castps_si256(_mm256_cmp_ps(v, high, _CMP_GT_OQ));
		__m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
		__m256i number = _mm256_cvttps_epi32(_mm256_min_ps(bin, last));

		store8(index + i, _mm256_andnot_si256(below | above | nan, number));
		l.below = _mm256_sub_epi32(l.below, below);
		l.above = _mm256_sub_epi32(l.above, above);
		l.nan = _mm256_sub_epi32(l.nan, nan);
	}
	fold(tails, &l);
	bin_flat_scalar(index + i, tails, t + i, n - i, m);
}
