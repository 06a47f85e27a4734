/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/stack.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define ALLOCATE_STEP (256u << 20) /* bytes; few enough calls, small enough to give back */

static uint64_t align_down(uint64_t n, uint64_t a)
{
	return n - n % a;
}

static uint64_t align_up(uint64_t n, uint64_t a)
{
	return align_down(n + a - 1, a);
}

static uint64_t granule(const struct stack *s)
{
	return s->direct ? WRITER_ALIGN : 1;
}

/* A write has left the queue: its block can be filled further or serve another. */
static void write_left(struct stack *s, struct stack_write *w)
{
	if (!w->block)
		return;
	w->block->locked = false;
	if (w->block != s->block)
		staging_push(s->staging, w->block);
}

static struct stack_write *pop_write(struct stack *s)
{
	struct stack_write *w = s->first;

	s->first = w->next;
	if (!s->first)
		s->last = NULL;
	return w;
}

static void advance(struct stack *s)
{
	while (s->first && s->first->finished && !s->first->op.error) {
		struct stack_write *w = pop_write(s);

		s->landed = w->end;
		write_left(s, w);
	}
	if (!s->error || s->in_flight)
		return;
	while (s->first)
		write_left(s, pop_write(s));
}

static void write_done(struct writer_op *op)
{
	struct stack_write *w = op->user;
	struct stack *s = w->stack;

	w->finished = true;
	s->in_flight--;
	if (op->error && !s->error)
		s->error = op->error;
	if (w->released)
		w->released(w);
	advance(s);
}

static void start_write(struct stack *s, struct stack_write *w, const void *data, uint64_t offset,
                        uint64_t bytes)
{
	w->stack = s;
	w->next = NULL;
	w->finished = false;
	w->op.kind = DISK_WRITE;
	w->op.fd = s->fd;
	w->op.direct = s->direct;
	w->op.sink = s->sink;
	w->op.data = data;
	w->op.offset = offset;
	w->op.length = bytes;
	w->op.done = write_done;
	w->op.user = w;
	if (s->last)
		s->last->next = w;
	else
		s->first = w;
	s->last = w;
	s->in_flight++;
	writer_start(s->writer, &w->op);
}

static void start_block(struct stack *s, struct staging_block *b)
{
	uint64_t from = align_down(b->flushed, granule(s));
	uint64_t to = align_up(b->fill, granule(s));

	/* The padding is cut off or overwritten later. */
	memset(b->at + b->fill, 0, to - b->fill);
	b->locked = true;
	b->flushed = b->fill;
	b->write.end = b->offset + b->fill;
	b->write.released = NULL;
	start_write(s, &b->write, b->at + from, b->offset + from, to - from);
}

static int is_unsupported(int error)
{
	return error == -EOPNOTSUPP || error == -ENOSYS || error == -EINVAL || error == -ENODEV;
}

/* A failed allocation may have taken blocks all the same (ext4 does): they would be missing for
 * the journal. No byte was placed there yet. */
static void give_back(struct stack *s)
{
	(void)disk_punch(writer_disk(s->writer), s->fd, s->allocate_op.offset,
	                 s->allocate_op.length);
}

static void allocate_done(struct writer_op *op)
{
	struct stack *s = op->user;

	s->allocating = false;
	if (op->error == 0) {
		s->allocated = op->offset + op->length;
	} else if (is_unsupported(op->error)) {
		s->can_allocate = false;
	} else if (op->error == -ENOSPC || op->error == -EDQUOT) {
		s->full = s->step == 0;
		s->step = 0;
		give_back(s);
	} else if (!s->error) {
		s->error = op->error;
	}
}

static void start_allocate(struct stack *s, uint64_t end)
{
	uint64_t ahead = s->allocated + s->step;

	if (ahead > s->size_max)
		ahead = s->size_max;
	if (end <= s->allocated && ahead <= s->allocated)
		return;
	s->allocating = true;
	s->allocate_op = (struct writer_op){ .kind = DISK_EXTEND,
		                             .fd = s->fd,
		                             .sink = s->sink,
		                             .offset = s->allocated,
		                             .length = (end > ahead ? end : ahead) - s->allocated,
		                             .done = allocate_done,
		                             .user = s };
	writer_start(s->writer, &s->allocate_op);
}

