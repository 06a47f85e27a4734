/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/shm_map.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <zmq.h>

#define SLOTS_MAX 65536u
#define BYTES_MAX ((uint64_t)1 << 44)

/* ---- memory that is cut short ---- */

/* Mapped rings, for the handler. A row is written by whoever maps; the handler only reads. */
static struct guarded {
	_Atomic uintptr_t base; /* 0: unused */
	_Atomic size_t bytes;
	_Atomic(struct shm_map *) map;
} guarded[64];

static size_t page_bytes = SHM_PAGE; /* the kernel's; written before any ring is mapped */

static struct guarded *guarded_at(uintptr_t address)
{
	for (size_t i = 0; i < sizeof guarded / sizeof *guarded; i++) {
		/* acquire pairs with guard(): the row is whole once base is there. */
		uintptr_t base = atomic_load_explicit(&guarded[i].base, memory_order_acquire);

		if (base &&
		    address - base < atomic_load_explicit(&guarded[i].bytes, memory_order_relaxed))
			return &guarded[i];
	}
	return NULL;
}

/* Runs in the thread that read beyond the end of the memory: give it zeros to read, and mark the
 * ring. Only calls that are safe in a handler. */
static void handle_sigbus(int number, siginfo_t *info, void *context)
{
	uintptr_t address = (uintptr_t)info->si_addr;
	struct guarded *g = guarded_at(address);
	void *page = (void *)(address / page_bytes * page_bytes);

	(void)context;
	/* Before the zeros are there: another thread that reads them must find the mark. relaxed:
	 * the call into the kernel is between the two. */
	if (g)
		atomic_store_explicit(&atomic_load_explicit(&g->map, memory_order_relaxed)->broken,
		                      true, memory_order_relaxed);
	if (!g || mmap(page, page_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
	               0) == MAP_FAILED) {
		signal(number, SIG_DFL); /* not ours: comes again and ends the process */
	}
}

void shm_map_guard(void)
{
	struct sigaction action = { .sa_sigaction = handle_sigbus, .sa_flags = SA_SIGINFO };

	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, NULL);
}

static bool guard(struct shm_map *map)
{
	for (size_t i = 0; i < sizeof guarded / sizeof *guarded; i++) {
		struct shm_map *none = NULL;

		if (!atomic_compare_exchange_strong(&guarded[i].map, &none, map))
			continue;
		atomic_store_explicit(&guarded[i].bytes, map->bytes, memory_order_relaxed);
		/* release pairs with guarded_at(). */
		atomic_store_explicit(&guarded[i].base, (uintptr_t)map->base, memory_order_release);
		return true;
	}
	return false;
}

static void unguard(const struct shm_map *map)
{
	for (size_t i = 0; i < sizeof guarded / sizeof *guarded; i++)
		if (atomic_load(&guarded[i].map) == map) {
			atomic_store(&guarded[i].base, 0);
			atomic_store(&guarded[i].map, NULL);
		}
}

/* ---- opening ---- */

__attribute__((format(printf, 2, 3))) static void *complain(struct shm_maps *m, const char *format,
                                                            ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(m->why, sizeof m->why, format, arguments);
	va_end(arguments);
	return NULL;
}

static bool is_descriptor_path(const char *name)
{
	unsigned pid, fd;
	int end = 0;

	return sscanf(name, "/proc/%9u/fd/%9u%n", &pid, &fd, &end) == 2 && !name[end];
}

static bool is_shm_name(const char *name)
{
	return name[0] == '/' && name[1] && !strchr(name + 1, '/') && strcmp(name, "/..") != 0;
}

/* The descriptor of the memory called `name`, opened for reading; -1 with why[]. */
static int open_memory(struct shm_maps *m, const char *name)
{
	bool descriptor = is_descriptor_path(name);
	int fd = -1;

	if (!descriptor && !is_shm_name(name)) {
		complain(m, "memory is neither /name nor /proc/<pid>/fd/<n>: %.60s", name);
		return -1;
	}
	fd = descriptor ? open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
	                : shm_open(name, O_RDONLY | O_NONBLOCK, 0); /* a FIFO would block */
	if (fd < 0)
		complain(m, "cannot open the memory %.60s: %s", name, strerror(errno));
	return fd;
}

