/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_TIFF_PAGES_H
#define BENCH_TIFF_PAGES_H

#include "ingest/frame.h"

#include <stddef.h>
#include <stdint.h>

/* The pages of some TIFF files, one after the other, as frames of one stream. Values are what
 * is stored; tags that re-map them are ignored. */
struct tiff_pages {
	uint32_t width, height; /* pixels, of every page */
	enum pixel_type type;
	size_t bytes; /* of one page */
	uint64_t count;
	unsigned file_count;
	const char *const *files; /* borrowed */
	uint64_t *first;          /* number of each file's first page [file_count] */
	void *open;               /* libtiff's handle of the file in use, or NULL */
	unsigned open_file;
	char message[256]; /* libtiff's last sentence about it: the struct must not move */
	char why[512];     /* after an error: one sentence with file, page and what to do */
};

/* Look at every page of every file: one sample of uint8, uint16, uint32 or float32 per pixel,
 * all of one size and type, strips or tiles, any compression libtiff knows.
 *
 * files   names, alive until tiff_pages_close()   [file_count], at least 1
 *
 * 0, or negative errno with why[]: -ENOENT, -EACCES, -EINVAL (no TIFF, or one that does not
 * fit), -ENOMEM. After an error nothing but why[] is held. */
int tiff_pages_open(struct tiff_pages *p, const char *const *files, unsigned file_count);

/* Accepts a zeroed one. */
void tiff_pages_close(struct tiff_pages *p);

/* Read one page in native byte order. Cheapest in rising order.
 *
 * page         0 to count - 1
 * ret_pixels   [height][width] of type
 *
 * 0, or -EIO with why[] (a file changed or damaged). */
int tiff_pages_read(struct tiff_pages *p, uint64_t page, void *ret_pixels);

/* Write one float32 image as an uncompressed TIFF; an existing file is replaced.
 *
 * pixels   counts [height][width]
 *
 * 0, or negative errno with why: of open(2), -EIO. */
int tiff_image_write(const char *path, const float *pixels, uint32_t width, uint32_t height,
                     char why[512]);

#endif
