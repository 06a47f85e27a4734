/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/part.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int part_name(char ret[PART_NAME_MAX], const char *name)
{
	int n = snprintf(ret, PART_NAME_MAX, "%s" PART_SUFFIX, name);

	return n < 0 || n >= PART_NAME_MAX ? -ENAMETOOLONG : 0;
}

int part_rename(const struct disk_io *io, int directory, const char *name)
{
	char from[PART_NAME_MAX];
	int err = part_name(from, name);

	return err ? err : disk_rename(io, directory, from, name);
}

/* A file descriptor of a new `name`.part, or negative errno. An older one goes; where it is a link,
 * what that leads to stays as it is. */
static int create(const struct disk_io *io, int directory, const char *name)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
	char part[PART_NAME_MAX];
	int err = part_name(part, name), fd;

	if (err)
		return err;
	fd = disk_open(io, directory, part, flags, 0666);
	if (fd != -EEXIST)
		return fd;
	err = disk_remove(io, directory, part);
	return err ? err : disk_open(io, directory, part, flags, 0666);
}

/* Name a closed file that was written with `err`, or remove it. */
static int settle(const struct disk_io *io, int directory, const char *name, bool replace, int err)
{
	char part[PART_NAME_MAX];

	if (part_name(part, name))
		return -ENAMETOOLONG;
	if (!err && replace)
		err = disk_replace(io, directory, part, name);
	else if (!err)
		err = disk_rename(io, directory, part, name);
	if (err)
		(void)disk_remove(io, directory, part);
	return err;
}

int part_open(struct part *ret, const struct disk_io *io, int directory, const char *name)
{
	struct part p = { .io = io, .directory = directory, .name = name };

	p.fd = create(io, directory, name);
	if (p.fd < 0)
		return p.fd;
	p.text = disk_stream(io, p.fd);
	if (!p.text) {
		close(p.fd);
		return settle(io, directory, name, false, -ENOMEM);
	}
	*ret = p;
	return 0;
}

int part_commit(struct part *p, bool replace)
{
	int err = 0;

	errno = 0;
	if (fflush(p->text))
		err = errno ? -errno : -EIO;
	else if (ferror(p->text)) /* an earlier write failed, its errno is gone */
		err = -EIO;
	if (!err)
		err = disk_sync(p->io, p->fd);
	if (fclose(p->text) && !err)
		err = -errno;
	return settle(p->io, p->directory, p->name, replace, err);
}

int part_write(const struct disk_io *io, int directory, const char *name, const void *bytes,
               size_t n, bool replace)
{
	int fd = create(io, directory, name), err;

	if (fd < 0)
		return fd;
	err = disk_write(io, fd, bytes, n, 0);
	if (!err)
		err = disk_sync(io, fd);
	if (close(fd) < 0 && !err)
		err = -errno;
	return settle(io, directory, name, replace, err);
}
