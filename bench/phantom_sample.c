/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/phantom_sample.h"

#include "bench/prng.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NOTHING_COVERS (~0u) /* in sample.covering: the columns are not valid */

static void place_rods(struct sample *s, double size, uint64_t *state)
{
	s->rods[0] =
		(struct sample_rod){ .radius = 0.44 * size, .opacity = 0.25, .bottom = s->height };
	for (unsigned i = 1; i < SAMPLE_RODS; i++) {
		struct sample_rod *r = &s->rods[i];

		r->radius = size * (0.02 + 0.05 * prng_unit(state));
		r->orbit = size * (0.10 + 0.25 * prng_unit(state));
		r->phase = 2.0 * M_PI * prng_unit(state);
		r->opacity = 0.3 + 0.9 * prng_unit(state);
		r->top = s->height * (0.05 + 0.3 * prng_unit(state));
		r->bottom = s->height * (0.65 + 0.35 * prng_unit(state));
	}
}

static void place_beads(struct sample *s, double size, uint64_t *state)
{
	for (unsigned i = 0; i < SAMPLE_BEADS; i++) {
		struct sample_bead *b = &s->beads[i];

		b->radius = size * (0.03 + 0.07 * prng_unit(state));
		b->orbit = size * 0.32 * prng_unit(state);
		b->phase = 2.0 * M_PI * prng_unit(state);
		b->opacity = 0.2 + 1.2 * prng_unit(state);
		b->height = s->height * (0.1 + 0.8 * prng_unit(state));
	}
}

int sample_open(struct sample *ret, uint32_t width, uint32_t height, uint64_t seed)
{
	struct sample s = { .width = width, .height = height, .covering = NOTHING_COVERS };
	double size = fmin(width, height);
	uint64_t state = seed;

	place_rods(&s, size, &state);
	place_beads(&s, size, &state);
	s.columns = malloc(width * sizeof *s.columns);
	if (!s.columns)
		goto fail;
	for (unsigned i = 0; i < SAMPLE_RODS; i++) {
		s.rods[i].shadow = malloc(width * sizeof *s.rods[i].shadow);
		if (!s.rods[i].shadow)
			goto fail;
	}
	sample_turn(&s, 0.0);
	*ret = s;
	return 0;

fail:
	sample_close(&s);
	return -ENOMEM;
}

void sample_close(struct sample *s)
{
	for (unsigned i = 0; i < SAMPLE_RODS; i++)
		free(s->rods[i].shadow);
	free(s->columns);
	*s = (struct sample){ 0 };
}

/* The columns of [centre - radius, centre + radius] that are in the image. */
static void covered(const struct sample *s, double centre, double radius, uint32_t *ret_left,
                    uint32_t *ret_right)
{
	double left = ceil(centre - radius), right = floor(centre + radius) + 1.0;

	*ret_left = (uint32_t)fmin(fmax(left, 0.0), s->width);
	*ret_right = (uint32_t)fmin(fmax(right, *ret_left), s->width);
}

static float shadow_of(double opacity, double square_of_distance)
{
	return expf(-(float)opacity * sqrtf((float)fmax(0.0, 1.0 - square_of_distance)));
}

static void turn_rod(struct sample *s, struct sample_rod *r, double angle)
{
	double centre = 0.5 * s->width + r->orbit * cos(angle + r->phase);

	covered(s, centre, r->radius, &r->left, &r->right);
	for (uint32_t x = r->left; x < r->right; x++) {
		double d = (x - centre) / r->radius;

		r->shadow[x] = shadow_of(r->opacity, d * d);
	}
}

void sample_turn(struct sample *s, double angle)
{
	for (unsigned i = 0; i < SAMPLE_RODS; i++)
		turn_rod(s, &s->rods[i], angle);
	for (unsigned i = 0; i < SAMPLE_BEADS; i++)
		s->beads[i].centre =
			0.5 * s->width + s->beads[i].orbit * cos(angle + s->beads[i].phase);
	s->covering = NOTHING_COVERS;
}

static unsigned rods_at(const struct sample *s, uint32_t y)
{
	unsigned covering = 0;

	for (unsigned i = 0; i < SAMPLE_RODS; i++)
		if (y >= s->rods[i].top && y < s->rods[i].bottom)
			covering |= 1u << i;
	return covering;
}

static void multiply_rods(struct sample *s, unsigned covering)
{
	for (uint32_t x = 0; x < s->width; x++)
		s->columns[x] = 1.0f;
	for (unsigned i = 0; i < SAMPLE_RODS; i++) {
		const struct sample_rod *r = &s->rods[i];

		if (!(covering & 1u << i))
			continue;
		for (uint32_t x = r->left; x < r->right; x++)
			s->columns[x] *= r->shadow[x];
	}
	s->covering = covering;
}

static void multiply_bead(const struct sample *s, const struct sample_bead *b, uint32_t y, float *t)
{
	double dy = (y - b->height) / b->radius;
	uint32_t left, right;

	if (fabs(dy) >= 1.0)
		return;
	covered(s, b->centre, b->radius * sqrt(1.0 - dy * dy), &left, &right);
	for (uint32_t x = left; x < right; x++) {
		double dx = (x - b->centre) / b->radius;

		t[x] *= shadow_of(b->opacity, dx * dx + dy * dy);
	}
}

void sample_row(struct sample *s, uint32_t y, float *ret_t)
{
	unsigned covering = rods_at(s, y);

	if (covering != s->covering)
		multiply_rods(s, covering);
	memcpy(ret_t, s->columns, s->width * sizeof *ret_t);
	for (unsigned i = 0; i < SAMPLE_BEADS; i++)
		multiply_bead(s, &s->beads[i], y, ret_t);
}
