/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/planes.h"

#include "daemon/huge.h"
#include "daemon/planes_files.h"
#include "daemon/region.h"
#include "kernels/coefficients.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND_NS      UINT64_C(1000000000)
#define SAME_EXPOSURE  1e-6 /* of it */
#define BAD_SHARE_NOTE 20   /* one pixel in so many */

const char *planes_role_name(enum planes_role r)
{
	static const char *const names[PLANES_IMAGES] = { "dark", "flat", "flat_dark", "mask" };

	return names[r];
}

/* What reduce.normalise asks for; a mask always counts. */
static bool applies(const struct config *c, enum planes_role r)
{
	bool dark = c->reduce.normalise != NORMALISE_NONE;

	if (r == PLANES_MASK)
		return true;
	return r == PLANES_DARK ? dark : dark && c->reduce.normalise != NORMALISE_DARK;
}

static bool stores_calibration(const struct config *c)
{
	for (unsigned i = 0; i < c->sink_count; i++)
		if (c->sinks[i].format == SINK_HDF5)
			return true;
	return false;
}

static const struct planes_image *image_of(const struct planes *p, enum planes_role r)
{
	return p->images.of[r].pixels ? &p->images.of[r] : NULL;
}

static const float *pixels_of(const struct planes *p, const struct config *c, enum planes_role r)
{
	return applies(c, r) ? p->images.of[r].pixels : NULL;
}

/* The dark that is subtracted from the flat; NULL for none. */
static const struct planes_image *dark_of_flat(const struct planes *p)
{
	const struct planes_image *own = image_of(p, PLANES_FLAT_DARK);

	return own ? own : image_of(p, PLANES_DARK);
}

__attribute__((format(printf, 3, 4))) static int fail(struct planes *p, int err, const char *format,
                                                      ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(p->why, sizeof p->why, format, arguments);
	va_end(arguments);
	return err;
}

__attribute__((format(printf, 2, 3))) static void note(struct planes *p, const char *format, ...)
{
	size_t used = strlen(p->note);
	va_list arguments;

	if (used > 0)
		used += (size_t)snprintf(p->note + used, sizeof p->note - used, "; ");
	if (used >= sizeof p->note)
		return;
	va_start(arguments, format);
	vsnprintf(p->note + used, sizeof p->note - used, format, arguments);
	va_end(arguments);
}

/* Hold an image's size against what is known. */
static int check_size(struct planes *p, enum planes_role r, const struct sink_calibration *about)
{
	if (p->size_from && (about->width != p->width || about->height != p->height))
		return fail(p, -EINVAL,
		            "calibration.%s: %s is %u x %u pixels, but %s is %u x %u; calibration "
		            "images have the full frame's size",
		            planes_role_name(r), about->path, about->width, about->height,
		            p->size_from, p->width, p->height);
	if (!p->size_from) {
		p->width = about->width;
		p->height = about->height;
		p->size_from = about->path;
	}
	return 0;
}

/* Take the images that are applied or stored. */
static int take_images(struct planes *p, const struct config *c, const struct planes_images *i)
{
	bool stored = stores_calibration(c);

	for (unsigned r = 0; r < PLANES_IMAGES; r++) {
		const struct planes_image *image = &i->of[r];
		struct sink_calibration *file = &p->files[p->file_count];
		int err;

		if (!image->pixels || !(stored || applies(c, (enum planes_role)r)))
			continue;
		err = check_size(p, (enum planes_role)r, &image->about);
		if (err < 0)
			return err;
		p->images.of[r] = *image;
		*file = image->about;
		file->role = planes_role_name((enum planes_role)r);
		file->pixels = stored ? image->pixels : NULL;
		p->file_count++;
	}
	return 0;
}

static bool exposures_differ(const struct planes_image *a, const struct planes_image *b)
{
	double most = fmax(a->exposure_s, b->exposure_s);

	return a->exposure_s > 0 && b->exposure_s > 0 &&
	       fabs(a->exposure_s - b->exposure_s) > SAME_EXPOSURE * most;
}

