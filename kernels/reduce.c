/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/reduce.h"

#include "kernels/cpu.h"

#include <math.h>
#include <string.h>

#define CACHE_LINE 64

/* One frame of the hand while its tiles come in. */
struct frame_run {
	struct survey survey;          /* integer layouts: raw sums, and what the survey makes */
	struct moments_run raw_floats; /* float layouts, */
	uint64_t saturated;            /* and their saturated pixels */
	struct moments_run normalised;
	struct histogram_tails raw_tails, normalised_tails;
	uint64_t clipped;
	uint32_t reduced_crc32c, source_crc32c;
	uint32_t *raw_tables, *normalised_tables; /* [histogram_tables_size()] */
	uint64_t *code_counts;                    /* [CODE_COUNTS], with the survey */
};

/* A worker's scratch: offsets of its arrays from the start, each on a cache line of its own.
 * The arrays of a tile are used by one frame after the other. */
struct scratch_layout {
	size_t t;          /* flattened pixels         float [a group and a tile] */
	size_t native;     /* raw pixels in the machine's order     [tile], other layouts */
	size_t screened;   /* good raw pixels          float [tile], float layouts */
	size_t index;      /* bin numbers              uint16 [tile] */
	size_t codes;      /* bin numbers              uint8  [groups of the tile], survey */
	size_t bad;        /* bad pixels of the tile   uint64 [groups of the tile], survey */
	size_t offset;     /* zeros                    float [tile], without a dark */
	size_t gain;       /* ones                     float [tile], without a gain */
	size_t sum, count; /* columns of binning       float [width], with bin > 1 */
	size_t binned;     /* binned pixels            float [tile / bin^2], with bin > 1 */
	size_t tables;     /* counting tables          uint32 [hand][raw + normalised] */
	size_t counts;     /* the same of codes        uint64 [hand][CODE_COUNTS], survey */
	size_t runs;       /* struct frame_run [hand] */
	size_t bytes;      /* all of it */
};

/* Lines that are read soon and not yet prefetched. */
struct ahead {
	const char *at;
	size_t lines;
};

/* The same as pointers, and what the pass reads next. */
struct scratch {
	float *groups; /* where t may be, */
	float *t;      /* and is: aligned as the tile is in its groups */
	float *screened, *offset, *gain, *sum, *count, *binned;
	void *native;
	uint16_t *index;
	uint8_t *codes;
	uint64_t *bad;
	uint32_t *tables;
	uint64_t *counts;
	struct frame_run *runs;
	struct ahead raw;       /* the next frame's tile */
	struct ahead planes[2]; /* this frame's share of the next tile's dark and gain */
};

/* A run of whole rows of the frame. */
struct tile {
	size_t first, pixels; /* from the start of the frame */
	uint32_t row, rows;
};

/* Whether the payload's pixels can be worked on where they are. */
static bool is_native(enum raw_layout l)
{
	return l == RAW_UINT8 || l == RAW_UINT16 || l == RAW_UINT32 || l == RAW_FLOAT32;
}

static size_t tables_per_frame(const struct reduce_plan *p)
{
	return histogram_tables_size(p->raw_tables) + histogram_tables_size(p->normalised_tables);
}

static size_t codes_per_frame(const struct reduce_plan *p)
{
	return p->kernels.survey ? CODE_COUNTS : 0;
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
	bool is_float = raw == PRODUCT_FLOAT32;
	size_t columns = p->bin > 1 ? p->width : 0;
	size_t groups = tile / SURVEY_GROUP + 2;

	ret->t = take(&at, (SURVEY_GROUP + tile) * sizeof(float));
	ret->native = take(&at, is_native(p->layout) ? 0 : tile * product_bytes(raw));
	ret->screened = take(&at, is_float ? tile * sizeof(float) : 0);
	ret->index = take(&at, tile * sizeof(uint16_t));
	ret->codes = take(&at, p->kernels.survey ? groups * SURVEY_GROUP : 0);
	ret->bad = take(&at, p->kernels.survey ? groups * sizeof(uint64_t) : 0);
	ret->offset = take(&at, p->offset ? 0 : tile * sizeof(float));
	ret->gain = take(&at, p->gain ? 0 : tile * sizeof(float));
	ret->sum = take(&at, columns * sizeof(float));
	ret->count = take(&at, columns * sizeof(float));
	ret->binned = take(&at, p->bin > 1 ? tile / p->bin / p->bin * sizeof(float) : 0);
	ret->tables = take(&at, p->hand * tables_per_frame(p) * sizeof(uint32_t));
	ret->counts = take(&at, p->hand * codes_per_frame(p) * sizeof(uint64_t));
	ret->runs = take(&at, p->hand * sizeof(struct frame_run));
	ret->bytes = at;
}

