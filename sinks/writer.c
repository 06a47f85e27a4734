/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/registered.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

/* An operation is in one of three places: `waiting` (a queue, first in first out), `retrying`
 * (EAGAIN, but of a sync only what was not tried; back to waiting after a millisecond), or under
 * way in the kernel. A submission that
 * fails for good moves its operations from there to `refused`. At most DEPTH are
 * under way, so a submission entry is always free and the completion queue cannot overflow. */

#define DEPTH        64
#define WORKERS      8          /* kernel threads for writes that cannot run inline */
#define ATTEMPT_MAX  (1u << 30) /* bytes; the kernel takes 2 GiB less a page at once */
#define RETRY_NS     1000000u
#define RETRY_FOR_NS 10000000000u

struct op_queue {
	struct writer_op *first, *last;
};

struct writer {
	const struct disk_io *io;
	int wake_fd;
	bool ring_open, deferred;
	pid_t owner;
	struct io_uring ring;
	unsigned prepared;  /* submission entries not yet seen by the kernel */
	unsigned under_way; /* seen or not, without a completion */
	unsigned busy;
	struct op_queue waiting, retrying;
	struct op_queue refused; /* by the kernel, for good; `verdict` says why */
	struct registered registered;
	char engine[160];
	struct writer_figures figures;
	uint64_t longest_write_ns, longest_sync_ns; /* since writer_longest() */
};

static uint64_t monotonic_ns(void)
{
	return writer_clock_ns(CLOCK_MONOTONIC);
}

static void queue_push(struct op_queue *q, struct writer_op *op)
{
	op->next = NULL;
	if (q->last)
		q->last->next = op;
	else
		q->first = op;
	q->last = op;
}

static struct writer_op *queue_pop(struct op_queue *q)
{
	struct writer_op *op = q->first;

	if (!op)
		return NULL;
	q->first = op->next;
	if (!q->first)
		q->last = NULL;
	return op;
}

static bool is_write(const struct writer_op *op)
{
	return op->kind == DISK_WRITE;
}

static bool is_sync(const struct writer_op *op)
{
	return op->kind == DISK_SYNC || op->kind == DISK_SYNC_DATA;
}

static void longer(uint64_t *longest, uint64_t ns)
{
	*longest = ns > *longest ? ns : *longest;
}

static void figures_add_write(struct writer_figures *f, const struct writer_op *op, uint64_t took)
{
	unsigned class = 0;

	while (took > write_time_ns(class))
		class ++;
	f->writes++;
	f->written_bytes += op->finished;
	f->write_ns += took;
	longer(&f->write_ns_max, took);
	f->write_times[class]++;
	f->write_errors += op->error != 0;
	f->each[op->sink].written_bytes += op->finished;
	f->each[op->sink].write_errors += op->error != 0;
}

static void figures_add_sync(struct writer_figures *f, const struct writer_op *op)
{
	f->syncs++;
	f->sync_errors += op->error != 0;
	f->each[op->sink].sync_errors += op->error != 0;
}

static void count(struct writer *w, const struct writer_op *op)
{
	uint64_t took = op->started_ns ? monotonic_ns() - op->started_ns : 0;

	if (op->kind == DISK_ALLOCATE || op->kind == DISK_EXTEND)
		return;
	w->figures.errors += op->error != 0;
	longer(is_write(op) ? &w->longest_write_ns : &w->longest_sync_ns, took);
	if (is_write(op))
		figures_add_write(&w->figures, op, took);
	else
		figures_add_sync(&w->figures, op);
}

static void finish(struct writer *w, struct writer_op *op, int error)
{
	op->error = error;
	w->busy--;
	count(w, op);
	op->done(op);
}

static bool is_transient(int error)
{
	return error == -EAGAIN || error == -EINTR || error == -EBUSY;
}

/* Bytes that this attempt advanced; with O_DIRECT only whole blocks, the rest is written anew. */
static uint64_t advance_by(const struct writer_op *op, uint64_t result)
{
	if (op->direct && op->finished + result < op->length)
		result -= result % WRITER_ALIGN;
	return result;
}