static int check_exposures(struct planes *p, const struct config *c)
{
	const struct planes_image *flat = image_of(p, PLANES_FLAT), *dark = dark_of_flat(p);
	bool own = image_of(p, PLANES_FLAT_DARK) != NULL;

	if (!applies(c, PLANES_FLAT) || !flat || !dark || !exposures_differ(flat, dark))
		return 0;
	return fail(p, -EINVAL,
	            "calibration.%s: %.100s was taken with an exposure of %g s, the flat %.100s "
	            "with %g s: %s",
	            own ? "flat_dark" : "dark", dark->about.path, dark->exposure_s,
	            flat->about.path, flat->exposure_s,
	            own ? "give a dark with the flat's exposure"
	                : "give one with the flat's exposure as calibration.flat_dark");
}

static void note_ages(struct planes *p, const struct config *c)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	for (unsigned i = 0; i < p->file_count; i++) {
		const struct sink_calibration *f = &p->files[i];
		uint64_t now_ns = (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
		uint64_t age = f->taken_ns && f->taken_ns < now_ns ? now_ns - f->taken_ns : 0;

		if (c->calibration.max_age_ns && age > c->calibration.max_age_ns)
			note(p,
			     "calibration.%s: %.100s was taken %.1f hours ago, calibration.max_age "
			     "is %.1f hours",
			     f->role, f->path, (double)age / 3600e9,
			     (double)c->calibration.max_age_ns / 3600e9);
	}
}

static uint64_t mark_found(const struct planes *p, const struct region *region,
                           const uint8_t *found)
{
	uint64_t marked = 0;

	for (size_t y = 0; y < region->height; y++)
		for (size_t x = 0; x < region->width; x++) {
			float *gain = &p->gain[y * region->width + x];

			if (found[(region->top + y) * p->width + region->left + x] &&
			    !isnan(*gain)) {
				*gain = NAN;
				marked++;
			}
		}
	return marked;
}

static const float *at(const float *image, size_t i)
{
	return image ? image + i : NULL;
}

/* What is not in the region counts for nothing, bad pixels neither. */
static void fill_planes(struct planes *p, const struct config *c, const struct region *region)
{
	const float *dark = pixels_of(p, c, PLANES_DARK), *flat = pixels_of(p, c, PLANES_FLAT);
	const float *flat_dark = flat ? pixels_of(p, c, PLANES_FLAT_DARK) : NULL;
	const float *mask = pixels_of(p, c, PLANES_MASK);

	for (size_t y = 0; y < region->height; y++) {
		size_t from = (region->top + y) * p->width + region->left, to = y * region->width;

		p->bad += coefficients(p->offset + to, p->gain + to, at(dark, from), at(flat, from),
		                       at(flat_dark, from), at(mask, from), flat != NULL,
		                       region->width);
	}
	for (unsigned r = 0; r < PLANES_IMAGES; r++)
		if (c->calibration.found == FOUND_BAD && p->images.of[r].found &&
		    pixels_of(p, c, (enum planes_role)r))
			p->bad += mark_found(p, region, p->images.of[r].found);
}

static int check_planes(struct planes *p, const struct config *c, size_t pixels)
{
	const struct planes_image *dark = dark_of_flat(p);

	if (p->bad == pixels && pixels_of(p, c, PLANES_FLAT))
		return fail(p, -EINVAL,
		            "calibration.flat: %s is nowhere brighter than the dark%s%s: no usable "
		            "pixel is left; was the shutter closed?",
		            p->images.of[PLANES_FLAT].about.path, dark ? " " : "",
		            dark ? dark->about.path : "");
	if (p->bad == pixels)
		return fail(p, -EINVAL, "calibration: dark and mask leave no usable pixel in %s",
		            p->size_from);
	if (p->bad * BAD_SHARE_NOTE > pixels)
		note(p,
		     "%llu of %zu pixels are bad by the calibration (%.1f %%): check dark, flat "
		     "and mask",
		     (unsigned long long)p->bad, pixels, 100.0 * (double)p->bad / (double)pixels);
	return 0;
}

static int make_planes(struct planes *p, const struct config *c)
{
	struct region region;
	char why[320];
	int err = region_of(&c->reduce, p->width, p->height, &region, why);

	if (err < 0)
		return fail(p, err, "%s (%s)", why, p->size_from);
	size_t pixels = (size_t)region.width * region.height;
	size_t bytes = (pixels * sizeof(float) + 4095) / 4096 * 4096;

	p->offset = huge_alloc(bytes);
	p->gain = huge_alloc(bytes);
	if (!p->offset || !p->gain)
		return fail(p, -ENOMEM, "no memory for two calibration planes of %zu bytes", bytes);
	p->bytes += 2 * bytes;
	fill_planes(p, c, &region);
	return check_planes(p, c, pixels);
}

