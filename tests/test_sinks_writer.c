/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/writer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LONG_AGO_NS 11000000000u /* more than an operation may stall */

/* The system's answers: the first attempt (or each) ends short, then so many are refused. */
static struct answers {
	int refuse_ring, submit_error;
	uint64_t short_bytes; /* of such an attempt, 0: all of them */
	bool short_always;
	unsigned attempts, refusals;
} answers;

static int answer_ring(void *user)
{
	return ((struct answers *)user)->refuse_ring;
}

static int answer_submit(void *user)
{
	return ((struct answers *)user)->submit_error;
}

static int answer_before(void *user, const struct disk_call *c, uint64_t *length)
{
	struct answers *a = user;

	(void)c;
	a->attempts++;
	if ((a->attempts == 1 || a->short_always) && a->short_bytes)
		*length = a->short_bytes;
	return a->attempts > 1 && a->attempts <= 1 + a->refusals ? -EAGAIN : 0;
}

static const struct disk_io io = {
	.user = &answers, .ring = answer_ring, .submit = answer_submit, .before = answer_before
};

/* The kernel's answers to syncs: so many fail, each with the error that it then forgets. */
static unsigned syncs_to_fail, syncs_tried;
static int sync_errno;

static int answer_sync(long call, int fd)
{
	syncs_tried++;
	if (syncs_to_fail == 0)
		return (int)syscall(call, fd);
	syncs_to_fail--;
	errno = sync_errno;
	return -1;
}

/* In place of the library's. */
int fsync(int fd)
{
	return answer_sync(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return answer_sync(SYS_fdatasync, fd);
}

static struct writer *writer;
static unsigned char bytes[2 * WRITER_ALIGN] __attribute__((aligned(WRITER_ALIGN)));

static void on_done(struct writer_op *op)
{
	op->user = op;
}

static int make_file(const char *where)
{
	char path[64];
	int fd;

	snprintf(path, sizeof path, "%.30s/openbeam-writer-XXXXXX", where);
	fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	unlink(path);
	return fd;
}

static struct writer_op write_op(int fd)
{
	return (struct writer_op){
		.kind = DISK_WRITE, .fd = fd, .data = bytes, .length = sizeof bytes, .done = on_done
	};
}

static void finish(struct writer_op *op)
{
	for (unsigned i = 0; i < 10000 && !op->user; i++)
		(void)writer_wait(writer, 1000000);
	cr_assert_not_null(op->user, "it never ended");
}

Test(sinks_writer, progress_starts_the_time_of_retries_anew)
{
	int fd = make_file("/tmp");

	for (unsigned plain = 0; plain < 2; plain++) {
		struct writer_op op = write_op(fd);

		answers = (struct answers){ .refuse_ring = plain ? -EPERM : 0,
			                    .short_bytes = WRITER_ALIGN,
			                    .refusals = 3 };
		cr_assert_eq(writer_open(&writer, &io, -1), 0);
		writer_start(writer, &op);
		while (answers.attempts < 2)
			(void)writer_wait(writer, 1000000);
		op.started_ns -= LONG_AGO_NS; /* a slow disk, but half of it is there */
		finish(&op);
		cr_assert_eq(op.error, 0, "%s", strerror(-op.error));
		cr_assert_eq(op.finished, sizeof bytes);
		writer_close(writer);
	}
	close(fd);
}

Test(sinks_writer, an_operation_that_stalls_for_too_long_ends)
{
	int fd = make_file("/tmp");
	struct writer_op op = write_op(fd);

	answers = (struct answers){ .short_bytes = WRITER_ALIGN, .refusals = 1000000 };
	cr_assert_eq(writer_open(&writer, &io, -1), 0);
	writer_start(writer, &op);
	while (answers.attempts < 4)
		(void)writer_wait(writer, 1000000);
	op.stalled_ns -= LONG_AGO_NS;
	finish(&op);
	cr_assert_eq(op.error, -EAGAIN);
	writer_close(writer);
	close(fd);
}

/* More than the ring takes at once. */
Test(sinks_writer, what_the_kernel_refuses_for_good_ends_with_its_error)
{
	int fd = make_file("/tmp");
	struct writer_op ops[100];

	answers = (struct answers){ .submit_error = -EBADF };
	cr_assert_eq(writer_open(&writer, &io, -1), 0);
	if (writer_blocks(writer)) {
		writer_close(writer);
		cr_skip("no io_uring here");
	}
	for (unsigned i = 0; i < 100; i++) {
		ops[i] = write_op(fd);
		writer_start(writer, &ops[i]);
	}
	writer_submit(writer);
	cr_assert_eq(writer_next_ns(writer), 0);
	for (unsigned i = 0; i < 100; i++) {
		finish(&ops[i]);
		cr_assert_eq(ops[i].error, -EBADF);
	}
	cr_assert_eq(writer_busy(writer), 0);
	answers.submit_error = 0; /* the ring is whole: it goes on */
	for (unsigned i = 0; i < 100; i++) {
		ops[i] = write_op(fd);
		writer_start(writer, &ops[i]);
	}
	for (unsigned i = 0; i < 100; i++) {
		finish(&ops[i]);
		cr_assert_eq(ops[i].error, 0);
	}
	writer_close(writer);
	close(fd);
}

Test(sinks_writer, a_write_that_gains_nothing_on_a_full_disk_has_no_space)
{
	char where[] = "/tmp/openbeam-writer-XXXXXX";
	struct writer_op op;
	int fd;

	cr_assert_not_null(mkdtemp(where));
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", where, "tmpfs", 0, "size=4k") < 0) {
		rmdir(where);
		fprintf(stderr, "skipped: mounting a small tmpfs needs root\n");
		cr_skip();
	}
	fd = make_file(where);
	op = write_op(fd);
	op.direct = true; /* as the disk's last block is less than one of these */
	answers = (struct answers){ .short_bytes = 1000, .short_always = true };
	cr_assert_eq(writer_open(&writer, &io, -1), 0);
	writer_start(writer, &op);
	while (!op.stalled_ns)
		(void)writer_wait(writer, 1000000);
	op.stalled_ns -= LONG_AGO_NS;
	finish(&op);
	cr_assert_eq(op.error, -ENOSPC, "%s", strerror(-op.error));
	writer_close(writer);
	close(fd);
	cr_assert_eq(umount(where), 0);
	rmdir(where);
}

