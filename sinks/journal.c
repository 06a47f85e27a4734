/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPORT_LINE_BYTES   576         /* more than a frame takes in a CSV file, */
#define REPORT_REGION_BYTES 240         /* and each of its regions */
#define REPORTS_BYTES       (64u << 10) /* manifest and histogram */
#define STEP_MIN            (64u << 10) /* when space is short */
#define STEP_FIRST          (512u << 10)
#define STEP_MAX            (64u << 20)
#define COPY_BYTES_MAX      (64u << 20) /* of a journal that is read into memory */
#define PROBE_BYTES         (64u << 10)
#define SECTOR_BYTES        512 /* what a power cut leaves whole */

static int allocate_first(struct journal *j)
{
	int err = disk_allocate(writer_disk(j->writer), j->fd, 0, STEP_FIRST);

	if (!err)
		j->allocated = STEP_FIRST;
	else if (err != -ENOSPC && err != -EDQUOT && err != -EIO)
		j->can_allocate = false;
	return j->can_allocate ? err : 0;
}

static int write_header(struct journal *j, const struct journal_header *header)
{
	unsigned char bytes[JOURNAL_HEADER_MAX];
	size_t n = journal_encode_header(bytes, header);
	int err = disk_write(writer_disk(j->writer), j->fd, bytes, n, 0);

	return err ? err : disk_sync(writer_disk(j->writer), j->fd);
}

static void allocate_done(struct writer_op *op)
{
	struct journal *j = op->user;

	j->allocating = false;
	if (op->error == 0) {
		j->allocated = op->offset + op->length;
		j->step = j->step * 2 < STEP_MAX ? j->step * 2 : STEP_MAX;
	} else if (writer_is_full(op->error)) {
		j->full = j->step == STEP_MIN;
		j->step = STEP_MIN;
		/* ext4 may have taken blocks all the same, which the pixels could use. */
		(void)disk_punch(writer_disk(j->writer), j->fd, op->offset, op->length);
	} else {
		j->can_allocate = false;
	}
}

static void allocate_more(struct journal *j)
{
	j->allocating = true;
	j->allocate_op = (struct writer_op){ .kind = DISK_ALLOCATE,
		                             .fd = j->fd,
		                             .sink = j->sink,
		                             .offset = j->allocated,
		                             .length = j->step,
		                             .done = allocate_done,
		                             .user = j };
	writer_start(j->writer, &j->allocate_op);
}

static void end_batch(struct journal *j, int error)
{
	j->busy = false;
	if (!error)
		j->length += j->batch_fill;
	j->batch_fill = 0;
	j->done(j->user, error);
}

static void start(struct journal *j, enum disk_kind kind, uint64_t length,
                  void (*done)(struct writer_op *op))
{
	j->op = (struct writer_op){ .kind = kind,
		                    .fd = j->fd,
		                    .sink = j->sink,
		                    .data = j->batch,
		                    .offset = j->length,
		                    .length = length,
		                    .done = done,
		                    .user = j };
	writer_start(j->writer, &j->op);
}

static void erase_synced(struct writer_op *op)
{
	struct journal *j = op->user;

	if (op->error) {
		j->error = j->error ? j->error : op->error;
		j->stale = true;
	}
	end_batch(j, j->batch_error);
}

static void erase_by_size(struct journal *j)
{
	if (disk_truncate(writer_disk(j->writer), j->fd, j->length) < 0)
		j->stale = true;
	start(j, DISK_SYNC, 0, erase_synced);
}

static void zeros_written(struct writer_op *op)
{
	struct journal *j = op->user;

	if (!op->error) {
		start(j, DISK_SYNC, 0, erase_synced);
		return;
	}
	j->error = op->error;
	erase_by_size(j);
}

/* Take the records of a failed batch out of the file. Zeros keep the blocks, which the next
 * batch needs; a journal that takes no more is cut. */
static void erase_batch(struct journal *j, int error)
{
	j->batch_error = error;
	if (!writer_is_full(error))
		j->error = error;
	if (j->error) {
		erase_by_size(j);
	} else if (j->batch_written > 0) {
		memset(j->batch, 0, j->batch_written);
		start(j, DISK_WRITE, j->batch_written, zeros_written);
	} else {
		end_batch(j, error);
	}
}

static void sync_done(struct writer_op *op)
{
	struct journal *j = op->user;

	if (!op->error) {
		end_batch(j, 0);
		return;
	}
	/* Pages whose sync failed are lost, whatever the reason: never count on them again. */
	j->error = op->error;
	erase_batch(j, op->error);
}

static void write_done(struct writer_op *op)
{
	struct journal *j = op->user;

	j->batch_written = (size_t)op->finished;
	if (op->error)
		erase_batch(j, op->error);
	else
		start(j, DISK_SYNC_DATA, 0, sync_done);
}