/* Try again in a moment. True when that went on for too long, with finish() called. */
static bool retry_later(struct writer *w, struct writer_op *op, int error)
{
	uint64_t now = monotonic_ns();

	if (!op->stalled_ns)
		op->stalled_ns = now;
	if (now - op->stalled_ns > RETRY_FOR_NS) {
		finish(w, op, error);
		return true;
	}
	op->retry_ns = now + RETRY_NS;
	queue_push(&w->retrying, op);
	return false;
}

/* Why a write does not go on that the kernel cuts short without an error: O_DIRECT ends it where
 * less than a block is left on the file system. */
static int reason_of_stall(const struct writer_op *op)
{
	struct statvfs v;

	if (fstatvfs(op->fd, &v) < 0)
		return -EIO;
	return (uint64_t)v.f_bavail * v.f_frsize < op->length - op->finished ? -ENOSPC : -EIO;
}

/* What a write's result means. True when it is done, with finish() called. */
static bool settle_write(struct writer *w, struct writer_op *op, uint64_t result)
{
	uint64_t gained = advance_by(op, result < op->short_at ? result : op->short_at);

	op->finished += gained;
	if (op->finished == op->length) {
		finish(w, op, 0);
		return true;
	}
	if (gained == 0)
		return retry_later(w, op, reason_of_stall(op));
	op->stalled_ns = 0;
	queue_push(&w->waiting, op);
	return false;
}

static bool settle(struct writer *w, struct writer_op *op, int64_t result)
{
	if (is_transient((int)result))
		return retry_later(w, op, (int)result);
	if (result >= 0 && is_write(op))
		return settle_write(w, op, (uint64_t)result);
	finish(w, op, result < 0 ? (int)result : 0);
	return true;
}

/* Bytes to ask for now. */
static uint64_t attempt_of(const struct writer_op *op)
{
	uint64_t left = op->length - op->finished;

	if (!is_write(op))
		return op->length;
	return left < ATTEMPT_MAX ? left : ATTEMPT_MAX;
}

/* The attempt as the table sees it. */
static struct disk_call call_of(const struct writer_op *op, uint64_t length)
{
	return (struct disk_call){ .kind = op->kind,
		                   .queued = true,
		                   .fd = op->fd,
		                   .data = is_write(op) ? (const char *)op->data + op->finished
		                                        : NULL,
		                   .offset = op->offset + op->finished,
		                   .length = length };
}

static int admit(struct writer *w, struct writer_op *op, uint64_t *attempt)
{
	uint64_t asked = attempt_of(op);
	struct disk_call c = call_of(op, asked);
	int err;

	if (!op->started_ns)
		op->started_ns = monotonic_ns();
	err = disk_before(w->io, &c, &op->short_at);
	if (op->short_at < asked && op->direct)
		asked = (op->short_at + WRITER_ALIGN - 1) / WRITER_ALIGN * WRITER_ALIGN;
	else if (op->short_at < asked)
		asked = op->short_at;
	*attempt = op->asked = asked;
	return err;
}

/* An attempt that the kernel answered. */
static bool answer(struct writer *w, struct writer_op *op, int64_t result)
{
	struct disk_call c = call_of(op, op->asked);

	disk_after(w->io, &c, result);
	/* The kernel tells of pages that it could not write once: a second sync may say 0. */
	if (result < 0 && is_sync(op)) {
		finish(w, op, (int)result);
		return true;
	}
	return settle(w, op, result);
}

static void requeue_due(struct writer *w)
{
	uint64_t now = w->retrying.first ? monotonic_ns() : 0;

	while (w->retrying.first && w->retrying.first->retry_ns <= now)
		queue_push(&w->waiting, queue_pop(&w->retrying));
}

static int allocation_mode(const struct writer_op *op)
{
	return op->kind == DISK_ALLOCATE ? FALLOC_FL_KEEP_SIZE : 0;
}

/* Plain system calls. */

