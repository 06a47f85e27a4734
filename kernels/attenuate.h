/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_ATTENUATE_H
#define KERNELS_ATTENUATE_H

#include <stddef.h>

/* Attenuation of the beam.
 *
 *   a[i] = -ln t[i]        t > 0; -inf for +inf
 *        = NaN             t <= 0 or NaN: the pixel is bad
 *
 * t     transmission                [n], any alignment
 * a     dimensionless, may be t     [n]
 *
 * Within 2 ulp of the real value for every positive float32, subnormal ones too: t = 2^e m with
 * sqrt(1/2) <= m < sqrt(2), ln m from a polynomial in m - 1 of degree 11, its first two terms
 * exact, the others a least-squares fit of our own weighted for an even relative error; e ln 2 is
 * added in two parts. Float32 with fmaf() where written: every implementation gives the same bits
 * (but any quiet NaN). Any n. Cannot fail. */
typedef void attenuate_fn(float *a, const float *t, size_t n);

/* Make every t that is not above 0 NaN, in place: it is bad where attenuation is asked for. */
typedef void attenuable_fn(float *t, size_t n);

struct attenuate_impl {
	const char *name;
	unsigned needs; /* enum cpu_flag */
	attenuate_fn *fn;
	attenuable_fn *screen;
};

extern const struct attenuate_impl attenuate_impls[];

/* The fastest implementation that needs nothing outside `cpu`. Never NULL. */
const struct attenuate_impl *attenuate_for(unsigned cpu);

attenuate_fn attenuate_scalar, attenuate_avx2, attenuate_avx512;
attenuable_fn attenuable_scalar, attenuable_avx2, attenuable_avx512;

/* Of all implementations. */
#define ATTENUATE_SQRT_HALF 0x3f3504f3 /* bits */
#define ATTENUATE_TINY      0x1p-126f  /* below it t is subnormal and is scaled up */
#define ATTENUATE_TERMS     9
#define ATTENUATE_POLYNOMIAL                                                                       \
	{                                                                                          \
		0.070063591f, -0.116775379f, 0.117694393f, -0.123985484f, 0.142356589f,            \
			-0.166688681f, 0.200012863f, -0.249999851f, 0.333333254f                   \
	}
#define ATTENUATE_LN2_HIGH 0.693359375f /* 9 bits: times an exponent it is exact */
#define ATTENUATE_LN2_LOW  (-2.12194440e-4f)

#endif