int journal_open(struct journal *j, struct writer *w, int directory, const char *name,
                 const struct journal_header *header)
{
	int fd = disk_open(writer_disk(w), directory, name, O_RDWR | O_CREAT | O_EXCL, 0666);
	int err;

	*j = (struct journal){ .fd = -1 };
	if (fd < 0)
		return fd;
	j->writer = w;
	j->fd = fd;
	j->sink = header->sink;
	j->region_count = header->region_count;
	j->can_allocate = true;
	j->step = STEP_FIRST;
	err = allocate_first(j);
	/* Whoever recovers a series must know that it still runs. The kernel lets go of it at
	 * our end, however that comes. */
	if (!err && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		err = -EBUSY;
	if (!err)
		err = write_header(j, header);
	if (!err)
		err = disk_sync(writer_disk(w), directory);
	if (err) {
		journal_close(j);
		(void)disk_remove(writer_disk(w), directory, name);
		return err;
	}
	j->length = journal_header_bytes(j->region_count);
	j->reserved = j->length + REPORTS_BYTES;
	return 0;
}

void journal_close(struct journal *j)
{
	if (j->fd >= 0) {
		/* Gives back what was allocated and not used. */
		(void)disk_truncate(writer_disk(j->writer), j->fd, j->length);
		close(j->fd);
	}
	free(j->batch);
	*j = (struct journal){ .fd = -1 };
}

/* A frame's record and its line of the report. */
static uint64_t frame_bytes(const struct journal *j)
{
	return journal_record_bytes(j->region_count) + REPORT_LINE_BYTES +
	       (uint64_t)j->region_count * REPORT_REGION_BYTES;
}

enum journal_room journal_reserve(struct journal *j, uint64_t frames)
{
	uint64_t needed = j->reserved + frames * frame_bytes(j);

	if (j->can_allocate && !j->allocating && !j->full && needed + j->step / 2 > j->allocated)
		allocate_more(j);
	if (!j->can_allocate || needed <= j->allocated) {
		j->reserved = needed;
		return JOURNAL_READY;
	}
	if (j->allocating)
		return JOURNAL_WAIT;
	j->full = false;
	return JOURNAL_FULL;
}

static int grow(struct journal *j)
{
	size_t capacity = j->batch_capacity ? j->batch_capacity * 2
	                                    : 64 * journal_record_bytes(j->region_count);
	unsigned char *batch = realloc(j->batch, capacity);

	if (!batch)
		return -ENOMEM;
	j->batch = batch;
	j->batch_capacity = capacity;
	return 0;
}

int journal_append(struct journal *j, const struct journal_record *r)
{
	size_t n = journal_record_bytes(j->region_count);
	uint64_t position = (j->length - journal_header_bytes(j->region_count) + j->batch_fill) / n;

	if (j->batch_fill + n > j->batch_capacity && grow(j))
		return -ENOMEM;
	journal_encode(j->batch + j->batch_fill, r, (uint32_t)position, j->region_count);
	j->batch_fill += n;
	return 0;
}

void journal_commit(struct journal *j, void (*done)(void *user, int error), void *user)
{
	j->busy = true;
	j->done = done;
	j->user = user;
	start(j, DISK_WRITE, j->batch_fill, write_done);
}

bool journal_idle(const struct journal *j)
{
	return !j->busy && !j->allocating;
}

static const unsigned char *record_at(const struct journal_view *v, size_t i)
{
	return v->map + journal_offset(v->header.region_count, i);
}

size_t journal_view_room(const struct journal_view *v, bool *ret_rest)
{
	size_t n = journal_record_bytes(v->header.region_count);
	size_t behind = v->map ? v->bytes - journal_header_bytes(v->header.region_count) : 0;

	*ret_rest = behind % n != 0;
	return behind / n;
}

bool journal_view_try(const struct journal_view *v, size_t i, struct journal_record *ret)
{
	return i <= UINT32_MAX && journal_decode(ret, record_at(v, i), (uint32_t)i, &v->header);
}

uint64_t journal_view_bytes(const struct journal_view *v)
{
	return journal_offset(v->header.region_count, v->records);
}

static uint32_t count_valid(const struct journal_view *v)
{
	bool rest;
	size_t room = journal_view_room(v, &rest);
	uint32_t records = 0;
	struct journal_record r;

	while (records < room && records < UINT32_MAX && journal_view_try(v, records, &r))
		records++;
	return records;
}

/* What is behind the valid prefix. */
struct rest {
	uint32_t valid;
	bool junk;           /* an invalid record that no power cut leaves, */
	bool junk_before;    /* and a valid one behind it */
	bool batches;        /* frames of more than one batch, */
	uint64_t durable_ns; /* which is the moment all of a batch have; 0: no frame yet */
};

static bool is_zeros(const unsigned char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i])
			return false;
	return true;
}