static int64_t call(const struct writer_op *op, uint64_t attempt)
{
	int64_t result = -1;

	switch (op->kind) {
	case DISK_WRITE:
		result = pwrite(op->fd, (const char *)op->data + op->finished, attempt,
		                (off_t)(op->offset + op->finished));
		break;
	case DISK_SYNC:
		result = fsync(op->fd);
		break;
	case DISK_SYNC_DATA:
		result = fdatasync(op->fd);
		break;
	default:
		result = fallocate(op->fd, allocation_mode(op), (off_t)op->offset,
		                   (off_t)op->length);
	}
	return result < 0 ? -errno : result;
}

static unsigned call_one(struct writer *w)
{
	struct writer_op *op;
	uint64_t attempt;
	int refused;

	requeue_due(w);
	op = queue_pop(&w->waiting);
	if (!op)
		return 0;
	refused = admit(w, op, &attempt);
	return refused ? settle(w, op, refused) : answer(w, op, call(op, attempt));
}

static void wake(const struct writer *w)
{
	uint64_t one = 1;

	/* A full counter is as good a wake-up as one more. */
	if (w->wake_fd >= 0 && write(w->wake_fd, &one, sizeof one) < 0)
		return;
}

/* io_uring. */

static void prepare_write(struct writer *w, struct io_uring_sqe *sqe, const struct writer_op *op,
                          uint64_t attempt)
{
	const char *data = (const char *)op->data + op->finished;
	uint64_t offset = op->offset + op->finished;
	int index = registered_find(&w->registered, data, attempt);

	if (index >= 0)
		io_uring_prep_write_fixed(sqe, op->fd, data, (unsigned)attempt, offset, index);
	else
		io_uring_prep_write(sqe, op->fd, data, (unsigned)attempt, offset);
}

static void prepare(struct writer *w, struct io_uring_sqe *sqe, struct writer_op *op,
                    uint64_t attempt)
{
	switch (op->kind) {
	case DISK_WRITE:
		prepare_write(w, sqe, op, attempt);
		break;
	case DISK_SYNC:
		io_uring_prep_fsync(sqe, op->fd, 0);
		break;
	case DISK_SYNC_DATA:
		io_uring_prep_fsync(sqe, op->fd, IORING_FSYNC_DATASYNC);
		break;
	default:
		io_uring_prep_fallocate(sqe, op->fd, allocation_mode(op), (off_t)op->offset,
		                        (off_t)op->length);
	}
	io_uring_sqe_set_data(sqe, op);
}

/* Refused operations travel as no-ops, so that done() is called from one place. */
static void prepare_refused(struct io_uring_sqe *sqe, struct writer_op *op, int error)
{
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data(sqe, op);
	op->verdict = error;
}

static void fill_ring(struct writer *w)
{
	requeue_due(w);
	while (w->waiting.first && w->under_way < DEPTH) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&w->ring);
		struct writer_op *op;
		uint64_t attempt;

		if (!sqe)
			return; /* entries of a submission the kernel did not take yet */
		op = queue_pop(&w->waiting);
		op->verdict = admit(w, op, &attempt);
		if (op->verdict)
			prepare_refused(sqe, op, op->verdict);
		else
			prepare(w, sqe, op, attempt);
		w->prepared++;
		w->under_way++;
	}
}

/* Take back every entry that the kernel has not seen; it reads the ring only when entered. */
static void refuse_prepared(struct writer *w, int error)
{
	struct io_uring_sq *sq = &w->ring.sq;
	unsigned head = *sq->khead;

	for (unsigned at = head; at != sq->sqe_tail; at++) {
		struct writer_op *op = (void *)(uintptr_t)sq->sqes[at & *sq->kring_mask].user_data;

		if (!op->verdict)
			op->verdict = error;
		queue_push(&w->refused, op);
		w->under_way--;
	}
	*sq->ktail = sq->sqe_head = sq->sqe_tail = head;
	w->prepared = 0;
}

static int submit(struct writer *w)
{
	int err = w->io && w->io->submit ? w->io->submit(w->io->user) : 0;

	return err ? err : io_uring_submit(&w->ring);
}

/* io_uring_submit() returns how many entries the kernel took, which may be fewer than were
 * prepared, or an error with none taken. What it did not take stays in the ring for the next
 * call when it is only short of memory, and else ends with the error. */
