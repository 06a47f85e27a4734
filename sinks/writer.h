/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SINKS_WRITER_H
#define SINKS_WRITER_H

#include "config/config.h"
#include "sinks/disk.h"
#include "sinks/write_times.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The engine that moves bytes to files: one io_uring, or plain system calls where the kernel
 * refuses it. It belongs to one thread at a time (writer_adopt()). Operations complete in any
 * order; who needs an order waits for one before starting the next. Nothing links a sync to
 * its writes, since a write that ends short would break the link.
 *
 * A write goes on until every byte is in the file: short ones are resubmitted from the aligned
 * remainder, EINTR, EAGAIN and EBUSY are tried again (for ten seconds without any progress). Any
 * other error is the answer. The engine never tries a sync again that the kernel saw fail, whatever
 * the error, since the second one returns success for pages that are lost. */

#define WRITER_ALIGN 4096 /* of offset, length and memory with O_DIRECT */

/* One operation, in the caller's memory; unmoved and untouched from writer_start() to done(). */
struct writer_op {
	enum disk_kind kind;
	int fd;
	bool direct;      /* fd is open with O_DIRECT: go on only at aligned places */
	const void *data; /* DISK_WRITE */
	uint64_t offset;  /* bytes from the start of the file */
	uint64_t length;  /* bytes */
	unsigned sink;    /* whose it is, for the figures */
	int error;        /* the answer: 0 or negative errno */
	/* Called once, from writer_reap() or writer_wait(). May start operations, this one too. */
	void (*done)(struct writer_op *op);
	void *user;

	/* The writer's own. */
	struct writer_op *next;
	uint64_t finished;   /* bytes in the file */
	uint64_t started_ns; /* CLOCK_MONOTONIC at the first attempt */
	uint64_t stalled_ns; /* at the first attempt that brought nothing, 0: none since it went on
	                      */
	uint64_t retry_ns;   /* when to try again, 0: now */
	uint64_t short_at;   /* bytes of the attempt that count; of disk_io.before */
	uint64_t asked;      /* bytes of the attempt */
	int verdict;         /* of disk_io.before */
};

/* Counted since writer_open(). */
struct writer_figures {
	uint64_t written_bytes, writes, syncs, errors;
	uint64_t write_errors, sync_errors; /* of those errors */
	uint64_t write_ns_max; /* of one write, from the first attempt to the last byte */
	uint64_t write_ns;     /* of all of them */
	uint64_t write_times[WRITE_TIMES];
	struct writer_share each[CONFIG_SINKS_MAX]; /* by writer_op.sink */
};

struct writer;

/* CLOCK_REALTIME or CLOCK_MONOTONIC, nanoseconds. */
uint64_t writer_clock_ns(int clock);

/* Whether an operation's error says that the file system takes no more bytes: full, over quota
 * or read-only. Space may come back; other errors are faults. */
bool writer_is_full(int error);

/* io: NULL for the real system; borrowed. wake_fd: eventfd to signal, or -1.
 * The variable OPENBEAM_WRITER=pwrite in the environment does without io_uring. 0 or -ENOMEM. */
int writer_open(struct writer **ret, const struct disk_io *io, int wake_fd);

/* Accepts NULL. Waits for what is under way; done() is no longer called. */
void writer_close(struct writer *w);

/* Make the calling thread the owner. False when it is not and operations are under way, which
 * only the owner can end. */
bool writer_adopt(struct writer *w);

/* Memory that writes will come from, registered with the kernel when it allows. Only with
 * nothing under way; replaces what was registered before. The table is copied. */
struct writer_memory {
	void *at;
	size_t bytes;
};
void writer_register(struct writer *w, const struct writer_memory *memory, unsigned count);

/* The table it was opened with, or NULL; for calls that wait. */
const struct disk_io *writer_disk(const struct writer *w);

/* Queue an operation. Never blocks, never calls done(). */
void writer_start(struct writer *w, struct writer_op *op);

/* Hand what is queued to the kernel; what it refuses for good ends with that error. With plain
 * system calls only see to it that wake_fd is signalled. Never waits. */
void writer_submit(struct writer *w);

/* Call done() for what has finished and submit what is queued; with plain system calls do one
 * operation. Returns how many finished. */
unsigned writer_reap(struct writer *w);

/* The same, but wait up to timeout_ns for one to finish. */
unsigned writer_wait(struct writer *w, uint64_t timeout_ns);

/* Operations started and not done. */
unsigned writer_busy(const struct writer *w);

/* When it must be reaped at the latest, for operations that are to be tried again (monotonic
 * ns); UINT64_MAX: completions signal wake_fd. */
uint64_t writer_next_ns(const struct writer *w);

/* Whether writer_reap() itself waits for the disk: plain system calls. */
bool writer_blocks(const struct writer *w);

/* "io_uring", or "pwrite (io_uring refused: ...)". */
const char *writer_engine(const struct writer *w);

/* "4 registered buffers", or "plain buffers (...)"; "" without io_uring. */
const char *writer_buffers(const struct writer *w);

void writer_figures(const struct writer *w, struct writer_figures *ret);

/* The longest write and the longest sync that ended since the last call; 0: none did. */
void writer_longest(struct writer *w, uint64_t *ret_write_ns, uint64_t *ret_sync_ns);

#endif
