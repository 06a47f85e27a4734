/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/combine.h"
#include "kernels/float_key.h"

#include <math.h>
#include <string.h>

/* Pixels that are taken through all frames at once: their sums stay in the first cache. */
#define BLOCK 256
#define LANES 16

/* Some pixels of every frame. */
struct block {
	const struct combine_stack *stack;
	size_t at, n; /* first pixel, n <= BLOCK */
};

#define PIXELS(b, pixel, frame) ((const pixel *)(b)->stack->frames[frame] + (b)->at)

/* Which pixels have no value. */

#define MARK(name, pixel)                                                                          \
	static void name(unsigned char *restrict bad, const struct block *b)                       \
	{                                                                                          \
		uint32_t no_value = b->stack->no_value;                                            \
                                                                                                   \
		for (unsigned f = 0; f < b->stack->count; f++) {                                   \
			const pixel *restrict p = PIXELS(b, pixel, f);                             \
                                                                                                   \
			for (size_t i = 0; i < b->n; i++)                                          \
				bad[i] |= p[i] == no_value;                                        \
		}                                                                                  \
	}

MARK(mark_uint8, uint8_t)
MARK(mark_uint16, uint16_t)
MARK(mark_uint32, uint32_t)

static void mark_float32(unsigned char *restrict bad, const struct block *b)
{
	for (unsigned f = 0; f < b->stack->count; f++) {
		const float *restrict p = PIXELS(b, float, f);

		for (size_t i = 0; i < b->n; i++)
			bad[i] |= !(fabsf(p[i]) < INFINITY);
	}
}

/* Make NaN of the pixels that one frame has no value of. */
static void spoil(float *values, const struct block *b)
{
	static void (*const marks[PRODUCT_TYPE_COUNT])(unsigned char *restrict,
	                                               const struct block *) = {
		[PRODUCT_UINT8] = mark_uint8,
		[PRODUCT_UINT16] = mark_uint16,
		[PRODUCT_UINT32] = mark_uint32,
		[PRODUCT_FLOAT32] = mark_float32,
	};
	unsigned char bad[BLOCK];

	if (b->stack->type != PRODUCT_FLOAT32 && !b->stack->has_no_value)
		return;
	memset(bad, 0, b->n);
	marks[b->stack->type](bad, b);
	for (size_t i = 0; i < b->n; i++)
		values[i] = bad[i] ? NAN : values[i];
}

/* Of 65535 frames of 16 bits the sums stay below 2^32, the squares times the frames below 2^64. */
#define MOMENTS_NARROW(name, pixel)                                                                \
	static void name(float *mean, float *variance, const struct block *b)                      \
	{                                                                                          \
		uint64_t count = b->stack->count, squares[BLOCK] = { 0 };                          \
		double frames = (double)count;                                                     \
		uint32_t sums[BLOCK] = { 0 };                                                      \
                                                                                                   \
		for (unsigned f = 0; f < count; f++) {                                             \
			const pixel *restrict p = PIXELS(b, pixel, f);                             \
                                                                                                   \
			for (size_t i = 0; i < b->n; i++) {                                        \
				uint32_t v = p[i];                                                 \
                                                                                                   \
				sums[i] += v;                                                      \
				squares[i] += v * v;                                               \
			}                                                                          \
		}                                                                                  \
		for (size_t i = 0; i < b->n; i++) {                                                \
			uint64_t spread = count * squares[i] - (uint64_t)sums[i] * sums[i];        \
                                                                                                   \
			mean[i] = (float)(sums[i] / frames);                                       \
			variance[i] = (float)((double)spread / (frames * frames));                 \
		}                                                                                  \
	}

MOMENTS_NARROW(moments_uint8, uint8_t)
MOMENTS_NARROW(moments_uint16, uint16_t)

static void moments_uint32(float *mean, float *variance, const struct block *b)
{
	/* Sum of squares = low + 2^32 high. */
	uint64_t sums[BLOCK] = { 0 }, low[BLOCK] = { 0 }, high[BLOCK] = { 0 };
	uint64_t count = b->stack->count;
	double frames = (double)count;

	for (unsigned f = 0; f < count; f++) {
		const uint32_t *restrict p = PIXELS(b, uint32_t, f);

		for (size_t i = 0; i < b->n; i++) {
			uint64_t square = (uint64_t)p[i] * p[i];

			sums[i] += p[i];
			low[i] += (uint32_t)square;
			high[i] += square >> 32;
		}
	}
	for (size_t i = 0; i < b->n; i++) {
		unsigned __int128 spread = ((unsigned __int128)high[i] << 32) + low[i];

		spread = spread * count - (unsigned __int128)sums[i] * sums[i];
		mean[i] = (float)((double)sums[i] / frames);
		variance[i] = (float)((double)spread / (frames * frames));
	}
}

