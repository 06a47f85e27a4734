/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/counting.h"

#include <immintrin.h>
#include <stdalign.h>
#include <stdbool.h>
#include <string.h>

/* Counting without a memory access for each pixel. Neighbouring pixels are alike: in a group of 64
 * nearly all numbers lie in a window of 64 or 128 that begins at `base`. Their distances from it
 * are turned into bit planes: bit i of plane p is bit p of distance i. For each distance d of the
 * window, an AND of the planes or their complements marks the pixels that have it; the ones in it
 * are counted, and added up in registers for as long as the window stays. Eight distances that
 * differ in their low three bits are done at once.
 *
 * A few pixels outside the window are counted one by one. Where they are many the window moves, and
 * where that does not help, as in noise over the whole range, all 64 are counted one by one. */
#define GROUP 64
#define FEW   6  /* pixels of a group outside the window: they are counted one by one */
#define CHUNK 16 /* groups whose planes are made before they are used */

/* The planes of one group. The place of those that a window does not need is taken by the mark of
 * the pixels outside it. */
struct planes {
	alignas(64) int64_t at[8];
};

/* Transposes the 8 x 8 bits of each 64: byte p holds bit p of the eight bytes, the first one's
 * at the top. Then byte p of each of the eight go side by side. */
static inline void planes_make(struct planes *ret, __m512i bytes)
{
	const __m512i side_by_side = _mm512_set_epi64(
		0x3f372f271f170f07, 0x3e362e261e160e06, 0x3d352d251d150d05, 0x3c342c241c140c04,
		0x3b332b231b130b03, 0x3a322a221a120a02, 0x3931292119110901, 0x3830282018100800);
	__m512i transposed = _mm512_gf2p8affine_epi64_epi8(
		_mm512_set1_epi64((long long)0x8040201008040201), bytes, 0);

	_mm512_store_si512(ret->at, _mm512_permutexvar_epi8(side_by_side, transposed));
}

static inline __m512i all(const int64_t *plane)
{
	return _mm512_set1_epi64(*plane);
}

/* In 64-bit lane d: the pixels inside the window whose distance has the low three bits d. */
static inline __m512i low_three(const struct planes *p, const int64_t *outside)
{
	const __m512i bit0 = _mm512_set_epi64(-1, 0, -1, 0, -1, 0, -1, 0);
	const __m512i bit1 = _mm512_set_epi64(-1, -1, 0, 0, -1, -1, 0, 0);
	const __m512i bit2 = _mm512_set_epi64(-1, -1, -1, -1, 0, 0, 0, 0);
	__m512i other;

	/* a ^ b | c twice with a carried as c, at last its complement. */
	other = _mm512_ternarylogic_epi64(bit0, all(&p->at[0]), all(outside), 0xbe);
	other = _mm512_ternarylogic_epi64(bit1, all(&p->at[1]), other, 0xbe);
	return _mm512_ternarylogic_epi64(bit2, all(&p->at[2]), other, 0x41);
}

#define BOTH_CLEAR 0x10 /* of a ternary logic: a & ~b & ~c */
#define FIRST_SET  0x40 /* a & b & ~c */
#define SECOND_SET 0x20 /* a & ~b & c */
#define BOTH_SET   0x80 /* a & b & c */

static inline __m512i add_ones(__m512i sum, __m512i pixels)
{
	return _mm512_add_epi64(sum, _mm512_popcnt_epi64(pixels));
}

/* Four times eight distances, by two more bits. */
static inline void add_quarter(__m512i sums[4], __m512i pixels, __m512i a, __m512i b)
{
	sums[0] = add_ones(sums[0], _mm512_ternarylogic_epi64(pixels, a, b, BOTH_CLEAR));
	sums[1] = add_ones(sums[1], _mm512_ternarylogic_epi64(pixels, a, b, FIRST_SET));
	sums[2] = add_ones(sums[2], _mm512_ternarylogic_epi64(pixels, a, b, SECOND_SET));
	sums[3] = add_ones(sums[3], _mm512_ternarylogic_epi64(pixels, a, b, BOTH_SET));
}

/* Add the counts of eight neighbouring numbers. */
static inline void add_eight(uint32_t *counts, __m512i sums)
{
	__m256i *at = (__m256i *)(void *)counts;

	_mm256_storeu_si256(at,
	                    _mm256_add_epi32(_mm256_loadu_si256(at), _mm512_cvtepi64_epi32(sums)));
}

