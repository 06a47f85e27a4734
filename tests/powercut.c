/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/powercut.h"

#include "tests/crash_rig.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR    512
#define NODES_MAX 512
#define NEVER     UINT64_MAX
#define NAME_MAX_ 160

enum event_kind { EVENT_WRITE, EVENT_SIZE, EVENT_SYNC, EVENT_ENTER, EVENT_RENAME, EVENT_REMOVE };

/* A call that changed something. */
struct event {
	enum event_kind kind;
	uint64_t begun, ended; /* moments; NEVER: not yet */
	bool failed;
	unsigned node;        /* the file, or the folder whose entries change */
	unsigned child;       /* EVENT_ENTER: what gets a name; EVENT_RENAME, EVENT_REMOVE: had */
	char name[NAME_MAX_]; /* of the entry */
	char to[NAME_MAX_];   /* EVENT_RENAME */
	uint64_t offset, length; /* EVENT_SIZE: length is the size */
	unsigned char *data;
	int fd; /* to find the call again that ends */
	enum disk_kind call;
};

struct node {
	bool folder;
	dev_t device;
	ino_t number; /* of the live one; numbers come again */
};

struct powercut {
	struct disk_io io;
	uint64_t now;
	bool forgets[DISK_KIND_COUNT];
	struct event *events;
	unsigned count, capacity;
	struct node nodes[NODES_MAX]; /* 0: the root */
	unsigned node_count;
};

/* ---- recording ---- */

static unsigned add_node(struct powercut *p, const struct stat *st)
{
	if (p->node_count == NODES_MAX)
		crash_fail("too many files to record");
	p->nodes[p->node_count] = (struct node){ .folder = S_ISDIR(st->st_mode),
		                                 .device = st->st_dev,
		                                 .number = st->st_ino };
	return p->node_count++;
}

/* The newest with that number; NODES_MAX: none of ours. */
static unsigned find_node(const struct powercut *p, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return NODES_MAX;
	for (unsigned i = p->node_count; i-- > 0;)
		if (p->nodes[i].number == st.st_ino && p->nodes[i].device == st.st_dev)
			return i;
	return NODES_MAX;
}

static struct event *add_event(struct powercut *p, struct event e)
{
	if (p->count == p->capacity) {
		p->capacity = p->capacity ? p->capacity * 2 : 256;
		p->events = realloc(p->events, p->capacity * sizeof *p->events);
		if (!p->events)
			crash_fail("no memory");
	}
	p->events[p->count] = e;
	return &p->events[p->count++];
}

static void set_name(char ret[NAME_MAX_], const char *name)
{
	snprintf(ret, NAME_MAX_, "%.*s", NAME_MAX_ - 1, name);
}

/* What has a name by all that was recorded; NODES_MAX: nothing. */
static unsigned child_of(const struct powercut *p, unsigned folder, const char *name)
{
	unsigned child = NODES_MAX;

	for (unsigned i = 0; i < p->count; i++) {
		const struct event *e = &p->events[i];

		if (e->node != folder || e->failed)
			continue;
		if (e->kind == EVENT_ENTER && strcmp(e->name, name) == 0)
			child = e->child;
		if (e->kind == EVENT_RENAME && strcmp(e->to, name) == 0)
			child = e->child;
		else if ((e->kind == EVENT_RENAME || e->kind == EVENT_REMOVE) &&
		         strcmp(e->name, name) == 0)
			child = NODES_MAX;
	}
	return child;
}

static void *copy_of(const void *data, uint64_t length)
{
	void *copy = malloc(length ? length : 1);

	if (!copy)
		crash_fail("no memory");
	memcpy(copy, data, length);
	return copy;
}

static int p_before(void *user, const struct disk_call *c, uint64_t *length)
{
	struct powercut *p = user;
	struct event e = { .begun = ++p->now,
		           .ended = NEVER,
		           .node = find_node(p, c->fd),
		           .child = NODES_MAX,
		           .fd = c->fd,
		           .call = c->kind,
		           .offset = c->offset,
		           .length = c->length };

	(void)length;
	if (e.node == NODES_MAX)
		crash_fail("a call on a file that was not recorded");
	switch (c->kind) {
	case DISK_WRITE:
		e.kind = EVENT_WRITE;
		e.data = copy_of(c->data, c->length);
		break;
	case DISK_PUNCH:
		return 0; /* of blocks behind the end alone */
	case DISK_TRUNCATE:
		e.kind = EVENT_SIZE;
		break;
	case DISK_EXTEND:
		e.kind = EVENT_SIZE;
		e.length = c->offset + c->length;
		break;
	case DISK_SYNC:
	case DISK_SYNC_DATA:
		e.kind = EVENT_SYNC;
		break;
	case DISK_RENAME:
		e.kind = EVENT_RENAME;
		e.child = child_of(p, e.node, c->name);
		set_name(e.to, c->to);
		break;
	case DISK_REMOVE:
		e.kind = EVENT_REMOVE;
		e.child = child_of(p, e.node, c->name);
		break;
	default: /* what is made is known when it is there */
		return 0;
	}
	if (c->name)
		set_name(e.name, c->name);
	add_event(p, e);
	return 0;
}