static void moments_float32(float *mean, float *variance, const struct block *b)
{
	double means[BLOCK] = { 0 }, squares[BLOCK] = { 0 };
	double frames = b->stack->count;

	for (unsigned f = 0; f < b->stack->count; f++) {
		const float *restrict p = PIXELS(b, float, f);

		for (size_t i = 0; i < b->n; i++)
			means[i] += p[i];
	}
	for (size_t i = 0; i < b->n; i++)
		means[i] /= frames;
	for (unsigned f = 0; f < b->stack->count; f++) {
		const float *restrict p = PIXELS(b, float, f);

		for (size_t i = 0; i < b->n; i++)
			squares[i] += (p[i] - means[i]) * (p[i] - means[i]);
	}
	for (size_t i = 0; i < b->n; i++) {
		mean[i] = (float)means[i];
		variance[i] = (float)(squares[i] / frames);
	}
}

void combine_moments(float *restrict mean, float *restrict variance, const struct combine_stack *s,
                     size_t n)
{
	static void (*const moments[PRODUCT_TYPE_COUNT])(float *, float *, const struct block *) = {
		[PRODUCT_UINT8] = moments_uint8,
		[PRODUCT_UINT16] = moments_uint16,
		[PRODUCT_UINT32] = moments_uint32,
		[PRODUCT_FLOAT32] = moments_float32,
	};
	float unwanted[BLOCK];

	for (size_t at = 0; at < n; at += BLOCK) {
		struct block b = { s, at, n - at < BLOCK ? n - at : BLOCK };
		float *to = mean ? mean + at : unwanted;

		moments[s->type](to, variance + at, &b);
		spoil(to, &b);
		spoil(variance + at, &b);
	}
}

/* Medians by bisection of each pixel's own range: how many frames are at most the middle of it? No
 * sorting, no branch that depends on a pixel, and as many rounds as the widest range of the block
 * has bits. Floats are compared as integers of the same order. */

#define AS_IT_IS(v) (v)

/* The smallest and the largest of each pixel. */
#define RANGE(name, pixel, key, KEY)                                                               \
	static void name(key *restrict low, key *restrict high, const struct block *b)             \
	{                                                                                          \
		for (unsigned f = 0; f < b->stack->count; f++) {                                   \
			const pixel *restrict p = PIXELS(b, pixel, f);                             \
                                                                                                   \
			for (size_t i = 0; i < b->n; i++) {                                        \
				key k = KEY(p[i]);                                                 \
                                                                                                   \
				low[i] = f == 0 || k < low[i] ? k : low[i];                        \
				high[i] = f == 0 || k > high[i] ? k : high[i];                     \
			}                                                                          \
		}                                                                                  \
	}

/* How many are at most the limit. */
#define COUNT(name, pixel, key, KEY)                                                               \
	static void name(key *restrict count, const key *restrict limit, const struct block *b)    \
	{                                                                                          \
		memset(count, 0, b->n * sizeof *count);                                            \
		for (unsigned f = 0; f < b->stack->count; f++) {                                   \
			const pixel *restrict p = PIXELS(b, pixel, f);                             \
                                                                                                   \
			for (size_t i = 0; i < b->n; i++)                                          \
				count[i] = (key)(count[i] + (KEY(p[i]) <= limit[i]));              \
		}                                                                                  \
	}

/* The smallest above the limit; the key's all-ones without any. */
#define ABOVE(name, pixel, key, KEY)                                                               \
	static void name(key *restrict above, const key *restrict limit, const struct block *b)    \
	{                                                                                          \
		memset(above, 0xff, b->n * sizeof *above);                                         \
		for (unsigned f = 0; f < b->stack->count; f++) {                                   \
			const pixel *restrict p = PIXELS(b, pixel, f);                             \
                                                                                                   \
			for (size_t i = 0; i < b->n; i++) {                                        \
				key k = KEY(p[i]), next = k > limit[i] ? k : (key)-1;              \
                                                                                                   \
				above[i] = next < above[i] ? next : above[i];                      \
			}                                                                          \
		}                                                                                  \
	}

/* low becomes the lower one of the two in the middle, high the upper one; of an odd number of
 * frames low is the middle and high the next. */