static void scratch_open(const struct reduce_plan *p, char *base, struct scratch *ret)
{
	struct scratch_layout at;

	scratch_lay_out(p, &at);
	*ret = (struct scratch){
		.groups = (float *)(void *)(base + at.t),
		.native = base + at.native,
		.screened = (float *)(void *)(base + at.screened),
		.index = (uint16_t *)(void *)(base + at.index),
		.codes = (uint8_t *)(base + at.codes),
		.bad = (uint64_t *)(void *)(base + at.bad),
		.offset = (float *)(void *)(base + at.offset),
		.gain = (float *)(void *)(base + at.gain),
		.sum = (float *)(void *)(base + at.sum),
		.count = (float *)(void *)(base + at.count),
		.binned = (float *)(void *)(base + at.binned),
		.tables = (uint32_t *)(void *)(base + at.tables),
		.counts = (uint64_t *)(void *)(base + at.counts),
		.runs = (struct frame_run *)(void *)(base + at.runs),
	};
}

static bool shape_init(struct reduce_plan *p)
{
	bool known_bin = p->bin > 0 && p->bin <= 32 && (p->bin & (p->bin - 1)) == 0;

	if (p->width == 0 || p->height == 0 || p->batch == 0 || !known_bin)
		return false;
	if (p->source_only && p->bin != 1)
		return false;
	p->out_width = p->width / p->bin;
	p->out_height = p->height / p->bin;
	return p->out_width > 0 && p->out_height > 0;
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
	size_t frame = tables_per_frame(p) * sizeof(uint32_t) +
	               codes_per_frame(p) * sizeof(uint64_t) + sizeof(struct frame_run);
	size_t frames = tile < budget ? (budget - tile) / frame : 1;

	frames = frames < 1 ? 1 : frames;
	p->hand = frames < p->batch ? (uint32_t)frames : p->batch;
}

/* The survey needs pixels of at most 16 bits, and bin numbers that fit a byte. */
static const struct survey_impl *survey_of(const struct reduce_plan *p, enum product_type raw)
{
	bool narrow = raw == PRODUCT_UINT8 || raw == PRODUCT_UINT16;

	return narrow && p->normalised_bins.bins <= 256 ? survey_for(p->cpu) : NULL;
}

static void kernels_init(struct reduce_plan *p)
{
	enum product_type raw = product_of_layout(p->layout);
	const struct raw_moments_impl *raw_moments = raw_moments_for(p->cpu);
	const struct histogram_impl *histogram = histogram_for(p->cpu);
	const struct survey_impl *survey = survey_of(p, raw);

	p->kernels = (struct reduce_kernels){
		.unpack = unpack_for(p->cpu)->fn[p->layout],
		.flatten = flatten_for(p->cpu)->fn[raw],
		.raw_sums = raw == PRODUCT_FLOAT32 ? NULL : raw_moments->sums[raw],
		.raw_screen = raw_moments->screen,
		.moments = moments_for(p->cpu),
		.survey = survey ? survey->fn[raw] : NULL,
		.survey_bad = survey ? survey->bad : NULL,
		.bin_raw = histogram->raw[raw],
		.bin_flat = histogram->flat,
		.count_codes = counting_for(p->cpu)->codes,
		.count_index = counting_for(p->cpu)->index,
		.bin_rows = binning_for(p->cpu),
		.convert = p->source_only ? NULL : convert_for(p->cpu)->fn[p->type],
		.crc32c = crc32c_for(p->cpu),
	};
}

