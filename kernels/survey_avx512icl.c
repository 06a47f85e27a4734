/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/survey_lanes.h"

void survey_uint8_avx512icl(struct survey *s, const struct survey_run *r)
{
	survey_any(1, raw_sums_uint8_avx512, false, s, r);
}

void survey_uint16_avx512icl(struct survey *s, const struct survey_run *r)
{
	survey_any(2, raw_sums_uint16_avx512, false, s, r);
}

void survey_scaled_uint8_avx512icl(struct survey *s, const struct survey_run *r)
{
	survey_any(1, raw_sums_uint8_avx512, true, s, r);
}

void survey_scaled_uint16_avx512icl(struct survey *s, const struct survey_run *r)
{
	survey_any(2, raw_sums_uint16_avx512, true, s, r);
}
