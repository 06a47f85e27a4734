/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/survey.h"

#include "kernels/cpu.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

void survey_begin(struct survey *s)
{
	memset(s, 0, sizeof *s);
	for (unsigned i = 0; i < 16; i++) {
		s->min[i] = INFINITY;
		s->max[i] = -INFINITY;
	}
	memset(s->raw_min, 0xff, sizeof s->raw_min);
	s->raw.min = UINT32_MAX;
}

void survey_begin_block(struct survey *s)
{
	memset(s->sum, 0, sizeof s->sum);
	memset(s->squares, 0, sizeof s->squares);
	s->good = 0;
}

void survey_block_sums(const struct survey *s, struct block_sums *ret)
{
	*ret = (struct block_sums){
		.sum = moments_fold(s->sum),
		.squares = moments_fold(s->squares),
		.min = INFINITY,
		.max = -INFINITY,
		.good = s->good,
	};
}

void survey_extremes(const struct survey *s, float *ret_min, float *ret_max)
{
	float min = INFINITY, max = -INFINITY;

	for (unsigned i = 0; i < 16; i++) {
		min = s->min[i] < min ? s->min[i] : min;
		max = s->max[i] > max ? s->max[i] : max;
	}
	*ret_min = min;
	*ret_max = max;
}

/* With v = c + centre: sum v = sum c + n centre, sum v^2 = sum c^2 + 2 centre sum c + n centre^2.
 * The frame's least and greatest counts stay in their lanes until the last call. */
void survey_gather_raw(struct survey *s)
{
	int64_t centre = SURVEY_CENTRE, sum = 0;
	uint64_t squares = 0;

	if (s->raw_runs == 0)
		return;
	for (unsigned i = 0; i < 16; i++) {
		sum += s->raw_sum[i];
		squares += s->raw_squares[i / 8][i % 8];
	}
	squares += (uint64_t)(2 * centre * sum) + s->raw_good * (uint64_t)(centre * centre);
	s->raw.good += s->raw_good;
	s->raw.sum += (uint64_t)(sum + (int64_t)s->raw_good * centre);
	s->raw.squares_low += (uint32_t)squares;
	s->raw.squares_high += squares >> 32;
	for (unsigned i = 0; i < 32; i++) {
		s->raw.min = s->raw_min[i] < s->raw.min ? s->raw_min[i] : s->raw.min;
		s->raw.max = s->raw_max[i] > s->raw.max ? s->raw_max[i] : s->raw.max;
	}
	s->raw_good = 0;
	s->raw_runs = 0;
	memset(s->raw_sum, 0, sizeof s->raw_sum);
	memset(s->raw_squares, 0, sizeof s->raw_squares);
}

const struct survey_impl *survey_for(unsigned cpu)
{
	const struct survey_impl *best = NULL;

	for (const struct survey_impl *i = survey_impls; i->name; i++)
		if (!(i->needs & ~cpu))
			best = i;
	return best;
}

const struct survey_impl survey_impls[] = {
#ifdef __x86_64__
	{ "avx512",
	  CPU_AVX512,
	  { survey_uint8_avx512, survey_uint16_avx512 },
	  { survey_scaled_uint8_avx512, survey_scaled_uint16_avx512 },
	  { survey_mark_uint8_avx512, survey_mark_uint16_avx512 },
	  survey_bad_avx512 },
	{ "avx512icl",
	  CPU_AVX512 | CPU_AVX512ICL,
	  { survey_uint8_avx512icl, survey_uint16_avx512icl },
	  { survey_scaled_uint8_avx512icl, survey_scaled_uint16_avx512icl },
	  { survey_mark_uint8_avx512, survey_mark_uint16_avx512 },
	  survey_bad_avx512 },
#endif
	{ 0 },
};
