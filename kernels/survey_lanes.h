/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_SURVEY_LANES_H
#define KERNELS_SURVEY_LANES_H

#include "kernels/survey.h"

#include <math.h>
#include <stdbool.h>

#ifdef __AVX512BW__ /* elsewhere the header compiles, and is empty */

#include <immintrin.h>

/* The survey for AVX-512. The files that include this are compiled for different sets of it: where
 * VNNI is there, it multiplies and adds at once. */

/* Raw counts are summed as 16-bit deviations from CENTRE: below 65535 they fit the signed multiply,
 * and the squares of four, what one group gives a lane, fit 32 bits. */
#define CENTRE SURVEY_CENTRE

/* The sums of one run. Floats are compared as integers, which takes the vector units that floats
 * do not use: bits of positive floats rise with the value, of negative ones fall. */
struct lanes {
	__m512 sum, squares;
	__m512i greatest, farthest, nearest; /* of t's bits: max signed, max and min unsigned */
	__m512i below;                       /* t below the first bin: counts, with `signs` */
	__m512i raw_sum;                     /* 32 bit */
	__m512i raw_squares[2];              /* 64 bit */
	__m512i raw_min, raw_max;            /* unsigned 16 bit */
};

struct constants {
	__m512 shift, low, scale, dose;
	__m512i last;
	bool scaled;    /* t is times dose */
	bool from_zero; /* low is 0: subtracting it changes no bin */
	bool signs;     /* negative t are likely */
	bool limited;   /* there are fewer than 256 bins */
};

/* Where a run's next group is; arrays begin where the group does, even if the run does not. */
struct place {
	float *t;
	uint8_t *codes;
	const char *raw;
	const float *offset, *gain;
	const char *ahead;
};

static inline __m512i load_counts(size_t pixel_bytes, __mmask16 k, const char *at)
{
	return pixel_bytes == 1 ? _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(k, at))
	                        : _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(k, at));
}

static inline __m512i load_raw(size_t pixel_bytes, __mmask32 k, const char *at)
{
	return pixel_bytes == 1 ? _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(k, at))
	                        : _mm512_maskz_loadu_epi16(k, at);
}

/* 16 pixels; returns the numbers of their bins as 32 bits, not yet limited to the bins there are.
 * k: those that are there, good: those of them that are not bad. */
static inline __attribute__((always_inline)) __m512i
add16(struct lanes *l, const struct constants *c, const struct place *p, size_t pixel_bytes,
      size_t i, __mmask16 k, __mmask16 good)
{
	__m512 counts = _mm512_cvtepi32_ps(load_counts(pixel_bytes, k, p->raw + i * pixel_bytes));
	__m512 above = _mm512_sub_ps(counts, _mm512_maskz_loadu_ps(k, p->offset + i));
	__m512 t = _mm512_mul_ps(above, _mm512_maskz_loadu_ps(k, p->gain + i));
	__m512 d;
	__m512i bits;

	if (c->scaled)
		t = _mm512_mul_ps(t, c->dose);
	d = _mm512_maskz_sub_ps(good, t, c->shift);
	bits = _mm512_castps_si512(t);

	/* What is bad in this frame only has a finite t. */
	_mm512_mask_storeu_ps(p->t + i, k, _mm512_mask_mov_ps(_mm512_set1_ps(NAN), good, t));
	l->sum = _mm512_add_ps(l->sum, d);
	l->squares = _mm512_fmadd_ps(d, d, l->squares);
	if (c->signs) {
		l->greatest = _mm512_mask_max_epi32(l->greatest, good, l->greatest, bits);
		l->below = _mm512_mask_sub_epi32(
			l->below, _mm512_mask_cmp_ps_mask(good, t, c->low, _CMP_LT_OQ), l->below,
			_mm512_set1_epi32(-1));
	}
	l->farthest = _mm512_mask_max_epu32(l->farthest, good, l->farthest, bits);
	l->nearest = _mm512_mask_min_epu32(l->nearest, good, l->nearest, bits);
	t = _mm512_mul_ps(c->from_zero ? t : _mm512_sub_ps(t, c->low), c->scale);
	return _mm512_maskz_cvttps_epi32(good, t);
}

static inline __m512i add_products(__m512i sum, __m512i a, __m512i b)
{
#ifdef __AVX512VNNI__
	return _mm512_dpwssd_epi32(sum, a, b);
#else
	return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
#endif
}