/* What is read `from` here on for `bytes`: its lines number `part` of `parts`. */
static struct ahead ahead_part(const void *from, size_t bytes, size_t part, size_t parts)
{
	size_t lines = (bytes + CACHE_LINE - 1) / CACHE_LINE;
	size_t first = lines * part / parts, last = lines * (part + 1) / parts;

	return (struct ahead){ (const char *)from + first * CACHE_LINE, last - first };
}

/* Start fetching what `done` of `all` pixels leave to fetch, into level 2: level 1 is full. */
static void prefetch(struct ahead *a, size_t done, size_t all)
{
	size_t lines = (a->lines * done + all - 1) / all;

	for (size_t i = 0; i < lines; i++)
		__builtin_prefetch(a->at + i * CACHE_LINE, 0, 2);
	a->at += lines * CACHE_LINE;
	a->lines -= lines;
}

/* While `done` of the tile's last `all` pixels are worked on. */
static void prefetch_all(struct scratch *s, size_t done, size_t all)
{
	prefetch(&s->raw, done, all);
	prefetch(&s->planes[0], done, all);
	prefetch(&s->planes[1], done, all);
}

/* Each hop to another frame would find its tile in memory, and the first frame of a tile dark and
 * gain: the hardware follows one stream. Frame i of n fetches the next one's tile, the last one
 * the first one's next tile, and each its share of the next tile's planes. */
static void look_ahead(const struct reduce_plan *p, struct scratch *s,
                       const struct reduce_job *jobs, unsigned i, unsigned n,
                       const struct tile *tile)
{
	size_t end = tile->first + tile->pixels;
	size_t left = (size_t)p->width * p->height - end;
	size_t next = left < tile->pixels ? left : tile->pixels;
	bool last = i + 1 == n;
	const char *raw = jobs[last ? 0 : i + 1].raw;
	size_t from = raw_layout_bytes(p->layout, last ? end : tile->first);
	size_t bytes = raw_layout_bytes(p->layout, last ? next : tile->pixels);

	s->raw = ahead_part(raw + from, bytes, 0, 1);
	s->planes[0] = s->planes[1] = (struct ahead){ 0 };
	if (p->offset)
		s->planes[0] = ahead_part(p->offset + end, next * sizeof(float), i, n);
	if (p->gain)
		s->planes[1] = ahead_part(p->gain + end, next * sizeof(float), i, n);
}

/* The tile's raw pixels in the machine's order: where they are, or a copy, which is a product when
 * the plan wants one. */
static const void *unpack_tile(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                               const struct reduce_job *job, const struct tile *tile)
{
	size_t pixel = product_bytes(product_of_layout(p->layout));
	size_t from = tile->first * pixel, bytes = tile->pixels * pixel;
	void *unpacked = p->source_only          ? (char *)job->reduced + from
	                 : p->keep_source        ? (char *)job->source + from
	                 : !is_native(p->layout) ? s->native
	                                         : NULL;

	if (!unpacked)
		return (const char *)job->raw + from;
	p->kernels.unpack(unpacked, job->raw, tile->first, tile->pixels);
	if (p->source_only || p->keep_source)
		f->source_crc32c = p->kernels.crc32c(f->source_crc32c, unpacked, bytes);
	if (p->source_only && p->keep_source)
		memcpy((char *)job->source + from, unpacked, bytes);
	return unpacked;
}

static const float *offset_at(const struct reduce_plan *p, const struct scratch *s,
                              const struct tile *tile, size_t i)
{
	return p->offset ? p->offset + tile->first + i : s->offset + i;
}

static const float *gain_at(const struct reduce_plan *p, const struct scratch *s,
                            const struct tile *tile, size_t i)
{
	return p->gain ? p->gain + tile->first + i : s->gain + i;
}

