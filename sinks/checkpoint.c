/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/checkpoint.h"

#include "kernels/cpu.h"
#include "kernels/crc32c.h"
#include "sinks/little_endian.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_BYTES  128
#define INTERVAL_NS 1000000000u

static const char magic[8] = { 'O', 'B', 'C', 'H', 'E', 'C', 'K', '1' };

static uint32_t checksum(const unsigned char *bytes, size_t n)
{
	return crc32c_for(cpu_detect())(0, bytes, n);
}

static size_t plain_bytes(uint64_t raw, uint64_t normalised)
{
	return HEAD_BYTES + (size_t)(raw + normalised) * sizeof(uint64_t) + 4;
}

static size_t bytes_of(uint64_t raw, uint64_t normalised)
{
	return (plain_bytes(raw, normalised) + WRITER_ALIGN - 1) / WRITER_ALIGN * WRITER_ALIGN;
}

static void put_tails(unsigned char *at, const struct histogram_tails *t)
{
	put64(at, t->below);
	put64(at + 8, t->above);
	put64(at + 16, t->nan);
}

static void put_counts(unsigned char *at, const uint64_t *counts, uint32_t bins)
{
	for (uint32_t i = 0; i < bins; i++)
		put64(at + i * sizeof(uint64_t), counts[i]);
}

static void encode(struct checkpoint *c, uint64_t frames, uint64_t newest)
{
	const struct sink_histograms *h = c->histograms;
	unsigned char *at = c->copy;
	size_t n = plain_bytes(h->raw_bins.bins, h->normalised_bins.bins);

	memset(at, 0, c->copy_bytes);
	memcpy(at, magic, sizeof magic);
	put64(at + 8, ++c->generation);
	put64(at + 16, frames);
	put64(at + 24, newest);
	put32(at + 32, h->raw_bins.bins);
	put32(at + 36, h->normalised_bins.bins);
	put_double(at + 40, h->raw_bins.low);
	put_double(at + 48, h->raw_bins.high);
	put_double(at + 56, h->normalised_bins.low);
	put_double(at + 64, h->normalised_bins.high);
	put_tails(at + 72, h->raw_tails);
	put_tails(at + 96, h->normalised_tails);
	put_counts(at + HEAD_BYTES, h->raw_counts, h->raw_bins.bins);
	put_counts(at + HEAD_BYTES + h->raw_bins.bins * sizeof(uint64_t), h->normalised_counts,
	           h->normalised_bins.bins);
	put32(at + n - 4, checksum(at, n - 4));
}

static void done(struct checkpoint *c, int error)
{
	c->busy = false;
	c->error = error;
	c->failed = error != 0;
}

static void synced(struct writer_op *op)
{
	done(op->user, op->error);
}

static void written(struct writer_op *op)
{
	struct checkpoint *c = op->user;

	if (op->error) {
		done(c, op->error);
		return;
	}
	c->op = (struct writer_op){
		.kind = DISK_SYNC_DATA, .fd = c->fd, .sink = c->sink, .done = synced, .user = c
	};
	writer_start(c->writer, &c->op);
}

/* Both copies, so that the file has its size from the start. */
static int write_first(struct checkpoint *c)
{
	const struct disk_io *io = writer_disk(c->writer);
	int err;

	encode(c, 0, 0);
	err = disk_write(io, c->fd, c->copy, c->copy_bytes, 0);
	if (!err)
		err = disk_write(io, c->fd, c->copy, c->copy_bytes, c->copy_bytes);
	return err ? err : disk_sync(io, c->fd);
}

int checkpoint_open(struct checkpoint *c, struct writer *w, unsigned sink, int folder,
                    const struct sink_histograms *histograms)
{
	int err;

	*c = (struct checkpoint){ .writer = w, .sink = sink, .fd = -1, .histograms = histograms };
	if (!histograms)
		return 0;
	c->copy_bytes = bytes_of(histograms->raw_bins.bins, histograms->normalised_bins.bins);
	c->copy = aligned_alloc(WRITER_ALIGN, c->copy_bytes);
	if (!c->copy)
		return -ENOMEM;
	c->fd = disk_open(writer_disk(w), folder, CHECKPOINT_NAME, O_RDWR | O_CREAT | O_EXCL, 0666);
	err = c->fd < 0 ? c->fd : write_first(c);
	if (err) {
		bool made = c->fd >= 0;

		checkpoint_close(c);
		if (made)
			(void)disk_remove(writer_disk(w), folder, CHECKPOINT_NAME);
	}
	return err;
}

