/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/registered.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define BUFFER_MAX   ((size_t)1 << 30) /* bytes, of the kernel */
#define BUFFER_COUNT 16384             /* of the kernel */

static int by_address(const void *a, const void *b)
{
	uintptr_t left = (uintptr_t)((const struct iovec *)a)->iov_base;
	uintptr_t right = (uintptr_t)((const struct iovec *)b)->iov_base;

	return left < right ? -1 : left > right;
}

static size_t piece_count(const struct registered *r)
{
	size_t pieces = 0;

	for (unsigned i = 0; i < r->wanted_count; i++)
		pieces += (r->wanted[i].bytes + BUFFER_MAX - 1) / BUFFER_MAX;
	return pieces;
}

static unsigned split_pieces(const struct registered *r, struct iovec *pieces)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->wanted_count; i++) {
		for (size_t at = 0; at < r->wanted[i].bytes; at += BUFFER_MAX) {
			size_t left = r->wanted[i].bytes - at;

			pieces[n].iov_base = (char *)r->wanted[i].at + at;
			pieces[n++].iov_len = left < BUFFER_MAX ? left : BUFFER_MAX;
		}
	}
	qsort(pieces, n, sizeof *pieces, by_address);
	return n;
}

static void describe_plain_buffers(struct registered *r, int error)
{
	struct rlimit limit = { 0 };

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (error == -ENOMEM)
		snprintf(r->summary, sizeof r->summary,
		         "plain buffers (RLIMIT_MEMLOCK is %llu KiB; raise it to register them)",
		         (unsigned long long)limit.rlim_cur / 1024);
	else
		snprintf(r->summary, sizeof r->summary, "plain buffers (not registered: %s)",
		         strerror(-error));
}

void registered_want(struct registered *r, const struct writer_memory *memory, unsigned count)
{
	free(r->wanted);
	r->wanted = count ? malloc(count * sizeof *r->wanted) : NULL;
	r->wanted_count = r->wanted ? count : 0;
	if (r->wanted)
		memcpy(r->wanted, memory, count * sizeof *r->wanted);
}

void registered_enable(struct registered *r, struct io_uring *ring)
{
	size_t pieces = piece_count(r);
	int err = -E2BIG;

	r->summary[0] = '\0';
	if (pieces == 0)
		return;
	if (pieces <= BUFFER_COUNT) {
		r->buffers = calloc(pieces, sizeof *r->buffers);
		err = r->buffers ? 0 : -ENOMEM;
	}
	if (!err)
		err = io_uring_register_buffers(ring, r->buffers, split_pieces(r, r->buffers));
	if (err) {
		free(r->buffers);
		r->buffers = NULL;
		describe_plain_buffers(r, err);
		return;
	}
	r->count = (unsigned)pieces;
	snprintf(r->summary, sizeof r->summary, "%u registered buffer%s", r->count,
	         r->count == 1 ? "" : "s");
}

void registered_disable(struct registered *r, struct io_uring *ring)
{
	if (r->count && ring)
		(void)io_uring_unregister_buffers(ring);
	free(r->buffers);
	r->buffers = NULL;
	r->count = 0;
	r->summary[0] = '\0';
}

int registered_find(const struct registered *r, const void *data, uint64_t length)
{
	unsigned low = 0, high = r->count;
	uintptr_t at = (uintptr_t)data;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		uintptr_t start = (uintptr_t)r->buffers[middle].iov_base;

		if (at < start)
			high = middle;
		else if (at >= start + r->buffers[middle].iov_len)
			low = middle + 1;
		else if (at + length <= start + r->buffers[middle].iov_len)
			return (int)middle;
		else
			return -1;
	}
	return -1;
}

void registered_done(struct registered *r)
{
	registered_disable(r, NULL);
	free(r->wanted);
	*r = (struct registered){ 0 };
}