static void add_raw_moments(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                            const void *raw, const float *t, size_t n)
{
	const struct reduce_kernels *k = &p->kernels;

	if (k->raw_sums) {
		k->raw_sums(&f->survey.raw, raw, t, p->raw_saturation, n);
		return;
	}
	f->saturated += k->raw_screen(s->screened, raw, t, p->float_saturation, n);
	moments_add(&f->raw_floats, k->moments, s->screened, n);
}

static void add_raw_histogram(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                              const void *raw, size_t n)
{
	if (p->raw_bins.bins == 0)
		return;
	p->kernels.bin_raw(s->index, &f->raw_tails, raw, n, &p->raw_map);
	p->kernels.count_index(f->raw_tables, p->raw_tables, s->index, n);
}

static void add_normalised_histogram(const struct reduce_plan *p, struct scratch *s,
                                     struct frame_run *f, const float *t, size_t n)
{
	p->kernels.bin_flat(s->index, &f->normalised_tails, t, n, &p->normalised_map);
	p->kernels.count_index(f->normalised_tables, p->normalised_tables, s->index, n);
}

/* Pixels i to i + n of the tile, one kernel after the other. */
static void walk(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                 const char *raw, const struct tile *tile, size_t i, size_t n)
{
	size_t pixel = product_bytes(product_of_layout(p->layout));
	float *t = s->t + i;

	raw += i * pixel;
	p->kernels.flatten(t, raw, offset_at(p, s, tile, i), gain_at(p, s, tile, i), n);
	prefetch_all(s, n / 3, tile->pixels - i);
	add_raw_moments(p, s, f, raw, t, n);
	moments_add(&f->normalised, p->kernels.moments, t, n);
	prefetch_all(s, n / 3, tile->pixels - i - n / 3);
	add_normalised_histogram(p, s, f, t, n);
	prefetch_all(s, n - n / 3 * 2, tile->pixels - i - n / 3 * 2);
}

/* The group of pixel i of the tile, from the tile's first. */
static size_t group_of(const struct tile *tile, size_t i)
{
	return (tile->first + i) / SURVEY_GROUP - tile->first / SURVEY_GROUP;
}

/* From pixel i of the tile to the end of its block of moments.h, or of the tile. */
static size_t to_block_end(const struct tile *tile, size_t i)
{
	size_t left = tile->pixels - i;
	size_t n = MOMENTS_BLOCK - (tile->first + i) % MOMENTS_BLOCK;

	return n < left ? n : left;
}

static void end_survey_block(struct frame_run *f)
{
	struct block_sums b;

	survey_block_sums(&f->survey, &b);
	moments_add_sums(&f->normalised, &b);
}

/* The same for a run of one block of moments.h, all at once, but for counting the codes. */
static void survey(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                   const char *raw, const struct tile *tile, size_t i, size_t n)
{
	size_t pixel = product_bytes(product_of_layout(p->layout));
	size_t first = tile->first + i;
	size_t group = group_of(tile, i);
	const struct survey_run run = {
		.t = s->t + i,
		.codes = s->codes + group * SURVEY_GROUP,
		.raw = raw + i * pixel,
		.offset = offset_at(p, s, tile, i),
		.gain = gain_at(p, s, tile, i),
		.bad = s->bad + group,
		.first = first,
		.n = n,
		.shift = f->normalised.shift,
		.map = &p->normalised_map,
		.saturation = p->can_saturate ? p->raw_saturation : UINT32_MAX,
		.ahead = is_native(p->layout) ? s->raw.at : raw,
	};

	prefetch(&s->planes[0], n, tile->pixels - i);
	prefetch(&s->planes[1], n, tile->pixels - i);
	if (is_native(p->layout))
		s->raw.at += n * pixel;
	else
		prefetch(&s->raw, n, tile->pixels - i);
	if (first % MOMENTS_BLOCK == 0)
		survey_begin_block(&f->survey);
	p->kernels.survey(&f->survey, &run);
	if ((first + n) % MOMENTS_BLOCK == 0)
		end_survey_block(f);
}

/* The first good pixels of a frame set the shift of the moments: one kernel after the other does
 * their blocks, and the survey what comes then. */