/* Something new in a folder. */
static void note_made(struct powercut *p, const struct disk_call *c, const struct stat *st)
{
	struct event e = { .kind = EVENT_ENTER,
		           .begun = p->now - 1,
		           .ended = p->now,
		           .node = find_node(p, c->fd),
		           .child = add_node(p, st),
		           .call = c->kind };

	set_name(e.name, c->name);
	add_event(p, e);
}

static void note_opened(struct powercut *p, const struct disk_call *c, int fd)
{
	unsigned known = child_of(p, find_node(p, c->fd), c->name);
	struct stat st;

	if (fstat(fd, &st) < 0)
		crash_fail("fstat: %s", strerror(errno));
	if (known == NODES_MAX && (c->flags & O_CREAT))
		note_made(p, c, &st);
	else if (c->flags & O_TRUNC)
		add_event(p, (struct event){ .kind = EVENT_SIZE,
		                             .begun = p->now - 1,
		                             .ended = p->now,
		                             .node = known,
		                             .call = c->kind });
}

/* The oldest call like this that has not ended. */
static void end_call(struct powercut *p, const struct disk_call *c, int64_t result)
{
	for (unsigned i = 0; i < p->count; i++) {
		struct event *e = &p->events[i];

		if (e->ended != NEVER || e->failed || e->call != c->kind || e->fd != c->fd ||
		    (c->kind == DISK_WRITE && e->offset != c->offset))
			continue;
		e->ended = p->now;
		e->failed = result < 0;
		if (c->kind == DISK_WRITE && result >= 0)
			e->length = (uint64_t)result;
		return;
	}
	crash_fail("a call ends that has not begun");
}

static void p_after(void *user, const struct disk_call *c, int64_t result)
{
	struct powercut *p = user;
	struct stat st;

	p->now++;
	switch (c->kind) {
	case DISK_OPEN:
		if (result >= 0)
			note_opened(p, c, (int)result);
		break;
	case DISK_FOLDER:
		if (result >= 0 && fstatat(c->fd, c->name, &st, 0) == 0)
			note_made(p, c, &st);
		break;
	case DISK_ALLOCATE:
	case DISK_PUNCH:
		break;
	default:
		end_call(p, c, result);
	}
}

/* What is there already was there for ever. */
static void load(struct powercut *p, unsigned folder, const char *path)
{
	DIR *d = opendir(path);

	if (!d)
		crash_fail("%s: %s", path, strerror(errno));
	for (struct dirent *entry = readdir(d); entry; entry = readdir(d)) {
		struct event e = { .kind = EVENT_ENTER, .node = folder };
		char inner[640];
		struct stat st;

		snprintf(inner, sizeof inner, "%.380s/%.255s", path, entry->d_name);
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    lstat(inner, &st) < 0)
			continue;
		e.child = add_node(p, &st);
		set_name(e.name, entry->d_name);
		add_event(p, e);
		if (S_ISDIR(st.st_mode)) {
			load(p, e.child, inner);
			continue;
		}
		e = (struct event){ .kind = EVENT_WRITE,
			            .node = e.child,
			            .length = (uint64_t)st.st_size };
		e.data = malloc((size_t)st.st_size + 1);
		int fd = open(inner, O_RDONLY);
		if (fd < 0 || !e.data || read(fd, e.data, e.length) != (ssize_t)e.length)
			crash_fail("%s: cannot be read", inner);
		close(fd);
		add_event(p, e);
	}
	closedir(d);
}

struct powercut *powercut_open(const char *root)
{
	struct powercut *p = calloc(1, sizeof *p);
	struct stat st;

	if (!p || lstat(root, &st) < 0)
		crash_fail("cannot record %s", root);
	p->io = (struct disk_io){ .user = p, .before = p_before, .after = p_after };
	load(p, add_node(p, &st), root);
	return p;
}

void powercut_close(struct powercut *p)
{
	for (unsigned i = 0; i < p->count; i++)
		free(p->events[i].data);
	free(p->events);
	free(p);
}

const struct disk_io *powercut_io(struct powercut *p)
{
	return &p->io;
}

