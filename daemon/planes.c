/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/planes.h"
#include "daemon/file_checksum.h"
#include "daemon/huge.h"
#include "daemon/region.h"
#include "ingest/calibration.h"
#include "kernels/coefficients.h"
#include "kernels/cpu.h"
#include "kernels/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IMAGE_LIMIT ((uint64_t)4 << 30) /* bytes of one image as float32 */

struct images {
	struct image dark, flat, mask;
};

/* Dark and flat that reduce.normalise asks for; a mask always counts. */
static bool applies_dark(const struct config *c)
{
	return c->reduce.normalise != NORMALISE_NONE;
}

static bool applies_flat(const struct config *c)
{
	return applies_dark(c) && c->reduce.normalise != NORMALISE_DARK;
}

static bool stores_calibration(const struct config *c)
{
	for (unsigned i = 0; i < c->sink_count; i++)
		if (c->sinks[i].format == SINK_HDF5)
			return true;
	return false;
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

/* A copy of what was read last: the planes are of the region only. */
static int keep_image(struct planes *p, const struct image *i)
{
	struct sink_calibration *file = &p->files[p->file_count - 1];
	size_t bytes = (size_t)i->width * i->height * sizeof *i->pixels;
	float *kept = huge_alloc(bytes);

	if (!kept)
		return fail(p, -ENOMEM, "calibration.%s: no memory to keep %s, %zu bytes",
		            file->role, file->path, bytes);
	memcpy(kept, i->pixels, bytes);
	p->kept[p->file_count - 1] = kept;
	p->bytes += bytes;
	file->pixels = kept;
	file->width = i->width;
	file->height = i->height;
	return 0;
}

/* Read one image, if there is one to read, and hold its size against what is known. */
static int read_image(struct planes *p, const char *role, const char *path, bool keep,
                      struct image *ret)
{
	struct sink_calibration *file = &p->files[p->file_count];
	int err;

	if (path[0] == '\0')
		return 0;
	err = image_read(ret, path, IMAGE_LIMIT);
	if (err < 0)
		return fail(p, err, "calibration.%s: %s", role, ret->why);
	if (p->width != 0 && (ret->width != p->width || ret->height != p->height))
		return fail(p, -EINVAL,
		            "calibration.%s: %s is %u x %u pixels, but %s is %u x %u; calibration "
		            "images have the full frame's size",
		            role, path, ret->width, ret->height, p->size_from, p->width, p->height);
	err = file_checksum(path, &file->bytes, &file->crc32c);
	if (err < 0)
		return fail(p, err, "calibration.%s: cannot read %s: %s", role, path,
		            strerror(-err));
	file->role = role;
	file->path = path;
	p->file_count++;
	if (p->width == 0) {
		p->width = ret->width;
		p->height = ret->height;
		p->size_from = path;
	}
	return keep ? keep_image(p, ret) : 0;
}

static int read_images(struct planes *p, const struct config *c, struct images *ret)
{
	const struct config_calibration *files = &c->calibration;
	bool keep = stores_calibration(c);
	int err = 0;

	if (keep || applies_dark(c))
		err = read_image(p, "dark", files->dark, keep, &ret->dark);
	if (err == 0 && (keep || applies_flat(c)))
		err = read_image(p, "flat", files->flat, keep, &ret->flat);
	if (err == 0)
		err = read_image(p, "mask", files->mask, keep, &ret->mask);
	return err;
}

/* Let go of what is stored but not applied. */
static void leave_out(const struct config *c, struct images *i)
{
	if (!applies_dark(c))
		image_done(&i->dark);
	if (!applies_flat(c))
		image_done(&i->flat);
}

/* What is not in the region counts for nothing, bad pixels neither. */
static int crop(struct planes *p, const struct config *c, struct images *i, size_t *ret_pixels)
{
	struct image *images[] = { &i->dark, &i->flat, &i->mask };
	struct region region;
	char why[320];
	int err = region_of(&c->reduce, p->width, p->height, &region, why);

	if (err < 0)
		return fail(p, err, "%s (%s)", why, p->size_from);
	for (unsigned k = 0; k < 3; k++)
		if (images[k]->pixels)
			region_crop(&region, images[k]->pixels, p->width);
	*ret_pixels = (size_t)region.width * region.height;
	return 0;
}

static int make_planes(struct planes *p, const struct config *c, struct images *i)
{
	size_t pixels = 0;
	int err = crop(p, c, i, &pixels);

	if (err < 0)
		return err;
	size_t bytes = (pixels * sizeof(float) + 4095) / 4096 * 4096;
	bool scale = i->flat.pixels != NULL;

	p->offset = huge_alloc(bytes);
	p->gain = huge_alloc(bytes);
	if (!p->offset || !p->gain)
		return fail(p, -ENOMEM, "no memory for two calibration planes of %zu bytes", bytes);
	p->bytes += 2 * bytes;
	p->bad = coefficients(p->offset, p->gain, i->dark.pixels, i->flat.pixels, NULL,
	                      i->mask.pixels, scale, pixels);
	if (p->bad == pixels && scale)
		return fail(p, -EINVAL,
		            "calibration.flat: %s is nowhere brighter than the dark%s%s: no usable "
		            "pixel is left; was the shutter closed?",
		            c->calibration.flat, i->dark.path ? " " : "",
		            i->dark.path ? i->dark.path : "");
	if (p->bad == pixels)
		return fail(p, -EINVAL, "calibration: dark and mask leave no usable pixel in %s",
		            p->size_from);
	if (p->bad * 20 > pixels)
		snprintf(
			p->note, sizeof p->note,
			"%llu of %zu pixels are bad by the calibration (%.1f %%): check dark, flat "
			"and mask",
			(unsigned long long)p->bad, pixels,
			100.0 * (double)p->bad / (double)pixels);
	return 0;
}

static void note_what_is_not_done(struct planes *p, const struct config *c)
{
	bool given = c->calibration.dark[0] || c->calibration.flat[0];
	bool stored = stores_calibration(c);

	if (c->reduce.normalise == NORMALISE_TRANSMISSION && !given)
		snprintf(p->note, sizeof p->note,
		         "no calibration is configured: frames keep their counts, as with "
		         "reduce.normalise none");
	if (c->reduce.normalise == NORMALISE_NONE && given)
		snprintf(p->note, sizeof p->note,
		         "reduce.normalise is none: calibration.dark and calibration.flat are %s",
		         stored ? "only stored with the frames, not applied to them" : "not used");
	if (c->reduce.normalise == NORMALISE_DARK && c->calibration.flat[0] && stored)
		snprintf(p->note, sizeof p->note,
		         "reduce.normalise is dark: calibration.flat is only stored with the "
		         "frames, not applied to them");
}

int planes_open(struct planes *p, const struct config *c)
{
	struct images images = { 0 };
	int err;

	*p = (struct planes){ 0 };
	if (c->ingest.width != 0) {
		p->width = c->ingest.width;
		p->height = c->ingest.height;
		p->size_from = "ingest.frame";
	}
	err = read_images(p, c, &images);
	leave_out(c, &images);
	if (err == 0 && (images.dark.pixels || images.flat.pixels || images.mask.pixels))
		err = make_planes(p, c, &images);
	if (err == 0 && p->file_count == 0)
		p->width = p->height = 0;
	if (err == 0)
		note_what_is_not_done(p, c);
	image_done(&images.dark);
	image_done(&images.flat);
	image_done(&images.mask);
	if (err < 0) {
		char why[sizeof p->why];

		memcpy(why, p->why, sizeof why);
		planes_close(p);
		memcpy(p->why, why, sizeof why);
	}
	return err;
}

void planes_close(struct planes *p)
{
	free(p->offset);
	free(p->gain);
	for (unsigned i = 0; i < 3; i++)
		free(p->kept[i]);
	*p = (struct planes){ 0 };
}
