/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu.h"
#include "kernels/reduce_scratch.h"

#include <math.h>

/* A grid of ports of equal size, with the region inside. */
static bool ports_make_sense(const struct reduce_plan *p)
{
	return p->port_rows > 0 && p->payload_height > 0 &&
	       p->payload_width % p->port_columns == 0 && p->payload_height % p->port_rows == 0 &&
	       p->top <= p->payload_height && p->height <= p->payload_height - p->top;
}

static bool shape_init(struct reduce_plan *p)
{
	bool known_bin = p->bin > 0 && p->bin <= 32 && (p->bin & (p->bin - 1)) == 0;

	if (p->width == 0 || p->height == 0 || p->batch == 0 || !known_bin)
		return false;
	if (p->source_only && p->bin != 1)
		return false;
	if (p->payload_width == 0)
		p->payload_width = p->width;
	if (p->left > p->payload_width || p->width > p->payload_width - p->left)
		return false;
	if (p->port_columns && !ports_make_sense(p))
		return false;
	p->out_width = p->width / p->bin;
	p->out_height = p->height / p->bin;
	return p->out_width > 0 && p->out_height > 0;
}

/* Regions with pixels, inside the frame; the open beam is made of them. */
static bool regions_make_sense(const struct reduce_plan *p)
{
	if (p->region_count > REDUCE_REGIONS_MAX || (uint64_t)p->open_beam >> p->region_count != 0)
		return false;
	for (uint32_t i = 0; i < p->region_count; i++) {
		const struct reduce_region *r = &p->regions[i];

		if (r->width == 0 || r->height == 0 || r->left > p->width || r->top > p->height ||
		    r->width > p->width - r->left || r->height > p->height - r->top)
			return false;
	}
	return true;
}

static bool type_init(struct reduce_plan *p)
{
	if (p->source_only)
		p->type = product_of_layout(p->layout);
	else if (p->type == PRODUCT_UINT32)
		return false;
	return p->source_only ||
	       window_init(&p->window, p->type, p->window_low, p->window_high, p->bad_zero);
}

static void saturation_init(struct reduce_plan *p)
{
	static const double tops[PRODUCT_TYPE_COUNT] = { UINT8_MAX, UINT16_MAX, UINT32_MAX };
	double least = p->saturation > 0 ? ceil(p->saturation) : 0;

	p->can_saturate = least <= tops[product_of_layout(p->layout)] && !isnan(p->saturation);
	p->raw_saturation = p->can_saturate ? (uint32_t)least : 0;
	/* The smallest float that is not below it. */
	p->float_saturation = (float)p->saturation;
	if ((double)p->float_saturation < p->saturation)
		p->float_saturation = nextafterf(p->float_saturation, INFINITY);
}

/* Half a level-1 cache for the flattened tile leaves room for the raw one and bin numbers. */
static void tile_init(struct reduce_plan *p)
{
	size_t target = p->tile_bytes ? p->tile_bytes : cpu_l1_bytes() / 2;
	size_t rows = target / sizeof(float) / p->width / p->bin * p->bin;
	size_t all = ((size_t)p->height + p->bin - 1) / p->bin * p->bin;

	rows = rows < p->bin ? p->bin : rows;
	p->tile_rows = (uint32_t)(rows < all ? rows : all);
}

/* The counting tables of the whole hand stay in level 2 beside the tile. */
static void hand_init(struct reduce_plan *p)
{
	size_t budget = cpu_l2_bytes() / 4 * 3;
	size_t per_pixel = 4 * sizeof(float) + sizeof(uint16_t); /* t, dark, gain, raw, index */
	size_t tile = (size_t)p->tile_rows * p->width * per_pixel;
	size_t frames = tile < budget ? (budget - tile) / bytes_per_frame(p) : 1;

	frames = frames < 1 ? 1 : frames;
	p->hand = frames < p->batch ? (uint32_t)frames : p->batch;
}

/* The survey needs pixels of at most 16 bits, bad ones that are known beforehand, and bin numbers
 * that fit a byte. */
