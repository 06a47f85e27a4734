/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/phantom_camera.h"

#include "bench/prng.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Streams of random numbers, one for each thing that is drawn. */
enum {
	STREAM_COLUMNS = 1,
	STREAM_OFFSET,
	STREAM_GAIN,
	STREAM_STRIPES,
	STREAM_DUST,
	STREAM_DEFECTS,
	STREAM_TEXTURE
};

#define OPEN_BEAM    0.70f    /* of full scale, in the middle */
#define DARK_LEVEL   0.015f   /* of full scale */
#define FULL_PHOTONS 30000.0f /* photons that fill a pixel */
#define READ_NOISE   0.0004f  /* of full scale, at least a third of a count */

/* A random number in [-1, 1] for each point of a lattice. */
static float lattice(uint64_t seed, uint64_t x, uint64_t y)
{
	uint64_t state = prng_stream(seed ^ (y << 32), x);

	return (float)(2.0 * prng_unit(&state) - 1.0);
}

/* Smooth random texture: lattice points every `cell` pixels, linear between them. */
static void add_texture(float *plane, const struct phantom_options *o, uint32_t cell,
                        float amplitude, uint64_t seed)
{
	for (uint32_t y = 0; y < o->height; y++) {
		float *row = plane + (size_t)y * o->width;
		uint64_t above = y / cell;
		float v = (float)(y % cell) / (float)cell;

		for (uint32_t x = 0; x < o->width; x += cell) {
			uint64_t left = x / cell;
			float a = (1 - v) * lattice(seed, left, above) +
			          v * lattice(seed, left, above + 1);
			float b = (1 - v) * lattice(seed, left + 1, above) +
			          v * lattice(seed, left + 1, above + 1);
			uint32_t run = o->width - x < cell ? o->width - x : cell;

			for (uint32_t i = 0; i < run; i++)
				row[x + i] += amplitude * (a + (b - a) * (float)i / (float)cell);
		}
	}
}

/* Gaussian in height as from a bending magnet, nearly flat in width. */
static void multiply_beam_profile(float *plane, const struct phantom_options *o)
{
	for (uint32_t y = 0; y < o->height; y++) {
		uint64_t state = prng_stream(prng_stream(o->seed, STREAM_STRIPES), y / 3);
		float v = ((float)y + 0.5f) / (float)o->height - 0.5f;
		float stripe = 1.0f + 0.02f * (float)(prng_unit(&state) - 0.5);
		float beam = OPEN_BEAM * stripe * expf(-v * v / (2.0f * 0.6f * 0.6f));
		float *row = plane + (size_t)y * o->width;

		for (uint32_t x = 0; x < o->width; x++) {
			float u = ((float)x + 0.5f) / (float)o->width - 0.5f;

			row[x] *= beam * (1.0f - 0.3f * u * u);
		}
	}
}

/* Each pixel's own gain, 1 % wide. */
static void multiply_pixel_gain(float *plane, const struct phantom_options *o,
                                const struct normals *n)
{
	for (uint32_t y = 0; y < o->height; y++) {
		const float *normal = normals_row(n, prng_stream(o->seed, STREAM_GAIN), y);
		float *row = plane + (size_t)y * o->width;

		for (uint32_t x = 0; x < o->width; x++)
			row[x] *= 1.0f + 0.01f * normal[x];
	}
}

static void shade_disc(float *plane, const struct phantom_options *o, double cx, double cy,
                       double radius, float factor)
{
	long y0 = lround(fmax(0.0, cy - radius)), y1 = lround(fmin(o->height - 1.0, cy + radius));
	long x0 = lround(fmax(0.0, cx - radius)), x1 = lround(fmin(o->width - 1.0, cx + radius));

	for (long y = y0; y <= y1; y++)
		for (long x = x0; x <= x1; x++)
			if (hypot((double)x - cx, (double)y - cy) <= radius)
				plane[(size_t)y * o->width + (size_t)x] *= factor;
}

static void shade_scratch(float *plane, const struct phantom_options *o, uint64_t *state)
{
	double x = prng_unit(state) * o->width, y = prng_unit(state) * o->height;
	double angle = 2.0 * M_PI * prng_unit(state);
	double length = (0.1 + 0.4 * prng_unit(state)) * o->width;

	for (double d = 0; d < length; d += 1.0) {
		double px = x + d * cos(angle), py = y + d * sin(angle);

		if (px >= 0 && py >= 0 && px < o->width && py < o->height)
			plane[(size_t)py * o->width + (size_t)px] *= 0.88f;
	}
}

