/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_SURVEY_H
#define KERNELS_SURVEY_H

#include "kernels/histogram.h"
#include "kernels/layout.h"
#include "kernels/moments.h"
#include "kernels/raw_moments.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

/* The survey: everything that is asked of each integer pixel, while it is in a register.
 *
 *   t = ((float)raw - offset) * gain                     as flatten.h
 *   sums of t about the shift, least and greatest t      as moments.h
 *   sums of raw, least and greatest raw                  as raw_moments.h
 *   the number of t's bin                                as histogram.h
 *
 * It gives the same bits as those kernels one after the other, at half their cost: a pixel is
 * loaded once, and nothing asks whether it is bad, because for integers that is known of the gain
 * beforehand. A bad pixel's group takes a slower path.
 *
 * Pixels go in groups of 64, counted from the start of the frame; a run may begin and end inside
 * one. */
#define SURVEY_GROUP 64

/* Groups that n pixels lie in when the first is pixel `first` of the frame. */
static inline size_t survey_groups(size_t first, size_t n)
{
	return (first % SURVEY_GROUP + n + SURVEY_GROUP - 1) / SURVEY_GROUP;
}

/* Raw pixels are summed as deviations from here, in counts: 32-bit lanes hold them for so many runs
 * before they must be gathered. */
#define SURVEY_CENTRE   32767
#define SURVEY_RUNS_MAX 1000

/* What is known of a frame so far. */
struct survey {
	/* Of the block of moments.h under way. */
	alignas(64) float sum[16];
	float squares[16];
	uint32_t good;

	/* Of the frame. */
	alignas(64) float min[16], max[16]; /* of good t */
	struct histogram_tails tails;
	bool signs;      /* the last run had a negative t: a hint */
	uint64_t absent; /* codes of pixels that are not there */

	/* Of its good raw pixels: of runs without a saturated one in lanes, and of all others. */
	uint32_t raw_runs; /* since they were gathered */
	uint64_t raw_good; /* pixels in the lanes */
	alignas(64) uint16_t raw_min[32], raw_max[32];
	int32_t raw_sum[16];        /* of deviations from SURVEY_CENTRE, */
	uint64_t raw_squares[2][8]; /* of their squares */
	struct raw_sums raw;
};

/* A run of pixels of one block of moments.h.
 *
 * t        written                                                        [n]
 * codes    bin numbers, written; those of a group in any order. 0 for a value below the first bin,
 *          a bad pixel and one of the group that is not in the run; also for one above the last
 *          bin, which is in the tails            [survey_groups(first, n) * SURVEY_GROUP]
 * raw      uint8 or uint16, machine byte order                            [n], any alignment
 * offset   as flatten.h; finite where the gain is                         [n]
 * gain     as flatten.h; finite, or NaN for a bad pixel                   [n]
 * bad      from survey_bad_fn, survey_mark_fn; t becomes NaN [survey_groups(first, n)] first number
 * of the first pixel in the frame n        at least 1; first % MOMENTS_BLOCK + n <= MOMENTS_BLOCK
 * shift    of the block
 * ahead    what is read soon: as many bytes as raw has are fetched into level 2 meanwhile */
struct survey_run {
	float *t;
	uint8_t *codes;
	const void *raw;
	const float *offset, *gain;
	const uint64_t *bad;
	size_t first, n;
	float shift;
	float scale;               /* of survey_impl.scaled: t is times this, after gain */
	const struct bin_map *map; /* of t, at most 256 bins */
	uint32_t saturation;       /* counts; what is equal or more is saturated */
	const void *ahead;
};

/* Begin a frame. */
void survey_begin(struct survey *s);

/* Begin a block of moments.h. */
void survey_begin_block(struct survey *s);

/* Survey a run. Every implementation adds the same. No overlap. Cannot fail. */
typedef void survey_fn(struct survey *s, const struct survey_run *r);

/* Mark the bad pixels of a run: bit i % 64 of word i / 64, with i counted from the start of the
 * group that the run begins in.
 *
 * bad    written                       [survey_groups(first, n)]
 * gain   NaN is bad                    [n] */
typedef void survey_bad_fn(uint64_t *restrict bad, const float *restrict gain, size_t first,
                           size_t n);

/* The same for one frame, some of whose raw pixels say that they have no value.
 *
 * marked     bad, and bits of pixels with raw[i] == value; written    [survey_groups(first, n)]
 * bad        as above                                                  [survey_groups(first, n)]
 * raw        uint8 or uint16                                           [n], any alignment */
typedef void survey_mark_fn(uint64_t *restrict marked, const uint64_t *restrict bad,
                            const void *restrict raw, uint32_t value, size_t first, size_t n);

struct survey_impl {
	const char *name;
	unsigned needs;                       /* enum cpu_flag */
	survey_fn *fn[PRODUCT_UINT32];        /* uint8, uint16 */
	survey_fn *scaled[PRODUCT_UINT32];    /* likewise, for a frame's dose */
	survey_mark_fn *mark[PRODUCT_UINT32]; /* likewise */
	survey_bad_fn *bad;
};

/* Not every instruction set has one: there the kernels that it stands for run one by one. */
extern const struct survey_impl survey_impls[];

/* The fastest implementation that needs nothing outside `cpu`, or NULL. */
const struct survey_impl *survey_for(unsigned cpu);

/* The sums of the block of moments.h under way. Its least and greatest t are in the survey's. */
void survey_block_sums(const struct survey *s, struct block_sums *ret);

/* Least and greatest good t; +inf and -inf when there is none. */
void survey_extremes(const struct survey *s, float *ret_min, float *ret_max);

/* Move what the lanes hold of raw pixels to s->raw. */
void survey_gather_raw(struct survey *s);

survey_fn survey_uint8_avx512, survey_uint8_avx512icl;
survey_fn survey_uint16_avx512, survey_uint16_avx512icl;
survey_fn survey_scaled_uint8_avx512, survey_scaled_uint8_avx512icl;
survey_fn survey_scaled_uint16_avx512, survey_scaled_uint16_avx512icl;
survey_bad_fn survey_bad_avx512;
survey_mark_fn survey_mark_uint8_avx512, survey_mark_uint16_avx512;

#endif
