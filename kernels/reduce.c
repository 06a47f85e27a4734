/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/reduce_scratch.h"

#include <math.h>
#include <string.h>

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
	const char *raw = jobs[last ? 0 : i + 1].raw; /* NULL with ports */
	size_t pixel = payload_pixel(p, last ? tile->row + tile->rows : tile->row);
	size_t bytes = raw_layout_bytes(p->layout, last ? next : tile->pixels);

	s->raw = s->planes[0] = s->planes[1] = (struct ahead){ 0 };
	if (p->payload_width == p->width && !p->port_columns)
		s->raw = ahead_part(raw + raw_layout_bytes(p->layout, pixel), bytes, 0, 1);
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
	void *unpacked = p->source_only        ? (char *)job->reduced + from
	                 : p->keep_source      ? (char *)job->source + from
	                 : !reduce_in_place(p) ? s->native
	                                       : NULL;

	if (!unpacked)
		return (const char *)job->raw + payload_pixel(p, tile->row) * pixel;
	unpack_rows(p, unpacked, job, tile);
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

static void count_values(const struct reduce_plan *p, struct frame_run *f, const uint8_t *raw,
                         size_t n)
{
	size_t whole = n / 64 * 64;

	p->kernels.count_codes(f->value_counts, raw, whole);
	for (size_t i = whole; i < n; i++)
		f->value_counts[raw[i]]++;
}

static void add_raw_histogram(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                              const void *raw, size_t n)
{
	if (p->raw_bins.bins == 0)
		return;
	if (p->raw_by_value) {
		count_values(p, f, raw, n);
		return;
	}
	if (p->raw_by_shift) {
		p->kernels.count_index(f->raw_tables, p->raw_tables, raw, p->raw_map.shift, n);
		return;
	}
	p->kernels.bin_raw(s->index, &f->raw_tails, raw, n, &p->raw_map);
	p->kernels.count_index(f->raw_tables, p->raw_tables, s->index, 0, n);
}

static void add_normalised_histogram(const struct reduce_plan *p, struct scratch *s,
                                     struct frame_run *f, const float *t, size_t n)
{
	if (p->kernels.bin_codes) {
		size_t padded = (n + 63) / 64 * 64;

		p->kernels.bin_codes(s->codes, &f->normalised_tails, t, n, &p->normalised_map);
		p->kernels.count_codes(f->code_counts, s->codes, padded);
		f->survey.absent += padded - n;
		return;
	}
	p->kernels.bin_flat(s->index, &f->normalised_tails, t, n, &p->normalised_map);
	p->kernels.count_index(f->normalised_tables, p->normalised_tables, s->index, 0, n);
}

/* Pixels i to i + n of the tile, one kernel after the other. */
static void walk(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                 const struct reduce_job *job, const char *raw, const struct tile *tile, size_t i,
                 size_t n)
{
	size_t pixel = product_bytes(product_of_layout(p->layout));
	float *t = s->t + i;

	raw += i * pixel;
	p->kernels.flatten(t, raw, offset_at(p, s, tile, i), gain_at(p, s, tile, i), n);
	if (p->kernels.invalidate)
		p->kernels.invalidate(t, raw, p->no_value, n);
	if (lacks_a_port(p, job))
		mark_missing_ports(p, t, job, tile, i, n);
	if (p->kernels.scale)
		p->kernels.scale(t, s->scale, n);
	if (p->attenuation) {
		p->kernels.attenuable(t, n);
		p->kernels.attenuate(s->attenuation + i, t, n);
		t = s->attenuation + i;
	}
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
		.bad = s->in_use + group,
		.first = first,
		.n = n,
		.shift = f->normalised.shift,
		.scale = s->scale,
		.map = &p->normalised_map,
		.saturation = p->can_saturate ? p->raw_saturation : UINT32_MAX,
		.ahead = s->raw.lines ? s->raw.at : raw,
	};

	prefetch(&s->planes[0], n, tile->pixels - i);
	prefetch(&s->planes[1], n, tile->pixels - i);
	s->raw.at += raw_layout_bytes(p->layout, n);
	if (first % MOMENTS_BLOCK == 0)
		survey_begin_block(&f->survey);
	p->kernels.survey(&f->survey, &run);
	if ((first + n) % MOMENTS_BLOCK == 0)
		end_survey_block(f);
}

/* The first good pixels of a frame set the shift of the moments: one kernel after the other does
 * their blocks, and the survey what comes then. */
