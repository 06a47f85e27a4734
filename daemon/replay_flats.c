/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/replay_parts.h"

#include "daemon/huge.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The open beam between two flats:
 *
 *   F(t) = Fb + (Fa - Fb) w,   w = (t - tb) / (ta - tb), at least 0 and at most 1
 *
 * in double, rounded once to float32. A pixel that one of them found bad is bad. */

struct replay_flats {
	struct planes after, now;
	float *flat;                  /* F(t) [height][width] of the full frame */
	uint8_t *found;               /* of both; NULL: nothing is known */
	uint64_t before_ns, after_ns; /* CLOCK_REALTIME */
	bool has_before;
};

static const struct planes_image *flat_of(const struct planes *p)
{
	return &p->images.of[PLANES_FLAT];
}

/* When it was taken: by its sidecar, or else by the file. */
static int time_of(struct replay *r, const struct planes_image *i, uint64_t *ret_ns)
{
	struct stat st;

	*ret_ns = i->about.taken_ns;
	if (*ret_ns)
		return 0;
	if (stat(i->about.path, &st) < 0)
		return replay_refuse(r, -EINVAL, "%.600s: %s", i->about.path, strerror(errno));
	*ret_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
	replay_say(r,
	           "%.600s has no JSON beside it that says when it was taken: the time of the file "
	           "is used",
	           i->about.path);
	return 0;
}

static int open_after(struct replay *r, struct replay_flats *f)
{
	static char none[] = "";
	struct config c = r->planned;

	c.calibration.dark = c.calibration.flat_dark = c.calibration.mask = none;
	c.calibration.flat = (char *)r->options->flats[1];
	c.calibration.max_age_ns = 0;
	if (planes_open(&f->after, &c) < 0)
		return replay_refuse(r, -EINVAL, "%.900s", f->after.why);
	return time_of(r, flat_of(&f->after), &f->after_ns);
}

int replay_flats_open(struct replay *r)
{
	struct replay_flats *f;

	if (r->config.reduce.normalise != NORMALISE_TRANSMISSION &&
	    r->config.reduce.normalise != NORMALISE_ATTENUATION)
		return replay_refuse(r, -EINVAL,
		                     "reduce.normalise of the series is %s, which needs no flats",
		                     config_choice("reduce.normalise", r->config.reduce.normalise));
	f = calloc(1, sizeof *f);
	if (!f)
		return replay_refuse(r, -ENOMEM, "no memory for flats");
	r->flats = f;
	return open_after(r, f);
}

void replay_flats_close(struct replay *r)
{
	struct replay_flats *f = r->flats;

	if (!f)
		return;
	planes_close(&f->after);
	planes_close(&f->now);
	free(f->flat);
	free(f->found);
	free(f);
	r->flats = NULL;
}

struct sink_calibration replay_flats_after(const struct replay *r, uint32_t id)
{
	struct sink_calibration c = flat_of(&r->flats->after)->about;

	c.role = "flat_after";
	c.id = id;
	return c;
}

static int join_found(struct replay *r, struct replay_flats *f, size_t pixels)
{
	const uint8_t *before = flat_of(&r->planes)->found, *after = flat_of(&f->after)->found;

	if (!before && !after)
		return 0;
	f->found = malloc(pixels);
	if (!f->found)
		return replay_refuse(r, -ENOMEM, "no memory for flats");
	for (size_t i = 0; i < pixels; i++)
		f->found[i] = (before && before[i]) || (after && after[i]);
	return 0;
}

/* The first flat came with the planes of the series. */
static int begin(struct replay *r, struct replay_flats *f)
{
	const struct planes *a = &f->after, *b = &r->planes;
	size_t pixels = (size_t)a->width * a->height;
	int err;

	if (a->width != b->width || a->height != b->height)
		return replay_refuse(r, -EINVAL, "%.400s is %u x %u pixels, %.400s is %u x %u",
		                     a->size_from, a->width, a->height, b->size_from, b->width,
		                     b->height);
	err = time_of(r, flat_of(b), &f->before_ns);
	if (err)
		return err;
	if (f->before_ns >= f->after_ns)
		return replay_refuse(r, -EINVAL, "%.400s was not taken before %.400s",
		                     r->options->flats[0], r->options->flats[1]);
	f->flat = huge_alloc(pixels * sizeof *f->flat);
	if (!f->flat)
		return replay_refuse(r, -ENOMEM, "no memory for flats");
	f->has_before = true;
	return join_found(r, f, pixels);
}

static double weight(const struct replay_flats *f, uint64_t t)
{
	if (t <= f->before_ns)
		return 0;
	if (t >= f->after_ns)
		return 1;
	return (double)(t - f->before_ns) / (double)(f->after_ns - f->before_ns);
}

static void interpolate(struct replay_flats *f, const float *before, double w)
{
	const float *after = flat_of(&f->after)->pixels;
	size_t pixels = (size_t)f->after.width * f->after.height;

	for (size_t i = 0; i < pixels; i++)
		f->flat[i] =
			(float)((double)before[i] + ((double)after[i] - (double)before[i]) * w);
}

int replay_flats_use(struct replay *r, uint64_t received_ns)
{
	struct replay_flats *f = r->flats;
	struct planes_images images = r->planes.images;
	struct config c = r->planned;
	int err = f->has_before ? 0 : begin(r, f);

	if (err)
		return err;
	interpolate(f, flat_of(&r->planes)->pixels, weight(f, received_ns));
	images.of[PLANES_FLAT].pixels = f->flat;
	images.of[PLANES_FLAT].found = f->found;
	c.calibration.max_age_ns = 0;
	calibrated_free(r->calibrated);
	r->calibrated = NULL;
	planes_close(&f->now);
	if (planes_from_images(&f->now, &c, &images) < 0)
		return replay_refuse(r, -EINVAL, "%.900s", f->now.why);
	r->calibrated = calibrated_make(&r->layout, NULL, r->id, &f->now);
	return r->calibrated ? 0 : replay_refuse(r, -ENOMEM, "no memory for the calibration");
}
