/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/phantom.h"

#include "bench/normals.h"
#include "bench/phantom_camera.h"
#include "bench/phantom_sample.h"
#include "bench/prng.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_NORMALS = 101, STREAM_SAMPLE, STREAM_EXPOSURE };

struct phantom {
	struct phantom_options options;
	struct normals normals;
	struct camera camera;
	struct sample sample;
	float *transmission; /* of the row in work [width] */
	float *counts;       /* of the row in work [width] */
};

int phantom_open(struct phantom **ret, const struct phantom_options *o)
{
	struct phantom *p = calloc(1, sizeof *p);
	int err;

	if (!p)
		return -ENOMEM;
	p->options = *o;
	err = normals_open(&p->normals, prng_stream(o->seed, STREAM_NORMALS), o->width);
	if (err)
		goto fail;
	err = camera_open(&p->camera, o, &p->normals);
	if (err)
		goto fail;
	err = sample_open(&p->sample, o->width, o->height, prng_stream(o->seed, STREAM_SAMPLE));
	if (err)
		goto fail;
	p->transmission = malloc(o->width * sizeof *p->transmission);
	p->counts = malloc(o->width * sizeof *p->counts);
	err = -ENOMEM;
	if (!p->transmission || !p->counts)
		goto fail;
	*ret = p;
	return 0;

fail:
	phantom_close(p);
	return err;
}

void phantom_close(struct phantom *p)
{
	if (!p)
		return;
	normals_close(&p->normals);
	camera_close(&p->camera);
	sample_close(&p->sample);
	free(p->transmission);
	free(p->counts);
	free(p);
}

/* Where in its turn an exposure is, radians. */
static double angle_of(const struct phantom *p, uint64_t index)
{
	return 2.0 * M_PI * (double)(index % p->options.turn) / p->options.turn;
}

/* The beam loses and regains intensity and tilts up and down; the mean over a turn is 1. */
static float beam_at(const struct phantom *p, double angle, uint32_t y)
{
	double v = (y + 0.5) / p->options.height - 0.5;

	return (float)(1.0 + 0.008 * sin(angle) + 0.006 * v * cos(angle));
}

/* One row of counts before rounding. */
static void expose(const struct camera *c, size_t at, const float *restrict t, float beam,
                   const float *restrict normal, float *restrict ret_counts, uint32_t width)
{
	const float *restrict dark = c->dark + at;
	const float *restrict light = c->light + at;
	float per_photon = c->counts_per_photon, variance = c->read_variance, full = c->full;

	for (uint32_t x = 0; x < width; x++) {
		float signal = light[x] * t[x] * beam;
		float v = dark[x] + signal + normal[x] * sqrtf(signal * per_photon + variance);

		v = v > 0.0f ? v : 0.0f;
		ret_counts[x] = v < full ? v : full;
	}
}

static void round_counts(float *counts, uint32_t width)
{
	for (uint32_t x = 0; x < width; x++)
		counts[x] = (float)(int32_t)(counts[x] + 0.5f);
}

/* Counts of row y as floats, rounded where the type is an integer. The sample stands turned. */
static void render_row(struct phantom *p, enum phantom_kind kind, uint64_t noise, double angle,
                       uint32_t y)
{
	uint32_t width = p->options.width;
	float beam = kind == PHANTOM_DARK ? 0.0f : beam_at(p, angle, y);

	if (kind == PHANTOM_SAMPLE)
		sample_row(&p->sample, y, p->transmission);
	expose(&p->camera, (size_t)y * width, p->transmission, beam,
	       normals_row(&p->normals, noise, y), p->counts, width);
	if (p->options.type != PIXEL_FLOAT32)
		round_counts(p->counts, width);
}

/* Ready the scene for an exposure; returns the stream its noise is drawn from. */
static uint64_t begin_exposure(struct phantom *p, enum phantom_kind kind, double angle,
                               uint64_t index)
{
	if (kind == PHANTOM_SAMPLE)
		sample_turn(&p->sample, angle);
	else
		for (uint32_t x = 0; x < p->options.width; x++)
			p->transmission[x] = 1.0f;
	return prng_stream(prng_stream(p->options.seed, STREAM_EXPOSURE + (unsigned)kind), index);
}

