/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/mishaps.h"

#include "bench/prng.h"

#include <errno.h>
#include <stdlib.h>

enum { STREAM_HOT = 301, STREAM_DEAD };

static uint64_t step_of(const struct mishap_options *o)
{
	return o->step ? o->step : 1;
}

static bool is_within(const struct mishap_span *s, uint64_t number, uint64_t step)
{
	return number >= s->first && (number - s->first) / step < s->count;
}

static bool has_begun(const struct mishap_span *s, uint64_t number)
{
	return s->count > 0 && number >= s->first;
}

bool mishap_options_any(const struct mishap_options *o)
{
	return o->dip.count || o->saturate.count || o->freeze.count || o->new_hot.count ||
	       o->new_dead.count;
}

/* Pixels that are good so far, drawn one by one and marked. */
static size_t draw_pixels(struct mishap_pixel *ret, size_t wanted, size_t pixels, uint64_t seed,
                          bool *taken)
{
	uint64_t state = seed;
	size_t count = 0;

	for (size_t tries = 0; count < wanted && tries < 4 * pixels; tries++) {
		size_t at = prng_below(&state, pixels);

		if (taken[at])
			continue;
		taken[at] = true;
		ret[count++].at = at;
	}
	return count;
}

static void draw_failures(struct mishaps *m, bool *taken)
{
	const struct mishap_options *o = &m->options;
	const struct mishap_camera *c = &m->camera;

	for (size_t i = 0; i < c->defect_count; i++)
		taken[c->defects[i].at] = true;
	m->hot_count = draw_pixels(m->hot, o->new_hot.count, c->pixels,
	                           prng_stream(o->seed, STREAM_HOT), taken);
	m->dead_count = draw_pixels(m->dead, o->new_dead.count, c->pixels,
	                            prng_stream(o->seed, STREAM_DEAD), taken);
	for (size_t i = 0; i < m->hot_count; i++)
		m->hot[i].value = c->full * (0.2f + 0.3f * (float)(i % 8) / 7);
	for (size_t i = 0; i < m->dead_count; i++)
		m->dead[i].value = c->dark ? c->dark[m->dead[i].at] : 0;
}

int mishaps_open(struct mishaps *m, const struct mishap_options *o, const struct mishap_camera *c)
{
	bool *taken = calloc(c->pixels, sizeof *taken);

	*m = (struct mishaps){ .options = *o, .camera = *c };
	m->hot = calloc(o->new_hot.count + 1, sizeof *m->hot);
	m->dead = calloc(o->new_dead.count + 1, sizeof *m->dead);
	if (!taken || !m->hot || !m->dead) {
		free(taken);
		mishaps_close(m);
		return -ENOMEM;
	}
	draw_failures(m, taken);
	free(taken);
	return 0;
}

void mishaps_close(struct mishaps *m)
{
	free(m->hot);
	free(m->dead);
	*m = (struct mishaps){ 0 };
}

void mishaps_thaw(const struct mishaps *m, uint64_t *number, uint64_t *index)
{
	const struct mishap_options *o = &m->options;
	uint64_t step = step_of(o), back;

	if (!is_within(&o->freeze, *number, step))
		return;
	back = (*number - o->freeze.first) / step + 1;
	*index = *index > back ? *index - back : 0;
	*number = *number > back * step ? *number - back * step : 0;
}

/* How much stronger the light is than usual. */
static float light_of(const struct mishaps *m, uint64_t number)
{
	const struct mishap_options *o = &m->options;
	double light = 1;

	if (m->camera.lit && is_within(&o->dip, number, step_of(o)))
		light *= o->dip_share;
	if (m->camera.lit && is_within(&o->saturate, number, step_of(o)))
		light *= o->exposure;
	return (float)light;
}

bool mishaps_touch(const struct mishaps *m, uint64_t number)
{
	return light_of(m, number) != 1.0f || has_begun(&m->options.new_hot, number) ||
	       has_begun(&m->options.new_dead, number);
}

static float load(enum pixel_type type, const void *pixels, size_t at)
{
	switch (type) {
	case PIXEL_UINT8:
		return ((const uint8_t *)pixels)[at];
	case PIXEL_UINT16:
		return ((const uint16_t *)pixels)[at];
	case PIXEL_UINT32:
		return (float)((const uint32_t *)pixels)[at];
	case PIXEL_FLOAT32:
	case PIXEL_TYPE_COUNT:
		break;
	}
	return ((const float *)pixels)[at];
}

/* Clipped, and rounded where the type is an integer. */
static void store(const struct mishap_camera *c, void *pixels, size_t at, float value)
{
	float v = value > 0.0f ? value : 0.0f;

	v = v < c->full ? v : c->full;
	switch (c->type) {
	case PIXEL_UINT8:
		((uint8_t *)pixels)[at] = (uint8_t)(v + 0.5f);
		return;
	case PIXEL_UINT16:
		((uint16_t *)pixels)[at] = (uint16_t)(v + 0.5f);
		return;
	case PIXEL_UINT32:
		((uint32_t *)pixels)[at] = (uint32_t)((double)v + 0.5);
		return;
	case PIXEL_FLOAT32:
	case PIXEL_TYPE_COUNT:
		((float *)pixels)[at] = v;
	}
}

/* Those whose light is no part of their counts: dead ones have none, saturated ones more. */
static void mend_defects(const struct mishap_camera *c, float light, void *pixels)
{
	for (size_t i = 0; i < c->defect_count; i++) {
		const struct phantom_defect *d = &c->defects[i];

		if (d->kind == DEFECT_DEAD)
			store(c, pixels, d->at, d->value);
		if (d->kind == DEFECT_SATURATED)
			store(c, pixels, d->at, c->dark[d->at] + light * d->value);
	}
}

static void change_light(const struct mishap_camera *c, float light, void *pixels)
{
	for (size_t i = 0; i < c->pixels; i++) {
		float dark = c->dark ? c->dark[i] : 0;

		store(c, pixels, i, dark + light * (load(c->type, pixels, i) - dark));
	}
	mend_defects(c, light, pixels);
}

void mishaps_apply(const struct mishaps *m, uint64_t number, void *pixels)
{
	const struct mishap_camera *c = &m->camera;
	float light = light_of(m, number);

	if (light != 1.0f)
		change_light(c, light, pixels);
	for (size_t i = 0; i < m->hot_count && has_begun(&m->options.new_hot, number); i++)
		store(c, pixels, m->hot[i].at,
		      load(c->type, pixels, m->hot[i].at) + m->hot[i].value);
	for (size_t i = 0; i < m->dead_count && has_begun(&m->options.new_dead, number); i++)
		store(c, pixels, m->dead[i].at, m->dead[i].value);
}
