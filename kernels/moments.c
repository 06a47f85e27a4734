/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/moments.h"

#include "kernels/cpu.h"

#include <math.h>
#include <string.h>

float moments_fold(const float lanes[MOMENTS_LANES])
{
	float eight[8], four[4];

	for (unsigned i = 0; i < 8; i++)
		eight[i] = lanes[i] + lanes[i + 8];
	for (unsigned i = 0; i < 4; i++)
		four[i] = eight[i] + eight[i + 4];
	return (four[0] + four[2]) + (four[1] + four[3]);
}

/* The mean, rounded to about a thousandth of the spread. With so few digits the subtraction of a
 * pixel is exact nearly always; else the same rounding in every pixel would add up. */
static float shift_near(double mean, double variance)
{
	double step;
	int exponent;

	if (!(variance > 0) || isinf(variance))
		return (float)mean;
	frexp(variance, &exponent);
	step = ldexp(1, exponent / 2 - 10);
	return (float)(nearbyint(mean / step) * step);
}

/* From sums of deviations from `origin`. */
static float shift_from(double origin, double sum, double squares, double good)
{
	double beside = sum / good;

	return shift_near(origin + beside, squares / good - beside * beside);
}

/* The mean of the block itself; exactly its value when it is constant. */
static float own_shift(moments_block_fn *fn, const float *t, size_t n)
{
	struct block_sums b;
	size_t first = 0;

	while (first + 1 < n && isnan(t[first]))
		first++;
	fn(&b, t, n, t[first]);
	return b.good ? shift_from(t[first], b.sum, b.squares, b.good) : 0.0f;
}

static void add_block(struct moments_run *m, moments_block_fn *fn, const float *t, size_t n)
{
	struct block_sums b;

	if (moments_are_few(m))
		m->shift = own_shift(fn, t, n);
	fn(&b, t, n, m->shift);
	moments_add_sums(m, &b);
}

/* Complete the block that the last tile began. Returns how many pixels that took. */
static size_t complete_block(struct moments_run *m, moments_block_fn *fn, const float *t, size_t n)
{
	size_t room = MOMENTS_BLOCK - m->held;
	size_t taken = n < room ? n : room;

	memcpy(m->block + m->held, t, taken * sizeof *t);
	m->held += (uint32_t)taken;
	if (m->held == MOMENTS_BLOCK) {
		add_block(m, fn, m->block, MOMENTS_BLOCK);
		m->held = 0;
	}
	return taken;
}

static double quiet(double v)
{
	return isnan(v) ? (double)NAN : v; /* one NaN, whatever the processor makes */
}

void moments_block_scalar(struct block_sums *ret, const float *t, size_t n, float shift)
{
	float sum[MOMENTS_LANES] = { 0 }, squares[MOMENTS_LANES] = { 0 };
	float min = INFINITY, max = -INFINITY;
	uint32_t good = 0;

	for (size_t i = 0; i < n; i++) {
		float deviation = t[i] - shift;

		if (isnan(t[i]))
			continue;
		sum[i % MOMENTS_LANES] += deviation;
		squares[i % MOMENTS_LANES] = fmaf(deviation, deviation, squares[i % MOMENTS_LANES]);
		min = t[i] < min ? t[i] : min;
		max = t[i] > max ? t[i] : max;
		good++;
	}
	*ret = (struct block_sums){ .sum = moments_fold(sum),
		                    .squares = moments_fold(squares),
		                    .min = min,
		                    .max = max,
		                    .good = good };
}

moments_block_fn *moments_for(unsigned cpu)
{
	const struct moments_impl *best = moments_impls;

	for (const struct moments_impl *i = moments_impls; i->name; i++)
		if (!(i->needs & ~cpu))
			best = i;
	return best->fn;
}

void moments_begin(struct moments_run *m)
{
	m->origin = m->sum = m->squares = 0;
	m->good = m->renewal = 0;
	m->shift = 0;
	m->min = INFINITY;
	m->max = -INFINITY;
	m->held = 0;
}

bool moments_are_few(const struct moments_run *m)
{
	return m->good < MOMENTS_BLOCK;
}

void moments_add_sums(struct moments_run *m, const struct block_sums *b)
{
	double n_good = b->good, from;

	if (m->good == 0)
		m->origin = m->shift;
	if (b->good == 0)
		return;
	from = m->shift - m->origin;
	m->sum += b->sum + n_good * from;
	m->squares += b->squares + 2 * from * b->sum + n_good * from * from;
	m->good += b->good;
	m->min = b->min < m->min ? b->min : m->min;
	m->max = b->max > m->max ? b->max : m->max;
	if (m->good < m->renewal)
		return;
	m->renewal = 2 * m->good;
	m->shift = shift_from(m->origin, m->sum, m->squares, (double)m->good);
}

void moments_add(struct moments_run *m, moments_block_fn *fn, const float *t, size_t n)
{
	size_t i = m->held ? complete_block(m, fn, t, n) : 0;

	for (; i + MOMENTS_BLOCK <= n; i += MOMENTS_BLOCK)
		add_block(m, fn, t + i, MOMENTS_BLOCK);
	if (i < n)
		complete_block(m, fn, t + i, n - i);
}

void moments_finish(struct moments_run *m, moments_block_fn *fn, struct moments *ret)
{
	double beside, variance;

	if (m->held)
		add_block(m, fn, m->block, m->held);
	if (m->good == 0) {
		*ret = (struct moments){ NAN, NAN, NAN, NAN };
		return;
	}
	/* Lanes meet -0 and +0 in different orders: adding zero leaves +0 only. */
	ret->min = m->min + 0.0f;
	ret->max = m->max + 0.0f;
	if (isinf(m->min) || isinf(m->max)) {
		ret->mean = quiet(ret->min + ret->max);
		ret->std = NAN;
		return;
	}
	beside = m->sum / (double)m->good;
	variance = m->squares / (double)m->good - beside * beside;
	ret->mean = quiet(m->origin + beside);
	ret->std = variance <= 0 ? 0 : quiet(sqrt(variance));
}

const struct moments_impl moments_impls[] = {
	{ "scalar", 0, moments_block_scalar },
#ifdef __x86_64__
	{ "avx2", CPU_AVX2, moments_block_avx2 },
	{ "avx512", CPU_AVX512, moments_block_avx512 },
#endif
	{ 0 },
};