int checkpoint_step(struct checkpoint *c, uint64_t now_ns, uint64_t frames, uint64_t newest)
{
	int error = c->error;

	c->error = 0;
	if (c->fd < 0 || c->busy || c->failed || now_ns < c->next_ns)
		return error;
	c->next_ns = now_ns + INTERVAL_NS;
	encode(c, frames, newest);
	c->busy = true;
	c->op = (struct writer_op){ .kind = DISK_WRITE,
		                    .fd = c->fd,
		                    .sink = c->sink,
		                    .data = c->copy,
		                    .offset = c->generation % 2 * c->copy_bytes,
		                    .length = c->copy_bytes,
		                    .done = written,
		                    .user = c };
	writer_start(c->writer, &c->op);
	return error;
}

uint64_t checkpoint_next_ns(const struct checkpoint *c)
{
	return c->fd < 0 || c->busy || c->failed ? UINT64_MAX : c->next_ns;
}

bool checkpoint_idle(const struct checkpoint *c)
{
	return !c->busy;
}

void checkpoint_close(struct checkpoint *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->copy);
	*c = (struct checkpoint){ .fd = -1 };
}

/* ---- reading ---- */

static void get_tails(struct histogram_tails *ret, const unsigned char *at)
{
	*ret = (struct histogram_tails){ .below = get64(at),
		                         .above = get64(at + 8),
		                         .nan = get64(at + 16) };
}

/* False when this copy is not whole. *ret_generation rises. */
static bool decode(struct checkpoint_view *ret, const unsigned char *at, size_t bytes,
                   uint64_t *ret_generation)
{
	uint64_t raw, normalised;
	size_t n;
	uint64_t *counts;

	if (bytes < HEAD_BYTES + 4 || memcmp(at, magic, sizeof magic) != 0)
		return false;
	raw = get32(at + 32);
	normalised = get32(at + 36);
	n = plain_bytes(raw, normalised);
	if (bytes_of(raw, normalised) != bytes || get32(at + n - 4) != checksum(at, n - 4) ||
	    get64(at + 8) <= *ret_generation)
		return false;
	counts = malloc((size_t)(raw + normalised + 1) * sizeof *counts);
	if (!counts)
		return false;
	for (uint64_t i = 0; i < raw + normalised; i++)
		counts[i] = get64(at + HEAD_BYTES + i * sizeof(uint64_t));
	free(ret->counts);
	*ret_generation = get64(at + 8);
	*ret = (struct checkpoint_view){
		.frames = get64(at + 16),
		.newest = get64(at + 24),
		.raw_bins = { (uint32_t)raw, get_double(at + 40), get_double(at + 48) },
		.normalised_bins = { (uint32_t)normalised, get_double(at + 56),
		                     get_double(at + 64) },
		.counts = counts,
	};
	get_tails(&ret->raw_tails, at + 72);
	get_tails(&ret->normalised_tails, at + 96);
	return true;
}

static int read_all(int fd, unsigned char **ret, size_t *ret_bytes)
{
	struct stat st;
	unsigned char *bytes;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > INT32_MAX)
		return -EINVAL;
	bytes = malloc((size_t)st.st_size);
	if (!bytes)
		return -ENOMEM;
	if (pread(fd, bytes, (size_t)st.st_size, 0) != st.st_size) {
		free(bytes);
		return -EIO;
	}
	*ret = bytes;
	*ret_bytes = (size_t)st.st_size;
	return 0;
}

int checkpoint_view_open(struct checkpoint_view *ret, int folder)
{
	int fd = openat(folder, CHECKPOINT_NAME, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	struct checkpoint_view v = { 0 };
	unsigned char *bytes = NULL;
	uint64_t generation = 0;
	size_t n = 0;
	int err;

	if (fd < 0)
		return -errno;
	err = read_all(fd, &bytes, &n);
	close(fd);
	if (err)
		return err;
	(void)decode(&v, bytes, n / 2, &generation);
	(void)decode(&v, bytes + n / 2, n / 2, &generation);
	free(bytes);
	if (generation == 0)
		return -EINVAL;
	*ret = v;
	return 0;
}

void checkpoint_view_close(struct checkpoint_view *v)
{
	free(v->counts);
	*v = (struct checkpoint_view){ 0 };
}