void powercut_forget(struct powercut *p, enum disk_kind kind)
{
	p->forgets[kind] = true;
}

uint64_t powercut_now(const struct powercut *p)
{
	return p->now;
}

unsigned powercut_calls(const struct powercut *p)
{
	return p->count;
}

/* ---- building ---- */

struct build {
	const struct powercut *p;
	uint64_t cut;
	enum powercut_model model;
	uint64_t random;
	uint64_t moment; /* of the ordered model: of folders and sizes, what began later is lost */
	bool *keeps;     /* [p->count]: events of folders */
};

/* xorshift64*: the same everywhere. */
static uint64_t draw(struct build *b, uint64_t below)
{
	b->random ^= b->random >> 12;
	b->random ^= b->random << 25;
	b->random ^= b->random >> 27;
	return (b->random * UINT64_C(0x2545f4914f6cdd1d) >> 33) % below;
}

static bool is_of_folder(const struct event *e)
{
	return e->kind >= EVENT_ENTER;
}

static bool has_begun(const struct build *b, const struct event *e)
{
	return e->begun <= b->cut && !e->failed;
}

/* When the last sync began that makes earlier ends of this node's calls safe; 0: none did. */
static uint64_t safe_until(const struct build *b, unsigned node)
{
	uint64_t until = 0;

	for (unsigned i = 0; i < b->p->count; i++) {
		const struct event *e = &b->p->events[i];

		if (e->kind == EVENT_SYNC && e->node == node && !e->failed && e->ended <= b->cut &&
		    e->begun > until && !b->p->forgets[e->call])
			until = e->begun;
	}
	return until;
}

static bool is_safe(const struct event *e, uint64_t until)
{
	return e->ended <= until; /* what was there from the beginning ended at 0 */
}

static bool touches(const struct event *e, const struct event *other)
{
	if (e->node != other->node)
		return false;
	return e->child == other->child || strcmp(e->name, other->name) == 0 ||
	       strcmp(e->name, other->to) == 0 ||
	       (e->kind == EVENT_RENAME &&
	        (strcmp(e->to, other->name) == 0 || strcmp(e->to, other->to) == 0));
}

/* Which changes of folders the disk has kept. */
static void choose_entries(struct build *b)
{
	uint64_t odds = draw(b, 5); /* of 4: from nothing to all */

	for (unsigned i = 0; i < b->p->count; i++) {
		const struct event *e = &b->p->events[i];

		if (!is_of_folder(e) || !has_begun(b, e))
			continue;
		if (is_safe(e, safe_until(b, e->node)))
			b->keeps[i] = true;
		else if (b->model == POWERCUT_ORDERED)
			b->keeps[i] = e->begun <= b->moment;
		else
			b->keeps[i] = draw(b, 4) < odds;
	}
	for (unsigned i = b->p->count; i-- > 0;)
		for (unsigned k = 0; k < i && b->keeps[i]; k++)
			if (is_of_folder(&b->p->events[k]) && !b->p->events[k].failed &&
			    touches(&b->p->events[i], &b->p->events[k]))
				b->keeps[k] = true;
}

struct content {
	unsigned char *bytes;
	uint64_t size, capacity;
};

static void set_size(struct content *c, uint64_t size)
{
	if (size > c->capacity) {
		c->capacity = size * 2;
		c->bytes = realloc(c->bytes, c->capacity);
		if (!c->bytes)
			crash_fail("no memory");
	}
	if (size > c->size)
		memset(c->bytes + c->size, 0, size - c->size);
	c->size = size;
}

static void put_bytes(struct content *c, const struct event *e, uint64_t from, uint64_t n)
{
	if (n == 0)
		return;
	if (e->offset + from + n > c->size)
		set_size(c, e->offset + from + n);
	memcpy(c->bytes + e->offset + from, e->data + from, n);
}

static void apply(struct content *c, const struct event *e)
{
	if (e->kind == EVENT_SIZE)
		set_size(c, e->length);
	else
		put_bytes(c, e, 0, e->length);
}

/* Some of its sectors. */
static void apply_torn(struct build *b, struct content *c, const struct event *e)
{
	for (uint64_t at = 0; at < e->length;) {
		uint64_t n = SECTOR - (e->offset + at) % SECTOR;

		n = n < e->length - at ? n : e->length - at;
		if (draw(b, 2))
			put_bytes(c, e, at, n);
		at += n;
	}
}

static void apply_maybe(struct build *b, struct content *c, const struct event *e)
{
	uint64_t chance = draw(b, 3);

	if (chance == 0)
		return;
	if (chance == 1 || e->kind == EVENT_SIZE)
		apply(c, e);
	else
		apply_torn(b, c, e);
}