static void enter(struct writer *w)
{
	int taken;

	if (w->prepared == 0)
		return;
	taken = submit(w);
	if (taken > 0)
		w->prepared -= (unsigned)taken < w->prepared ? (unsigned)taken : w->prepared;
	else if (taken < 0 && !is_transient(taken))
		refuse_prepared(w, taken);
}

static unsigned finish_refused(struct writer *w)
{
	struct op_queue refused = w->refused;
	unsigned finished = 0;

	w->refused = (struct op_queue){ 0 };
	for (struct writer_op *op = queue_pop(&refused); op; op = queue_pop(&refused))
		finished += settle(w, op, op->verdict);
	return finished;
}

static unsigned collect(struct writer *w)
{
	struct io_uring_cqe *cqe;
	unsigned finished = finish_refused(w);

	while (io_uring_peek_cqe(&w->ring, &cqe) == 0) {
		struct writer_op *op = io_uring_cqe_get_data(cqe);
		int result = cqe->res;

		io_uring_cqe_seen(&w->ring, cqe);
		w->under_way--;
		finished += op->verdict ? settle(w, op, op->verdict) : answer(w, op, result);
	}
	return finished;
}

static void describe_refusal(struct writer *w, int error)
{
	snprintf(w->engine, sizeof w->engine, "pwrite (io_uring refused: %s%s)", strerror(-error),
	         error == -EPERM    ? "; kernel.io_uring_disabled or seccomp"
	         : error == -ENOSYS ? "; the kernel lacks it or seccomp hides it"
	         : error == -ENOMEM ? "; raise RLIMIT_MEMLOCK"
	                            : "");
}

static int ring_setup(struct writer *w)
{
	struct io_uring_params deferred = { .flags = IORING_SETUP_SINGLE_ISSUER |
		                                     IORING_SETUP_DEFER_TASKRUN };
	struct io_uring_params plain = { 0 };
	int err = w->io && w->io->ring ? w->io->ring(w->io->user) : 0;

	if (err)
		return err;
	w->deferred = true;
	err = io_uring_queue_init_params(DEPTH, &w->ring, &deferred);
	if (err == -EINVAL) { /* kernels before 6.1 */
		w->deferred = false;
		err = io_uring_queue_init_params(DEPTH, &w->ring, &plain);
	}
	return err;
}

static void ring_open(struct writer *w)
{
	unsigned workers[2] = { WORKERS, 1 };
	const char *forced = getenv("OPENBEAM_WRITER");
	int err;

	w->owner = gettid();
	if (forced && strcmp(forced, "pwrite") == 0) {
		snprintf(w->engine, sizeof w->engine, "pwrite (OPENBEAM_WRITER=pwrite)");
		return;
	}
	err = ring_setup(w);
	if (err) {
		describe_refusal(w, err);
		return;
	}
	if (w->wake_fd >= 0)
		err = io_uring_register_eventfd(&w->ring, w->wake_fd);
	if (err) {
		io_uring_queue_exit(&w->ring);
		describe_refusal(w, err);
		return;
	}
	/* A kernel before 5.15 has no such limit; then its default holds. */
	(void)io_uring_register_iowq_max_workers(&w->ring, workers);
	w->ring_open = true;
	snprintf(w->engine, sizeof w->engine, "io_uring");
}

static void ring_close(struct writer *w)
{
	if (w->ring_open)
		io_uring_queue_exit(&w->ring);
	w->ring_open = false;
	registered_disable(&w->registered, NULL);
}

/* What the kernel still has must end before its memory is given back. A thread that is gone has
 * waited for its own at exit. */
static void drain(struct writer *w)
{
	struct io_uring_cqe *cqe;

	if (!w->ring_open || w->owner != gettid())
		return;
	while (w->under_way > w->prepared) {
		int err = io_uring_wait_cqe(&w->ring, &cqe);

		if (is_transient(err))
			continue;
		if (err) /* closing the ring cancels them */
			return;
		io_uring_cqe_seen(&w->ring, cqe);
		w->under_way--;
	}
}

static void sleep_ns(uint64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / 1000000000u),
		              .tv_nsec = (long)(ns % 1000000000u) };

	nanosleep(&t, NULL);
}