static inline __attribute__((always_inline)) void
add_raw64(struct lanes *l, size_t pixel_bytes, const char *raw, __mmask64 k, __mmask64 good)
{
	__m512i squares = _mm512_setzero_si512();

	for (unsigned j = 0; j < 2; j++) {
		__mmask32 here = (__mmask32)(good >> 32 * j);
		__m512i v =
			load_raw(pixel_bytes, (__mmask32)(k >> 32 * j), raw + 32 * j * pixel_bytes);
		__m512i d = _mm512_maskz_sub_epi16(here, v, _mm512_set1_epi16(CENTRE));

		l->raw_sum = add_products(l->raw_sum, d, _mm512_set1_epi16(1));
		squares = add_products(squares, d, d);
		l->raw_min = _mm512_mask_min_epu16(l->raw_min, here, l->raw_min, v);
		l->raw_max = _mm512_mask_max_epu16(l->raw_max, here, l->raw_max, v);
	}
	l->raw_squares[0] = _mm512_add_epi64(
		l->raw_squares[0], _mm512_and_si512(squares, _mm512_set1_epi64(UINT32_MAX)));
	l->raw_squares[1] = _mm512_add_epi64(l->raw_squares[1], _mm512_srli_epi64(squares, 32));
}

/* Saturating packs keep each 128 bits apart: the order inside the group changes. What is below
 * bin 0, and what no integer holds, becomes 0. */
static inline __m512i pack64(__m512i a, __m512i b, __m512i c, __m512i d)
{
	return _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
}

static inline __attribute__((always_inline)) void add64(struct lanes *l, const struct constants *c,
                                                        const struct place *p, size_t pixel_bytes,
                                                        __mmask64 k, __mmask64 good)
{
	__m512i bins[4], codes;

	for (unsigned j = 0; j < 4; j++)
		bins[j] = add16(l, c, p, pixel_bytes, 16 * j, (__mmask16)(k >> 16 * j),
		                (__mmask16)(good >> 16 * j));
	add_raw64(l, pixel_bytes, p->raw, k, good);
	codes = pack64(bins[0], bins[1], bins[2], bins[3]);
	_mm512_storeu_si512(p->codes, c->limited ? _mm512_min_epu8(codes, c->last) : codes);
}

static inline void step(struct place *p, size_t pixel_bytes)
{
	p->t += SURVEY_GROUP;
	p->codes += SURVEY_GROUP;
	p->raw += SURVEY_GROUP * pixel_bytes;
	p->offset += SURVEY_GROUP;
	p->gain += SURVEY_GROUP;
	p->ahead += SURVEY_GROUP * pixel_bytes;
}

/* Whole groups without a bad pixel, at most `most`. Returns how many. */
static inline __attribute__((always_inline)) size_t
add_good(struct lanes *lanes, const struct constants *c, struct place *place, size_t pixel_bytes,
         const uint64_t *bad, size_t most)
{
	struct lanes l = *lanes;
	struct place p = *place;
	size_t g = 0;

	for (; g < most && bad[g] == 0; g++) {
		_mm_prefetch(p.ahead, _MM_HINT_T1);
		if (pixel_bytes == 2)
			_mm_prefetch(p.ahead + 64, _MM_HINT_T1);
		add64(&l, c, &p, pixel_bytes, UINT64_MAX, UINT64_MAX);
		step(&p, pixel_bytes);
	}
	*lanes = l;
	*place = p;
	return g;
}

/* The greatest t as signed integers, when that was not kept. */
static inline __m512i find_greatest(const struct survey_run *r)
{
	__m512i greatest = _mm512_set1_epi32(INT32_MIN);

	for (size_t i = 0; i < r->n; i += 16) {
		__mmask16 k = (__mmask16)(r->n - i < 16 ? (1u << (r->n - i)) - 1 : 0xffff);
		__m512 t = _mm512_maskz_loadu_ps(k, r->t + i);
		__mmask16 good = _mm512_mask_cmp_ps_mask(k, t, t, _CMP_ORD_Q);

		greatest = _mm512_mask_max_epi32(greatest, good, greatest, _mm512_castps_si512(t));
	}
	return greatest;
}

/* The pixels of the run in its group g. */
static inline uint64_t present(size_t g, size_t lead, size_t n)
{
	uint64_t k = g ? UINT64_MAX : UINT64_MAX << lead;
	size_t end = lead + n - g * SURVEY_GROUP;

	return end < SURVEY_GROUP ? k & ((UINT64_C(1) << end) - 1) : k;
}

