/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/disk_limit.h"

#include "daemon/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define BLOCK ((size_t)4 << 20)
#define DEPTH 8

struct target {
	int fd;
	bool direct, uring;
	struct io_uring ring;
	unsigned char *block; /* [BLOCK], written again and again */
	unsigned long long bytes, at;
	uint64_t deadline_ns;
};

static void close_target(struct target *t)
{
	if (t->uring)
		io_uring_queue_exit(&t->ring);
	if (t->fd >= 0)
		close(t->fd);
	free(t->block);
}

/* A file without a name, or negative errno. */
static int create(const char *directory, int flags)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof path, "%s/.openbeam-bench-XXXXXX", directory) >= (int)sizeof path)
		return -ENAMETOOLONG;
	fd = mkostemp(path, flags);
	if (fd < 0)
		return -errno;
	unlink(path);
	return fd;
}

static int open_target(struct target *t, const char *directory, unsigned long long bytes)
{
	*t = (struct target){ .bytes = bytes };
	t->fd = create(directory, O_DIRECT);
	t->direct = t->fd >= 0;
	if (t->fd == -EINVAL) /* a file system without O_DIRECT */
		t->fd = create(directory, 0);
	if (t->fd < 0)
		return t->fd;
	if (posix_memalign((void **)&t->block, 4096, BLOCK))
		t->block = NULL;
	if (!t->block) {
		close_target(t);
		return -ENOMEM;
	}
	memset(t->block, 0xa5, BLOCK);
	if (fallocate(t->fd, 0, 0, (off_t)bytes) && errno != EOPNOTSUPP) {
		int err = -errno;

		close_target(t);
		return err;
	}
	t->uring = io_uring_queue_init(DEPTH, &t->ring, 0) == 0;
	return 0;
}

static bool has_more(const struct target *t)
{
	return t->at + BLOCK <= t->bytes && clock_now_ns() < t->deadline_ns;
}

static int write_plainly(struct target *t)
{
	while (has_more(t)) {
		ssize_t n = pwrite(t->fd, t->block, BLOCK, (off_t)t->at);

		if (n < 0 && errno != EINTR)
			return -errno;
		t->at += n > 0 ? BLOCK : 0; /* a short write costs a little of the figure */
	}
	return 0;
}

static void submit_block(struct target *t)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&t->ring);

	io_uring_prep_write(sqe, t->fd, t->block, (unsigned)BLOCK, t->at);
	t->at += BLOCK;
}

/* Wait for one block; 0 or negative errno. */
static int reap(struct target *t)
{
	struct io_uring_cqe *cqe;
	int err;

	do
		err = io_uring_wait_cqe(&t->ring, &cqe);
	while (err == -EINTR);
	if (err)
		return err;
	err = cqe->res < 0 ? cqe->res : 0;
	io_uring_cqe_seen(&t->ring, cqe);
	return err;
}

static int write_through_ring(struct target *t)
{
	unsigned flying = 0;
	int err = 0;

	for (;;) {
		int reaped;

		while (!err && flying < DEPTH && has_more(t)) {
			submit_block(t);
			flying++;
		}
		if (flying == 0)
			return err;
		io_uring_submit(&t->ring);
		reaped = reap(t);
		err = err ? err : reaped;
		flying--;
	}
}

static int measure_once(struct target *t, double seconds, struct disk_limit *ret)
{
	uint64_t begin = clock_now_ns(), cpu = clock_cpu_ns();
	double gb, elapsed;
	int err;

	t->deadline_ns = begin + (uint64_t)(seconds * 1e9);
	err = t->uring ? write_through_ring(t) : write_plainly(t);
	if (!err && fdatasync(t->fd))
		err = -errno;
	if (err)
		return err;
	elapsed = (double)(clock_now_ns() - begin) * 1e-9;
	gb = (double)t->at * 1e-9;
	if (t->at == 0)
		return -ENOSPC;
	samples_add(&ret->gb_per_s, gb / elapsed);
	samples_add(&ret->cpu_s_per_gb, (double)(clock_cpu_ns() - cpu) * 1e-9 / gb);
	ret->method = t->uring    ? t->direct ? "io_uring, O_DIRECT" : "io_uring, buffered"
	              : t->direct ? "pwrite, O_DIRECT"
	                          : "pwrite, buffered";
	return 0;
}

static int refuse(const char *directory, int err, char why[512])
{
	const char *remedy = err == -ENOSPC
	                             ? ": free some space or give another --directory"
	                             : ": give a folder that can be written with --directory";

	snprintf(why, 512, "cannot write to %s: %s%s", directory, strerror(-err), remedy);
	return err;
}

/* At most a quarter of what is free. */
static unsigned long long fitting(const char *directory, unsigned long long bytes)
{
	struct statvfs fs;
	unsigned long long room;

	if (statvfs(directory, &fs))
		return bytes;
	room = (unsigned long long)fs.f_bavail * fs.f_frsize / 4;
	return room < bytes ? room : bytes;
}

int disk_limit_measure(const char *directory, unsigned runs, double seconds,
                       unsigned long long bytes, struct disk_limit *ret, char why[512])
{
	struct disk_limit limit = { 0 };

	bytes = fitting(directory, bytes) / BLOCK * BLOCK;
	for (unsigned i = 0; i < runs; i++) {
		struct target t;
		int err = open_target(&t, directory, bytes);

		if (err)
			return refuse(directory, err, why);
		err = measure_once(&t, seconds, &limit);
		close_target(&t);
		if (err)
			return refuse(directory, err, why);
	}
	*ret = limit;
	return 0;
}
