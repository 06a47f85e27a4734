/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGEST_SIDECAR_H
#define INGEST_SIDECAR_H

#include "ingest/frame.h"

#include <stdbool.h>
#include <stdint.h>

/* What is known of a calibration image that was made of frames: a JSON object beside it, under its
 * name with .json instead of .tif or .tiff. sinks/calibration_file.h writes them. */

#define SIDECAR_BYTES_MAX (4u << 20) /* a longer one is refused */

/* How a file is known again. */
struct sidecar_file {
	bool there;
	uint32_t crc32c; /* of its bytes */
	uint64_t bytes;
};

struct sidecar {
	bool there;
	char role[16];             /* "dark", "flat", "flat_dark" */
	uint32_t width, height;    /* pixels */
	enum pixel_type type;      /* of the frames it was made of, unpacked */
	double exposure_s;         /* 0: not known */
	uint64_t taken_ns;         /* CLOCK_REALTIME */
	uint64_t frames;           /* in it */
	struct sidecar_file image; /* there */
	struct sidecar_file found; /* the pixels found in it: <image without .tif>-found.tif */
	char path[4096 + 16];      /* of the sidecar */
	char why[400];             /* after an error: one sentence with the file's name */
};

/* Read what stands beside an image. 0 with `there` false where there is nothing, or a JSON object
 * that is not of this program: of that only taken_ns counts, when it has one; else negative errno
 * with why[]: -EINVAL (no JSON, a key missing or of the wrong kind), -EFBIG, -ENOMEM, or that of
 * reading. Whether image and sidecar belong together is for the caller to see. Any thread. */
int sidecar_read(struct sidecar *ret, const char *image);

/* The file beside an image: its path with `ending` instead of .tif or .tiff. False when it has
 * neither, or is too long. */
bool sidecar_path(char ret[4096 + 16], const char *image, const char *ending);

#endif
