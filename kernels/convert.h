/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_CONVERT_H
#define KERNELS_CONVERT_H

#include "kernels/layout.h"

#include <stdbool.h>
#include <stdint.h>

/* How flattened pixels become product pixels. */
struct window {
	float low, high; /* mapped to 0 ... last */
	float scale;     /* last / (high - low) */
	float last;      /* the type's maximum less 1; the maximum marks bad pixels */
	bool bad_zero;   /* float32: bad pixels become 0, else the NaN 0x7fc00000 */
};

/* False for an integer type unless low < high, both finite and their distance a normal float.
 * Float32 has no window: anything goes. */
bool window_init(struct window *w, enum product_type type, float low, float high, bool bad_zero);

/* Turn flattened pixels into product pixels.
 *
 *   integers: lrintf(min((t - low) * scale, last)), nearest even; below low 0, above high last,
 *             NaN last + 1
 *   float32:  t itself, NaN as the window says
 *
 * out   uint8, uint16 or float32    [n], aligned to its type
 * t     NaN is bad                  [n]
 *
 * Returns the clipped pixels: below low or above high; 0 for float32. float32 and nothing fused:
 * every implementation gives the same bits. No overlap. Any n below 2^31. Cannot fail. */
typedef uint64_t convert_fn(void *restrict out, const float *restrict t, size_t n,
                            const struct window *w);

struct convert_impl {
	const char *name;
	unsigned needs;                     /* enum cpu_flag */
	convert_fn *fn[PRODUCT_TYPE_COUNT]; /* uint32: NULL, no product is made so */
};

extern const struct convert_impl convert_impls[];

/* The fastest implementation that needs nothing outside `cpu`. Never NULL. */
const struct convert_impl *convert_for(unsigned cpu);

convert_fn convert_uint8_scalar, convert_uint8_avx2, convert_uint8_avx512;
convert_fn convert_uint16_scalar, convert_uint16_avx2, convert_uint16_avx512;
convert_fn convert_float32_scalar, convert_float32_avx2, convert_float32_avx512;

#endif
