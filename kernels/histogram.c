/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/histogram.h"

#include "kernels/cpu.h"

#include <math.h>
#include <string.h>

/* The largest value of the type; 0 for float. */
static double type_top(enum product_type type)
{
	static const double tops[PRODUCT_TYPE_COUNT] = {
		[PRODUCT_UINT8] = UINT8_MAX,
		[PRODUCT_UINT16] = UINT16_MAX,
		[PRODUCT_UINT32] = UINT32_MAX,
	};

	return tops[type];
}

/* Whether integers of the type find their bin by a shift; sets what that needs. */
static bool shift_init(struct bin_map *m, enum product_type type)
{
	double top = type_top(type);
	int exponent;

	if (type == PRODUCT_FLOAT32 || m->bins.low < 0 || m->bins.low > top ||
	    m->bins.low != floor(m->bins.low) || m->step > top)
		return false;
	if (frexp(m->step, &exponent) != 0.5 || exponent < 1 ||
	    m->step * m->bins.bins + m->bins.low != m->bins.high)
		return false;
	m->shift = (unsigned)exponent - 1;
	m->first = (uint32_t)m->bins.low;
	m->top = (uint32_t)(m->bins.high < top ? m->bins.high : top);
	return true;
}

/* The bin of low <= v <= high: a first guess, at most one off, then numpy's edges. */
static uint16_t bin_by_edges(double v, const struct bin_map *m)
{
	double last = m->bins.bins - 1;
	double guess = (v - m->bins.low) * m->norm;
	double bin = floor(guess < last ? guess : last);

	if (v < bin * m->step + m->bins.low)
		bin -= 1;
	else if (bin < last && v >= (bin + 1) * m->step + m->bins.low)
		bin += 1;
	return (uint16_t)bin;
}

static inline uint16_t bin_value(struct histogram_tails *tails, double v, const struct bin_map *m)
{
	if (v < m->bins.low) {
		tails->below++;
		return 0;
	}
	if (v > m->bins.high) {
		tails->above++;
		return 0;
	}
	if (isnan(v)) {
		tails->nan++;
		return 0;
	}
	return bin_by_edges(v, m);
}

static inline uint16_t bin_integer(struct histogram_tails *tails, uint32_t v,
                                   const struct bin_map *m)
{
	uint32_t bin;

	if (!m->by_shift)
		return bin_value(tails, v, m);
	tails->below += v < m->first;
	tails->above += v > m->top;
	if (v < m->first || v > m->top)
		return 0;
	bin = (v - m->first) >> m->shift;
	return (uint16_t)(bin < m->bins.bins ? bin : m->bins.bins - 1);
}

void bin_uint8_scalar(uint16_t *restrict index, struct histogram_tails *tails,
                      const void *restrict raw, size_t n, const struct bin_map *m)
{
	const uint8_t *counts = raw;

	for (size_t i = 0; i < n; i++)
		index[i] = bin_integer(tails, counts[i], m);
}

void bin_uint16_scalar(uint16_t *restrict index, struct histogram_tails *tails,
                       const void *restrict raw, size_t n, const struct bin_map *m)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t v;

		memcpy(&v, (const char *)raw + 2 * i, sizeof v);
		index[i] = bin_integer(tails, v, m);
	}
}

void bin_uint32_scalar(uint16_t *restrict index, struct histogram_tails *tails,
                       const void *restrict raw, size_t n, const struct bin_map *m)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t v;

		memcpy(&v, (const char *)raw + 4 * i, sizeof v);
		index[i] = bin_integer(tails, v, m);
	}
}

void bin_float32_scalar(uint16_t *restrict index, struct histogram_tails *tails,
                        const void *restrict raw, size_t n, const struct bin_map *m)
{
	for (size_t i = 0; i < n; i++) {
		float v;

		memcpy(&v, (const char *)raw + 4 * i, sizeof v);
		index[i] = bin_value(tails, v, m);
	}
}

void bin_flat_scalar(uint16_t *restrict index, struct histogram_tails *tails,
                     const float *restrict t, size_t n, const struct bin_map *m)
{
	for (size_t i = 0; i < n; i++) {
		float bin = (t[i] - m->low) * m->scale;

		tails->below += t[i] < m->low;
		tails->above += t[i] > m->high;
		tails->nan += isnan(t[i]) != 0;
		bin = bin < m->last ? bin : m->last;
		index[i] = t[i] >= m->low && t[i] <= m->high ? (uint16_t)bin : 0;
	}
}

