/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/survey.h"

#include <immintrin.h>
#include <math.h>

/* Raw counts are summed as 16-bit deviations from a centre. Within REACH of it the squares of a
 * whole block fit 32 bits: 64 in each lane. A block that reaches beyond is summed again by
 * raw_moments.h, and the centre follows. */
#define REACH 8191

/* The sums of one run. Floats are compared as integers, which takes the vector units that floats
 * do not use: bits of positive floats rise with the value, of negative ones fall. */
struct lanes {
	__m512 sum, squares;
	__m512i greatest, farthest, nearest; /* of t's bits: max signed, max and min unsigned */
	__m512i raw_sum, raw_squares;        /* 32 bit */
	__m512i raw_min, raw_max;            /* unsigned 16 bit */
};

struct constants {
	__m512 shift, low, scale;
	__m512i centre, last;
	bool from_zero; /* low is 0: subtracting it changes no bin */
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
	__m512 d = _mm512_maskz_sub_ps(good, t, c->shift);
	__m512i bits = _mm512_castps_si512(t);

	_mm512_mask_storeu_ps(p->t + i, k, t);
	l->sum = _mm512_add_ps(l->sum, d);
	l->squares = _mm512_add_ps(l->squares, _mm512_mul_ps(d, d));
	l->greatest = _mm512_mask_max_epi32(l->greatest, good, l->greatest, bits);
	l->farthest = _mm512_mask_max_epu32(l->farthest, good, l->farthest, bits);
	l->nearest = _mm512_mask_min_epu32(l->nearest, good, l->nearest, bits);
	t = _mm512_mul_ps(c->from_zero ? t : _mm512_sub_ps(t, c->low), c->scale);
	return _mm512_maskz_cvttps_epi32(good, t);
}