static void survey_tile(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                        const void *raw, const struct tile *tile)
{
	size_t i = 0, n, from;

	for (; i < tile->pixels && (f->normalised.held || moments_are_few(&f->normalised));
	     i += n) {
		n = to_block_end(tile, i);
		walk(p, s, f, raw, tile, i, n);
	}
	for (from = i; i < tile->pixels; i += n) {
		n = to_block_end(tile, i);
		survey(p, s, f, raw, tile, i, n);
	}
	if (from < tile->pixels)
		p->kernels.count_codes(
			f->code_counts, s->codes + group_of(tile, from) * SURVEY_GROUP,
			survey_groups(tile->first + from, tile->pixels - from) * SURVEY_GROUP);
}

/* Bin the tile. Returns the pixels to convert. */
static const float *bin_tile(const struct reduce_plan *p, struct scratch *s, uint32_t out_rows)
{
	if (p->bin == 1)
		return s->t;
	for (size_t y = 0; y < out_rows; y++)
		p->kernels.bin_rows(s->binned + y * p->out_width, s->t + y * p->bin * p->width,
		                    s->sum, s->count, p->width, p->bin);
	return s->binned;
}

static void write_reduced(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                          const struct reduce_job *job, const struct tile *tile)
{
	uint32_t out_rows = tile->rows / p->bin;
	size_t n = (size_t)out_rows * p->out_width;
	size_t first = (size_t)(tile->row / p->bin) * p->out_width;
	void *out = (char *)job->reduced + first * product_bytes(p->type);

	f->clipped += p->kernels.convert(out, bin_tile(p, s, out_rows), n, &p->window);
	f->reduced_crc32c = p->kernels.crc32c(f->reduced_crc32c, out, n * product_bytes(p->type));
}

static void reduce_tile(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                        const struct reduce_job *job, const struct tile *tile)
{
	const void *raw = unpack_tile(p, s, f, job, tile);

	if (p->kernels.survey)
		survey_tile(p, s, f, raw, tile);
	else
		walk(p, s, f, raw, tile, 0, tile->pixels);
	add_raw_histogram(p, s, f, raw, tile->pixels);
	if (!p->source_only)
		write_reduced(p, s, f, job, tile);
}

/* One tile of all frames; then, or at the start of the next tile, the first frame again. */
static void reduce_tiles(const struct reduce_plan *p, struct scratch *s,
                         const struct reduce_job *jobs, unsigned n, const struct tile *tile)
{
	s->t = s->groups + tile->first % SURVEY_GROUP;
	if (p->kernels.survey)
		p->kernels.survey_bad(s->bad, gain_at(p, s, tile, 0), tile->first, tile->pixels);
	for (unsigned i = 0; i < n; i++) {
		look_ahead(p, s, jobs, i, n, tile);
		reduce_tile(p, s, &s->runs[i], &jobs[i], tile);
	}
}

static void fill_planes(const struct reduce_plan *p, struct scratch *s)
{
	size_t tile = (size_t)p->tile_rows * p->width;

	if (!p->offset)
		memset(s->offset, 0, tile * sizeof *s->offset);
	for (size_t i = 0; !p->gain && i < tile; i++)
		s->gain[i] = 1;
}

static void frame_begin(const struct reduce_plan *p, struct frame_run *f, uint32_t *tables,
                        uint64_t *counts)
{
	survey_begin(&f->survey);
	moments_begin(&f->raw_floats);
	moments_begin(&f->normalised);
	f->raw_tails = f->normalised_tails = (struct histogram_tails){ 0 };
	f->saturated = f->clipped = 0;
	f->reduced_crc32c = f->source_crc32c = 0;
	f->raw_tables = tables;
	f->normalised_tables = tables + histogram_tables_size(p->raw_tables);
	f->code_counts = counts;
	memset(tables, 0, tables_per_frame(p) * sizeof *tables);
	memset(counts, 0, codes_per_frame(p) * sizeof *counts);
}

