/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PIXELS_H
#define TESTS_PIXELS_H

#include "bench/prng.h"
#include "kernels/layout.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Pixels that try kernels: ordinary ones and the ends of every range. */

enum pixel_style {
	PIXELS_USUAL,   /* what a camera gives; one in 16 flattened pixels is bad */
	PIXELS_RANDOM,  /* any bits */
	PIXELS_EXTREME, /* zeros, maxima, NaN, infinities, subnormals among usual ones */
	PIXELS_ZERO,
	PIXELS_TOP, /* the type's maximum; flattened: all bad */
	PIXELS_STYLE_COUNT
};

static inline float pixel_extreme(uint64_t *state)
{
	static const float values[] = { 0.0f,      -0.0f,   NAN,      INFINITY,
		                        -INFINITY, FLT_MAX, -FLT_MAX, FLT_MIN,
		                        1e-45f,    -1e-40f, 1.0f,     -1.0f,
		                        0.5f,      1.5f,    65534.5f, 2147483648.0f };

	return values[prng_below(state, sizeof values / sizeof *values)];
}

static inline float pixel_float(uint64_t *state, enum pixel_style style)
{
	uint32_t bits = (uint32_t)prng_next(state);
	float v;

	memcpy(&v, &bits, sizeof v);
	if (style == PIXELS_RANDOM)
		return v;
	if (style == PIXELS_EXTREME && bits % 2)
		return pixel_extreme(state);
	if (style == PIXELS_ZERO)
		return 0;
	return (float)(1.8 * prng_unit(state) - 0.1);
}

/* n flattened pixels, any alignment. */
static inline void pixels_flat(void *out, size_t n, enum pixel_style style, uint64_t seed)
{
	for (size_t i = 0; i < n; i++) {
		float v = pixel_float(&seed, style);

		if (style == PIXELS_TOP || (style == PIXELS_USUAL && prng_below(&seed, 16) == 0))
			v = NAN;
		memcpy((char *)out + i * sizeof v, &v, sizeof v);
	}
}

/* n raw pixels of a type in the machine's order, any alignment. */
static inline void pixels_raw(void *out, enum product_type type, size_t n, enum pixel_style style,
                              uint64_t seed)
{
	size_t bytes = product_bytes(type);

	for (size_t i = 0; i < n; i++) {
		uint64_t v = prng_next(&seed); /* little-endian: the low bytes are the pixel */
		float f = pixel_float(&seed, style) * 1000;

		if (style == PIXELS_USUAL)
			v = 100 + prng_below(&seed, 120);
		else if (style == PIXELS_EXTREME && v % 4)
			v = v % 4 == 1 ? 0 : v % 4 == 2 ? UINT64_MAX : 1;
		else if (style == PIXELS_ZERO || style == PIXELS_TOP)
			v = style == PIXELS_ZERO ? 0 : UINT64_MAX;
		if (type == PRODUCT_FLOAT32) {
			f = style == PIXELS_TOP ? FLT_MAX : f;
			memcpy(&v, &f, sizeof f);
		}
		memcpy((char *)out + i * bytes, &v, bytes);
	}
}

/* Whether two arrays of float hold the same bits, any NaN being like another. */
static inline bool floats_equal(const float *a, const float *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(a + i, b + i, sizeof *a) != 0 && !(isnan(a[i]) && isnan(b[i])))
			return false;
	return true;
}

/* The lengths kernels are tried with: 0 to 130, then sizes around what they count in. */
static inline size_t pixels_length(unsigned i)
{
	static const size_t more[] = { 1023, 1024, 1025, 2560, 5000, 32768, 140001 };

	return i <= 130 ? i : i - 131 < sizeof more / sizeof *more ? more[i - 131] : SIZE_MAX;
}

#endif