static inline __attribute__((always_inline)) void add_raw32(struct lanes *l,
                                                            const struct constants *c, __m512i v,
                                                            __mmask32 good)
{
	__m512i d = _mm512_maskz_sub_epi16(good, v, c->centre);

	l->raw_sum = _mm512_add_epi32(l->raw_sum, _mm512_madd_epi16(d, _mm512_set1_epi16(1)));
	l->raw_squares = _mm512_add_epi32(l->raw_squares, _mm512_madd_epi16(d, d));
	l->raw_min = _mm512_mask_min_epu16(l->raw_min, good, l->raw_min, v);
	l->raw_max = _mm512_mask_max_epu16(l->raw_max, good, l->raw_max, v);
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
	__m512i bins[4];

	for (unsigned j = 0; j < 4; j++)
		bins[j] = add16(l, c, p, pixel_bytes, 16 * j, (__mmask16)(k >> 16 * j),
		                (__mmask16)(good >> 16 * j));
	for (unsigned j = 0; j < 2; j++)
		add_raw32(l, c,
		          load_raw(pixel_bytes, (__mmask32)(k >> 32 * j),
		                   p->raw + 32 * j * pixel_bytes),
		          (__mmask32)(good >> 32 * j));
	_mm512_storeu_si512(p->codes, _mm512_min_epu8(pack64(bins[0], bins[1], bins[2], bins[3]),
	                                              c->last));
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
static inline __attribute__((always_inline)) size_t add_good(struct lanes *lanes,
                                                             const struct constants *c,
                                                             struct place *place,
                                                             size_t pixel_bytes,
                                                             const uint64_t *bad, size_t most)
{
	struct lanes l = *lanes;
	struct place p = *place;
	size_t g = 0;

	for (; g < most && bad[g] == 0; g++) {
		_mm_prefetch(p.ahead, _MM_HINT_T0);
		if (pixel_bytes == 2)
			_mm_prefetch(p.ahead + 64, _MM_HINT_T0);
		add64(&l, c, &p, pixel_bytes, UINT64_MAX, UINT64_MAX);
		step(&p, pixel_bytes);
	}
	*lanes = l;
	*place = p;
	return g;
}

/* Lanes that hold no good pixel are NaN in both. */
static inline void extremes(const struct lanes *l, __m512 *ret_min, __m512 *ret_max)
{
	__mmask16 negative = _mm512_movepi32_mask(l->farthest);
	__mmask16 none_positive = _mm512_movepi32_mask(l->nearest);

	*ret_min = _mm512_castsi512_ps(
		_mm512_mask_mov_epi32(l->nearest, negative, l->farthest));
	*ret_max = _mm512_castsi512_ps(
		_mm512_mask_mov_epi32(l->greatest, none_positive, l->nearest));
}

/* The pixels of the run in its group g. */
static inline uint64_t present(size_t g, size_t lead, size_t n)
{
	uint64_t k = g ? UINT64_MAX : UINT64_MAX << lead;
	size_t end = lead + n - g * SURVEY_GROUP;

	return end < SURVEY_GROUP ? k & ((UINT64_C(1) << end) - 1) : k;
}

/* Pixels below the first bin. */
static uint64_t count_below(const float *t, size_t n, float low)
{
	__m512i count = _mm512_setzero_si512();

	for (size_t i = 0; i < n; i += 16) {
		__mmask16 k = (__mmask16)(n - i < 16 ? (1u << (n - i)) - 1 : 0xffff);
		__m512 v = _mm512_maskz_loadu_ps(k, t + i);
		__mmask16 below =
			_mm512_mask_cmp_ps_mask(k, v, _mm512_set1_ps(low), _CMP_LT_OQ);

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

static void add_tails(struct survey *s, const struct survey_run *r, const struct lanes *l)
{
	__m512 min, max;

	extremes(l, &min, &max);
	if (_mm512_cmp_ps_mask(max, _mm512_set1_ps(r->map->high), _CMP_GT_OQ))
		recode(&s->tails, r);
	else if (_mm512_cmp_ps_mask(min, _mm512_set1_ps(r->map->low), _CMP_LT_OQ))
		s->tails.below += count_below(r->t, r->n, r->map->low);
	_mm512_store_ps(s->min, _mm512_min_ps(min, _mm512_load_ps(s->min)));
	_mm512_store_ps(s->max, _mm512_max_ps(max, _mm512_load_ps(s->max)));
}

/* Whether all raw counts were within REACH and none saturated. */
static inline bool within(const struct survey *s, const struct survey_run *r,
                          const struct lanes *l)
{
	uint32_t low = s->raw_centre > REACH ? s->raw_centre - REACH : 0;
	uint32_t high = s->raw_centre + REACH;

	if (r->saturation == 0)
		return false;
	high = high < r->saturation - 1 ? high : r->saturation - 1;
	high = high < UINT16_MAX ? high : UINT16_MAX;
	return !(_mm512_cmplt_epu16_mask(l->raw_min, _mm512_set1_epi16((short)low)) |
	         _mm512_cmpgt_epu16_mask(l->raw_max, _mm512_set1_epi16((short)high)));
}

static void add_wide(uint64_t *sums, __m256i v)
{
	_mm512_store_si512(sums, _mm512_add_epi64(_mm512_load_si512(sums),
	                                          _mm512_cvtepu32_epi64(v)));
}

static inline uint32_t lowest(__m512i v)
{
	__m256i w = _mm256_min_epu16(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
	__m128i x = _mm_min_epu16(_mm256_castsi256_si128(w), _mm256_extracti128_si256(w, 1));

	return (uint32_t)_mm_extract_epi16(_mm_minpos_epu16(x), 0);
}

/* The centre goes to the middle of what this run had. */
static void recentre(struct survey *s, const struct lanes *l)
{
	uint32_t min = lowest(l->raw_min);
	uint32_t max = 0xffff & ~lowest(_mm512_xor_si512(l->raw_max, _mm512_set1_epi16(-1)));

	survey_gather_raw(s);
	s->raw_centre = (min + max) / 2;
}

static void add_raw(struct survey *s, const struct survey_run *r, const struct lanes *l,
                    raw_sums_fn *exact, uint64_t good)
{
	if (!within(s, r, l)) {
		exact(&s->raw, r->raw, r->t, r->saturation, r->n);
		recentre(s, l);
		return;
	}
	_mm512_store_si512(s->raw_sum,
	                   _mm512_add_epi32(_mm512_load_si512(s->raw_sum), l->raw_sum));
	add_wide(s->raw_squares[0], _mm512_castsi512_si256(l->raw_squares));
	add_wide(s->raw_squares[1], _mm512_extracti64x4_epi64(l->raw_squares, 1));
	_mm512_store_si512(s->raw_min,
	                   _mm512_min_epu16(_mm512_load_si512(s->raw_min), l->raw_min));
	_mm512_store_si512(s->raw_max,
	                   _mm512_max_epu16(_mm512_load_si512(s->raw_max), l->raw_max));
	s->raw_good += good;
	if (++s->raw_runs == SURVEY_RUNS_MAX)
		survey_gather_raw(s);
}

static inline struct constants constants_of(const struct survey *s, const struct survey_run *r,
                                            bool from_zero)
{
	return (struct constants){
		.shift = _mm512_set1_ps(r->shift),
		.low = _mm512_set1_ps(r->map->low),
		.scale = _mm512_set1_ps(r->map->scale),
		.centre = _mm512_set1_epi16((short)s->raw_centre),
		.last = _mm512_set1_epi8((char)(r->map->bins.bins - 1)),
		.from_zero = from_zero,
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
		.raw_sum = _mm512_setzero_si512(),
		.raw_squares = _mm512_setzero_si512(),
		.raw_min = _mm512_set1_epi16(-1),
		.raw_max = _mm512_setzero_si512(),
	};
}

static inline __attribute__((always_inline)) void survey(size_t pixel_bytes, raw_sums_fn *exact,
                                                         bool from_zero, struct survey *s,
                                                         const struct survey_run *r)
{
	size_t lead = r->first % SURVEY_GROUP, groups = survey_groups(r->first, r->n);
	size_t whole = (lead + r->n) / SURVEY_GROUP; /* groups that no later run goes on with */
	const struct constants c = constants_of(s, r, from_zero);
	struct lanes l = lanes_of(s);
	struct place at = { r->t - lead,
		            r->codes,
		            (const char *)r->raw - lead * pixel_bytes,
		            r->offset - lead,
		            r->gain - lead,
		            r->ahead };
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
	add_tails(s, r, &l);
	add_raw(s, r, &l, exact, r->n - bads);
}

void survey_uint8_avx512(struct survey *s, const struct survey_run *r)
{
	if (r->map->low == 0)
		survey(1, raw_sums_uint8_avx512, true, s, r);
	else
		survey(1, raw_sums_uint8_avx512, false, s, r);
}

void survey_uint16_avx512(struct survey *s, const struct survey_run *r)
{
	if (r->map->low == 0)
		survey(2, raw_sums_uint16_avx512, true, s, r);
	else
		survey(2, raw_sums_uint16_avx512, false, s, r);
}

void survey_bad_avx512(uint64_t *restrict bad, const float *restrict gain, size_t first, size_t n)
{
	size_t lead = first % SURVEY_GROUP, groups = survey_groups(first, n);

	gain -= lead;
	for (size_t g = 0; g < groups; g++, gain += SURVEY_GROUP) {
		uint64_t k = present(g, lead, n), word = 0;

		for (unsigned j = 0; j < 4; j++) {
			__mmask16 here = (__mmask16)(k >> 16 * j);
			__m512 v = _mm512_maskz_loadu_ps(here, gain + 16 * j);

			word |= (uint64_t)_mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q) << 16 * j;
		}
		bad[g] = word;
	}
}