/* Pixels below the first bin, when they were not counted. */
static uint64_t count_below(const struct survey_run *r)
{
	__m512 low = _mm512_set1_ps(r->map->low);
	__m512i count = _mm512_setzero_si512();

	for (size_t i = 0; i < r->n; i += 16) {
		__mmask16 k = (__mmask16)(r->n - i < 16 ? (1u << (r->n - i)) - 1 : 0xffff);
		__m512 t = _mm512_maskz_loadu_ps(k, r->t + i);
		__mmask16 below = _mm512_mask_cmp_ps_mask(k, t, low, _CMP_LT_OQ);

		count = _mm512_mask_sub_epi32(count, below, count, _mm512_set1_epi32(-1));
	}
	return (uint32_t)_mm512_reduce_add_epi32(count);
}

/* 16 codes again, exact in the tails: 0 for what is bad or above, too. */
static inline __m512i recode16(struct histogram_tails *tails, __mmask16 k, const float *t,
                               const struct bin_map *m)
{
	__m512 low = _mm512_set1_ps(m->low), high = _mm512_set1_ps(m->high);
	__m512 v = _mm512_maskz_loadu_ps(k, t);
	__mmask16 below = _mm512_mask_cmp_ps_mask(k, v, low, _CMP_LT_OQ);
	__mmask16 above = _mm512_mask_cmp_ps_mask(k, v, high, _CMP_GT_OQ);
	__mmask16 inside = _mm512_mask_cmp_ps_mask(k, v, high, _CMP_LE_OQ);
	__m512 bin = _mm512_mul_ps(_mm512_sub_ps(v, low), _mm512_set1_ps(m->scale));

	tails->below += (uint64_t)_mm_popcnt_u32(below);
	tails->above += (uint64_t)_mm_popcnt_u32(above);
	return _mm512_maskz_cvttps_epi32(inside, _mm512_min_ps(bin, _mm512_set1_ps(m->last)));
}

static void recode(struct histogram_tails *tails, const struct survey_run *r)
{
	size_t lead = r->first % SURVEY_GROUP, groups = survey_groups(r->first, r->n);
	const float *t = r->t - lead;

	for (size_t g = 0; g < groups; g++, t += SURVEY_GROUP) {
		uint64_t k = present(g, lead, r->n);
		__m512i bins[4];

		for (unsigned j = 0; j < 4; j++)
			bins[j] = recode16(tails, (__mmask16)(k >> 16 * j), t + 16 * j, r->map);
		_mm512_storeu_si512(r->codes + g * SURVEY_GROUP,
		                    pack64(bins[0], bins[1], bins[2], bins[3]));
	}
}

/* Least and greatest t. Lanes that hold no good pixel are NaN in both. */
static inline void extremes(const struct survey_run *r, const struct lanes *l, bool signs,
                            __m512 *ret_min, __m512 *ret_max)
{
	__mmask16 negative = _mm512_movepi32_mask(l->farthest);
	__mmask16 none_positive = _mm512_movepi32_mask(l->nearest);
	__m512i greatest = l->farthest;

	if (negative)
		greatest = signs ? l->greatest : find_greatest(r);
	*ret_min = _mm512_castsi512_ps(_mm512_mask_mov_epi32(l->nearest, negative, l->farthest));
	*ret_max = _mm512_castsi512_ps(_mm512_mask_mov_epi32(greatest, none_positive, l->nearest));
}

static inline void add_tails(struct survey *s, const struct survey_run *r, const struct lanes *l,
                             bool signs)
{
	__m512 min, max;

	extremes(r, l, signs, &min, &max);
	if (_mm512_cmp_ps_mask(max, _mm512_set1_ps(r->map->high), _CMP_GT_OQ))
		recode(&s->tails, r);
	else if (signs)
		s->tails.below += (uint32_t)_mm512_reduce_add_epi32(l->below);
	else if (_mm512_cmp_ps_mask(min, _mm512_set1_ps(r->map->low), _CMP_LT_OQ))
		s->tails.below += count_below(r);
	_mm512_store_ps(s->min, _mm512_min_ps(min, _mm512_load_ps(s->min)));
	_mm512_store_ps(s->max, _mm512_max_ps(max, _mm512_load_ps(s->max)));
	s->signs = _mm512_movepi32_mask(l->farthest) != 0;
}

/* Whether a raw count was saturated, or too far from CENTRE. */
static inline bool overflows(const struct survey_run *r, const struct lanes *l)
{
	uint32_t limit = r->saturation < UINT16_MAX ? r->saturation : UINT16_MAX;

	return _mm512_cmpge_epu16_mask(l->raw_max, _mm512_set1_epi16((short)limit));
}

static inline void add_to(uint64_t sums[8], __m512i v)
{
	_mm512_store_si512(sums, _mm512_add_epi64(_mm512_load_si512(sums), v));
}

