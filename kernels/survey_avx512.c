/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/survey_lanes.h"

void survey_uint8_avx512(struct survey *s, const struct survey_run *r)
{
	survey_any(1, raw_sums_uint8_avx512, false, s, r);
}

void survey_uint16_avx512(struct survey *s, const struct survey_run *r)
{
	survey_any(2, raw_sums_uint16_avx512, false, s, r);
}

void survey_scaled_uint8_avx512(struct survey *s, const struct survey_run *r)
{
	survey_any(1, raw_sums_uint8_avx512, true, s, r);
}

void survey_scaled_uint16_avx512(struct survey *s, const struct survey_run *r)
{
	survey_any(2, raw_sums_uint16_avx512, true, s, r);
}

void survey_mark_uint8_avx512(uint64_t *restrict marked, const uint64_t *restrict bad,
                              const void *restrict raw, uint32_t value, size_t first, size_t n)
{
	size_t lead = first % SURVEY_GROUP, groups = survey_groups(first, n);
	__m512i wanted = _mm512_set1_epi8((char)value);
	const char *at = (const char *)raw - lead;

	for (size_t g = 0; g < groups; g++, at += SURVEY_GROUP) {
		uint64_t k = value <= UINT8_MAX ? present(g, lead, n) : 0;

		marked[g] = bad[g] |
		            _mm512_mask_cmpeq_epi8_mask(k, _mm512_maskz_loadu_epi8(k, at), wanted);
	}
}

void survey_mark_uint16_avx512(uint64_t *restrict marked, const uint64_t *restrict bad,
                               const void *restrict raw, uint32_t value, size_t first, size_t n)
{
	size_t lead = first % SURVEY_GROUP, groups = survey_groups(first, n);
	__m512i wanted = _mm512_set1_epi16((short)value);
	const char *at = (const char *)raw - 2 * lead;

	for (size_t g = 0; g < groups; g++, at += 2 * SURVEY_GROUP) {
		uint64_t k = value <= UINT16_MAX ? present(g, lead, n) : 0, word = 0;

		for (unsigned j = 0; j < 2; j++) {
			__mmask32 here = (__mmask32)(k >> 32 * j);
			__m512i v = _mm512_maskz_loadu_epi16(here, at + 64 * j);

			word |= (uint64_t)_mm512_mask_cmpeq_epi16_mask(here, v, wanted) << 32 * j;
		}
		marked[g] = bad[g] | word;
	}
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