static void shade_scintillator(float *plane, const struct phantom_options *o)
{
	uint64_t state = prng_stream(o->seed, STREAM_DUST);
	double scale = fmin(o->width, o->height) / 2160.0;

	for (int i = 0; i < 40; i++) {
		double x = prng_unit(&state) * o->width, y = prng_unit(&state) * o->height;
		double radius = (2.0 + 14.0 * prng_unit(&state)) * scale;

		shade_disc(plane, o, x, y, radius, (float)(0.65 + 0.3 * prng_unit(&state)));
	}
	for (int i = 0; i < 5; i++)
		shade_scratch(plane, o, &state);
}

static void draw_light(struct camera *c, const struct phantom_options *o, const struct normals *n)
{
	size_t pixels = (size_t)o->width * o->height;
	uint64_t texture = prng_stream(o->seed, STREAM_TEXTURE);

	for (size_t i = 0; i < pixels; i++)
		c->light[i] = 1.0f;
	add_texture(c->light, o, 256, 0.04f, texture);
	add_texture(c->light, o, 32, 0.02f, texture + 1);
	add_texture(c->light, o, 5, 0.03f, texture + 2);
	multiply_beam_profile(c->light, o);
	multiply_pixel_gain(c->light, o, n);
	shade_scintillator(c->light, o);
	for (size_t i = 0; i < pixels; i++)
		c->light[i] *= c->full;
}

static void draw_dark(struct camera *c, const struct phantom_options *o, const struct normals *n)
{
	const float *column = normals_row(n, prng_stream(o->seed, STREAM_COLUMNS), 0);

	for (uint32_t y = 0; y < o->height; y++) {
		const float *normal = normals_row(n, prng_stream(o->seed, STREAM_OFFSET), y);
		float *row = c->dark + (size_t)y * o->width;
		float glow = 1.0f + 0.1f * (float)y / (float)o->height;

		for (uint32_t x = 0; x < o->width; x++)
			row[x] = c->full * DARK_LEVEL *
			         fmaxf(0.2f, glow + 0.03f * column[x] + 0.02f * normal[x]);
	}
}

/* So many of 2^22 pixels, at least one in an image that has room for it. */
static size_t defects_of(size_t pixels, size_t per_4m)
{
	size_t count = (pixels * per_4m) >> 22;

	return count ? count : pixels >= 64;
}

static float defect_value(const struct camera *c, enum phantom_defect_kind kind, size_t at,
                          uint64_t *state)
{
	float u = (float)prng_unit(state);

	switch (kind) {
	case DEFECT_DEAD:
		return floorf(c->dark[at] * u);
	case DEFECT_HOT:
		return c->full * (0.1f + 0.5f * u);
	case DEFECT_SATURATED:
		break;
	}
	return c->full * (2.0f + u);
}

static void add_defects(struct camera *c, size_t pixels, enum phantom_defect_kind kind,
                        size_t count, uint64_t *state)
{
	for (size_t i = 0; i < count; i++) {
		size_t at = prng_below(state, pixels);
		float value = defect_value(c, kind, at, state);

		if (c->light[at] == 0.0f) /* dead already */
			continue;
		if (kind == DEFECT_DEAD)
			c->light[at] = 0.0f;
		if (kind == DEFECT_HOT)
			c->dark[at] = value;
		if (kind == DEFECT_SATURATED)
			c->light[at] = value;
		c->defects[c->defect_count++] = (struct phantom_defect){ kind, at, value };
	}
}

int camera_open(struct camera *ret, const struct phantom_options *o, const struct normals *n)
{
	size_t pixels = (size_t)o->width * o->height;
	size_t dead = defects_of(pixels, 120), hot = defects_of(pixels, 160);
	size_t saturated = defects_of(pixels, 16);
	uint64_t state = prng_stream(o->seed, STREAM_DEFECTS);
	struct camera c = { 0 };
	float read_noise;

	c.full = (float)((1u << o->bits) - 1u);
	c.counts_per_photon = c.full / FULL_PHOTONS;
	read_noise = fmaxf(0.33f, READ_NOISE * c.full);
	c.read_variance = read_noise * read_noise;
	c.dark = malloc(pixels * sizeof *c.dark);
	c.light = malloc(pixels * sizeof *c.light);
	c.defects = calloc(dead + hot + saturated + 1, sizeof *c.defects);
	if (!c.dark || !c.light || !c.defects) {
		camera_close(&c);
		return -ENOMEM;
	}
	draw_light(&c, o, n);
	draw_dark(&c, o, n);
	add_defects(&c, pixels, DEFECT_HOT, hot, &state);
	add_defects(&c, pixels, DEFECT_SATURATED, saturated, &state);
	add_defects(&c, pixels, DEFECT_DEAD, dead, &state);
	*ret = c;
	return 0;
}

void camera_close(struct camera *c)
{
	free(c->dark);
	free(c->light);
	free(c->defects);
	*c = (struct camera){ 0 };
}
