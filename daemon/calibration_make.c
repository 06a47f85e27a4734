/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/calibration_make.h"

#include "daemon/huge.h"
#include "kernels/combine.h"
#include "kernels/nanmedian.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TILE_BYTES     ((size_t)8 << 20) /* of all frames together, or one row of each */
#define ROUNDING       1e-6
#define SIGMAS_PER_MAD 1.4826 /* of a normal distribution */

struct work {
	const struct calibration_frames *frames;
	const struct calibration_wish *wish;
	struct calibration_made *made;
	size_t row_bytes, pixels;
	void *helper;        /* unpacked rows, later a plane of float32 */
	double *means;       /* [count], */
	double *sorted;      /* [count] */
	unsigned *used;      /* frames that remain [made->used] */
	const void **places; /* their rows in the helper [count] */
};

__attribute__((format(printf, 2, 3))) static int refuse(struct work *w, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(w->made->why, sizeof w->made->why, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static const char *role(const struct work *w)
{
	return w->wish->flat ? "flat" : "dark";
}

static size_t frame_pixels(const struct calibration_frames *f)
{
	return (size_t)f->width * f->height;
}

/* Rows that fit the helper, of so many frames at once. */
static uint32_t tile_rows(const struct calibration_frames *f, unsigned frames)
{
	size_t row = (size_t)f->width * product_bytes(f->type) * frames;
	size_t rows = TILE_BYTES / row;

	return rows == 0 ? 1 : rows < f->height ? (uint32_t)rows : f->height;
}

static size_t helper_bytes(const struct calibration_frames *f)
{
	size_t row = (size_t)f->width * product_bytes(f->type);
	size_t tile = row * f->count > TILE_BYTES ? row * f->count : TILE_BYTES;
	size_t plane = frame_pixels(f) * sizeof(float);

	return tile > plane ? tile : plane;
}

size_t calibration_make_bytes(const struct calibration_frames *f)
{
	return helper_bytes(f) + frame_pixels(f) * (2 * sizeof(float) + 1) +
	       f->count * (2 * sizeof(double) + sizeof(unsigned) + sizeof(void *) +
	                   sizeof(struct calibration_left_out));
}

static int work_open(struct work *w)
{
	unsigned count = w->frames->count;
	struct calibration_made *m = w->made;

	w->pixels = frame_pixels(w->frames);
	w->row_bytes = (size_t)w->frames->width * product_bytes(w->frames->type);
	w->helper = huge_alloc(helper_bytes(w->frames));
	w->means = malloc(count * sizeof *w->means);
	w->sorted = malloc(count * sizeof *w->sorted);
	w->used = malloc(count * sizeof *w->used);
	w->places = malloc(count * sizeof *w->places);
	m->image = huge_alloc(w->pixels * sizeof *m->image);
	m->variance = huge_alloc(w->pixels * sizeof *m->variance);
	m->found = calloc(w->pixels, sizeof *m->found);
	m->left_out = malloc(count * sizeof *m->left_out);
	m->width = w->frames->width;
	m->height = w->frames->height;
	if (w->helper && w->means && w->sorted && w->used && w->places && m->image && m->variance &&
	    m->found && m->left_out)
		return 0;
	snprintf(m->why, sizeof m->why, "no memory to make a %s of %u frames, %zu bytes", role(w),
	         count, calibration_make_bytes(w->frames));
	return -ENOMEM;
}

static void work_close(struct work *w)
{
	free(w->helper);
	free(w->means);
	free(w->sorted);
	free(w->used);
	free(w->places);
}

static struct combine_stack stack_of(const struct work *w, const void *const *frames,
                                     unsigned count)
{
	return (struct combine_stack){ .frames = frames,
		                       .count = count,
		                       .type = w->frames->type,
		                       .has_no_value = w->frames->has_no_value,
		                       .no_value = w->frames->no_value };
}

static double mean_of_frame(struct work *w, unsigned frame)
{
	const struct calibration_frames *f = w->frames;
	struct combine_stack s = stack_of(w, NULL, 1);
	uint32_t rows = tile_rows(f, 8); /* a part of the helper that stays in the cache */
	struct frame_sum sum = { 0 };

	for (uint32_t y = 0; y < f->height; y += rows) {
		uint32_t n = f->height - y < rows ? f->height - y : rows;

		f->rows(f->user, frame, y, n, w->helper);
		for (uint32_t i = 0; i < n; i++)
			frame_sum_add(&sum, (char *)w->helper + i * w->row_bytes, &s, f->width);
	}
	return frame_sum_mean(&sum, f->type);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median_of(double *values, size_t n)
{
	qsort(values, n, sizeof *values, compare);
	return n == 0 ? NAN : n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* A difference that means something; counts of float32 may be of any scale. */
static double one_count(const struct work *w)
{
	return w->frames->type == PRODUCT_FLOAT32 ? 0 : 1;
}

/* The median of the means, and their MAD. */
static double middle_of_means(struct work *w, double *ret_mad)
{
	double median;
	size_t n = 0;

	for (unsigned i = 0; i < w->frames->count; i++)
		if (!isnan(w->means[i]))
			w->sorted[n++] = w->means[i];
	median = median_of(w->sorted, n);
	for (size_t i = 0; i < n; i++)
		w->sorted[i] = fabs(w->sorted[i] - median);
	*ret_mad = fmax(median_of(w->sorted, n), ROUNDING * fmax(fabs(median), one_count(w)));
	*ret_mad = fmax(*ret_mad, DBL_MIN);
	return median;
}

/* Share the frames out to those used and those left out. */
static int choose_frames(struct work *w)
{
	struct calibration_made *m = w->made;
	unsigned count = w->frames->count;
	double median, mad;

	for (unsigned i = 0; i < count; i++)
		w->means[i] = mean_of_frame(w, i);
	median = middle_of_means(w, &mad);
	for (unsigned i = 0; i < count; i++) {
		double away = fabs(w->means[i] - median) / mad;

		if (away <= CALIBRATION_DEVIATIONS)
			w->used[m->used++] = i;
		else
			m->left_out[m->left_out_count++] = (struct calibration_left_out){
				.frame = w->frames->numbers[i],
				.mean = w->means[i],
				.deviations = isnan(away) ? INFINITY : away,
			};
	}
	if (m->used == 0 || m->used < count - m->used)
		return refuse(w,
		              "only %u of %u frames are fit for a %s, the others have another "
		              "mean or no value: take it again when the beam is steady",
		              m->used, count, role(w));
	m->first = w->frames->numbers[w->used[0]];
	m->last = w->frames->numbers[w->used[m->used - 1]];
	return 0;
}

static void combine_rows(struct work *w, uint32_t row, uint32_t rows)
{
	const struct calibration_frames *f = w->frames;
	struct calibration_made *m = w->made;
	size_t at = (size_t)row * f->width, n = (size_t)rows * f->width;
	struct combine_stack s = stack_of(w, w->places, m->used);

	for (unsigned i = 0; i < m->used; i++) {
		char *place = (char *)w->helper + i * rows * w->row_bytes;

		f->rows(f->user, w->used[i], row, rows, place);
		w->places[i] = place;
	}
	combine_moments(m->image + at, m->variance + at, &s, n);
	if (w->wish->combine == COMBINE_MEDIAN)
		combine_median(m->image + at, &s, n);
}

static void combine_frames(struct work *w)
{
	uint32_t height = w->frames->height, rows = tile_rows(w->frames, w->made->used);

	for (uint32_t y = 0; y < height; y += rows)
		combine_rows(w, y, height - y < rows ? height - y : rows);
}

/* Level and noise; the helper then holds the standard deviations. */
static int measure(struct work *w)
{
	struct calibration_made *m = w->made;
	float *std = w->helper;

	for (size_t i = 0; i < w->pixels; i++)
		std[i] = sqrtf(m->variance[i]);
	m->level = nanmedian(m->image, w->pixels);
	m->noise = nanmedian(std, w->pixels);
	if (!isfinite(m->level))
		return refuse(w, "no pixel of the %s has a value in all of its %u frames", role(w),
		              m->used);
	return 0;
}

static uint64_t mark_above(uint8_t *found, const float *values, double limit, unsigned flag,
                           size_t n)
{
	uint64_t count = 0;

	for (size_t i = 0; i < n; i++) {
		bool above = values[i] > limit;

		found[i] |= (uint8_t)(above ? flag : 0);
		count += above;
	}
	return count;
}

/* Not a number is below, too. */
static uint64_t mark_below(uint8_t *found, const float *values, double limit, size_t n)
{
	uint64_t count = 0;

	for (size_t i = 0; i < n; i++) {
		bool below = !(values[i] >= limit);

		found[i] |= (uint8_t)(below ? PIXEL_DEAD : 0);
		count += below;
	}
	return count;
}

/* A spread as a unit: of integers at least a count; float32 may be of any scale, and without a
 * spread no difference is a large one. */
static double unit_of(const struct work *w, double spread)
{
	if (w->frames->type != PRODUCT_FLOAT32)
		return fmax(spread, 1);
	return spread > 0 ? spread : INFINITY;
}

/* The helper holds the standard deviations. */
static void find_in_dark(struct work *w)
{
	const struct calibration_wish *wish = w->wish;
	struct calibration_made *m = w->made;
	float *values = w->helper;
	double spread;

	if (wish->noisy > 0)
		m->noisy = mark_above(m->found, values, wish->noisy * unit_of(w, m->noise),
		                      PIXEL_NOISY, w->pixels);
	memcpy(values, m->image, w->pixels * sizeof *values);
	spread = SIGMAS_PER_MAD * nanmedian_deviation(values, m->level, w->pixels);
	if (wish->hot > 0)
		m->hot = mark_above(m->found, m->image, m->level + wish->hot * unit_of(w, spread),
		                    PIXEL_HOT, w->pixels);
	m->dead = mark_below(m->found, m->image, -INFINITY, w->pixels);
}

/* above - below into the helper; its median. */
static double difference(struct work *w, const float *above, const float *below)
{
	float *values = w->helper;

	for (size_t i = 0; i < w->pixels; i++)
		values[i] = above[i] - (below ? below[i] : 0);
	return nanmedian(values, w->pixels);
}

/* What light must exceed to be told from its absence. */
static double least_light(const struct work *w)
{
	return fmax(one_count(w), 2 * w->made->noise / sqrt(w->made->used));
}

static int finish_flat(struct work *w)
{
	struct calibration_made *m = w->made;
	double response, dead = w->wish->dead;

	if (m->level >= w->wish->saturation)
		return refuse(w,
		              "the flat is saturated: half of its pixels or more have %.6g counts, "
		              "and saturation is at %.6g; take it with less light or exposure",
		              m->level, w->wish->saturation);
	response = difference(w, m->image, w->wish->dark);
	if (!(response > least_light(w)))
		return refuse(w,
		              "the flat is not brighter than the dark: %.6g counts, of which %.6g "
		              "are above the dark; was the shutter closed?",
		              m->level, response);
	m->dead =
		mark_below(m->found, w->helper, dead > 0 ? dead * response : -INFINITY, w->pixels);
	return 0;
}

static int finish_dark(struct work *w)
{
	double light;

	find_in_dark(w);
	if (!w->wish->flat_in_use)
		return 0;
	light = difference(w, w->wish->flat_in_use, w->made->image);
	if (!(light > least_light(w)))
		return refuse(w,
		              "the dark is as bright as the flat in use: %.6g counts, which the "
		              "flat exceeds by %.6g; is the shutter open?",
		              w->made->level, light);
	return 0;
}

static int make(struct work *w)
{
	int err = work_open(w);

	if (err == 0)
		err = choose_frames(w);
	if (err < 0)
		return err;
	combine_frames(w);
	err = measure(w);
	if (err < 0)
		return err;
	return w->wish->flat ? finish_flat(w) : finish_dark(w);
}

int calibration_make(struct calibration_made *ret, const struct calibration_frames *frames,
                     const struct calibration_wish *wish)
{
	struct calibration_made made = { 0 };
	struct work w = { .frames = frames, .wish = wish, .made = &made };
	int err;

	if (frames->count == 0 || frames->count > COMBINE_FRAMES_MAX || frame_pixels(frames) == 0)
		err = refuse(&w, "a %s is made of 1 to %u frames that have pixels, not of %u",
		             role(&w), COMBINE_FRAMES_MAX, frames->count);
	else
		err = make(&w);
	work_close(&w);
	*ret = made;
	if (err < 0) {
		calibration_made_done(ret);
		memcpy(ret->why, made.why, sizeof made.why);
	}
	return err;
}

void calibration_made_done(struct calibration_made *m)
{
	free(m->image);
	free(m->variance);
	free(m->found);
	free(m->left_out);
	*m = (struct calibration_made){ 0 };
}