static bool is_given(const char *text)
{
	return text && text[0] != '\0';
}

/* Where the first is taken from the stream, the log says when it is. */
static bool awaits_stream(const struct config *c)
{
	return c->calibration.sequence.count > 0 || is_given(c->ingest.role_key);
}

static void note_what_is_not_done(struct planes *p, const struct config *c, bool dark, bool flat)
{
	bool stored = stores_calibration(c);

	if (c->reduce.normalise != NORMALISE_NONE && !dark && !flat && !awaits_stream(c))
		note(p, "no calibration is configured: frames keep their counts, as with "
		        "reduce.normalise none");
	if (c->reduce.normalise == NORMALISE_NONE && (dark || flat))
		note(p, "reduce.normalise is none: calibration.dark and calibration.flat are %s",
		     stored ? "only stored with the frames, not applied to them" : "not used");
	if (c->reduce.normalise == NORMALISE_DARK && flat && stored)
		note(p, "reduce.normalise is dark: calibration.flat is only stored with the "
		        "frames, not applied to them");
	if (applies(c, PLANES_FLAT) && !flat && image_of(p, PLANES_FLAT_DARK))
		note(p, "calibration.flat_dark is not used without calibration.flat");
}

/* Once the size of ingest.frame is known. */
static int build(struct planes *p, const struct config *c, const struct planes_images *i)
{
	bool needed = false;
	int err = take_images(p, c, i);

	if (err == 0)
		err = check_exposures(p, c);
	for (unsigned r = 0; r < PLANES_IMAGES; r++)
		needed |= r != PLANES_FLAT_DARK && pixels_of(p, c, (enum planes_role)r) != NULL;
	if (err == 0 && needed)
		err = make_planes(p, c);
	if (err < 0)
		return err;
	if (p->file_count == 0)
		p->width = p->height = 0;
	note_ages(p, c);
	return 0;
}

static void begin(struct planes *p, const struct config *c)
{
	*p = (struct planes){ 0 };
	if (c->ingest.width == 0)
		return;
	p->width = c->ingest.width;
	p->height = c->ingest.height;
	p->size_from = "ingest.frame";
}

/* Of failed planes only why[] is left. */
static int end(struct planes *p, int err)
{
	char why[sizeof p->why];

	if (err == 0)
		return 0;
	memcpy(why, p->why, sizeof why);
	planes_close(p);
	memcpy(p->why, why, sizeof why);
	return err;
}

static int read_files(struct planes *p, const struct config *c, struct planes_images *ret)
{
	bool wanted[PLANES_IMAGES];

	for (unsigned r = 0; r < PLANES_IMAGES; r++)
		wanted[r] = stores_calibration(c) || applies(c, (enum planes_role)r);
	p->owned = calloc(1, sizeof *p->owned);
	if (!p->owned)
		return fail(p, -ENOMEM, "no memory for the calibration");
	int err = planes_files_read(p->owned, c, wanted, ret, p->why);
	p->bytes += p->owned->bytes;
	return err;
}

int planes_open(struct planes *p, const struct config *c)
{
	struct planes_images images = { 0 };
	int err;

	begin(p, c);
	err = read_files(p, c, &images);
	if (err == 0)
		err = build(p, c, &images);
	if (err == 0)
		note_what_is_not_done(p, c, is_given(c->calibration.dark),
		                      is_given(c->calibration.flat));
	return end(p, err);
}

int planes_from_images(struct planes *p, const struct config *c, const struct planes_images *i)
{
	int err;

	begin(p, c);
	err = build(p, c, i);
	if (err == 0)
		note_what_is_not_done(p, c, i->of[PLANES_DARK].pixels != NULL,
		                      i->of[PLANES_FLAT].pixels != NULL);
	return end(p, err);
}

void planes_close(struct planes *p)
{
	free(p->offset);
	free(p->gain);
	if (p->owned)
		planes_files_done(p->owned);
	free(p->owned);
	*p = (struct planes){ 0 };
}
