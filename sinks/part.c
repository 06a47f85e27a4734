/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int part_name(char ret[PART_NAME_MAX], const char *name)
{
	int n = snprintf(ret, PART_NAME_MAX, "%s" PART_SUFFIX, name);

	return n < 0 || n >= PART_NAME_MAX ? -ENAMETOOLONG : 0;
}

/* For file systems without RENAME_NOREPLACE: a link fails where a name is taken. */
static int link_then_unlink(int directory, const char *from, const char *to)
{
	if (linkat(directory, from, directory, to, 0) < 0)
		return -errno;
	return unlinkat(directory, from, 0) < 0 ? -errno : 0;
}

int part_rename(int directory, const char *name)
{
	char from[PART_NAME_MAX];
	int err = part_name(from, name);

	if (err)
		return err;
	if (renameat2(directory, from, directory, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno == EINVAL || errno == ENOSYS)
		return link_then_unlink(directory, from, name);
	return -errno;
}

int part_open(FILE **ret, int directory, const char *name)
{
	char part[PART_NAME_MAX];
	int err = part_name(part, name);
	FILE *f;
	int fd;

	if (err)
		return err;
	fd = openat(directory, part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	f = fdopen(fd, "w");
	if (!f) {
		err = -errno;
		close(fd);
		unlinkat(directory, part, 0);
		return err;
	}
	*ret = f;
	return 0;
}

static int flush_and_close(FILE *f)
{
	int err = 0;

	errno = 0;
	if (fflush(f) || fsync(fileno(f)))
		err = -errno;
	else if (ferror(f)) /* an earlier write failed, its errno is gone */
		err = -EIO;
	if (fclose(f) && !err)
		err = -errno;
	return err;
}

int part_commit(FILE *f, int directory, const char *name, bool replace)
{
	char part[PART_NAME_MAX];
	int err = flush_and_close(f);

	if (part_name(part, name))
		return -ENAMETOOLONG;
	if (!err && replace)
		err = renameat(directory, part, directory, name) < 0 ? -errno : 0;
	else if (!err)
		err = part_rename(directory, name);
	if (err)
		unlinkat(directory, part, 0);
	return err;
}