void bin_codes_scalar(uint8_t *restrict codes, struct histogram_tails *tails,
                      const float *restrict t, size_t n, const struct bin_map *m)
{
	uint16_t index[64];

	for (size_t i = 0; i < n; i += 64) {
		size_t here = n - i < 64 ? n - i : 64;

		bin_flat_scalar(index, tails, t + i, here, m);
		for (size_t j = 0; j < 64; j++)
			codes[i + j] = j < here ? (uint8_t)index[j] : 0;
	}
}

bool bin_map_init_raw(struct bin_map *m, const struct bins *b, enum product_type type)
{
	double range = b->high - b->low;

	*m = (struct bin_map){ .bins = *b, .step = range / b->bins, .norm = b->bins / range };
	if (b->bins < 1 || b->bins > HISTOGRAM_BINS_MAX || !(b->low < b->high))
		return false;
	if (!isnormal(m->step) || !isnormal(m->norm))
		return false;
	m->by_shift = shift_init(m, type);
	return true;
}

bool bin_map_init_flat(struct bin_map *m, const struct bins *b)
{
	if (!bin_map_init_raw(m, b, PRODUCT_FLOAT32))
		return false;
	m->low = (float)b->low;
	m->high = (float)b->high;
	m->scale = (float)m->norm;
	m->last = (float)(b->bins - 1);
	return m->low < m->high && isfinite(m->low) && isfinite(m->high) && isnormal(m->scale);
}

const struct histogram_impl *histogram_for(unsigned cpu)
{
	const struct histogram_impl *best = histogram_impls;

	for (const struct histogram_impl *i = histogram_impls; i->name; i++)
		if (!(i->needs & ~cpu))
			best = i;
	return best;
}

void value_bins_init(struct value_bins *b, const struct bin_map *m)
{
	for (unsigned v = 0; v < 256; v++) {
		uint8_t value = (uint8_t)v;

		b->tails[v] = (struct histogram_tails){ 0 };
		bin_uint8_scalar(&b->index[v], &b->tails[v], &value, 1, m);
	}
}

struct histogram_tables histogram_tables_for(uint32_t bins)
{
	const size_t budget = (size_t)36 << 10; /* bytes: two tables of 4096 bins */
	uint32_t least = bins < HISTOGRAM_WINDOW ? HISTOGRAM_WINDOW : bins;
	uint32_t stride = (least + 15) / 16 * 16 + 16; /* whole lines; not a multiple of 4 KiB */
	unsigned tables = 8;

	while (tables > 1 && tables * stride * sizeof(uint32_t) > budget)
		tables /= 2;
	return (struct histogram_tables){ tables, stride };
}

void histogram_fold(uint32_t *restrict counts, const uint32_t *restrict tables,
                    struct histogram_tables s, const struct histogram_tails *tails, uint32_t bins)
{
	memcpy(counts, tables, bins * sizeof *counts);
	for (unsigned j = 1; j < s.tables; j++)
		for (uint32_t i = 0; i < bins; i++)
			counts[i] += tables[j * s.stride + i];
	counts[0] -= (uint32_t)(tails->below + tails->above + tails->nan);
}

const struct histogram_impl histogram_impls[] = {
	{ "scalar",
	  0,
	  { bin_uint8_scalar, bin_uint16_scalar, bin_uint32_scalar, bin_float32_scalar },
	  bin_flat_scalar,
	  bin_codes_scalar },
#ifdef __x86_64__
	{ "avx2",
	  CPU_AVX2,
	  { bin_uint8_avx2, bin_uint16_avx2, bin_uint32_avx2, bin_float32_avx2 },
	  bin_flat_avx2,
	  NULL },
	{ "avx512",
	  CPU_AVX512,
	  { bin_uint8_avx512, bin_uint16_avx512, bin_uint32_avx512, bin_float32_avx512 },
	  bin_flat_avx512,
	  bin_codes_avx512 },
#endif
	{ 0 },
};
