/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/histogram.h"

#include <immintrin.h>

/* Counts of the tails, 16 lanes of 32 bits each. */
struct tail_lanes {
	__m512i below, above, nan;
};

static inline __m512i count16(__m512i lanes, __mmask16 k)
{
	return _mm512_mask_sub_epi32(lanes, k, lanes, _mm512_set1_epi32(-1));
}

static inline uint64_t sum(__m512i lanes)
{
	return (uint32_t)_mm512_reduce_add_epi32(lanes);
}

static inline void fold(struct histogram_tails *tails, const struct tail_lanes *l)
{
	tails->below += sum(l->below);
	tails->above += sum(l->above);
	tails->nan += sum(l->nan);
}

static inline __mmask16 lanes_left(size_t n)
{
	return (__mmask16)(n < 16 ? (1u << n) - 1 : 0xffff);
}

/* A map for 32 pixels of 16 bit at a time. */
struct map16 {
	__m512i first, top, last;
	__m128i shift;
};

static inline struct map16 map16_of(const struct bin_map *m)
{
	return (struct map16){
		.first = _mm512_set1_epi16((short)m->first),
		.top = _mm512_set1_epi16((short)m->top),
		.last = _mm512_set1_epi16((short)(m->bins.bins - 1)),
		.shift = _mm_cvtsi32_si128((int)m->shift),
	};
}

/* 32 pixels of 8 or 16 bit by shift; lanes outside k are not read or written. */
static inline void shift32(enum product_type type, uint16_t *index, struct histogram_tails *tails,
                           __mmask32 k, const char *at, struct map16 m)
{
	__m512i v = type == PRODUCT_UINT8 ? _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(k, at))
	                                  : _mm512_maskz_loadu_epi16(k, at);
	__mmask32 below = _mm512_mask_cmplt_epu16_mask(k, v, m.first);
	__mmask32 above = _mm512_mask_cmpgt_epu16_mask(k, v, m.top);
	__m512i bin = _mm512_srl_epi16(_mm512_sub_epi16(v, m.first), m.shift);

	bin = _mm512_maskz_min_epu16(~(below | above), bin, m.last);
	_mm512_mask_storeu_epi16(index, k, bin);
	tails->below += (uint64_t)_mm_popcnt_u32(below);
	tails->above += (uint64_t)_mm_popcnt_u32(above);
}

static inline __attribute__((always_inline)) void
bin_by_shift(enum product_type type, uint16_t *restrict index, struct histogram_tails *tails,
             const char *restrict raw, size_t n, const struct bin_map *m)
{
	size_t pixel_bytes = type == PRODUCT_UINT8 ? 1 : 2;
	struct map16 map = map16_of(m);
	struct histogram_tails outside = { 0 };
	size_t i = 0;

	for (; i + 32 <= n; i += 32)
		shift32(type, index + i, &outside, UINT32_MAX, raw + i * pixel_bytes, map);
	if (i < n)
		shift32(type, index + i, &outside, (1u << (n - i)) - 1, raw + i * pixel_bytes, map);
	tails->below += outside.below;
	tails->above += outside.above;
}

static inline void bin_uint32_by_shift(uint16_t *restrict index, struct tail_lanes *l,
                                       const char *restrict raw, size_t n, const struct bin_map *m)
{
	__m512i first = _mm512_set1_epi32((int)m->first);
	__m512i last = _mm512_set1_epi32((int)m->bins.bins - 1);
	__m512i top = _mm512_set1_epi32((int)m->top);
	__m128i shift = _mm_cvtsi32_si128((int)m->shift);

	for (size_t i = 0; i < n; i += 16) {
		__mmask16 k = lanes_left(n - i);
		__m512i v = _mm512_maskz_loadu_epi32(k, raw + 4 * i);
		__mmask16 below = _mm512_mask_cmplt_epu32_mask(k, v, first);
		__mmask16 above = _mm512_mask_cmpgt_epu32_mask(k, v, top);
		__m512i bin = _mm512_srl_epi32(_mm512_sub_epi32(v, first), shift);

		bin = _mm512_maskz_min_epu32((__mmask16) ~(below | above), bin, last);
		_mm256_mask_storeu_epi16(index + i, k, _mm512_cvtepi32_epi16(bin));
		l->below = count16(l->below, below);
		l->above = count16(l->above, above);
	}
}

