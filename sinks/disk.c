/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define STREAM_BUFFER (64u << 10)

int disk_before(const struct disk_io *io, const struct disk_call *c, uint64_t *length)
{
	*length = c->length;
	return io && io->before ? io->before(io->user, c, length) : 0;
}

void disk_after(const struct disk_io *io, const struct disk_call *c, int64_t result)
{
	if (io && io->after)
		io->after(io->user, c, result);
}

/* For file systems without RENAME_NOREPLACE: a link fails where a name is taken. */
static int link_then_unlink(const struct disk_call *c)
{
	if (linkat(c->fd, c->name, c->fd, c->to, 0) < 0)
		return -1;
	return unlinkat(c->fd, c->name, 0);
}

static int rename_it(const struct disk_call *c)
{
	if (c->flags == 0)
		return renameat(c->fd, c->name, c->fd, c->to);
	if (renameat2(c->fd, c->name, c->fd, c->to, (unsigned)c->flags) == 0)
		return 0;
	return errno == EINVAL || errno == ENOSYS ? link_then_unlink(c) : -1;
}

static int64_t try(const struct disk_call *c, uint64_t length, mode_t mode)
{
	switch (c->kind) {
	case DISK_WRITE:
		return pwrite(c->fd, c->data, length, (off_t)c->offset);
	case DISK_SYNC:
		return fsync(c->fd);
	case DISK_SYNC_DATA:
		return fdatasync(c->fd);
	case DISK_ALLOCATE:
		return fallocate(c->fd, FALLOC_FL_KEEP_SIZE, (off_t)c->offset, (off_t)length);
	case DISK_EXTEND:
		return fallocate(c->fd, 0, (off_t)c->offset, (off_t)length);
	case DISK_PUNCH:
		return fallocate(c->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		                 (off_t)c->offset, (off_t)length);
	case DISK_TRUNCATE:
		return ftruncate(c->fd, (off_t)c->length);
	case DISK_OPEN:
		return openat(c->fd, c->name, c->flags | O_CLOEXEC, mode);
	case DISK_RENAME:
		return rename_it(c);
	case DISK_REMOVE:
		return unlinkat(c->fd, c->name, c->flags);
	case DISK_FOLDER:
		return mkdirat(c->fd, c->name, mode);
	default:
		errno = ENOSYS;
		return -1;
	}
}

/* Ask, do, tell. */
static int64_t call(const struct disk_io *io, const struct disk_call *c, mode_t mode)
{
	uint64_t length;
	int64_t result = disk_before(io, c, &length);

	if (result < 0)
		return result;
	do /* but no sync, whose next try may hide what this one has seen */
		result = try(c, length, mode);
	while (result < 0 && errno == EINTR && c->kind != DISK_SYNC && c->kind != DISK_SYNC_DATA);
	result = result < 0 ? -errno : result;
	disk_after(io, c, result);
	return result;
}

int disk_open(const struct disk_io *io, int folder, const char *name, int flags, mode_t mode)
{
	return (int)call(io,
	                 &(struct disk_call){
				 .kind = DISK_OPEN, .fd = folder, .name = name, .flags = flags },
	                 mode);
}

int disk_write(const struct disk_io *io, int fd, const void *data, uint64_t length, uint64_t offset)
{
	for (uint64_t done = 0; done < length;) {
		struct disk_call c = { .kind = DISK_WRITE,
			               .fd = fd,
			               .data = (const char *)data + done,
			               .offset = offset + done,
			               .length = length - done < INT_MAX / 2 ? length - done
			                                                     : INT_MAX / 2 };
		int64_t n = call(io, &c, 0);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return -EIO;
		done += (uint64_t)n;
	}
	return 0;
}

int disk_sync(const struct disk_io *io, int fd)
{
	return (int)call(io, &(struct disk_call){ .kind = DISK_SYNC, .fd = fd }, 0);
}

int disk_allocate(const struct disk_io *io, int fd, uint64_t offset, uint64_t length)
{
	return (int)call(
		io,
		&(struct disk_call){
			.kind = DISK_ALLOCATE, .fd = fd, .offset = offset, .length = length },
		0);
}

int disk_punch(const struct disk_io *io, int fd, uint64_t offset, uint64_t length)
{
	return (int)call(io,
	                 &(struct disk_call){
				 .kind = DISK_PUNCH, .fd = fd, .offset = offset, .length = length },
	                 0);
}

int disk_truncate(const struct disk_io *io, int fd, uint64_t length)
{
	return (int)call(
		io, &(struct disk_call){ .kind = DISK_TRUNCATE, .fd = fd, .length = length }, 0);
}

static int rename_with(const struct disk_io *io, int folder, const char *from, const char *to,
                       int flags)
{
	return (int)call(
		io,
		&(struct disk_call){
			.kind = DISK_RENAME, .fd = folder, .name = from, .to = to, .flags = flags },
		0);
}

int disk_rename(const struct disk_io *io, int folder, const char *from, const char *to)
{
	return rename_with(io, folder, from, to, RENAME_NOREPLACE);
}

int disk_replace(const struct disk_io *io, int folder, const char *from, const char *to)
{
	return rename_with(io, folder, from, to, 0);
}

static int remove_with(const struct disk_io *io, int folder, const char *name, int flags)
{
	return (int)call(io,
	                 &(struct disk_call){
				 .kind = DISK_REMOVE, .fd = folder, .name = name, .flags = flags },
	                 0);
}

int disk_remove(const struct disk_io *io, int folder, const char *name)
{
	return remove_with(io, folder, name, 0);
}

int disk_remove_folder(const struct disk_io *io, int folder, const char *name)
{
	return remove_with(io, folder, name, AT_REMOVEDIR);
}

int disk_make_folder(const struct disk_io *io, int folder, const char *name)
{
	return (int)call(io, &(struct disk_call){ .kind = DISK_FOLDER, .fd = folder, .name = name },
	                 0777);
}

/* A stream over disk_write(). */

struct stream {
	const struct disk_io *io;
	int fd;
	uint64_t at;
};

static ssize_t stream_write(void *cookie, const char *data, size_t n)
{
	struct stream *s = cookie;
	int err = disk_write(s->io, s->fd, data, n, s->at);

	if (err) {
		errno = -err;
		return 0; /* as fopencookie() wants it */
	}
	s->at += n;
	return (ssize_t)n;
}

static int stream_close(void *cookie)
{
	struct stream *s = cookie;
	int result = close(s->fd);

	free(s);
	return result;
}

FILE *disk_stream(const struct disk_io *io, int fd)
{
	struct stream *s = malloc(sizeof *s);
	FILE *f;

	if (!s)
		return NULL;
	*s = (struct stream){ .io = io, .fd = fd };
	f = fopencookie(s, "w",
	                (cookie_io_functions_t){ .write = stream_write, .close = stream_close });
	if (!f) {
		free(s);
		return NULL;
	}
	(void)setvbuf(f, NULL, _IOFBF, STREAM_BUFFER);
	return f;
}
