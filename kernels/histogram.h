/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNELS_HISTOGRAM_H
#define KERNELS_HISTOGRAM_H

#include "kernels/layout.h"

#include <stdbool.h>
#include <stdint.h>

/* A histogram: `bins` equal bins over [low, high]; a value equal to high is in the last bin. */
struct bins {
	uint32_t bins;
	double low, high;
};

#define HISTOGRAM_BINS_MAX 65536 /* a bin's number is a uint16 */

struct histogram_tails {
	uint64_t below, above, nan; /* with the bins they add up to width * height */
};

static inline void histogram_tails_add(struct histogram_tails *sum, const struct histogram_tails *t)
{
	sum->below += t->below;
	sum->above += t->above;
	sum->nan += t->nan;
}

/* How values become bin numbers. Of raw pixels, as numpy.histogram in float64: bin i holds
 *
 *   i step + low <= v < (i + 1) step + low,     step = (high - low) / bins
 *
 * the last one also v == high. Of flattened ones, all in float32 and without fusing:
 *
 *   min((int)((t - low) * scale), bins - 1),    scale = (float)(bins / (high - low)). */
struct bin_map {
	struct bins bins;
	double step;                  /* width of a bin */
	double norm;                  /* bins per unit */
	float low, high, scale, last; /* of flattened pixels; last = bins - 1 */

	/* For integer pixels, when bins are a power of two wide and begin at a whole number of the
	 * pixel's type: (min(v, top) - first) >> shift, at most bins - 1. */
	bool by_shift;
	unsigned shift;
	uint32_t first, top;
};

/* The bin number of each uint8, and the tail that it is in. */
struct value_bins {
	uint16_t index[256];
	struct histogram_tails tails[256]; /* each of one pixel */
};

/* Prepare for raw pixels of `type`, or for flattened ones. False unless 1 <= bins <=
 * HISTOGRAM_BINS_MAX and low < high, both finite and not too near each other or too far apart to
 * tell the bins in double, or in float for flattened pixels. */
bool bin_map_init_raw(struct bin_map *m, const struct bins *b, enum product_type type);
bool bin_map_init_flat(struct bin_map *m, const struct bins *b);

/* Of a map that was prepared for uint8. */
void value_bins_init(struct value_bins *b, const struct bin_map *m);

/* Turn raw pixels, machine byte order, into bin numbers.
 *
 * index   bin numbers below bins; 0 for a value in a tail      [n]
 * tails   added to
 * raw     pixels                                               [n], any alignment
 *
 * Any n below 2^31. Every implementation gives the same. Cannot fail. */
typedef void bin_raw_fn(uint16_t *restrict index, struct histogram_tails *tails,
                        const void *restrict raw, size_t n, const struct bin_map *m);

/* The same for flattened pixels. */
typedef void bin_flat_fn(uint16_t *restrict index, struct histogram_tails *tails,
                         const float *restrict t, size_t n, const struct bin_map *m);

/* The same as 8 bits, for at most 256 bins: what count_codes_fn takes.
 *
 * codes   those of 64 in any order, 0 beyond n     [n rounded up to 64] */
typedef void bin_codes_fn(uint8_t *restrict codes, struct histogram_tails *tails,
                          const float *restrict t, size_t n, const struct bin_map *m);

struct histogram_impl {
	const char *name;
	unsigned needs; /* enum cpu_flag */
	bin_raw_fn *raw[PRODUCT_TYPE_COUNT];
	bin_flat_fn *flat;
	bin_codes_fn *codes; /* NULL: no faster than flat with count_index_fn */
};

extern const struct histogram_impl histogram_impls[];

/* The fastest implementation that needs nothing outside `cpu`. Never NULL. */
const struct histogram_impl *histogram_for(unsigned cpu);

/* The counting tables of one histogram of one frame. Neighbouring pixels often have the same bin,
 * and a count that was just stored is slow to load again: they go to different tables, which are
 * added up at the end. */
struct histogram_tables {
	unsigned tables; /* 1 2 4 8 */
	uint32_t stride; /* counts from one table to the next, at least HISTOGRAM_WINDOW */
};

#define HISTOGRAM_WINDOW 128 /* counts that counting.h may add to at once */

/* Choose for so many bins: few for large tables, so that they stay in the cache. */
struct histogram_tables histogram_tables_for(uint32_t bins);

/* Counts that they take together. */
static inline size_t histogram_tables_size(struct histogram_tables s)
{
	return (size_t)s.tables * s.stride;
}

/* Add the tables up and take the tails' pixels off bin 0.
 *
 * counts   overwritten   [bins] */
void histogram_fold(uint32_t *restrict counts, const uint32_t *restrict tables,
                    struct histogram_tables s, const struct histogram_tails *tails, uint32_t bins);

bin_raw_fn bin_uint8_scalar, bin_uint8_avx2, bin_uint8_avx512;
bin_raw_fn bin_uint16_scalar, bin_uint16_avx2, bin_uint16_avx512;
bin_raw_fn bin_uint32_scalar, bin_uint32_avx2, bin_uint32_avx512;
bin_raw_fn bin_float32_scalar, bin_float32_avx2, bin_float32_avx512;
bin_flat_fn bin_flat_scalar, bin_flat_avx2, bin_flat_avx512;
bin_codes_fn bin_codes_scalar, bin_codes_avx512;

#endif