/* 8 values within [low, high] or anything: the numpy edges of histogram.c. */
static inline __m256i edges8(__m512d v, const struct bin_map *m)
{
	__m512d low = _mm512_set1_pd(m->bins.low), step = _mm512_set1_pd(m->step);
	__m512d last = _mm512_set1_pd(m->bins.bins - 1), one = _mm512_set1_pd(1);
	__m512d guess = _mm512_mul_pd(_mm512_sub_pd(v, low), _mm512_set1_pd(m->norm));
	__m512d bin = _mm512_roundscale_pd(_mm512_min_pd(guess, last),
	                                   _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
	__m512d next = _mm512_add_pd(bin, one);
	__m512d edge = _mm512_add_pd(_mm512_mul_pd(bin, step), low);
	__m512d next_edge = _mm512_add_pd(_mm512_mul_pd(next, step), low);
	__mmask8 down = _mm512_cmp_pd_mask(v, edge, _CMP_LT_OQ);
	__mmask8 up = _mm512_mask_cmp_pd_mask(_mm512_cmp_pd_mask(bin, last, _CMP_LT_OQ), v,
	                                      next_edge, _CMP_GE_OQ);

	bin = _mm512_mask_sub_pd(bin, down, bin, one);
	bin = _mm512_mask_mov_pd(bin, up & (__mmask8)~down, next);
	return _mm512_cvttpd_epi32(bin);
}

/* 8 values as double; lanes outside k are not read. */
static inline __m512d load8(enum product_type type, __mmask8 k, const char *at)
{
	if (type == PRODUCT_FLOAT32)
		return _mm512_cvtps_pd(_mm256_maskz_loadu_ps(k, at));
	if (type == PRODUCT_UINT32)
		return _mm512_cvtepu32_pd(_mm256_maskz_loadu_epi32(k, at));
	if (type == PRODUCT_UINT16)
		return _mm512_cvtepi32_pd(_mm256_cvtepu16_epi32(_mm_maskz_loadu_epi16(k, at)));
	return _mm512_cvtepi32_pd(_mm256_cvtepu8_epi32(_mm_maskz_loadu_epi8(k, at)));
}

static inline __attribute__((always_inline)) void
bin_by_edges(enum product_type type, uint16_t *restrict index, struct tail_lanes *l,
             const char *restrict raw, size_t n, const struct bin_map *m)
{
	size_t pixel_bytes = type == PRODUCT_UINT8 ? 1 : type == PRODUCT_UINT16 ? 2 : 4;

	for (size_t i = 0; i < n; i += 8) {
		__mmask8 k = (__mmask8)(n - i < 8 ? (1u << (n - i)) - 1 : 0xff);
		__m512d v = load8(type, k, raw + i * pixel_bytes);
		__mmask8 below =
			_mm512_mask_cmp_pd_mask(k, v, _mm512_set1_pd(m->bins.low), _CMP_LT_OQ);
		__mmask8 above =
			_mm512_mask_cmp_pd_mask(k, v, _mm512_set1_pd(m->bins.high), _CMP_GT_OQ);
		__mmask8 nan = _mm512_mask_cmp_pd_mask(k, v, v, _CMP_UNORD_Q);
		__m256i bin =
			_mm256_maskz_mov_epi32((__mmask8) ~(below | above | nan), edges8(v, m));

		_mm_mask_storeu_epi16(index + i, k, _mm256_cvtepi32_epi16(bin));
		l->below = count16(l->below, below);
		l->above = count16(l->above, above);
		l->nan = count16(l->nan, nan);
	}
}

void bin_uint8_avx512(uint16_t *restrict index, struct histogram_tails *tails,
                      const void *restrict raw, size_t n, const struct bin_map *m)
{
	struct tail_lanes l = { 0 };

	if (m->by_shift)
		bin_by_shift(PRODUCT_UINT8, index, tails, raw, n, m);
	else
		bin_by_edges(PRODUCT_UINT8, index, &l, raw, n, m);
	fold(tails, &l);
}

void bin_uint16_avx512(uint16_t *restrict index, struct histogram_tails *tails,
                       const void *restrict raw, size_t n, const struct bin_map *m)
{
	struct tail_lanes l = { 0 };

	if (m->by_shift)
		bin_by_shift(PRODUCT_UINT16, index, tails, raw, n, m);
	else
		bin_by_edges(PRODUCT_UINT16, index, &l, raw, n, m);
	fold(tails, &l);
}

void bin_uint32_avx512(uint16_t *restrict index, struct histogram_tails *tails,
                       const void *restrict raw, size_t n, const struct bin_map *m)
{
	struct tail_lanes l = { 0 };

	if (m->by_shift)
		bin_uint32_by_shift(index, &l, raw, n, m);
	else
		bin_by_edges(PRODUCT_UINT32, index, &l, raw, n, m);
	fold(tails, &l);
}

void bin_float32_avx512(uint16_t *restrict index, struct histogram_tails *tails,
                        const void *restrict raw, size_t n, const struct bin_map *m)
{
	struct tail_lanes l = { 0 };

	bin_by_edges(PRODUCT_FLOAT32, index, &l, raw, n, m);
	fold(tails, &l);
}

/* A map for 16 flattened pixels at a time. */
struct map_flat {
	__m512 low, high, scale, last;
};

static inline void flat16(uint16_t *index, struct tail_lanes *l, __mmask16 k, __m512 t,
                          struct map_flat m)
{
	__mmask16 below = _mm512_mask_cmp_ps_mask(k, t, m.low, _CMP_LT_OQ);
	__mmask16 above = _mm512_mask_cmp_ps_mask(k, t, m.high, _CMP_GT_OQ);
	__mmask16 nan = _mm512_mask_cmp_ps_mask(k, t, t, _CMP_UNORD_Q);
	__m512 bin = _mm512_mul_ps(_mm512_sub_ps(t, m.low), m.scale);
	__m512i number = _mm512_maskz_cvttps_epi32((__mmask16) ~(below | above | nan),
	                                           _mm512_min_ps(bin, m.last));

	_mm256_mask_storeu_epi16(index, k, _mm512_cvtepi32_epi16(number));
	l->below = count16(l->below, below);
	l->above = count16(l->above, above);
	l->nan = count16(l->nan, nan);
}

void bin_flat_avx512(uint16_t *restrict index, struct histogram_tails *tails,
                     const float *restrict t, size_t n, const struct bin_map *m)
{
	struct map_flat map = { _mm512_set1_ps(m->low), _mm512_set1_ps(m->high),
		                _mm512_set1_ps(m->scale), _mm512_set1_ps(m->last) };
	struct tail_lanes l = { 0 };
	size_t i = 0;

	for (; i + 16 <= n; i += 16)
		flat16(index + i, &l, 0xffff, _mm512_loadu_ps(t + i), map);
	if (i < n) {
		__mmask16 k = lanes_left(n - i);

		flat16(index + i, &l, k, _mm512_maskz_loadu_ps(k, t + i), map);
	}
	fold(tails, &l);
}

/* 16 bin numbers of 32 bits; 0 in the tails, which are counted, and outside k. */
static inline __m512i codes16(struct tail_lanes *l, __mmask16 k, const float *t, struct map_flat m)
{
	__m512 v = _mm512_maskz_loadu_ps(k, t);
	__mmask16 not_below = _mm512_mask_cmp_ps_mask(k, v, m.low, _CMP_GE_OQ);
	__mmask16 inside = _mm512_mask_cmp_ps_mask(not_below, v, m.high, _CMP_LE_OQ);
	__m512 bin = _mm512_mul_ps(_mm512_sub_ps(v, m.low), m.scale);

	if (__builtin_expect(inside != k, 0)) {
		__mmask16 below = _mm512_mask_cmp_ps_mask(k, v, m.low, _CMP_LT_OQ);

		l->below = count16(l->below, below);
		l->above = count16(l->above, not_below & (__mmask16)~inside);
		l->nan = count16(l->nan, k & (__mmask16) ~(not_below | below));
	}
	return _mm512_maskz_cvttps_epi32(inside, _mm512_min_ps(bin, m.last));
}

/* Packing keeps each 128 bits apart: four pixels of each vector go side by side. */
void bin_codes_avx512(uint8_t *restrict codes, struct histogram_tails *tails,
                      const float *restrict t, size_t n, const struct bin_map *m)
{
	struct map_flat map = { _mm512_set1_ps(m->low), _mm512_set1_ps(m->high),
		                _mm512_set1_ps(m->scale), _mm512_set1_ps(m->last) };
	struct tail_lanes l = { 0 };

	for (size_t i = 0; i < n; i += 64) {
		uint64_t k = n - i < 64 ? (UINT64_C(1) << (n - i)) - 1 : UINT64_MAX;
		__m512i bins[4];

		for (unsigned j = 0; j < 4; j++)
			bins[j] = codes16(&l, (__mmask16)(k >> 16 * j), t + i + 16 * j, map);
		_mm512_storeu_si512(codes + i,
		                    _mm512_packus_epi16(_mm512_packs_epi32(bins[0], bins[1]),
		                                        _mm512_packs_epi32(bins[2], bins[3])));
	}
	fold(tails, &l);
}
