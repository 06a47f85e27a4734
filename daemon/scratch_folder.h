/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SCRATCH_FOLDER_H
#define DAEMON_SCRATCH_FOLDER_H

/* A folder for files that nobody keeps. */

#define SCRATCH_PATH_MAX 512

struct scratch_folder {
	char path[SCRATCH_PATH_MAX]; /* "": none */
};

/* Make DIR/NAME-XXXXXX. 0 or negative errno. */
int scratch_folder_open(struct scratch_folder *f, const char *directory, const char *name);

/* Remove it with all that is in it. Accepts a zeroed one. */
void scratch_folder_close(struct scratch_folder *f);

/* Remove the folder `name` in it, and all that is in that. */
void scratch_folder_remove(const struct scratch_folder *f, const char *name);

#endif