Test(sinks_writer, a_sync_that_the_kernel_answered_is_never_tried_again)
{
	static const int errors[] = { EINTR, EAGAIN, EBUSY, EIO };
	int fd = make_file("/tmp");

	answers = (struct answers){ .refuse_ring = -EPERM };
	cr_assert_eq(writer_open(&writer, &io, -1), 0);
	for (unsigned i = 0; i < sizeof errors / sizeof *errors * 2; i++) {
		struct writer_op op = { .kind = i % 2 ? DISK_SYNC : DISK_SYNC_DATA,
			                .fd = fd,
			                .done = on_done };

		sync_errno = errors[i / 2];
		syncs_to_fail = 1;
		syncs_tried = 0;
		writer_start(writer, &op);
		finish(&op);
		cr_expect_eq(op.error, -sync_errno, "%s", strerror(sync_errno));
		cr_expect_eq(syncs_tried, 1);
	}
	writer_close(writer);
	close(fd);
}

Test(sinks_writer, a_sync_that_was_not_tried_is_tried_again)
{
	int fd = make_file("/tmp");
	struct writer_op op = { .kind = DISK_SYNC, .fd = fd, .done = on_done };

	answers = (struct answers){ .refuse_ring = -EPERM, .attempts = 1, .refusals = 3 };
	cr_assert_eq(writer_open(&writer, &io, -1), 0);
	writer_start(writer, &op);
	finish(&op);
	cr_expect_eq(op.error, 0);
	cr_expect_eq(answers.attempts, 5);
	cr_expect_eq(syncs_tried, 1);
	writer_close(writer);
	close(fd);
}

Test(sinks_writer, a_sync_that_is_waited_for_is_not_tried_again_either)
{
	int fd = make_file("/tmp");

	sync_errno = EINTR;
	syncs_to_fail = 1;
	cr_expect_eq(disk_sync(NULL, fd), -EINTR);
	cr_expect_eq(syncs_tried, 1);
	close(fd);
}