static inline void add_raw(struct survey *s, const struct survey_run *r, const struct lanes *l,
                           raw_sums_fn *exact, uint64_t good)
{
	if (overflows(r, l)) {
		exact(&s->raw, r->raw, r->t, r->saturation, r->n);
		return;
	}
	_mm512_store_si512(s->raw_sum, _mm512_add_epi32(_mm512_load_si512(s->raw_sum), l->raw_sum));
	add_to(s->raw_squares[0], l->raw_squares[0]);
	add_to(s->raw_squares[1], l->raw_squares[1]);
	_mm512_store_si512(s->raw_min, _mm512_min_epu16(_mm512_load_si512(s->raw_min), l->raw_min));
	_mm512_store_si512(s->raw_max, _mm512_max_epu16(_mm512_load_si512(s->raw_max), l->raw_max));
	s->raw_good += good;
	if (++s->raw_runs == SURVEY_RUNS_MAX)
		survey_gather_raw(s);
}

static inline struct constants constants_of(const struct survey_run *r, bool scaled, bool from_zero,
                                            bool signs)
{
	return (struct constants){
		.shift = _mm512_set1_ps(r->shift),
		.low = _mm512_set1_ps(r->map->low),
		.scale = _mm512_set1_ps(r->map->scale),
		.dose = _mm512_set1_ps(scaled ? r->scale : 1),
		.scaled = scaled,
		.last = _mm512_set1_epi8((char)(r->map->bins.bins - 1)),
		.from_zero = from_zero,
		.signs = signs,
		.limited = r->map->bins.bins < 256,
	};
}

static inline struct lanes lanes_of(const struct survey *s)
{
	return (struct lanes){
		.sum = _mm512_load_ps(s->sum),
		.squares = _mm512_load_ps(s->squares),
		.greatest = _mm512_set1_epi32(INT32_MIN),
		.farthest = _mm512_setzero_si512(),
		.nearest = _mm512_set1_epi32(-1),
		.below = _mm512_setzero_si512(),
		.raw_sum = _mm512_setzero_si512(),
		.raw_squares = { _mm512_setzero_si512(), _mm512_setzero_si512() },
		.raw_min = _mm512_set1_epi16(-1),
		.raw_max = _mm512_setzero_si512(),
	};
}

static inline __attribute__((always_inline)) void survey(size_t pixel_bytes, raw_sums_fn *exact,
                                                         bool scaled, bool from_zero, bool signs,
                                                         struct survey *s,
                                                         const struct survey_run *r)
{
	size_t lead = r->first % SURVEY_GROUP, groups = survey_groups(r->first, r->n);
	size_t whole = (lead + r->n) / SURVEY_GROUP; /* groups that no later run goes on with */
	const struct constants c = constants_of(r, scaled, from_zero, signs);
	struct lanes l = lanes_of(s);
	struct place at = {
		r->t - lead,      r->codes,       (const char *)r->raw - lead * pixel_bytes,
		r->offset - lead, r->gain - lead, r->ahead
	};
	uint64_t bads = 0;

	for (size_t g = 0; g < groups;) {
		uint64_t k = present(g, lead, r->n);

		if (k == UINT64_MAX && r->bad[g] == 0) {
			g += add_good(&l, &c, &at, pixel_bytes, r->bad + g, whole - g);
			continue;
		}
		add64(&l, &c, &at, pixel_bytes, k, k & ~r->bad[g]);
		bads += (uint64_t)_mm_popcnt_u64(k & r->bad[g]);
		s->absent += (uint64_t)_mm_popcnt_u64(~k);
		step(&at, pixel_bytes);
		g++;
	}
	_mm512_store_ps(s->sum, l.sum);
	_mm512_store_ps(s->squares, l.squares);
	s->good += (uint32_t)(r->n - bads);
	s->tails.nan += bads;
	add_tails(s, r, &l, signs);
	add_raw(s, r, &l, exact, r->n - bads);
}

/* A body for each case: the flags are constants where survey() is inlined. */
static inline __attribute__((always_inline)) void survey_any(size_t pixel_bytes, raw_sums_fn *exact,
                                                             bool scaled, struct survey *s,
                                                             const struct survey_run *r)
{
	bool from_zero = r->map->low == 0;

	if (from_zero && s->signs)
		survey(pixel_bytes, exact, scaled, true, true, s, r);
	else if (from_zero)
		survey(pixel_bytes, exact, scaled, true, false, s, r);
	else
		survey(pixel_bytes, exact, scaled, false, s->signs, s, r);
}

#endif
#endif
