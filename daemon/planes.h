/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_PLANES_H
#define DAEMON_PLANES_H

#include "config/config.h"
#include "sinks/sinks.h"

/* The calibration of a run: the images of the configuration, made into the planes that
 * flattening reads. Loaded once, by the main thread; constant afterwards. */
struct planes {
	uint32_t width, height; /* of the images, pixels; 0 without any */
	float *offset, *gain;   /* of the region of interest, as kernels/coefficients.h; NULL: none
	                           needed */
	uint64_t bad;           /* pixels of the region */
	size_t bytes;           /* of both planes and of what is kept */
	struct sink_calibration files[3];
	unsigned file_count;
	float *kept[3];        /* pixels of the files, for sinks that store them; NULL: none does */
	const char *size_from; /* the file that gives width and height */
	char note[256];        /* a warning for the log, "" for none */
	char why[400];         /* after an error: one sentence with the file's name */
};

/* Read what reduce.normalise needs (and the mask), and with a sink of format hdf5 every file: what
 * is not needed is then stored with the frames and not applied to them. 0, or negative errno with
 * why[]: a file that cannot be read or is no image, images of different sizes or not of
 * ingest.frame's, a calibration without one usable pixel. On failure *p holds only why[]. */
int planes_open(struct planes *p, const struct config *c);

/* Accepts a zeroed one. */
void planes_close(struct planes *p);

#endif
