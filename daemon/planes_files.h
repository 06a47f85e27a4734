/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_PLANES_FILES_H
#define DAEMON_PLANES_FILES_H

#include "daemon/planes.h"
#include "ingest/calibration.h"

/* Calibration images that were read from files, with what is known of them. */
struct planes_files {
	struct image images[PLANES_IMAGES];
	uint8_t *found[PLANES_IMAGES];
	size_t bytes; /* of all pixels */
};

/* Read the files of the configuration whose role is wanted, as planes_open() says. What is in
 * *ret_images lies in *ret, and paths in the configuration. 0 or negative errno with why[]; *ret is
 * to be freed either way. */
int planes_files_read(struct planes_files *ret, const struct config *c,
                      const bool wanted[PLANES_IMAGES], struct planes_images *ret_images,
                      char why[400]);

/* Accepts a zeroed one. */
void planes_files_done(struct planes_files *f);

#endif