static void store_row(enum pixel_type type, const float *restrict counts, void *ret_pixels,
                      size_t at, uint32_t width)
{
	uint8_t *u8 = (uint8_t *)ret_pixels + at;
	uint16_t *u16 = (uint16_t *)ret_pixels + at;
	uint32_t *u32 = (uint32_t *)ret_pixels + at;

	switch (type) {
	case PIXEL_UINT8:
		for (uint32_t x = 0; x < width; x++)
			u8[x] = (uint8_t)(int32_t)counts[x];
		return;
	case PIXEL_UINT16:
		for (uint32_t x = 0; x < width; x++)
			u16[x] = (uint16_t)(int32_t)counts[x];
		return;
	case PIXEL_UINT32:
		for (uint32_t x = 0; x < width; x++)
			u32[x] = (uint32_t)(int32_t)counts[x];
		return;
	case PIXEL_FLOAT32:
	case PIXEL_TYPE_COUNT:
		memcpy((float *)ret_pixels + at, counts, width * sizeof *counts);
	}
}

/* Stray radiation that hits the sensor: about two pixels of a million, saturated. */
static void add_stray_hits(struct phantom *p, uint64_t noise, void *pixels)
{
	size_t count = (size_t)p->options.width * p->options.height;
	uint64_t state = prng_stream(noise, UINT64_MAX);
	double expected = (double)count * 2e-6;
	unsigned hits = (unsigned)(expected + prng_unit(&state));

	for (unsigned i = 0; i < hits; i++)
		store_row(p->options.type, &p->camera.full, pixels, prng_below(&state, count), 1);
}

static void stick_dead_pixels(struct phantom *p, void *pixels)
{
	for (size_t i = 0; i < p->camera.defect_count; i++) {
		const struct phantom_defect *d = &p->camera.defects[i];

		if (d->kind == DEFECT_DEAD)
			store_row(p->options.type, &d->value, pixels, d->at, 1);
	}
}

void phantom_frame(struct phantom *p, enum phantom_kind kind, uint64_t index, void *ret_pixels)
{
	double angle = angle_of(p, index);
	uint64_t noise = begin_exposure(p, kind, angle, index);
	uint32_t width = p->options.width;

	for (uint32_t y = 0; y < p->options.height; y++) {
		render_row(p, kind, noise, angle, y);
		store_row(p->options.type, p->counts, ret_pixels, (size_t)y * width, width);
	}
	if (kind != PHANTOM_DARK)
		add_stray_hits(p, noise, ret_pixels);
	stick_dead_pixels(p, ret_pixels);
}

/* Sums of up to 256 counts below 2^24 / 256 are exact in float32; above, rounding is far below
 * the noise that remains in the mean. */
void phantom_mean(struct phantom *p, enum phantom_kind kind, unsigned frames, float *ret_mean)
{
	uint32_t width = p->options.width;
	size_t pixels = (size_t)width * p->options.height;

	memset(ret_mean, 0, pixels * sizeof *ret_mean);
	for (unsigned i = 0; i < frames; i++) {
		double angle = 2.0 * M_PI * i / frames;
		uint64_t noise = begin_exposure(p, kind, angle, UINT64_MAX - i);

		for (uint32_t y = 0; y < p->options.height; y++) {
			float *sum = ret_mean + (size_t)y * width;

			render_row(p, kind, noise, angle, y);
			for (uint32_t x = 0; x < width; x++)
				sum[x] += p->counts[x];
		}
	}
	for (size_t i = 0; i < pixels; i++)
		ret_mean[i] /= (float)frames;
	for (size_t i = 0; i < p->camera.defect_count; i++)
		if (p->camera.defects[i].kind == DEFECT_DEAD)
			ret_mean[p->camera.defects[i].at] = p->camera.defects[i].value;
}

void phantom_transmission(struct phantom *p, uint64_t index, uint32_t y, float *ret_t)
{
	sample_turn(&p->sample, angle_of(p, index));
	sample_row(&p->sample, y, ret_t);
}

const struct phantom_defect *phantom_defects(const struct phantom *p, size_t *ret_count)
{
	*ret_count = p->camera.defect_count;
	return p->camera.defects;
}

const float *phantom_dark(const struct phantom *p)
{
	return p->camera.dark;
}