static void raw_moments_end(const struct reduce_plan *p, struct frame_run *f, struct reduction *ret)
{
	if (p->kernels.raw_sums) {
		survey_gather_raw(&f->survey);
		raw_moments_finish(&f->survey.raw, &ret->raw);
		ret->saturated = p->can_saturate ? f->survey.raw.saturated : 0;
		return;
	}
	moments_finish(&f->raw_floats, p->kernels.moments, &ret->raw);
	ret->saturated = f->saturated;
}

/* What the survey knows goes where the other kernels put it. */
static void end_survey(const struct reduce_plan *p, struct frame_run *f)
{
	size_t pixels = (size_t)p->width * p->height;
	struct block_sums extremes = { .min = INFINITY, .max = -INFINITY };

	if (pixels % MOMENTS_BLOCK && !f->normalised.held && f->survey.good)
		end_survey_block(f);
	survey_extremes(&f->survey, &extremes.min, &extremes.max);
	f->normalised.min = fminf(f->normalised.min, extremes.min);
	f->normalised.max = fmaxf(f->normalised.max, extremes.max);
	f->normalised_tails.below += f->survey.tails.below;
	f->normalised_tails.above += f->survey.tails.above;
	f->normalised_tails.nan += f->survey.tails.nan;
	for (size_t i = 0; i < CODE_COUNTS; i++) /* more than there are bins are 0 */
		f->normalised_tables[i % 256] += (uint32_t)f->code_counts[i];
	f->normalised_tables[0] -= (uint32_t)f->survey.absent;
}

static void frame_end(const struct reduce_plan *p, struct frame_run *f,
                      const struct reduce_job *job)
{
	struct reduction *r = job->result;

	if (p->kernels.survey)
		end_survey(p, f);
	moments_finish(&f->normalised, p->kernels.moments, &r->normalised);
	raw_moments_end(p, f, r);
	r->good = f->normalised.good;
	r->bad = (uint64_t)p->width * p->height - r->good;
	r->clipped = f->clipped;
	r->raw_tails = f->raw_tails;
	r->normalised_tails = f->normalised_tails;
	r->reduced_crc32c = p->source_only ? f->source_crc32c : f->reduced_crc32c;
	r->source_crc32c = p->keep_source ? f->source_crc32c : 0;
	if (p->raw_bins.bins)
		histogram_fold(job->raw_counts, f->raw_tables, p->raw_tables, &f->raw_tails,
		               p->raw_bins.bins);
	histogram_fold(job->normalised_counts, f->normalised_tables, p->normalised_tables,
	               &f->normalised_tails, p->normalised_bins.bins);
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
	if (!bin_map_init_flat(&p->normalised_map, &p->normalised_bins))
		return false;
	p->normalised_tables = histogram_tables_for(p->normalised_bins.bins);
	return true;
}

bool reduce_plan_init(struct reduce_plan *p)
{
	struct scratch_layout layout;

	if (!shape_init(p) || !type_init(p) || !histograms_init(p))
		return false;
	saturation_init(p);
	kernels_init(p);
	tile_init(p);
	hand_init(p);
	scratch_lay_out(p, &layout);
	p->scratch_bytes = layout.bytes;
	return true;
}

void reduce_hand(const struct reduce_plan *p, void *scratch, const struct reduce_job *jobs,
                 unsigned n)
{
	struct scratch s;

	scratch_open(p, scratch, &s);
	fill_planes(p, &s);
	for (unsigned i = 0; i < n; i++)
		frame_begin(p, &s.runs[i], s.tables + i * tables_per_frame(p),
		            s.counts + i * codes_per_frame(p));
	for (uint32_t row = 0; row < p->height; row += p->tile_rows) {
		uint32_t left = p->height - row;
		struct tile tile = { .row = row,
			             .rows = left < p->tile_rows ? left : p->tile_rows };

		tile.first = (size_t)row * p->width;
		tile.pixels = (size_t)tile.rows * p->width;
		reduce_tiles(p, &s, jobs, n, &tile);
	}
	for (unsigned i = 0; i < n; i++)
		frame_end(p, &s.runs[i], &jobs[i]);
}
