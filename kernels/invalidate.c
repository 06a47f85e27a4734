/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/invalidate.h"

#include "kernels/cpu.h"

#include <math.h>
#include <string.h>

void invalidate_uint8_scalar(float *restrict t, const void *restrict raw, uint32_t value, size_t n)
{
	const uint8_t *counts = raw;

	for (size_t i = 0; i < n; i++)
		if (counts[i] == value)
			t[i] = NAN;
}

void invalidate_uint16_scalar(float *restrict t, const void *restrict raw, uint32_t value, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t v;

		memcpy(&v, (const char *)raw + 2 * i, sizeof v);
		if (v == value)
			t[i] = NAN;
	}
}

void invalidate_uint32_scalar(float *restrict t, const void *restrict raw, uint32_t value, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t v;

		memcpy(&v, (const char *)raw + 4 * i, sizeof v);
		if (v == value)
			t[i] = NAN;
	}
}

const struct invalidate_impl *invalidate_for(unsigned cpu)
{
	const struct invalidate_impl *best = invalidate_impls;

	for (const struct invalidate_impl *i = invalidate_impls; i->name; i++)
		if (!(i->needs & ~cpu))
			best = i;
	return best;
}

const struct invalidate_impl invalidate_impls[] = {
	{ "scalar",
	  0,
	  { invalidate_uint8_scalar, invalidate_uint16_scalar, invalidate_uint32_scalar } },
#ifdef __x86_64__
	{ "avx2",
	  CPU_AVX2,
	  { invalidate_uint8_avx2, invalidate_uint16_avx2, invalidate_uint32_avx2 } },
	{ "avx512",
	  CPU_AVX512,
	  { invalidate_uint8_avx512, invalidate_uint16_avx512, invalidate_uint32_avx512 } },
#endif
	{ 0 },
};
