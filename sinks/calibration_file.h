/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_CALIBRATION_FILE_H
#define SINKS_CALIBRATION_FILE_H

#include "kernels/layout.h"
#include "sinks/disk.h"

#include <stdint.h>

/* A dark or flat made of frames, as files:
 *
 *   <role>-<number>.tif            the image, float32 counts, NaN where a pixel has no value
 *   <role>-<number>-variance.tif   over the frames, float32, counts squared
 *   <role>-<number>-found.tif      enum pixel_flag, uint8
 *   <role>-<number>.json           the sidecar: what they were made of, and their checksums
 *
 * The TIFFs have one page and open in ImageJ, tifffile and libtiff. The sidecar gets its name last,
 * when all else is on the disk: a set is valid where there is one. */

/* What is wrong with a pixel. */
enum pixel_flag {
	PIXEL_HOT = 1u << 0,   /* a dark far above the others */
	PIXEL_NOISY = 1u << 1, /* of a dark: varies far more than the others */
	PIXEL_DEAD = 1u << 2,  /* of a flat: sees little of the beam; or has no value in a frame */
};

/* A frame that was not used, for its mean is too far from the others'. */
struct calibration_left_out {
	uint64_t frame;    /* its number */
	double mean;       /* counts; NaN: no pixel has a value */
	double deviations; /* median absolute deviations from the median of the means; infinite
	                      without a mean */
};

/* What a set is made of; all borrowed during the call. */
struct calibration_set {
	const char *role; /* "dark", "flat", "flat_dark": begins the names */
	uint32_t width, height;
	const float *image, *variance;               /* counts, counts squared [height][width] */
	const uint8_t *found;                        /* enum pixel_flag [height][width] */
	const char *combine;                         /* "mean", "median" */
	uint64_t frames, asked;                      /* used; wanted */
	const struct calibration_left_out *left_out; /* [left_out_count] */
	unsigned left_out_count;
	uint64_t first, last;     /* numbers of the frames used */
	uint64_t taken_ns;        /* CLOCK_REALTIME of the last one */
	double exposure_s;        /* 0: not known */
	enum product_type type;   /* of the frames, unpacked, */
	const char *pixel_format; /* and as they came: "Mono12p", "uint16" */
	uint64_t hot, noisy, dead;
	double level, noise; /* medians of image and standard deviation over the frames, counts */
	const char *version; /* of the program */
};

struct calibration_written {
	char path[4096 + 256]; /* of the image */
	uint32_t number;
	uint32_t crc32c; /* of the image's file */
	uint64_t bytes;
	char why[512]; /* after an error: one sentence, what and where */
};

/* Write a set into a directory, under the first number of its role that is free there (at least
 * four digits, from 1): files of other names, and what another process makes meanwhile, are left
 * alone. Durable on return.
 *
 * 0, or negative errno with why[] (-ENOENT, -ENOTDIR, -EACCES, -ENOSPC, -EIO, -ENAMETOOLONG,
 * -EFBIG, -ENOMEM); nothing of the set is then left behind, as far as the disk lets it be removed.
 * Any thread; waits for the disk. */
int calibration_file_write(struct calibration_written *ret, const struct disk_io *io,
                           const char *directory, const struct calibration_set *s);

#endif
