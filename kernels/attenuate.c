/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attenuate.h"

#include "kernels/cpu.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static float log_positive(float t)
{
	static const float terms[ATTENUATE_TERMS] = ATTENUATE_POLYNOMIAL;
	float exponent = 0, f, square, sum = terms[0];
	int32_t bits;

	if (t < ATTENUATE_TINY) {
		t *= 0x1p23f;
		exponent = -23;
	}
	memcpy(&bits, &t, sizeof bits);
	bits -= ATTENUATE_SQRT_HALF;
	exponent += (float)(bits >> 23);
	bits = (bits & 0x7fffff) + ATTENUATE_SQRT_HALF;
	memcpy(&f, &bits, sizeof f);
	f -= 1;
	for (unsigned i = 1; i < ATTENUATE_TERMS; i++)
		sum = fmaf(sum, f, terms[i]);
	square = f * f;
	sum = f * square * sum;
	sum = fmaf(exponent, ATTENUATE_LN2_LOW, sum);
	sum = fmaf(-0.5f, square, sum);
	return fmaf(exponent, ATTENUATE_LN2_HIGH, f + sum);
}

void attenuate_scalar(float *a, const float *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		a[i] = !(t[i] > 0) ? NAN : isinf(t[i]) ? -INFINITY : 0 - log_positive(t[i]);
}

void attenuable_scalar(float *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		t[i] = t[i] > 0 ? t[i] : NAN;
}

const struct attenuate_impl *attenuate_for(unsigned cpu)
{
	const struct attenuate_impl *best = attenuate_impls;

	for (const struct attenuate_impl *i = attenuate_impls; i->name; i++)
		if (!(i->needs & ~cpu))
			best = i;
	return best;
}

const struct attenuate_impl attenuate_impls[] = {
	{ "scalar", 0, attenuate_scalar, attenuable_scalar },
#ifdef __x86_64__
	{ "avx2", CPU_AVX2, attenuate_avx2, attenuable_avx2 },
	{ "avx512", CPU_AVX512, attenuate_avx512, attenuable_avx512 },
#endif
	{ 0 },
};
