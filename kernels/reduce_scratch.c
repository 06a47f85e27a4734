/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/reduce_scratch.h"

/* A worker's scratch: offsets of its arrays from the start, each on a cache line of its own.
 */
struct scratch_layout {
	size_t t;           /* flattened pixels         float [a group and a tile] */
	size_t attenuation; /* -ln T                   float [tile], with attenuation */
	size_t native;      /* raw pixels in the machine's order     [tile], other layouts */
	size_t screened;    /* good raw pixels          float [tile], float layouts */
	size_t index;       /* bin numbers              uint16 [tile] */
	size_t codes;       /* bin numbers              uint8  [groups of the tile], survey */
	size_t bad;         /* bad pixels of the tile   uint64 [groups of the tile], survey */
	size_t marked;      /* and in one frame         uint64 [groups of the tile], survey */
	size_t offset;      /* zeros                    float [tile], without a dark */
	size_t gain;        /* ones                     float [tile], without a gain */
	size_t sum, count;  /* columns of binning       float [width], with bin > 1 */
	size_t binned; /* product pixels           float [tile / bin^2], with bin > 1 or median */
	size_t rows;   /* of T                    float [3][defects_stride()], for defects */
	size_t hot, dead;     /* pixels of a row        uint64 [groups of a row], for defects */
	size_t tables;        /* counting tables          uint32 [hand][raw + normalised] */
	size_t counts;        /* the same of codes        uint64 [hand][CODE_COUNTS], survey */
	size_t runs;          /* struct frame_run [hand] */
	size_t regions;       /* struct region_run [hand][region_count] */
	size_t region_floats; /* struct moments_run [hand][region_count], float layouts */
	size_t bytes;         /* all of it */
};

bool reduce_in_place(const struct reduce_plan *p)
{
	bool native = p->layout == RAW_UINT8 || p->layout == RAW_UINT16 ||
	              p->layout == RAW_UINT32 || p->layout == RAW_FLOAT32;

	return native && p->payload_width == p->width && !p->port_columns;
}

size_t tables_per_frame(const struct reduce_plan *p)
{
	return histogram_tables_size(p->raw_tables) + histogram_tables_size(p->normalised_tables);
}

size_t codes_per_frame(const struct reduce_plan *p)
{
	return (p->kernels.bin_codes ? CODE_COUNTS : 0) + (p->raw_by_value ? CODE_COUNTS : 0);
}

static bool is_float(const struct reduce_plan *p)
{
	return product_of_layout(p->layout) == PRODUCT_FLOAT32;
}

size_t bytes_per_frame(const struct reduce_plan *p)
{
	size_t region = sizeof(struct region_run) + is_float(p) * sizeof(struct moments_run);

	return tables_per_frame(p) * sizeof(uint32_t) + codes_per_frame(p) * sizeof(uint64_t) +
	       sizeof(struct frame_run) + p->region_count * region;
}

static size_t take(size_t *at, size_t bytes)
{
	size_t offset = *at;

	*at += (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	return offset;
}

static void scratch_lay_out(const struct reduce_plan *p, struct scratch_layout *ret)
{
	size_t tile = (size_t)p->tile_rows * p->width, at = 0;
	enum product_type raw = product_of_layout(p->layout);
	size_t columns = p->bin > 1 ? p->width : 0;
	size_t groups = tile / SURVEY_GROUP + 2, regions = (size_t)p->hand * p->region_count;

	ret->t = take(&at, (SURVEY_GROUP + tile) * sizeof(float));
	ret->attenuation = take(&at, p->attenuation ? tile * sizeof(float) : 0);
	ret->native = take(&at, reduce_in_place(p) ? 0 : tile * product_bytes(raw));
	ret->screened = take(&at, is_float(p) ? tile * sizeof(float) : 0);
	ret->index = take(&at, tile * sizeof(uint16_t));
	ret->codes = take(&at, p->kernels.bin_codes ? groups * SURVEY_GROUP : 0);
	ret->bad = take(&at, p->kernels.survey ? groups * sizeof(uint64_t) : 0);
	ret->marked = take(&at, p->kernels.survey ? groups * sizeof(uint64_t) : 0);
	ret->offset = take(&at, p->offset ? 0 : tile * sizeof(float));
	ret->gain = take(&at, p->gain ? 0 : tile * sizeof(float));
	ret->sum = take(&at, columns * sizeof(float));
	ret->count = take(&at, columns * sizeof(float));
	ret->binned =
		take(&at, p->bin > 1 || p->bad_median ? tile / p->bin / p->bin * sizeof(float) : 0);
	ret->rows = take(&at, 3 * defects_stride(p) * sizeof(float));
	ret->hot = take(&at, survey_groups(0, p->width) * sizeof(uint64_t));
	ret->dead = take(&at, survey_groups(0, p->width) * sizeof(uint64_t));
	ret->tables = take(&at, p->hand * tables_per_frame(p) * sizeof(uint32_t));
	ret->counts = take(&at, p->hand * codes_per_frame(p) * sizeof(uint64_t));
	ret->runs = take(&at, p->hand * sizeof(struct frame_run));
	ret->regions = take(&at, regions * sizeof(struct region_run));
	ret->region_floats = take(&at, is_float(p) ? regions * sizeof(struct moments_run) : 0);
	ret->bytes = at;
}

size_t scratch_bytes(const struct reduce_plan *p)
{
	struct scratch_layout layout;

	scratch_lay_out(p, &layout);
	return layout.bytes;
}

void scratch_open(const struct reduce_plan *p, char *base, struct scratch *ret)
{
	struct scratch_layout at;

	scratch_lay_out(p, &at);
	*ret = (struct scratch){
		.groups = (float *)(void *)(base + at.t),
		.attenuation = (float *)(void *)(base + at.attenuation),
		.native = base + at.native,
		.screened = (float *)(void *)(base + at.screened),
		.index = (uint16_t *)(void *)(base + at.index),
		.codes = (uint8_t *)(base + at.codes),
		.bad = (uint64_t *)(void *)(base + at.bad),
		.marked = (uint64_t *)(void *)(base + at.marked),
		.offset = (float *)(void *)(base + at.offset),
		.gain = (float *)(void *)(base + at.gain),
		.sum = (float *)(void *)(base + at.sum),
		.count = (float *)(void *)(base + at.count),
		.binned = (float *)(void *)(base + at.binned),
		.rows = (float *)(void *)(base + at.rows),
		.hot = (uint64_t *)(void *)(base + at.hot),
		.dead = (uint64_t *)(void *)(base + at.dead),
		.tables = (uint32_t *)(void *)(base + at.tables),
		.counts = (uint64_t *)(void *)(base + at.counts),
		.runs = (struct frame_run *)(void *)(base + at.runs),
		.regions = (struct region_run *)(void *)(base + at.regions),
		.region_floats = (struct moments_run *)(void *)(base + at.region_floats),
	};
}