static const struct survey_impl *survey_of(const struct reduce_plan *p, enum product_type raw)
{
	bool narrow = raw == PRODUCT_UINT8 || raw == PRODUCT_UINT16;

	return narrow && !p->attenuation && p->normalised_bins.bins <= 256 ? survey_for(p->cpu)
	                                                                   : NULL;
}

static void kernels_init(struct reduce_plan *p)
{
	enum product_type raw = product_of_layout(p->layout);
	const struct raw_moments_impl *raw_moments = raw_moments_for(p->cpu);
	const struct histogram_impl *histogram = histogram_for(p->cpu);
	const struct survey_impl *survey = survey_of(p, raw);
	bool scaled = p->open_beam && p->dose == DOSE_APPLY;

	p->kernels = (struct reduce_kernels){
		.unpack = unpack_for(p->cpu)->fn[p->layout],
		.flatten = flatten_for(p->cpu)->fn[raw],
		.scale = scaled ? flatten_for(p->cpu)->scale : NULL,
		.attenuate = attenuate_for(p->cpu)->fn,
		.attenuable = attenuate_for(p->cpu)->screen,
		.invalidate = p->has_no_value ? invalidate_for(p->cpu)->fn[raw] : NULL,
		.raw_sums = raw == PRODUCT_FLOAT32 ? NULL : raw_moments->sums[raw],
		.raw_screen = raw_moments->screen,
		.moments = moments_for(p->cpu),
		.survey = !survey  ? NULL
		          : scaled ? survey->scaled[raw]
		                   : survey->fn[raw],
		.survey_bad = survey ? survey->bad : NULL,
		.survey_mark = survey ? survey->mark[raw] : NULL,
		.bin_raw = histogram->raw[raw],
		.bin_flat = histogram->flat,
		.bin_codes = p->normalised_bins.bins <= 256 ? histogram->codes : NULL,
		.count_codes = counting_for(p->cpu)->codes,
		.count_index = counting_for(p->cpu)->index,
		.bin_rows = binning_for(p->cpu),
		.convert = p->source_only ? NULL : convert_for(p->cpu)->fn[p->type],
		.crc32c = crc32c_for(p->cpu),
		.find_defects = defects_for(p->cpu),
	};
}

/* Whether every integer has a bin of its own, whose lower edge it is: bins are one count wide, or a
 * whole number of them is. */
static bool holds_integers_apart(const struct bins *b)
{
	double counts = b->high - b->low, per_count = b->bins / counts;

	return b->low == floor(b->low) && counts == floor(counts) && per_count >= 1 &&
	       per_count == floor(per_count);
}

/* Without raw bins there is no raw histogram. */
static bool histograms_init(struct reduce_plan *p)
{
	p->raw_tables = (struct histogram_tables){ 0 };
	if (p->raw_bins.bins) {
		if (!bin_map_init_raw(&p->raw_map, &p->raw_bins, product_of_layout(p->layout)))
			return false;
		p->raw_tables = histogram_tables_for(p->raw_bins.bins);
	}
	p->raw_by_value = p->raw_bins.bins && product_of_layout(p->layout) == PRODUCT_UINT8;
	if (p->raw_by_value) {
		value_bins_init(&p->raw_values, &p->raw_map);
		p->raw_tables.tables = 1; /* filled once a frame */
	}
	p->raw_by_shift = p->raw_bins.bins && product_of_layout(p->layout) == PRODUCT_UINT16 &&
	                  p->raw_map.by_shift && p->raw_map.first == 0 &&
	                  (uint64_t)p->raw_bins.bins << p->raw_map.shift == UINT16_MAX + 1;
	p->raw_whole = p->raw_bins.bins && product_of_layout(p->layout) != PRODUCT_FLOAT32 &&
	               holds_integers_apart(&p->raw_bins);
	if (!bin_map_init_flat(&p->normalised_map, &p->normalised_bins))
		return false;
	p->normalised_tables = histogram_tables_for(p->normalised_bins.bins);
	return true;
}

bool reduce_plan_init(struct reduce_plan *p)
{
	if (!shape_init(p) || !regions_make_sense(p) || !type_init(p) || !histograms_init(p))
		return false;
	saturation_init(p);
	kernels_init(p);
	tile_init(p);
	hand_init(p);
	p->scratch_bytes = scratch_bytes(p);
	return true;
}