uint64_t writer_clock_ns(int clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool writer_is_full(int error)
{
	return error == -ENOSPC || error == -EDQUOT || error == -EROFS;
}

int writer_open(struct writer **ret, const struct disk_io *io, int wake_fd)
{
	struct writer *w = calloc(1, sizeof *w);

	if (!w)
		return -ENOMEM;
	w->io = io;
	w->wake_fd = wake_fd;
	ring_open(w);
	*ret = w;
	return 0;
}

void writer_close(struct writer *w)
{
	if (!w)
		return;
	drain(w);
	ring_close(w);
	registered_done(&w->registered);
	free(w);
}

bool writer_adopt(struct writer *w)
{
	/* SINGLE_ISSUER ties the ring to the thread that made it. */
	if (w->owner == gettid())
		return true;
	if (w->busy)
		return false;
	ring_close(w);
	ring_open(w);
	if (w->ring_open)
		registered_enable(&w->registered, &w->ring);
	return true;
}

void writer_register(struct writer *w, const struct writer_memory *memory, unsigned count)
{
	(void)writer_adopt(w);
	registered_disable(&w->registered, w->ring_open ? &w->ring : NULL);
	registered_want(&w->registered, memory, count);
	if (w->ring_open)
		registered_enable(&w->registered, &w->ring);
}

const struct disk_io *writer_disk(const struct writer *w)
{
	return w->io;
}

void writer_start(struct writer *w, struct writer_op *op)
{
	op->finished = 0;
	op->started_ns = 0;
	op->stalled_ns = 0;
	op->retry_ns = 0;
	op->verdict = 0;
	op->error = 0;
	w->busy++;
	queue_push(&w->waiting, op);
}

void writer_submit(struct writer *w)
{
	if (!w->ring_open) {
		if (w->waiting.first)
			wake(w);
		return;
	}
	fill_ring(w);
	enter(w);
}

unsigned writer_reap(struct writer *w)
{
	unsigned finished;

	if (!w->ring_open)
		return call_one(w);
	writer_submit(w);
	/* With deferred task work, completions appear only when the owner asks for them. */
	if (w->deferred && w->under_way)
		(void)io_uring_get_events(&w->ring);
	finished = collect(w);
	writer_submit(w);
	return finished;
}

unsigned writer_wait(struct writer *w, uint64_t timeout_ns)
{
	struct __kernel_timespec t = { .tv_sec = (long long)(timeout_ns / 1000000000u),
		                       .tv_nsec = (long long)(timeout_ns % 1000000000u) };
	struct io_uring_cqe *cqe;
	unsigned finished = writer_reap(w);

	if (finished || (!w->ring_open && w->waiting.first))
		return finished;
	if (!w->ring_open || !w->under_way || w->prepared) {
		sleep_ns(timeout_ns < RETRY_NS ? timeout_ns : RETRY_NS);
		return writer_reap(w);
	}
	(void)io_uring_wait_cqe_timeout(&w->ring, &cqe, &t);
	return writer_reap(w);
}

unsigned writer_busy(const struct writer *w)
{
	return w->busy;
}

uint64_t writer_next_ns(const struct writer *w)
{
	if (w->refused.first || (w->waiting.first && (!w->ring_open || w->under_way < DEPTH)))
		return 0;
	if (w->prepared)
		return monotonic_ns() + RETRY_NS;
	return w->retrying.first ? w->retrying.first->retry_ns : UINT64_MAX;
}

bool writer_blocks(const struct writer *w)
{
	return !w->ring_open;
}

const char *writer_engine(const struct writer *w)
{
	return w->engine;
}

const char *writer_buffers(const struct writer *w)
{
	return w->registered.summary;
}

void writer_figures(const struct writer *w, struct writer_figures *ret)
{
	*ret = w->figures;
}

void writer_longest(struct writer *w, uint64_t *ret_write_ns, uint64_t *ret_sync_ns)
{
	*ret_write_ns = w->longest_write_ns;
	*ret_sync_ns = w->longest_sync_ns;
	w->longest_write_ns = w->longest_sync_ns = 0;
}
