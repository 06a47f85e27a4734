/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/write_pool.h"

#include "daemon/clock.h"
#include "daemon/crew.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

struct pool {
	const struct write_pool_load *load;
	int fd;
	bool direct;
	_Atomic uint64_t next; /* frame to take */
	atomic_int error;      /* the first one, negative errno */
};

static int write_whole(int fd, const unsigned char *data, size_t bytes, uint64_t offset)
{
	while (bytes) {
		ssize_t n = pwrite(fd, data, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		data += n;
		bytes -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

/* relaxed: the threads are joined before anything is read. */
static void write_frames(void *user, unsigned member)
{
	struct pool *p = user;
	const struct frame_slots *slots = p->load->slots;

	(void)member;
	while (!atomic_load_explicit(&p->error, memory_order_relaxed)) {
		uint64_t n = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
		int err;

		if (n >= p->load->frames)
			return;
		err = write_whole(p->fd, frame_slots_at(slots, n), slots->slot_bytes,
		                  n * slots->slot_bytes);
		if (err)
			atomic_store_explicit(&p->error, err, memory_order_relaxed);
	}
}

/* A file without a name, its space allocated. 0 or negative errno. */
static int create(struct pool *p)
{
	char path[SCRATCH_PATH_MAX + 16];
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
	uint64_t bytes = p->load->frames * p->load->slots->slot_bytes;

	snprintf(path, sizeof path, "%s/pool", p->load->scratch->path);
	p->fd = open(path, flags | O_DIRECT, 0600);
	p->direct = p->fd >= 0;
	if (!p->direct && errno == EINVAL) { /* a file system without O_DIRECT */
		unlink(path);
		p->fd = open(path, flags, 0600);
	}
	if (p->fd < 0)
		return -errno;
	unlink(path);
	return fallocate(p->fd, 0, 0, (off_t)bytes) && errno != EOPNOTSUPP ? -errno : 0;
}

static int write_and_sync(struct pool *p)
{
	if (!crew_time_ns(p->load->threads, write_frames, p))
		return -EAGAIN;
	if (atomic_load(&p->error))
		return atomic_load(&p->error);
	return fsync(p->fd) ? -errno : 0;
}

int write_pool_run(const struct write_pool_load *load, struct write_pool_figures *ret)
{
	struct pool p = { .load = load };
	int err = create(&p);
	uint64_t begin_ns = clock_now_ns(), cpu_ns = clock_cpu_ns();

	if (!err)
		err = write_and_sync(&p);
	if (!err)
		*ret = (struct write_pool_figures){ (double)(clock_now_ns() - begin_ns) * 1e-9,
			                            (double)(clock_cpu_ns() - cpu_ns) * 1e-9,
			                            p.direct };
	if (p.fd >= 0)
		close(p.fd);
	return err;
}
