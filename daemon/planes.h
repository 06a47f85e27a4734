/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_PLANES_H
#define DAEMON_PLANES_H

#include "config/config.h"
#include "ingest/frame.h"
#include "sinks/sinks.h"

/* The images that a calibration is made of. */
enum planes_role { PLANES_DARK, PLANES_FLAT, PLANES_FLAT_DARK, PLANES_MASK, PLANES_IMAGES };

/* One of them, of the full frame. */
struct planes_image {
	const float *pixels;  /* counts; of a mask non-zero is bad [height][width]; NULL: there is
	                         none, and the rest means nothing */
	const uint8_t *found; /* non-zero: a pixel found to be bad, enum pixel_flag; NULL: none is
	                         known [height][width] */
	struct sink_calibration about; /* all but role and pixels; path is what people are told */
	double exposure_s;             /* of the frames it was made of; 0: not known */
	bool has_type;                 /* and what their pixels were: */
	enum pixel_type type;
};

struct planes_images {
	struct planes_image of[PLANES_IMAGES];
};

/* The calibration of a run: images made into the planes that flattening reads. Constant once it is
 * made.
 *
 * Planes of planes_open() own the images, which they have read from files. Those of
 * planes_from_images() borrow them, paths included. Either way `images` are those in use: to
 * replace one of them by another, copy `images`, put the new one in its place and make planes of
 * that. So what an image lies in must stay until all planes that use it are closed: with those of
 * planes_open(), until the end of the run. */
struct planes {
	uint32_t width, height; /* of the images, pixels; 0 without any */
	float *offset, *gain;   /* of the region of interest, as kernels/coefficients.h; NULL: none
	                           needed */
	uint64_t bad;           /* pixels of the region */
	size_t bytes;           /* of both planes and of the images that are owned */
	struct planes_images images;
	struct sink_calibration files[PLANES_IMAGES]; /* the images in use, for sinks; with pixels
	                                                 where one stores them */
	unsigned file_count;
	const char *size_from; /* the file that gives width and height */
	struct planes_files *owned;
	char note[600]; /* warnings for the log, "" for none */
	char why[400];  /* after an error: one sentence with the file's name */
};

/* Read the files of the configuration: those that reduce.normalise needs (and the mask), and with a
 * sink of format hdf5 every one; what is not needed is then stored with the frames and not applied
 * to them. With an image that was made of frames come its exposure and age from the JSON beside
 * it, and, unless calibration.found is report, the pixels found in it.
 *
 * 0, or negative errno with why[]: a file that cannot be read or is no image, images of different
 * sizes or not of ingest.frame's; an image that is not the one its JSON describes, or has another
 * role; a flat whose dark has another exposure, where both are known; a calibration without one
 * usable pixel. On failure *p holds only why[]. */
int planes_open(struct planes *p, const struct config *c);

/* The same planes from images in memory, with the same checks of sizes, exposures and usable
 * pixels. Any thread. */
int planes_from_images(struct planes *p, const struct config *c, const struct planes_images *i);

/* Accepts a zeroed one. */
void planes_close(struct planes *p);

/* Whether T is 1 in the open beam. */
static inline bool planes_have_flat(const struct planes *p)
{
	return p->images.of[PLANES_FLAT].pixels != NULL;
}

/* "dark", "flat", "flat_dark", "mask". */
const char *planes_role_name(enum planes_role r);

#endif
