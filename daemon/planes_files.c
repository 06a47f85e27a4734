/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/planes_files.h"

#include "daemon/file_checksum.h"
#include "ingest/sidecar.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_LIMIT ((uint64_t)4 << 30) /* bytes of one image as float32 */
#define FOUND       "-found.tif"

/* One image being read. */
struct reading {
	const struct config *config;
	enum planes_role role;
	const char *path;
	struct image *image;
	uint8_t **found;
	struct planes_image *to;
	char *why; /* [400] */
};

/* "calibration.dark: sentence" */
__attribute__((format(printf, 3, 4))) static int fail(const struct reading *r, int err,
                                                      const char *format, ...)
{
	int used = snprintf(r->why, 400, "calibration.%s: ", planes_role_name(r->role));
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(r->why + used, 400 - (size_t)used, format, arguments);
	va_end(arguments);
	return err;
}

static bool has_role(const struct sidecar *s, enum planes_role r)
{
	bool dark = strcmp(s->role, "dark") == 0 || strcmp(s->role, "flat_dark") == 0;

	return r == PLANES_MASK ? false : dark == (r != PLANES_FLAT);
}

/* Whether the sidecar describes this image, and it may be what it is configured as. */
static int check_sidecar(const struct reading *r, const struct sidecar *s)
{
	const struct sink_calibration *about = &r->to->about;

	if (s->image.crc32c != about->crc32c || s->image.bytes != about->bytes)
		return fail(r, -EINVAL,
		            "%.150s has checksum %08" PRIx32 ", but the image that the JSON beside "
		            "it describes has %08" PRIx32 ": give the image as it was made, or "
		            "remove the JSON",
		            r->path, about->crc32c, s->image.crc32c);
	if (!has_role(s, r->role))
		return fail(r, -EINVAL, "%.150s was taken as a %s, not as a %s: give another image",
		            r->path, s->role, planes_role_name(r->role));
	if (s->width != about->width || s->height != about->height)
		return fail(r, -EINVAL,
		            "%.150s is %u x %u pixels, but by the JSON beside it %u x %u", r->path,
		            about->width, about->height, s->width, s->height);
	return 0;
}

static int keep_found(const struct reading *r, const struct image *i)
{
	size_t n = (size_t)i->width * i->height;

	if (i->width != r->to->about.width || i->height != r->to->about.height)
		return fail(r, -EINVAL, "%.150s is not of the size of its image", i->path);
	*r->found = malloc(n);
	if (!*r->found)
		return fail(r, -ENOMEM, "no memory for the pixels found, %zu bytes", n);
	for (size_t k = 0; k < n; k++)
		(*r->found)[k] = i->pixels[k] != 0;
	r->to->found = *r->found;
	return 0;
}

/* The pixels found in the image, which are bad from now on. */
static int read_found(const struct reading *r, const struct sidecar *s)
{
	static const char remedy[] = "copy the files of a calibration together, or set "
				     "calibration.found to report";
	char path[sizeof s->path];
	struct image found = { 0 };
	uint64_t bytes = 0;
	uint32_t crc32c = 0;
	int err;

	if (!s->found.there || r->config->calibration.found != FOUND_BAD ||
	    !sidecar_path(path, r->path, FOUND))
		return 0;
	err = file_checksum(path, &bytes, &crc32c);
	if (err < 0)
		return fail(r, err, "%.150s: %s: %s", path, strerror(-err), remedy);
	if (crc32c != s->found.crc32c || bytes != s->found.bytes)
		return fail(r, -EINVAL, "%.150s is not the file that was made with its image: %s",
		            path, remedy);
	err = image_read(&found, path, IMAGE_LIMIT);
	err = err < 0 ? fail(r, err, "%s", found.why) : keep_found(r, &found);
	image_done(&found);
	return err;
}

static int read_sidecar(const struct reading *r)
{
	struct sidecar s;
	int err = sidecar_read(&s, r->path);

	if (err < 0)
		return fail(r, err, "%s", s.why);
	r->to->about.taken_ns = s.taken_ns;
	if (!s.there)
		return 0;
	err = check_sidecar(r, &s);
	if (err < 0)
		return err;
	r->to->about.frames = (uint32_t)s.frames;
	r->to->exposure_s = s.exposure_s;
	r->to->has_type = true;
	r->to->type = s.type;
	return read_found(r, &s);
}

static int read_image(const struct reading *r)
{
	struct sink_calibration *about = &r->to->about;
	int err = image_read(r->image, r->path, IMAGE_LIMIT);

	if (err < 0)
		return fail(r, err, "%s", r->image->why);
	err = file_checksum(r->path, &about->bytes, &about->crc32c);
	if (err < 0)
		return fail(r, err, "cannot read %s: %s", r->path, strerror(-err));
	r->to->pixels = r->image->pixels;
	about->path = r->path;
	about->width = r->image->width;
	about->height = r->image->height;
	about->id = 1;
	about->frames = r->image->pages > 1 ? r->image->pages : 0;
	return read_sidecar(r);
}

int planes_files_read(struct planes_files *ret, const struct config *c,
                      const bool wanted[PLANES_IMAGES], struct planes_images *ret_images,
                      char why[400])
{
	const struct config_calibration *k = &c->calibration;
	const char *paths[PLANES_IMAGES] = { k->dark, k->flat, k->flat_dark, k->mask };
	struct planes_images images = { 0 };
	int err = 0;

	*ret = (struct planes_files){ 0 };
	for (unsigned i = 0; err == 0 && i < PLANES_IMAGES; i++) {
		struct planes_image *to = &images.of[i];
		struct reading r = {
			c, (enum planes_role)i, paths[i], &ret->images[i], &ret->found[i], to, why
		};

		if (!wanted[i] || !paths[i] || paths[i][0] == '\0')
			continue;
		err = read_image(&r);
		ret->bytes += (size_t)to->about.width * to->about.height *
		              (sizeof *to->pixels + (to->found ? 1 : 0));
	}
	if (err == 0)
		*ret_images = images;
	return err;
}

void planes_files_done(struct planes_files *f)
{
	for (unsigned i = 0; i < PLANES_IMAGES; i++) {
		image_done(&f->images[i]);
		free(f->found[i]);
	}
	*f = (struct planes_files){ 0 };
}