#define SELECT(name, pixel, key, KEY)                                                              \
	RANGE(name##_range, pixel, key, KEY)                                                       \
	COUNT(name##_count, pixel, key, KEY)                                                       \
	ABOVE(name##_above, pixel, key, KEY)                                                       \
                                                                                                   \
	static void name(key *restrict low, key *restrict high, const struct block *b)             \
	{                                                                                          \
		unsigned rank = (b->stack->count - 1) / 2;                                         \
		key middle[BLOCK], count[BLOCK], open = 1;                                         \
                                                                                                   \
		name##_range(low, high, b);                                                        \
		while (open) {                                                                     \
			for (size_t i = 0; i < b->n; i++)                                          \
				middle[i] = (key)(low[i] + (key)(high[i] - low[i]) / 2);           \
			name##_count(count, middle, b);                                            \
			open = 0;                                                                  \
			for (size_t i = 0; i < b->n; i++) {                                        \
				bool below = count[i] > rank;                                      \
                                                                                                   \
				high[i] = below ? middle[i] : high[i];                             \
				low[i] = below ? low[i] : (key)(middle[i] + 1);                    \
				open = (key)(open | (low[i] ^ high[i]));                           \
			}                                                                          \
		}                                                                                  \
		name##_count(count, low, b);                                                       \
		name##_above(middle, low, b);                                                      \
		for (size_t i = 0; i < b->n; i++)                                                  \
			high[i] = count[i] > rank + 1 ? low[i] : middle[i];                        \
	}

SELECT(select_uint8, uint8_t, uint16_t, AS_IT_IS)
SELECT(select_uint16, uint16_t, uint16_t, AS_IT_IS)
SELECT(select_uint32, uint32_t, uint32_t, AS_IT_IS)
SELECT(select_float32, float, uint32_t, key_of_float)

/* For an odd number of frames the lower one is the median. */
#define MEDIAN(name, select, key, VALUE)                                                           \
	static void name(float *median, const struct block *b)                                     \
	{                                                                                          \
		bool even = b->stack->count % 2 == 0;                                              \
		key low[BLOCK], high[BLOCK];                                                       \
                                                                                                   \
		select(low, high, b);                                                              \
		for (size_t i = 0; i < b->n; i++) {                                                \
			double lower = VALUE(low[i]), upper = VALUE(high[i]);                      \
                                                                                                   \
			median[i] = (float)(even ? (lower + upper) / 2 : lower);                   \
		}                                                                                  \
	}

MEDIAN(median_uint8, select_uint8, uint16_t, AS_IT_IS)
MEDIAN(median_uint16, select_uint16, uint16_t, AS_IT_IS)
MEDIAN(median_uint32, select_uint32, uint32_t, AS_IT_IS)
MEDIAN(median_float32, select_float32, uint32_t, (double)float_of_key)

void combine_median(float *restrict median, const struct combine_stack *s, size_t n)
{
	static void (*const medians[PRODUCT_TYPE_COUNT])(float *, const struct block *) = {
		[PRODUCT_UINT8] = median_uint8,
		[PRODUCT_UINT16] = median_uint16,
		[PRODUCT_UINT32] = median_uint32,
		[PRODUCT_FLOAT32] = median_float32,
	};

	for (size_t at = 0; at < n; at += BLOCK) {
		struct block b = { s, at, n - at < BLOCK ? n - at : BLOCK };

		medians[s->type](median + at, &b);
		spoil(median + at, &b);
	}
}

#define SUM(name, pixel)                                                                           \
	static void name(struct frame_sum *sum, const pixel *restrict p,                           \
	                 const struct combine_stack *s, size_t n)                                  \
	{                                                                                          \
		uint64_t none = s->has_no_value ? s->no_value : UINT64_MAX, whole = 0, good = 0;   \
                                                                                                   \
		for (size_t i = 0; i < n; i++) {                                                   \
			uint64_t take = p[i] != none;                                              \
                                                                                                   \
			good += take;                                                              \
			whole += take ? p[i] : 0;                                                  \
		}                                                                                  \
		sum->good += good;                                                                 \
		sum->whole += whole;                                                               \
	}

SUM(sum_uint8, uint8_t)
SUM(sum_uint16, uint16_t)
SUM(sum_uint32, uint32_t)

static void sum_float32(struct frame_sum *sum, const float *p, size_t n)
{
	double lanes[LANES] = { 0 };
	uint64_t good = 0;

	for (size_t i = 0; i < n; i++) {
		bool take = fabsf(p[i]) < INFINITY;

		good += take;
		lanes[i % LANES] += take ? (double)p[i] : 0;
	}
	for (unsigned half = LANES / 2; half; half /= 2)
		for (unsigned i = 0; i < half; i++)
			lanes[i] += lanes[i + half];
	sum->good += good;
	sum->real += lanes[0];
}

void frame_sum_add(struct frame_sum *sum, const void *pixels, const struct combine_stack *s,
                   size_t n)
{
	switch (s->type) {
	case PRODUCT_UINT8:
		sum_uint8(sum, pixels, s, n);
		break;
	case PRODUCT_UINT16:
		sum_uint16(sum, pixels, s, n);
		break;
	case PRODUCT_UINT32:
		sum_uint32(sum, pixels, s, n);
		break;
	default:
		sum_float32(sum, pixels, n);
	}
}

double frame_sum_mean(const struct frame_sum *sum, enum product_type type)
{
	double total = type == PRODUCT_FLOAT32 ? sum->real : (double)sum->whole;

	return sum->good ? total / (double)sum->good : NAN;
}
