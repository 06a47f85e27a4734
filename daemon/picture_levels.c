/* SPDX-License-Identifier: Apache-2.0 */
/* By two histograms: the high halves of the pixels' keys first, then the low halves of those that
 * share the high half of one that is looked for. */
#include "daemon/picture_levels.h"
#include "kernels/float_key.h"

#include <math.h>
#include <string.h>

#define TAIL 1000 /* a thousandth lies beyond each level */

/* Keys of finite floats lie between those of the infinities. */
#define FIRST_BIN 0x0080u
#define END_BIN   0xff80u
#define NO_KEY    UINT32_MAX

/* Pixels as keys of the same order, so many at a time. */
#define RUN 1024

/* What is sorted. */
struct sample {
	const void *pixels;
	enum product_type type;
	const float *good;  /* NaN where a pixel is left out; NULL: none is */
	size_t count, step; /* every step-th pixel */
};

static struct sample sample_of(const struct picture *p, enum picture_product product,
                               bool good_only)
{
	size_t pixels = (size_t)p->grid.width * p->grid.height;
	struct sample s = { .pixels = p->pixels[product],
		            .type = p->types[product],
		            .good = good_only ? p->pixels[PICTURE_NORMALISED] : NULL,
		            .count = pixels,
		            .step = 1 };

	while (s.count > LEVELS_OF) {
		s.step += 2; /* odd: not the same columns in each row */
		s.count = (pixels + s.step - 1) / s.step;
	}
	return s;
}

static float value_at(const struct sample *s, size_t i)
{
	if (s->type == PRODUCT_UINT8)
		return ((const uint8_t *)s->pixels)[i];
	return s->type == PRODUCT_UINT16 ? ((const uint16_t *)s->pixels)[i]
	                                 : ((const float *)s->pixels)[i];
}

/* Pixels i to i + n of the sample. */
static void take_keys(const struct sample *s, size_t i, size_t n, uint32_t ret[RUN])
{
	for (size_t k = 0; k < n; k++)
		ret[k] = key_of_float(value_at(s, (i + k) * s->step));
	for (size_t k = 0; s->good && k < n; k++)
		ret[k] = isnan(s->good[(i + k) * s->step]) ? NO_KEY : ret[k];
}

/* What the second histograms are of. */
struct halves {
	uint32_t low, high;
};

static void count_halves(struct picture_counts *c, const uint32_t *keys, size_t n,
                         const struct halves *h)
{
	for (size_t k = 0; k < n; k++) {
		if (keys[k] >> 16 == h->low)
			c->low[keys[k] & 0xffff]++;
		if (keys[k] >> 16 == h->high)
			c->high[keys[k] & 0xffff]++;
	}
}

/* One histogram over all pixels, or two. */
static void count(const struct sample *s, struct picture_counts *c, const struct halves *halves)
{
	uint32_t keys[RUN];

	for (size_t i = 0; i < s->count; i += RUN) {
		size_t n = s->count - i < RUN ? s->count - i : RUN;

		take_keys(s, i, n, keys);
		if (halves)
			count_halves(c, keys, n, halves);
		for (size_t k = 0; !halves && k < n; k++)
			c->coarse[keys[k] >> 16]++;
	}
}

/* The first histogram. Returns of how many finite pixels it is. */
static size_t count_finite(const struct sample *s, struct picture_counts *c)
{
	size_t n = 0;

	memset(c, 0, sizeof *c);
	count(s, c, NULL);
	memset(c->coarse, 0, FIRST_BIN * sizeof *c->coarse);
	memset(c->coarse + END_BIN, 0, (65536 - END_BIN) * sizeof *c->coarse);
	for (unsigned i = 0; i < 65536; i++)
		n += c->coarse[i];
	return n;
}

/* The bin of the `rank`-th, counted from 0, which becomes its rank in the bin. */
static uint32_t find_bin(const uint32_t counts[65536], size_t *rank)
{
	uint32_t bin = 0;

	while (bin < 65535 && *rank >= counts[bin])
		*rank -= counts[bin++];
	return bin;
}

static void find_ranks(const struct sample *s, struct picture_counts *c, size_t n,
                       struct picture_levels *ret)
{
	size_t low = n / TAIL, high = n - 1 - n / TAIL;
	struct halves halves;

	halves.low = find_bin(c->coarse, &low);
	halves.high = find_bin(c->coarse, &high);
	count(s, c, &halves);
	ret->low = float_of_key(halves.low << 16 | find_bin(c->low, &low));
	ret->high = float_of_key(halves.high << 16 | find_bin(c->high, &high));
}

void picture_levels_find(const struct picture *p, enum picture_product product,
                         struct picture_counts *counts, struct picture_levels *ret)
{
	struct sample s = sample_of(p, product, true);
	size_t n = count_finite(&s, counts);

	if (n == 0) {
		s = sample_of(p, product, false);
		n = count_finite(&s, counts);
	}
	*ret = (struct picture_levels){ 0, 1 };
	if (n == 0)
		return;
	find_ranks(&s, counts, n, ret);
	if (ret->low == ret->high)
		ret->high = ret->low + 1;
	if (ret->low == ret->high)
		ret->high = nextafterf(ret->low, INFINITY);
}