static void survey_tile(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                        const struct reduce_job *job, const void *raw, const struct tile *tile)
{
	size_t i = 0, n, from;

	for (; i < tile->pixels && (f->normalised.held || moments_are_few(&f->normalised));
	     i += n) {
		n = to_block_end(tile, i);
		walk(p, s, f, job, raw, tile, i, n);
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

/* Which pixels of the tile are bad in this frame, for the survey. */
static void mark_bad(const struct reduce_plan *p, struct scratch *s, const struct reduce_job *job,
                     const void *raw, const struct tile *tile)
{
	bool lacks = lacks_a_port(p, job);

	s->in_use = p->has_no_value || lacks ? s->marked : s->bad;
	if (p->has_no_value)
		p->kernels.survey_mark(s->marked, s->bad, raw, p->no_value, tile->first,
		                       tile->pixels);
	else if (lacks)
		memcpy(s->marked, s->bad,
		       survey_groups(tile->first, tile->pixels) * sizeof *s->marked);
	if (lacks)
		mark_missing_bits(p, s->marked, job, tile);
}

static void reduce_tile(const struct reduce_plan *p, struct scratch *s, struct frame_run *f,
                        const struct reduce_job *job, const struct tile *tile)
{
	const void *raw = unpack_tile(p, s, f, job, tile);

	s->scale = f->scale;
	if (p->kernels.survey)
		mark_bad(p, s, job, raw, tile);
	if (p->kernels.survey)
		survey_tile(p, s, f, job, raw, tile);
	else
		walk(p, s, f, job, raw, tile, 0, tile->pixels);
	add_raw_histogram(p, s, f, raw, tile->pixels);
	if (p->region_count)
		regions_add(p, s, f, raw, p->attenuation ? s->attenuation : s->t, tile);
	if (!p->source_only && !p->averaged)
		reduce_product(p, s, f, job, tile);
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

void fill_planes(const struct reduce_plan *p, struct scratch *s)
{
	size_t tile = (size_t)p->tile_rows * p->width;

	if (!p->offset)
		memset(s->offset, 0, tile * sizeof *s->offset);
	for (size_t i = 0; !p->gain && i < tile; i++)
		s->gain[i] = 1;
}

static void frame_begin(const struct reduce_plan *p, struct scratch *s, unsigned i)
{
	struct frame_run *f = &s->runs[i];
	uint32_t *tables = s->tables + i * tables_per_frame(p);
	uint64_t *counts = s->counts + i * codes_per_frame(p);

	survey_begin(&f->survey);
	moments_begin(&f->raw_floats);
	moments_begin(&f->normalised);
	f->raw_tails = f->normalised_tails = (struct histogram_tails){ 0 };
	f->saturated = f->clipped = 0;
	f->reduced_crc32c = f->source_crc32c = 0;
	f->raw_tables = tables;
	f->normalised_tables = tables + histogram_tables_size(p->raw_tables);
	f->code_counts = counts;
	f->value_counts = counts + (p->kernels.bin_codes ? CODE_COUNTS : 0);
	f->regions = s->regions + i * p->region_count;
	f->region_floats = s->region_floats + i * p->region_count;
	memset(tables, 0, tables_per_frame(p) * sizeof *tables);
	memset(counts, 0, codes_per_frame(p) * sizeof *counts);
	regions_begin(p, f);
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
}

static void fold_codes(struct frame_run *f)
{
	for (size_t i = 0; i < CODE_COUNTS; i++) /* more than there are bins are 0 */
		f->normalised_tables[i % 256] += (uint32_t)f->code_counts[i];
	f->normalised_tables[0] -= (uint32_t)f->survey.absent;
}

static void fold_values(const struct reduce_plan *p, struct frame_run *f)
{
	for (size_t i = 0; i < CODE_COUNTS; i++) {
		const struct histogram_tails *tails = &p->raw_values.tails[i % 256];
		uint64_t count = f->value_counts[i];

		f->raw_tables[p->raw_values.index[i % 256]] += (uint32_t)count;
		f->raw_tails.below += count * tails->below;
		f->raw_tails.above += count * tails->above;
	}
}

/* Counts and percentiles of both histograms. */
static void histograms_end(const struct reduce_plan *p, struct frame_run *f,
                           const struct reduce_job *job)
{
	struct reduction *r = job->result;

	r->raw_tails = f->raw_tails;
	r->normalised_tails = f->normalised_tails;
	histogram_fold(job->normalised_counts, f->normalised_tables, p->normalised_tables,
	               &f->normalised_tails, p->normalised_bins.bins);
	percentiles(r->percentiles, &p->normalised_bins, job->normalised_counts,
	            &f->normalised_tails, false);
	for (unsigned i = 0; i < PERCENTILES; i++)
		r->raw_percentiles[i] = NAN;
	if (p->raw_bins.bins == 0)
		return;
	histogram_fold(job->raw_counts, f->raw_tables, p->raw_tables, &f->raw_tails,
	               p->raw_bins.bins);
	percentiles(r->raw_percentiles, &p->raw_bins, job->raw_counts, &f->raw_tails, p->raw_whole);
}

static void frame_end(const struct reduce_plan *p, struct frame_run *f,
                      const struct reduce_job *job)
{
	struct reduction *r = job->result;

	if (p->kernels.survey)
		end_survey(p, f);
	if (p->kernels.bin_codes)
		fold_codes(f);
	if (p->raw_by_value)
		fold_values(p, f);
	moments_finish(&f->normalised, p->kernels.moments, &r->normalised);
	raw_moments_end(p, f, r);
	r->good = f->normalised.good;
	r->bad = (uint64_t)p->width * p->height - r->good;
	r->clipped = f->clipped;
	r->dose = f->dose;
	r->dose_applied = f->dose_applied;
	r->reduced_crc32c = p->source_only ? f->source_crc32c : f->reduced_crc32c;
	r->source_crc32c = p->keep_source ? f->source_crc32c : 0;
	histograms_end(p, f, job);
	regions_end(p, f, job->regions);
}

void reduce_hand(const struct reduce_plan *p, void *scratch, const struct reduce_job *jobs,
                 unsigned n)
{
	struct scratch s;

	scratch_open(p, scratch, &s);
	fill_planes(p, &s);
	find_doses(p, &s, jobs, n);
	for (unsigned i = 0; i < n; i++)
		frame_begin(p, &s, i);
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
