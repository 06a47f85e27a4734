/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_CALIBRATION_H
#define INGEST_CALIBRATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One calibration image as float32 counts. Values are what is stored: tags that re-map them
 * (ImageJ's c0, c1) are ignored. */
struct image {
	uint32_t width, height; /* pixels */
	uint32_t pages;         /* the image is the mean of so many */
	float *pixels;          /* [height][width], row-major, counts; 64-byte aligned, owned */
	char *path;             /* owned */
	char why[256];          /* after an error: one sentence with file, page and what to do */
};

/* Read a TIFF: 8, 16, 32 bit unsigned, 16 or 32 bit signed, 32 or 64 bit float; one sample per
 * pixel; both byte orders; strips or tiles; any compression libtiff knows; classic or BigTIFF.
 * Several pages of the same shape are averaged (sums in double), and so are the planes that
 * ImageJ writes behind one page. Thumbnails and masks among the pages are left out. Photometric
 * interpretation and orientation are ignored.
 *
 * Image and sums, 4 and 8 bytes a pixel (the latter with several pages), and the largest strip
 * or tile must fit `limit_bytes`; libtiff allocates no block above that and 1 MiB besides.
 *
 * 0, or negative errno with why[]: -ENOENT, -EACCES, -EISDIR, -EINVAL (no TIFF, truncated,
 * colour, pages of different shapes), -EFBIG, -ENOMEM, -EIO. libtiff's own messages go into
 * why[], never to stderr. On failure *ret holds only why[]. Main thread. */
int image_read(struct image *ret, const char *path, uint64_t limit_bytes);

/* Accepts a zeroed one. */
void image_done(struct image *i);

#endif
