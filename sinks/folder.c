/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/folder.h"

#include "sinks/texts.h"
#include "sinks/writer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_BYTES_MAX 100

const char *folder_remedy(int error)
{
	switch (error) {
	case -ENOENT:
		return "create it first (mkdir -p)";
	case -ENOTDIR:
		return "name a directory";
	case -EACCES:
	case -EPERM:
		return "give this user the right to write there";
	case -EROFS:
		return "mount it for writing";
	case -ENOSPC:
	case -EDQUOT:
		return "free some space";
	default:
		return "choose another directory";
	}
}

static int refuse(char why[256], const char *path, const char *what, int error)
{
	snprintf(why, 256, "%.120s: %s: %s: %s", path, what, strerror(-error),
	         folder_remedy(error));
	return error;
}

static int write_block(const struct disk_io *io, int fd)
{
	void *block = aligned_alloc(WRITER_ALIGN, WRITER_ALIGN);
	int err;

	if (!block)
		return -ENOMEM;
	memset(block, 0, WRITER_ALIGN);
	err = disk_write(io, fd, block, WRITER_ALIGN, 0);
	free(block);
	return err;
}

/* Make a file, write one block, remove it again. */
static int probe(const struct disk_io *io, int directory, int flags)
{
	char name[64];
	int fd, err, removed;

	snprintf(name, sizeof name, ".openbeam-probe-%ld", (long)getpid());
	fd = disk_open(io, directory, name, O_WRONLY | O_CREAT | O_EXCL | flags, 0600);
	if (fd == -EEXIST) { /* of a process that died there and had our number */
		(void)disk_remove(io, directory, name);
		fd = disk_open(io, directory, name, O_WRONLY | O_CREAT | O_EXCL | flags, 0600);
	}
	if (fd < 0) {
		/* An open that is refused for its flags leaves the file. */
		(void)disk_remove(io, directory, name);
		return fd;
	}
	err = write_block(io, fd);
	close(fd);
	removed = disk_remove(io, directory, name);
	return err ? err : removed;
}

static int prove_direct(const struct disk_io *io, int directory, const char *path,
                        enum direct_mode mode, bool *ret_direct, char why[256])
{
	int err = mode == DIRECT_NO ? 0 : probe(io, directory, O_DIRECT);

	*ret_direct = mode != DIRECT_NO && !err;
	why[0] = '\0';
	if (!err)
		return 0;
	if (mode == DIRECT_YES) {
		snprintf(why, 256, "%.120s: O_DIRECT refused: %s: set direct to auto or no", path,
		         strerror(-err));
		return err;
	}
	snprintf(why, 256, "%.120s refuses O_DIRECT: %s", path, strerror(-err));
	return 0;
}

int folder_prove(const struct disk_io *io, const char *path, enum direct_mode mode,
                 int *ret_directory, bool *ret_direct, char why[256])
{
	int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err;

	if (directory < 0)
		return refuse(why, path, "cannot open the directory", -errno);
	err = probe(io, directory, 0);
	if (err)
		refuse(why, path, "cannot write there", err);
	else
		err = prove_direct(io, directory, path, mode, ret_direct, why);
	if (err) {
		close(directory);
		return err;
	}
	*ret_directory = directory;
	return 0;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool folder_is_same(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && is_same(&sa, &sb);
}

bool folder_is_at(const char *path, int directory)
{
	struct stat there, here;

	return stat(path, &there) < 0 || fstat(directory, &here) < 0 || is_same(&there, &here);
}

/* Of a sequence of several bytes; 0: it is a single one, or none. */
static size_t sequence_bytes(const unsigned char *s)
{
	size_t n = text_sequence_bytes((const char *)s);

	return n > 1 ? n : 0;
}

static bool is_plain(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c && strchr("._+-=@ ", c));
}

bool folder_clean_name(char ret[FOLDER_NAME_MAX], const char *name)
{
	const unsigned char *s = (const unsigned char *)name;
	size_t n = 0;

	while (*s) {
		size_t bytes = sequence_bytes(s);

		if (n + (bytes ? bytes : 1) > NAME_BYTES_MAX)
			break;
		if (bytes)
			memcpy(ret + n, s, bytes);
		else
			ret[n] = is_plain(*s) && !(n == 0 && *s == '.') ? (char)*s : '_';
		n += bytes ? bytes : 1;
		s += bytes ? bytes : 1;
	}
	ret[n] = '\0';
	if (n == 0)
		strcpy(ret, "series");
	return strcmp(ret, name) != 0;
}

/* Take back what was made in the first so many parents. */
static void unmake(const struct disk_io *io, struct folder_parent *parents, unsigned count,
                   const char *name)
{
	for (unsigned i = 0; i < count; i++) {
		if (parents[i].error == 0)
			(void)disk_remove_folder(io, parents[i].directory, name);
		parents[i].error = 0;
	}
}

/* True unless the name is taken in one of them. */
static bool try_number(const struct disk_io *io, struct folder_parent *parents, unsigned count,
                       const char *name)
{
	for (unsigned i = 0; i < count; i++) {
		parents[i].error = disk_make_folder(io, parents[i].directory, name);
		if (parents[i].error != -EEXIST)
			continue;
		unmake(io, parents, i, name);
		return false;
	}
	return true;
}

static void enter(const struct disk_io *io, struct folder_parent *p, const char *name)
{
	p->series = -1;
	snprintf(p->series_path, sizeof p->series_path, "%s/%s", p->path, name);
	if (p->error)
		return;
	p->series = disk_open(io, p->directory, name, O_RDONLY | O_DIRECTORY, 0);
	p->error = p->series < 0 ? p->series : disk_sync(io, p->directory);
	if (p->error && p->series >= 0) {
		close(p->series);
		p->series = -1;
	}
}

/* What is known of a name, else a new entry with number 0. NULL when the directory cannot be told.
 */
static struct folder_count *count_of(struct folder_parent *p, const char *name)
{
	struct stat here;
	struct folder_count *c;

	if (fstat(p->directory, &here) < 0)
		return NULL;
	for (unsigned i = 0; i < FOLDER_COUNTS; i++) {
		c = &p->counts[i];
		if (c->device == here.st_dev && c->inode == here.st_ino &&
		    strcmp(c->name, name) == 0)
			return c;
	}
	c = &p->counts[p->next_count++ % FOLDER_COUNTS];
	*c = (struct folder_count){ .device = here.st_dev, .inode = here.st_ino };
	snprintf(c->name, sizeof c->name, "%s", name);
	return c;
}

int folder_make(const struct disk_io *io, struct folder_parent *parents, unsigned count,
                const char *name, char ret_name[FOLDER_NAME_MAX], uint32_t *ret_number)
{
	struct folder_count *last;
	uint32_t number;
	int error = -ENOENT;

	assert(count > 0);
	last = count_of(&parents[0], name);
	number = last ? last->number : 0;
	do
		snprintf(ret_name, FOLDER_NAME_MAX, "%.*s-%04" PRIu32, NAME_BYTES_MAX, name,
		         ++number);
	while (!try_number(io, parents, count, ret_name));
	*ret_number = number;
	for (unsigned i = count; i-- > 0;) {
		enter(io, &parents[i], ret_name);
		error = parents[i].error && error ? parents[i].error : 0;
	}
	if (last && !parents[0].error)
		last->number = number;
	return error;
}