static bool is_of_file(const struct event *e, unsigned node)
{
	return e->node == node && (e->kind == EVENT_WRITE || e->kind == EVENT_SIZE);
}

/* The size after this event, where it was `size` before. */
static uint64_t size_after(const struct event *e, uint64_t size)
{
	uint64_t end = e->offset + e->length;

	if (e->kind == EVENT_SIZE)
		return e->length;
	return end > size ? end : size;
}

/* A size the file may have: that of the last sync, or any since. */
static uint64_t choose_size(struct build *b, unsigned node, uint64_t until, uint64_t safe_size)
{
	uint64_t size = safe_size, chosen = safe_size, seen = 1;

	for (unsigned i = 0; i < b->p->count; i++) {
		const struct event *e = &b->p->events[i];

		if (!is_of_file(e, node) || !has_begun(b, e) || is_safe(e, until))
			continue;
		size = size_after(e, size);
		if (b->model == POWERCUT_ORDERED)
			chosen = e->begun <= b->moment ? size : chosen;
		else if (draw(b, ++seen) == 0)
			chosen = size;
	}
	return chosen;
}

static struct content content_of(struct build *b, unsigned node)
{
	uint64_t until = safe_until(b, node), size;
	struct content c = { 0 };

	for (unsigned i = 0; i < b->p->count; i++) {
		const struct event *e = &b->p->events[i];

		if (is_of_file(e, node) && has_begun(b, e) && is_safe(e, until))
			apply(&c, e);
	}
	size = choose_size(b, node, until, c.size);
	for (unsigned i = 0; i < b->p->count; i++) {
		const struct event *e = &b->p->events[i];
		uint64_t end = e->offset + e->length;

		if (!is_of_file(e, node) || !has_begun(b, e) || is_safe(e, until))
			continue;
		if (b->model == POWERCUT_ORDERED && e->begun <= b->moment &&
		    (e->kind == EVENT_SIZE || end > c.size))
			apply(&c, e);
		else if (b->model == POWERCUT_STRICT || e->kind == EVENT_WRITE)
			apply_maybe(b, &c, e);
	}
	set_size(&c, size);
	return c;
}

static void write_file(struct build *b, unsigned node, const char *path)
{
	struct content c = content_of(b, node);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0666);

	if (fd < 0 || (c.size && write(fd, c.bytes, c.size) != (ssize_t)c.size))
		crash_fail("%s: %s", path, strerror(errno));
	close(fd);
	free(c.bytes);
}

static void write_folder(struct build *b, unsigned folder, const char *path);

static void write_entry(struct build *b, unsigned child, const char *folder, const char *name)
{
	char path[640];

	snprintf(path, sizeof path, "%.380s/%s", folder, name);
	if (!b->p->nodes[child].folder) {
		write_file(b, child, path);
		return;
	}
	if (mkdir(path, 0777) < 0)
		crash_fail("%s: %s", path, strerror(errno));
	write_folder(b, child, path);
}

/* Whether the entry that event i makes is the one that is there in the end. */
static bool stands(const struct build *b, unsigned i)
{
	const struct event *e = &b->p->events[i];
	const char *name = e->kind == EVENT_RENAME ? e->to : e->name;

	for (unsigned k = i + 1; k < b->p->count; k++) {
		const struct event *later = &b->p->events[k];

		if (!b->keeps[k] || later->node != e->node)
			continue;
		if (strcmp(later->name, name) == 0 ||
		    (later->kind == EVENT_RENAME && strcmp(later->to, name) == 0))
			return false;
	}
	return true;
}

static void write_folder(struct build *b, unsigned folder, const char *path)
{
	for (unsigned i = 0; i < b->p->count; i++) {
		const struct event *e = &b->p->events[i];

		if (!b->keeps[i] || e->node != folder || e->kind == EVENT_REMOVE || !stands(b, i))
			continue;
		write_entry(b, e->child, path, e->kind == EVENT_RENAME ? e->to : e->name);
	}
}

void powercut_build(const struct powercut *p, uint64_t cut, enum powercut_model model,
                    uint64_t seed, const char *root)
{
	struct build b = { .p = p,
		           .cut = cut,
		           .model = model,
		           .random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) };

	b.keeps = calloc(p->count ? p->count : 1, sizeof *b.keeps);
	if (!b.keeps)
		crash_fail("no memory");
	(void)draw(&b, 2);
	b.moment = draw(&b, cut + 1);
	if (draw(&b, 2)) /* late ones are the likelier */
		b.moment = cut - draw(&b, cut / 8 + 1);
	choose_entries(&b);
	crash_folder_wipe(root);
	write_folder(&b, 0, root);
	free(b.keeps);
}