/* Whether the memory may be trusted as far as its owner goes. */
static bool check_owner(struct shm_maps *m, int fd, const char *name, struct stat *ret)
{
	int seals = is_descriptor_path(name) ? fcntl(fd, F_GET_SEALS) : F_SEAL_SHRINK;
	struct statfs kind;

	if (fstat(fd, ret) != 0)
		return complain(m, "cannot look at the memory %.60s: %s", name, strerror(errno));
	if (!S_ISREG(ret->st_mode) || fstatfs(fd, &kind) != 0 || kind.f_type == HUGETLBFS_MAGIC)
		return complain(m, "%.60s is no memory", name);
	if (ret->st_uid != geteuid())
		return complain(m, "the memory %.60s belongs to user %u, the daemon is user %u",
		                name, ret->st_uid, geteuid());
	if (ret->st_mode & 077)
		return complain(m, "the memory %.60s has mode %03o, 600 is expected", name,
		                ret->st_mode & 0777);
	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return complain(m, "the memfd %.60s lacks F_SEAL_SHRINK", name);
	return true;
}

/* libzmq takes more than host and port behind tcp://, such as "source;destination". */
static bool is_local(const char *endpoint)
{
	const char *port = endpoint + 16;

	if (strncmp(endpoint, "ipc://", 6) == 0)
		return true;
	return strncmp(endpoint, "tcp://127.0.0.1:", 16) == 0 && *port &&
	       strspn(port, "0123456789") == strlen(port) && strlen(port) <= 5;
}

/* A copy of the first page's fields, checked against the size of the memory. */
static bool read_ring(struct shm_maps *m, int fd, const char *name, uint64_t size, uint64_t ring_id,
                      struct shm_ring *ret)
{
	uint64_t slots;

	if (pread(fd, ret, sizeof *ret, 0) != (ssize_t)sizeof *ret)
		return complain(m, "the memory %.60s has no first page", name);
	if (memcmp(ret->magic, SHM_RING_MAGIC, sizeof ret->magic) != 0 ||
	    ret->version != SHM_RING_VERSION)
		return complain(m, "the memory %.60s is no ring of version %d", name,
		                SHM_RING_VERSION);
	if (ret->ring_id != ring_id)
		return complain(m, "the memory %.60s holds another ring than announced", name);
	if (ret->slot_count < 2 || ret->slot_count > SLOTS_MAX || ret->slot_bytes <= SHM_PAGE ||
	    ret->slot_bytes % SHM_PAGE || ret->slot_bytes > BYTES_MAX ||
	    ret->first_slot < SHM_PAGE || ret->first_slot % SHM_PAGE || ret->first_slot > BYTES_MAX)
		return complain(m, "the ring in %.60s has impossible sizes", name);
	if (__builtin_mul_overflow((uint64_t)ret->slot_count, ret->slot_bytes, &slots) ||
	    slots > size || ret->first_slot > size - slots)
		return complain(m, "the ring in %.60s is larger than its memory", name);
	if (!memchr(ret->release, '\0', sizeof ret->release) || !is_local(ret->release))
		return complain(m,
		                "the ring in %.60s takes releases neither at ipc:// nor at "
		                "tcp://127.0.0.1:",
		                name);
	return true;
}

static bool open_release(struct shm_maps *m, struct shm_map *map, const char *endpoint)
{
	int linger = 200 /* ms */, queue = (int)map->slot_count + 16;

	map->release = zmq_socket(m->context, ZMQ_PUSH);
	if (!map->release ||
	    zmq_setsockopt(map->release, ZMQ_LINGER, &linger, sizeof linger) != 0 ||
	    zmq_setsockopt(map->release, ZMQ_SNDHWM, &queue, sizeof queue) != 0 ||
	    zmq_connect(map->release, endpoint) != 0)
		return complain(m, "cannot connect to %.80s for releases: %s", endpoint,
		                zmq_strerror(zmq_errno()));
	return true;
}

static void close_map(struct shm_map *map)
{
	if (map->base) {
		unguard(map);
		munmap((void *)(uintptr_t)map->base, map->bytes);
	}
	if (map->release)
		zmq_close(map->release);
	free(map->leases);
	*map = (struct shm_map){ 0 };
}

