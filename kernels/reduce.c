/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/reduce.h"

#include "kernels/cpu.h"

#include <math.h>
#include <string.h>

#define CACHE_LINE 64
unsigned reduce_opt;

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
	void *next_reduced; unsigned frame;
	const char *ahead; /* not yet prefetched, */
	size_t ahead_lines;
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

/* Start fetching the next `share`-th of what is read next. Each hop to another frame would
 * otherwise find its tile in memory: the hardware follows one stream. */
static void prefetch(struct scratch *s, size_t share)
{
	size_t lines = (s->ahead_lines + share - 1) / share;

	for (size_t i = 0; i < lines; i++)
		__builtin_prefetch(s->ahead + i * CACHE_LINE);
	s->ahead += lines * CACHE_LINE;
	s->ahead_lines -= lines;
}

static void aim(struct scratch *s, const struct reduce_plan *p, const struct reduce_job *job,
                size_t first, size_t pixels)
{
	s->ahead = (const char *)job->raw + raw_layout_bytes(p->layout, first);
	s->ahead_lines = (raw_layout_bytes(p->layout, pixels) + CACHE_LINE - 1) / CACHE_LINE;
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
	prefetch(s, 3);
	add_raw_moments(p, s, f, raw, t, n);
	moments_add(&f->normalised, p->kernels.moments, t, n);
	prefetch(s, 2);
	add_normalised_histogram(p, s, f, t, n);
	prefetch(s, 1);
}

static void end_survey_block(struct frame_run *f)
{
	struct block_sums b;

	survey_block_sums(&f->survey, &b);
	moments_add_sums(&f->normalised, &b);
}

/* The same for a run of one block of moments.h, all at once. */
static void survey(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                   const char *raw, const struct tile *tile, size_t i, size_t n)
{
	size_t pixel = product_bytes(product_of_layout(p->layout));
	size_t first = tile->first + i;
	size_t group = first / SURVEY_GROUP - tile->first / SURVEY_GROUP;
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
		.ahead = reduce_opt & 8 ? raw + i * pixel : s->ahead,
	};

	if (first % MOMENTS_BLOCK == 0)
		survey_begin_block(&f->survey);
	p->kernels.survey(&f->survey, &run);
	s->ahead += n * pixel;
	if ((first + n) % MOMENTS_BLOCK == 0)
		end_survey_block(f);
	if (!(reduce_opt & 2))
		p->kernels.count_codes(f->code_counts, run.codes,
		                       survey_groups(first, n) * SURVEY_GROUP);
	if (reduce_opt & 4) {
		size_t all = tile->pixels * 8 / CACHE_LINE, share = all / 8;
		size_t a = share * i / tile->pixels, b = share * (i + n) / tile->pixels;
		for (size_t l = a; l < b; l++) {
			size_t line = s->frame * share + l;
			const char *at = line < all / 2 ? (const char *)(p->offset + tile->first + tile->pixels) + line * 64 : (const char *)(p->gain + tile->first + tile->pixels) + (line - all / 2) * 64;
			__builtin_prefetch(at, 0, 2);
		}
	}
}

/* The first good pixels of a frame set the shift of the moments: one kernel after the other does
 * their blocks, and the survey what comes then. */
static void survey_tile(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                        const void *raw, const struct tile *tile)
{
	size_t start = SIZE_MAX;

	for (size_t i = 0, n; i < tile->pixels; i += n) {
		size_t left = tile->pixels - i;

		n = MOMENTS_BLOCK - (tile->first + i) % MOMENTS_BLOCK;
		n = n < left ? n : left;
		if (f->normalised.held || moments_are_few(&f->normalised))
			walk(p, s, f, raw, tile, i, n);
		else {
			if (start == SIZE_MAX)
				start = i;
			survey(p, s, f, raw, tile, i, n);
		}
	}
	if ((reduce_opt & 2) && start != SIZE_MAX) {
		size_t group = (tile->first + start) / SURVEY_GROUP - tile->first / SURVEY_GROUP;
		p->kernels.count_codes(f->code_counts, s->codes + group * SURVEY_GROUP,
		                       survey_groups(tile->first + start, tile->pixels - start) * SURVEY_GROUP);
	}
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

	for (size_t i = 0; (reduce_opt & 1) && i < n * product_bytes(p->type); i += CACHE_LINE)
		__builtin_prefetch((char *)s->next_reduced + first * product_bytes(p->type) + i, 1);
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
	size_t end = tile->first + tile->pixels;
	size_t left = (size_t)p->width * p->height - end;
	size_t next = left < tile->pixels ? left : tile->pixels;

	s->t = s->groups + tile->first % SURVEY_GROUP;
	if (p->kernels.survey)
		p->kernels.survey_bad(s->bad, gain_at(p, s, tile, 0), tile->first, tile->pixels);
	for (unsigned i = 0; i < n; i++) {
		if (i + 1 < n)
			aim(s, p, &jobs[i + 1], tile->first, tile->pixels);
		else
			aim(s, p, &jobs[0], end, next);
		s->frame = i; s->next_reduced = jobs[(i + 1) % n].reduced;
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