int stack_open(struct stack *s, struct writer *w, struct staging *staging,
               const struct stack_options *o)
{
	char part[PART_NAME_MAX + sizeof PART_SUFFIX];
	int flags = O_RDWR | O_CREAT | O_EXCL | (o->direct ? O_DIRECT : 0);
	int fd;

	*s = (struct stack){ .fd = -1 };
	if (strlen(o->name) + sizeof PART_SUFFIX > PART_NAME_MAX)
		return -ENAMETOOLONG;
	strcpy(s->name, o->name);
	strcpy(part, o->name);
	strcat(part, PART_SUFFIX);
	fd = disk_open(writer_disk(w), o->directory, part, flags, 0666);
	if (fd < 0)
		return fd;
	s->writer = w;
	s->staging = staging;
	s->directory = o->directory;
	s->fd = fd;
	s->direct = o->direct;
	s->sink = o->sink;
	s->zero_copy = o->zero_copy;
	s->placed = s->landed = o->head;
	s->size_max = o->size_max;
	s->can_allocate = true;
	s->step = ALLOCATE_STEP;
	return 0;
}

void stack_close(struct stack *s)
{
	if (s->fd < 0)
		return;
	if (s->block)
		staging_push(s->staging, s->block);
	s->block = NULL;
	close(s->fd);
	s->fd = -1;
}

enum stack_room stack_make_room(struct stack *s, uint64_t end)
{
	if (!s->can_allocate)
		return STACK_READY;
	if (end <= s->allocated) {
		if (s->step && !s->allocating && end + s->step / 2 > s->allocated)
			start_allocate(s, end);
		return STACK_READY;
	}
	if (s->full)
		return STACK_FULL;
	if (!s->allocating && !s->error)
		start_allocate(s, end);
	return STACK_WAIT;
}

void stack_put(struct stack *s, struct stack_write *w, const void *data, size_t bytes)
{
	uint64_t offset = s->placed;

	assert(!s->block && offset % granule(s) == 0 && bytes % granule(s) == 0);
	s->placed += bytes;
	w->block = NULL;
	w->end = s->placed;
	start_write(s, w, data, offset, bytes);
}

static bool take_block(struct stack *s)
{
	s->block = staging_pop(s->staging);
	if (!s->block)
		return false;
	s->block->offset = s->placed;
	return true;
}

size_t stack_append(struct stack *s, const void *data, size_t n)
{
	size_t taken = 0;

	while (taken < n && !s->error) {
		struct staging_block *b;
		size_t fits;

		if (!s->block && !take_block(s))
			break;
		b = s->block;
		if (b->locked)
			break;
		fits = s->staging->block_bytes - b->fill;
		fits = fits < n - taken ? fits : n - taken;
		memcpy(b->at + b->fill, (const char *)data + taken, fits);
		b->fill += fits;
		taken += fits;
		s->placed += fits;
		if (b->fill < s->staging->block_bytes)
			break;
		start_block(s, b);
		s->block = NULL;
	}
	return taken;
}

void stack_flush(struct stack *s)
{
	struct staging_block *b = s->block;

	if (b && !b->locked && b->flushed < b->fill && !s->error)
		start_block(s, b);
}

bool stack_idle(const struct stack *s)
{
	return s->in_flight == 0 && !s->allocating;
}

static int read_back(struct stack *s, uint64_t start, uint64_t end)
{
	ssize_t n = pread(s->fd, s->block->at, WRITER_ALIGN, (off_t)start);

	if (n < 0)
		return -errno;
	if ((uint64_t)n < end - start)
		return -EIO;
	s->block->offset = start;
	s->block->fill = s->block->flushed = (size_t)(end - start);
	return 0;
}

int stack_cut(struct stack *s, uint64_t end)
{
	uint64_t start = align_down(end, granule(s));

	assert(stack_idle(s) && end <= s->landed);
	if (s->block && start == end) {
		staging_push(s->staging, s->block);
		s->block = NULL;
	}
	if (start != end && !s->block) {
		s->block = staging_pop(s->staging);
		if (!s->block)
			return -EAGAIN;
	}
	s->placed = s->landed = end;
	s->error = 0;
	if (start == end)
		return 0;
	s->block->locked = false;
	return read_back(s, start, end);
}

int stack_truncate(struct stack *s)
{
	return disk_truncate(writer_disk(s->writer), s->fd, s->placed);
}
