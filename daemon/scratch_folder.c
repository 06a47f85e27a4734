/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/scratch_folder.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
	(void)status, (void)kind, (void)at;
	remove(path);
	return 0;
}

static void remove_all(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int scratch_folder_open(struct scratch_folder *f, const char *directory, const char *name)
{
	int n = snprintf(f->path, sizeof f->path, "%s/%s-XXXXXX", directory, name);

	if (n >= (int)sizeof f->path) {
		f->path[0] = '\0';
		return -ENAMETOOLONG;
	}
	if (mkdtemp(f->path))
		return 0;
	f->path[0] = '\0';
	return -errno;
}

void scratch_folder_close(struct scratch_folder *f)
{
	if (f->path[0])
		remove_all(f->path);
	f->path[0] = '\0';
}

void scratch_folder_remove(const struct scratch_folder *f, const char *name)
{
	char path[SCRATCH_PATH_MAX + 64];

	snprintf(path, sizeof path, "%s/%s", f->path, name);
	remove_all(path);
}