/* The first number of a window of `width` about `middle`. It lies in the tables, and in the
 * numbers' type: a distance must not wrap round into it. */
static inline uint32_t window_base(uint32_t middle, uint32_t width, uint32_t stride, uint32_t type)
{
	uint32_t last = (stride < type ? stride : type) - width;
	uint32_t base = middle < width / 2 ? 0 : middle - width / 2;

	return base < last ? base : last;
}

#define STRIP  4  /* groups that share a window */
#define NARROW 64 /* numbers in it */

/* The first of eight numbers that a window of codes begins with. */
static inline unsigned narrow_base(unsigned middle)
{
	unsigned base = middle < 12 ? 0 : (middle - 12) & ~7u;

	return base < 256 - NARROW ? base : 256 - NARROW;
}

/* The codes whose bits are set in the planes' order. */
static void count_marked(uint64_t *counts, const uint8_t *codes, uint64_t marked)
{
	for (; marked; marked &= marked - 1)
		counts[codes[__builtin_ctzll(marked) ^ 7]]++;
}

/* Add what a strip has of the 32 numbers from a window's first on, or of all 64. */
static inline __attribute__((always_inline)) void
add_strip(uint64_t *counts, const struct planes *p, unsigned groups, unsigned numbers)
{
	__m512i sums[NARROW / 8];

	for (unsigned j = 0; j < numbers / 8; j++)
		sums[j] = _mm512_load_si512(counts + 8 * j);
	for (unsigned g = 0; g < groups; g++) {
		__m512i pixels = low_three(&p[g], &p[g].at[6]), five = all(&p[g].at[5]);
		__m512i a = all(&p[g].at[3]), b = all(&p[g].at[4]);

		if (numbers == NARROW) {
			add_quarter(sums + 4, _mm512_and_si512(five, pixels), a, b);
			pixels = _mm512_andnot_si512(five, pixels);
		}
		add_quarter(sums, pixels, a, b);
	}
	for (unsigned j = 0; j < numbers / 8; j++)
		_mm512_store_si512(counts + 8 * j, sums[j]);
}

/* A strip of one group or STRIP. False when too many pixels are outside the window: nothing is
 * counted then. */
static inline __attribute__((always_inline)) bool count_strip(uint64_t *counts,
                                                              const uint8_t *codes, unsigned groups)
{
	unsigned base = narrow_base(codes[groups * GROUP / 2]);
	const __m512i from = _mm512_set1_epi8((char)base);
	struct planes p[STRIP];
	int64_t any = 0, high = 0;
	int many = 0;

	for (unsigned g = 0; g < groups; g++) {
		planes_make(&p[g], _mm512_sub_epi8(_mm512_loadu_si512(codes + g * GROUP), from));
		p[g].at[6] |= p[g].at[7];
		any |= p[g].at[6];
		high |= p[g].at[5];
	}
	if (__builtin_expect(any != 0, 0)) {
		for (unsigned g = 0; g < groups; g++)
			many += __builtin_popcountll((uint64_t)p[g].at[6]);
		if (many > FEW * (int)groups)
			return false;
		for (unsigned g = 0; g < groups; g++)
			count_marked(counts, codes + g * GROUP, (uint64_t)p[g].at[6]);
	}
	if (high == 0)
		add_strip(counts + base, p, groups, NARROW / 2);
	else
		add_strip(counts + base, p, groups, NARROW);
	return true;
}

static __attribute__((noinline)) void count_group(uint64_t *counts, const uint8_t *codes)
{
	if (!count_strip(counts, codes, 1))
		count_codes_scalar(counts, codes, GROUP);
}

void count_codes_avx512icl(uint64_t *restrict counts, const uint8_t *restrict codes, size_t n)
{
	for (; n >= STRIP * GROUP; n -= STRIP * GROUP, codes += STRIP * GROUP)
		if (!count_strip(counts, codes, STRIP))
			for (unsigned g = 0; g < STRIP; g++)
				count_group(counts, codes + g * GROUP);
	for (; n; n -= GROUP, codes += GROUP)
		count_group(counts, codes);
}

#define WIDE 128

/* A group's numbers as their distances from `from`. */
static inline void wide_distances(__m512i ret[2], const char *index, __m128i shift, __m512i from)
{
	for (unsigned j = 0; j < 2; j++)
		ret[j] = _mm512_sub_epi16(
			_mm512_srl_epi16(_mm512_loadu_si512(index + 64 * j), shift), from);
}