/* Whether a sector that the record lies in was not written. */
static bool lacks_sector(const unsigned char *bytes, uint64_t offset, size_t n)
{
	for (size_t at = 0; at < n;) {
		size_t piece = SECTOR_BYTES - (size_t)((offset + at) % SECTOR_BYTES);

		piece = piece < n - at ? piece : n - at;
		if (is_zeros(bytes + at, piece))
			return true;
		at += piece;
	}
	return false;
}

static void add_rest(struct rest *s, const struct journal_view *v, size_t i)
{
	unsigned regions = v->header.region_count;
	struct journal_record r;

	if (!journal_view_try(v, i, &r)) {
		s->junk = s->junk || !lacks_sector(record_at(v, i), journal_offset(regions, i),
		                                   journal_record_bytes(regions));
		return;
	}
	s->valid++;
	s->junk_before = s->junk;
	if (r.state != FRAME_WRITTEN)
		return;
	s->batches = s->batches || (s->durable_ns && s->durable_ns != r.durable_ns);
	s->durable_ns = r.durable_ns;
}

bool journal_view_is_damaged(const struct journal_view *v, bool ended, uint32_t *ret_valid)
{
	bool rest;
	size_t room = journal_view_room(v, &rest);
	struct rest s = { 0 };

	for (size_t i = v->records; i < room && i < UINT32_MAX; i++)
		add_rest(&s, v, i);
	if (!s.junk_before && !s.batches && !(ended && s.durable_ns))
		return false;
	*ret_valid = s.valid;
	return true;
}

/* -ENODATA: the file became shorter. */
static int read_bytes(int fd, unsigned char *to, size_t bytes, size_t offset)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n = pread(fd, to + done, bytes - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		done += (size_t)n;
	}
	return 0;
}

static int copy_file(struct journal_view *v, int fd)
{
	void *copy =
		mmap(NULL, v->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	if (copy == MAP_FAILED)
		return -errno;
	err = read_bytes(fd, copy, v->bytes, 0);
	if (err) {
		munmap(copy, v->bytes);
		return err;
	}
	v->map = copy;
	return 0;
}

/* Reading it first, an error of the medium is an errno and no signal. */
static int map_file(struct journal_view *v, int fd)
{
	unsigned char block[PROBE_BYTES];
	void *map;
	int err = 0;

	for (size_t at = 0; at < v->bytes && !err; at += sizeof block)
		err = read_bytes(fd, block,
		                 v->bytes - at < sizeof block ? v->bytes - at : sizeof block, at);
	if (err)
		return err;
	map = mmap(NULL, v->bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	v->map = map;
	return 0;
}

static int take_file(struct journal_view *v, int fd, uint64_t limit_bytes)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	v->bytes = (uint64_t)st.st_size < limit_bytes ? (size_t)st.st_size : (size_t)limit_bytes;
	if (v->bytes < JOURNAL_HEADER_BYTES)
		return -EINVAL;
	return v->bytes < COPY_BYTES_MAX ? copy_file(v, fd) : map_file(v, fd);
}

/* Whether any number of regions makes the bytes behind a header a first record. */
static bool has_record(const unsigned char *bytes, size_t n)
{
	for (unsigned regions = 0; regions <= CONFIG_REGIONS_MAX; regions++) {
		struct journal_header h = { .region_count = regions };
		struct journal_record r;

		if (journal_offset(regions, 1) <= n &&
		    journal_decode(&r, bytes + journal_header_bytes(regions), 0, &h))
			return true;
	}
	return false;
}

bool journal_is_unbegun(int fd)
{
	unsigned char bytes[JOURNAL_HEADER_MAX];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	if (st.st_size <= JOURNAL_HEADER_BYTES)
		return true;
	/* Of a header in several sectors some may be there, and the first may not. */
	return (uint64_t)st.st_size <= sizeof bytes &&
	       read_bytes(fd, bytes, (size_t)st.st_size, 0) == 0 &&
	       (journal_header_size(bytes) >= (size_t)st.st_size ||
	        is_zeros(bytes, JOURNAL_HEADER_BYTES)) &&
	       !has_record(bytes, (size_t)st.st_size);
}

int journal_view_open(struct journal_view *ret, int directory, const char *name,
                      uint64_t limit_bytes)
{
	struct journal_view v = { 0 };
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int err;

	if (fd < 0)
		return -errno;
	err = take_file(&v, fd, limit_bytes);
	close(fd);
	if (err)
		return err;
	if (!journal_decode_header(&v.header, v.map, v.bytes)) {
		journal_view_close(&v);
		return -EINVAL;
	}
	v.records = count_valid(&v);
	*ret = v;
	return 0;
}

void journal_view_close(struct journal_view *v)
{
	if (v->map)
		munmap((void *)(uintptr_t)v->map, v->bytes);
	*v = (struct journal_view){ 0 };
}

void journal_view_record(const struct journal_view *v, uint32_t i, struct journal_record *ret)
{
	(void)journal_view_try(v, i, ret);
}