/* Everything but the memory itself, of a checked ring. */
static bool fill_map(struct shm_maps *m, struct shm_map *map, const struct shm_ring *ring)
{
	map->slot_count = ring->slot_count;
	map->slot_bytes = ring->slot_bytes;
	map->first_slot = ring->first_slot;
	map->ring_id = ring->ring_id;
	map->leases = calloc(ring->slot_count, sizeof *map->leases);
	if (!map->leases)
		return complain(m, "no memory for a ring of %u slots", ring->slot_count);
	for (uint32_t i = 0; i < ring->slot_count; i++)
		map->leases[i] = (struct shm_lease){ .map = map, .slot = i };
	return open_release(m, map, ring->release);
}

/* The announced ring, checked, not mapped: its descriptor, or -1 with why[]. */
static int open_ring(struct shm_maps *m, const struct shm_announcement *a,
                     struct shm_ring *ret_ring, struct stat *ret_status)
{
	int fd = open_memory(m, a->memory);

	if (fd >= 0 && check_owner(m, fd, a->memory, ret_status) &&
	    read_ring(m, fd, a->memory, (uint64_t)ret_status->st_size, a->ring_id, ret_ring))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool open_map(struct shm_maps *m, struct shm_map *map, int fd, const char *name,
                     const struct shm_ring *ring, const struct stat *status)
{
	void *base;

	snprintf(map->memory, sizeof map->memory, "%s", name);
	map->device = status->st_dev;
	map->inode = status->st_ino;
	map->bytes = ring->first_slot + ring->slot_count * ring->slot_bytes;
	base = mmap(NULL, map->bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return complain(m, "cannot map the memory %.60s: %s", name, strerror(errno));
	map->base = base;
	if (!guard(map))
		return complain(m, "too many rings are mapped");
	return fill_map(m, map, ring);
}

/* ---- life ---- */

int shm_maps_open(struct shm_maps *m)
{
	*m = (struct shm_maps){ .context = zmq_ctx_new() };
	return m->context ? 0 : -ENOMEM;
}

void shm_maps_close(struct shm_maps *m)
{
	shm_maps_tend(m);
	for (unsigned i = 0; i < SHM_MAPS_MAX; i++)
		close_map(&m->maps[i]);
	while (m->context && zmq_ctx_term(m->context) != 0 && errno == EINTR)
		;
	*m = (struct shm_maps){ 0 };
}

/* A row that is free, or was used least recently and has nothing on loan. NULL: none. */
static struct shm_map *free_row(struct shm_maps *m)
{
	struct shm_map *oldest = NULL;

	for (unsigned i = 0; i < SHM_MAPS_MAX; i++) {
		struct shm_map *map = &m->maps[i];

		if (map->ring_id == 0)
			return map;
		if (map->lent == 0 && (!oldest || map->used < oldest->used))
			oldest = map;
	}
	if (oldest)
		close_map(oldest);
	return oldest;
}

/* Let go of the memory of producers that ended: its name is gone, or another's. */
static void drop_ended(struct shm_maps *m)
{
	for (unsigned i = 0; i < SHM_MAPS_MAX; i++) {
		struct shm_map *map = &m->maps[i];
		char path[32 + sizeof map->memory];
		struct stat now;

		if (map->ring_id == 0 || map->lent > 0)
			continue;
		snprintf(path, sizeof path, "%s%s",
		         is_descriptor_path(map->memory) ? "" : "/dev/shm", map->memory);
		if (stat(path, &now) != 0 || now.st_dev != map->device || now.st_ino != map->inode)
			close_map(map);
	}
}

static struct shm_map *map_new(struct shm_maps *m, const struct shm_announcement *a)
{
	struct shm_map *map = NULL;
	struct shm_ring ring;
	struct stat status;
	int fd;

	if (a->ring_id == 0 || !memchr(a->memory, '\0', sizeof a->memory))
		return complain(m, "the announcement names no ring");
	fd = open_ring(m, a, &ring, &status);
	if (fd < 0)
		return NULL;
	drop_ended(m);
	map = free_row(m);
	if (!map)
		complain(m, "%d rings are in use, no more are mapped", SHM_MAPS_MAX);
	else if (!open_map(m, map, fd, a->memory, &ring, &status)) {
		close_map(map);
		map = NULL;
	}
	close(fd);
	return map;
}

struct shm_map *shm_maps_find(struct shm_maps *m, const struct shm_announcement *a)
{
	struct shm_map *map = NULL;

	for (unsigned i = 0; i < SHM_MAPS_MAX && a->ring_id; i++)
		if (m->maps[i].ring_id == a->ring_id)
			map = &m->maps[i];
	if (!map)
		map = map_new(m, a);
	if (map)
		map->used = ++m->clock;
	return map;
}

/* ---- slots ---- */

static const struct shm_slot *slot_of(const struct shm_map *map, uint32_t slot)
{
	return (const struct shm_slot *)(const void *)(map->base + map->first_slot +
	                                               slot * map->slot_bytes);
}

const void *shm_map_pixels(const struct shm_map *map, uint32_t slot)
{
	return (const char *)slot_of(map, slot) + SHM_PAGE;
}

bool shm_map_holds(const struct shm_map *map, uint32_t slot, uint64_t generation)
{
	/* acquire pairs with the producer's release: the pixels of that generation are visible; and
	 * orders our reads of them before a later call. */
	uint64_t now = __atomic_load_n(&slot_of(map, slot)->generation, __ATOMIC_ACQUIRE);

	/* relaxed: set by this thread's own handler, if by anybody. */
	return now == generation && !atomic_load_explicit(&map->broken, memory_order_relaxed);
}

struct shm_lease *shm_map_lend(struct shm_map *map, uint32_t slot, uint64_t generation)
{
	struct shm_lease *l = &map->leases[slot];

	if (l->lent)
		return NULL;
	l->lent = true;
	l->generation = generation;
	map->lent++;
	return l;
}

bool shm_lease_holds(const struct shm_lease *l)
{
	/* Orders the reads of the pixels before the look at the generation. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return shm_map_holds(l->map, l->slot, l->generation);
}

void shm_lease_return(struct shm_lease *l)
{
	struct shm_map *map = l->map;

	l->next = atomic_load_explicit(&map->returned, memory_order_relaxed);
	/* release pairs with acquire in tend_map(): publishes `next`. */
	while (!atomic_compare_exchange_weak_explicit(&map->returned, &l->next, l,
	                                              memory_order_release, memory_order_relaxed))
		;
}

static void send_release(struct shm_map *map, uint32_t slot, uint64_t generation)
{
	struct shm_release r = { { 'O', 'B', 'S', 'R' }, slot, map->ring_id, generation };
	int events;
	size_t size = sizeof events;

	if (zmq_send(map->release, &r, sizeof r, ZMQ_DONTWAIT) >= 0)
		return;
	/* libzmq looks only once a millisecond whether the queue has room again; asked for its
	 * events it looks now. */
	zmq_getsockopt(map->release, ZMQ_EVENTS, &events, &size);
	zmq_send(map->release, &r, sizeof r, ZMQ_DONTWAIT);
}

/* A producer that is gone takes nothing: then the releases are nobody's. */
static void tend_map(struct shm_map *map)
{
	/* acquire pairs with shm_lease_return(). */
	struct shm_lease *l = atomic_exchange_explicit(&map->returned, NULL, memory_order_acquire);

	while (l) {
		struct shm_lease *next = l->next;

		l->lent = false;
		map->lent--;
		send_release(map, l->slot, l->generation);
		l = next;
	}
}

void shm_map_refuse(struct shm_map *map, uint32_t slot, uint64_t generation)
{
	if (!map->leases[slot].lent || map->leases[slot].generation != generation)
		send_release(map, slot, generation);
}

void shm_maps_tend(struct shm_maps *m)
{
	for (unsigned i = 0; i < SHM_MAPS_MAX; i++)
		/* relaxed: looked at again soon. */
		if (m->maps[i].ring_id &&
		    atomic_load_explicit(&m->maps[i].returned, memory_order_relaxed))
			tend_map(&m->maps[i]);
}