/* Those outside the window, in the order of pixels. */
static inline uint64_t wide_outside(const __m512i distances[2])
{
	const __m512i width = _mm512_set1_epi16(WIDE);

	return _mm512_cmpge_epu16_mask(distances[0], width) |
	       (uint64_t)_mm512_cmpge_epu16_mask(distances[1], width) << 32;
}

static inline uint32_t number_at(const char *index, size_t i, unsigned shift)
{
	uint16_t one;

	memcpy(&one, index + 2 * i, sizeof one);
	return one >> shift;
}

/* Make the planes of at most CHUNK groups, of as many as are near the window. Distances above 255
 * become 255. */
static inline size_t wide_chunk(struct planes *planes, uint32_t *tables, const char *index,
                                unsigned shift, size_t groups, uint32_t base)
{
	const __m512i from = _mm512_set1_epi16((short)base), most = _mm512_set1_epi16(UINT8_MAX);
	const __m128i by = _mm_cvtsi32_si128((int)shift);
	size_t g = 0;

	for (; g < groups && g < CHUNK; g++, index += 2 * GROUP) {
		__m512i d[2];
		uint64_t outside;

		wide_distances(d, index, by, from);
		planes_make(&planes[g], _mm512_packus_epi16(_mm512_min_epu16(d[0], most),
		                                            _mm512_min_epu16(d[1], most)));
		if (__builtin_expect(planes[g].at[7] == 0, 1))
			continue;
		outside = wide_outside(d);
		if (__builtin_popcountll(outside) > FEW)
			break;
		for (; outside; outside &= outside - 1)
			tables[number_at(index, (unsigned)__builtin_ctzll(outside), shift)]++;
	}
	return g;
}

static inline __attribute__((always_inline)) void add_wide(__m512i sums[WIDE / 8],
                                                           const struct planes *p)
{
	__m512i low = low_three(p, &p->at[7]);
	__m512i three = all(&p->at[3]), four = all(&p->at[4]);
	__m512i five = all(&p->at[5]), six = all(&p->at[6]);

	add_quarter(sums, _mm512_ternarylogic_epi64(low, five, six, BOTH_CLEAR), three, four);
	add_quarter(sums + 4, _mm512_ternarylogic_epi64(low, five, six, FIRST_SET), three, four);
	add_quarter(sums + 8, _mm512_ternarylogic_epi64(low, five, six, SECOND_SET), three, four);
	add_quarter(sums + 12, _mm512_ternarylogic_epi64(low, five, six, BOTH_SET), three, four);
}

/* Count whole groups for as long as the window fits. Returns how many. */
static size_t count_wide(uint32_t *tables, const char *index, unsigned shift, size_t groups,
                         uint32_t base)
{
	struct planes planes[CHUNK];
	__m512i sums[WIDE / 8];
	size_t done = 0, n;

	for (unsigned j = 0; j < WIDE / 8; j++)
		sums[j] = _mm512_setzero_si512();
	do {
		n = wide_chunk(planes, tables, index + done * 2 * GROUP, shift, groups - done,
		               base);
		for (size_t g = 0; g < n; g++)
			add_wide(sums, &planes[g]);
		done += n;
	} while (n == CHUNK && done < groups);
	for (unsigned j = 0; done && j < WIDE / 8; j++)
		add_eight(tables + base + 8 * j, sums[j]);
	return done;
}

#define TRIES_APART 16 /* groups, where the window does not fit */

void count_index_avx512icl(uint32_t *restrict tables, struct histogram_tables s,
                           const void *restrict index, unsigned shift, size_t n)
{
	/* What is not near its neighbours seldom meets a count that was just stored: one table,
	 * which level 1 holds, is faster than several. */
	const struct histogram_tables one = { 1, s.stride };
	const char *at = index;
	size_t i = 0, done;

	for (; i + GROUP <= n; i += done) {
		uint32_t base = window_base(number_at(at, i + GROUP / 2, shift), WIDE, s.stride,
		                            UINT16_MAX + 1);

		done = GROUP * count_wide(tables, at + 2 * i, shift, (n - i) / GROUP, base);
		if (done > 0)
			continue;
		done = n - i < TRIES_APART * GROUP ? n - i : TRIES_APART * GROUP;
		count_index_scalar(tables, one, at + 2 * i, shift, done);
	}
	if (i < n)
		count_index_scalar(tables, one, at + 2 * i, shift, n - i);
}
