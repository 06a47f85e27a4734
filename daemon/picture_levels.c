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

static float value_at(const void *pixels, enum product_type type, size_t i)
{
	if (type == PRODUCT_UINT8)
		return ((const uint8_t *)pixels)[i];
	return type == PRODUCT_UINT16 ? ((const uint16_t *)pixels)[i] : ((const float *)pixels)[i];
}

/* Pixels i to i + n; those that are not good have none. */
static void take_keys(const struct picture *p, enum picture_product product, bool good_only,
                      size_t i, size_t n, uint32_t ret[RUN])
{
	const float *good = p->pixels[PICTURE_NORMALISED];

	for (size_t k = 0; k < n; k++)
		ret[k] = key_of_float(value_at(p->pixels[product], p->types[product], i + k));
	for (size_t k = 0; good_only && k < n; k++)
		ret[k] = isnan(good[i + k]) ? NO_KEY : ret[k];
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
static void count(const struct picture *p, enum picture_product product, bool good_only,
                  struct picture_counts *c, const struct halves *halves)
{
	size_t pixels = (size_t)p->grid.width * p->grid.height;
	uint32_t keys[RUN];

	for (size_t i = 0; i < pixels; i += RUN) {
		size_t n = pixels - i < RUN ? pixels - i : RUN;

		take_keys(p, product, good_only, i, n, keys);
		if (halves)
			count_halves(c, keys, n, halves);
		for (size_t k = 0; !halves && k < n; k++)
			c->coarse[keys[k] >> 16]++;
	}
}

/* The first histogram. Returns of how many finite pixels it is. */
static size_t count_finite(const struct picture *p, enum picture_product product, bool good_only,
                           struct picture_counts *c)
{
	size_t n = 0;

	memset(c, 0, sizeof *c);
	count(p, product, good_only, c, NULL);
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

static void find_ranks(const struct picture *p, enum picture_product product, bool good_only,
                       struct picture_counts *c, size_t n, struct picture_levels *ret)
{
	size_t low = n / TAIL, high = n - 1 - n / TAIL;
	struct halves halves;

	halves.low = find_bin(c->coarse, &low);
	halves.high = find_bin(c->coarse, &high);
	count(p, product, good_only, c, &halves);
	ret->low = float_of_key(halves.low << 16 | find_bin(c->low, &low));
	ret->high = float_of_key(halves.high << 16 | find_bin(c->high, &high));
}

void picture_levels_find(const struct picture *p, enum picture_product product,
                         struct picture_counts *counts, struct picture_levels *ret)
{
	bool good_only = true;
	size_t n;

	n = count_finite(p, product, good_only, counts);
	if (n == 0) {
		good_only = false;
		n = count_finite(p, product, good_only, counts);
	}
	*ret = (struct picture_levels){ 0, 1 };
	if (n == 0)
		return;
	find_ranks(p, product, good_only, counts, n, ret);
	if (ret->low == ret->high)
		ret->high = ret->low + 1;
	if (ret->low == ret->high)
		ret->high = nextafterf(ret->low, INFINITY);
}
