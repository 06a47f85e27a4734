/* SPDX-License-Identifier: Apache-2.0 */
/* A slot is free, taken, or out. Its generation in memory says what a consumer may read:
 *
 *   taken, being filled   odd; stored before the first pixel
 *   out, published        even, 1 higher; stored after the last pixel
 *   taken back unreleased odd, 1 higher; what was announced before is void from then on
 *
 * The generation is kept here too, and what the memory says is never read back. */
#include "bench/shm_producer.h"

#include "daemon/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#define SLOTS_MAX   65536u
#define BYTES_MAX   ((uint64_t)1 << 44)
#define FAREWELL_MS 1000 /* for the last announcements */
#define RELEASE_MAX 1024 /* bytes of a message; who sends more is cut off */

enum slot_state { SLOT_FREE, SLOT_TAKEN, SLOT_OUT };

struct shm_producer_slot {
	uint64_t generation;
	uint64_t announced_ns;
	enum slot_state state;
};

/* ---- the memory ---- */

__attribute__((format(printf, 3, 4))) static int refuse(struct shm_producer *p, int err,
                                                        const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(p->why, sizeof p->why, format, arguments);
	va_end(arguments);
	return err;
}

static int check(struct shm_producer *p)
{
	const struct shm_producer_options *o = &p->options;
	uint64_t pages = (o->pixel_bytes + SHM_PAGE - 1) / SHM_PAGE;

	if (o->slots < 2 || o->slots > SLOTS_MAX)
		return refuse(p, -EINVAL, "%u slots: a ring has 2 to %u", o->slots, SLOTS_MAX);
	if (o->pixel_bytes == 0 || o->pixel_bytes > BYTES_MAX / o->slots - 2 * SHM_PAGE)
		return refuse(p, -EINVAL, "a ring of %u slots is too large", o->slots);
	if (strncmp(o->release, "ipc://", 6) != 0 &&
	    strncmp(o->release, "tcp://127.0.0.1:", 16) != 0)
		return refuse(p, -EINVAL,
		              "releases come to ipc://PATH or tcp://127.0.0.1:PORT, not %.80s",
		              o->release);
	if (o->name && (o->name[0] != '/' || !o->name[1] || strchr(o->name + 1, '/') ||
	                strlen(o->name) >= sizeof p->memory || strlen(o->name) > NAME_MAX))
		return refuse(p, -EINVAL, "shared memory is called /NAME, not %.80s", o->name);
	p->ring.slot_count = o->slots;
	p->ring.slot_bytes = (pages + 1) * SHM_PAGE;
	p->ring.first_slot = SHM_PAGE;
	p->bytes = p->ring.first_slot + o->slots * p->ring.slot_bytes;
	return 0;
}

/* A lock tells a producer that runs from one that is gone. */
static int clear_name(struct shm_producer *p)
{
	const char *name = p->options.name;
	int fd = shm_open(name, O_RDONLY, 0);
	bool busy = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0;

	if (fd >= 0)
		close(fd);
	if (busy)
		return refuse(p, -EBUSY, "the shared memory %.80s belongs to a producer that runs",
		              name);
	shm_unlink(name);
	return 0;
}

static int create_named(struct shm_producer *p)
{
	const char *name = p->options.name;
	int flags = O_RDWR | O_CREAT | O_EXCL, err;

	snprintf(p->memory, sizeof p->memory, "%s", name);
	p->fd = shm_open(name, flags, 0600);
	if (p->fd < 0 && errno == EEXIST) {
		err = clear_name(p);
		if (err)
			return err;
		p->fd = shm_open(name, flags, 0600);
	}
	if (p->fd < 0) {
		err = -errno;
		return refuse(p, err, "cannot make the shared memory %.80s: %s", name,
		              strerror(-err));
	}
	p->named = true;
	flock(p->fd, LOCK_EX | LOCK_NB);
	return 0;
}

static int create_unnamed(struct shm_producer *p)
{
	int err;

	p->fd = memfd_create("openbeam-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (p->fd < 0) {
		err = -errno;
		return refuse(p, err, "cannot make a memfd: %s", strerror(-err));
	}
	snprintf(p->memory, sizeof p->memory, "/proc/%d/fd/%d", getpid(), p->fd);
	return 0;
}

/* All pages at once: a host with too little memory is known before the first frame. */
static int size_memory(struct shm_producer *p)
{
	int err = ftruncate(p->fd, (off_t)p->bytes) ? errno : 0;

	if (!err)
		err = posix_fallocate(p->fd, 0, (off_t)p->bytes);
	if (!err && fchmod(p->fd, 0600) != 0)
		err = errno;
	if (!err && !p->named && fcntl(p->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
		err = errno;
	if (err)
		return refuse(p, -err, "cannot have %zu MiB of shared memory: %s", p->bytes >> 20,
		              strerror(err));
	p->base = mmap(NULL, p->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
	if (p->base == MAP_FAILED) {
		err = errno;
		p->base = NULL;
		return refuse(p, -err, "cannot map %zu MiB of shared memory: %s", p->bytes >> 20,
		              strerror(err));
	}
	return 0;
}

static int open_memory(struct shm_producer *p)
{
	int err = p->options.name ? create_named(p) : create_unnamed(p);

	return err ? err : size_memory(p);
}

static struct shm_slot *slot_at(const struct shm_producer *p, uint32_t slot)
{
	return (struct shm_slot *)(void *)(p->base + p->ring.first_slot +
	                                   slot * p->ring.slot_bytes);
}

static void write_first_page(struct shm_producer *p)
{
	memcpy(p->ring.magic, SHM_RING_MAGIC, sizeof p->ring.magic);
	p->ring.version = SHM_RING_VERSION;
	while (p->ring.ring_id == 0)
		if (getrandom(&p->ring.ring_id, sizeof p->ring.ring_id, 0) < 0)
			p->ring.ring_id = clock_now_ns() ^ (uint64_t)getpid() << 48;
	memcpy(p->base, &p->ring, sizeof p->ring);
}

/* ---- the sockets ---- */

static int refuse_endpoint(struct shm_producer *p, const char *what, const char *endpoint)
{
	int err = errno;

	return refuse(p, -err, "cannot %s %.80s: %s", what, endpoint, zmq_strerror(err));
}

/* Neither end ever holds more than a message a slot, but for those of earlier generations. */
static void *new_socket(struct shm_producer *p, int type, int linger_ms)
{
	void *socket = zmq_socket(p->context, type);
	int queue = (int)p->options.slots + 16;

	if (!socket)
		return NULL;
	zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
	zmq_setsockopt(socket, type == ZMQ_PUSH ? ZMQ_SNDHWM : ZMQ_RCVHWM, &queue, sizeof queue);
	return socket;
}

static int open_releases(struct shm_producer *p)
{
	int64_t longest = RELEASE_MAX;
	char endpoint[256]; /* as bound: with the port that * stands for */
	size_t size = sizeof endpoint;

	p->releases = new_socket(p, ZMQ_PULL, 0);
	if (!p->releases)
		return refuse_endpoint(p, "open a socket for", p->options.release);
	zmq_setsockopt(p->releases, ZMQ_MAXMSGSIZE, &longest, sizeof longest);
	if (zmq_bind(p->releases, p->options.release) != 0 ||
	    zmq_getsockopt(p->releases, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0)
		return refuse_endpoint(p, "take releases at", p->options.release);
	if (size > sizeof p->ring.release)
		return refuse(p, -EINVAL, "the release endpoint %.60s is too long", endpoint);
	memcpy(p->ring.release, endpoint, size);
	return 0;
}

static int open_announcements(struct shm_producer *p)
{
	const char *endpoint = p->options.endpoint;

	p->announcements = new_socket(p, ZMQ_PUSH, FAREWELL_MS);
	if (!p->announcements)
		return refuse_endpoint(p, "open a socket for", endpoint);
	if (p->options.bind ? zmq_bind(p->announcements, endpoint)
	                    : zmq_connect(p->announcements, endpoint))
		return refuse_endpoint(p, p->options.bind ? "bind to" : "connect to", endpoint);
	return 0;
}

int shm_producer_open(struct shm_producer *p, const struct shm_producer_options *o)
{
	int err;

	*p = (struct shm_producer){ .options = *o, .fd = -1 };
	err = check(p);
	if (err)
		return err;
	p->slots = calloc(o->slots, sizeof *p->slots);
	p->free = calloc(o->slots, sizeof *p->free);
	p->context = zmq_ctx_new();
	if (!p->slots || !p->free || !p->context)
		err = refuse(p, -ENOMEM, "no memory for a ring of %u slots", o->slots);
	if (!err)
		err = open_memory(p);
	if (!err)
		err = open_releases(p);
	if (!err)
		err = open_announcements(p);
	if (err) {
		shm_producer_close(p);
		return err;
	}
	write_first_page(p);
	for (uint32_t i = 0; i < o->slots; i++)
		p->free[i] = i;
	p->free_count = o->slots;
	return 0;
}

void shm_producer_close(struct shm_producer *p)
{
	if (p->releases)
		zmq_close(p->releases);
	if (p->announcements)
		zmq_close(p->announcements);
	while (p->context && zmq_ctx_term(p->context) != 0 && errno == EINTR)
		;
	if (p->named)
		shm_unlink(p->options.name);
	if (p->base)
		munmap(p->base, p->bytes);
	if (p->bytes && p->fd >= 0) /* a zeroed one has no bytes */
		close(p->fd);
	free(p->slots);
	free(p->free);
	p->releases = p->announcements = p->context = NULL;
	p->slots = NULL;
	p->free = NULL;
	p->base = NULL;
	p->named = false;
	p->fd = -1;
}

/* ---- slots ---- */

static void set_free(struct shm_producer *p, uint32_t slot)
{
	uint64_t at = ((uint64_t)p->free_first + p->free_count++) % p->options.slots;

	p->slots[slot].state = SLOT_FREE;
	p->free[at] = slot;
}

/* Odd. The fence pairs with the acquire fence of shm_lease_holds(): whoever reads a pixel written
 * behind it finds the generation changed. A release store would not hold back what follows it. */
static void mark_unfilled(struct shm_producer *p, uint32_t slot)
{
	struct shm_producer_slot *s = &p->slots[slot];

	s->generation |= 1;
	__atomic_store_n(&slot_at(p, slot)->generation, s->generation, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

/* Without a release. The consumer finds out by the generation. */
static void reclaim(struct shm_producer *p, uint32_t slot)
{
	mark_unfilled(p, slot);
	p->out--;
	p->reclaimed++;
	set_free(p, slot);
}

static void take_release(struct shm_producer *p, const struct shm_release *r, size_t bytes)
{
	struct shm_producer_slot *s;

	if (bytes != sizeof *r || memcmp(r->magic, "OBSR", 4) != 0 ||
	    r->ring_id != p->ring.ring_id || r->slot >= p->options.slots ||
	    p->slots[r->slot].state != SLOT_OUT || p->slots[r->slot].generation != r->generation) {
		p->ignored++;
		return;
	}
	s = &p->slots[r->slot];
	if (s->announced_ns > p->newest_return_ns)
		p->newest_return_ns = s->announced_ns;
	p->waiting_ns = 0;
	p->out--;
	set_free(p, r->slot);
}

/* All that have come. A message of several parts is none of ours: each part is refused by itself
 * or is a release. */
static void take_releases(struct shm_producer *p)
{
	struct shm_release r;
	int bytes;

	while ((bytes = zmq_recv(p->releases, &r, sizeof r, ZMQ_DONTWAIT)) >= 0)
		take_release(p, &r, (size_t)bytes);
}

/* Announcements that went down with one consumer are released by no other: what is out for
 * wait_ms while later slots came back is taken back. */
static void sweep(struct shm_producer *p, uint64_t now_ns)
{
	uint64_t patience_ns = p->options.wait_ms * UINT64_C(1000000);

	if (p->out == 0 || now_ns - p->swept_ns < patience_ns)
		return;
	p->swept_ns = now_ns;
	for (uint32_t i = 0; i < p->options.slots; i++) {
		const struct shm_producer_slot *s = &p->slots[i];

		if (s->state == SLOT_OUT && s->announced_ns < p->newest_return_ns &&
		    now_ns - s->announced_ns > patience_ns)
			reclaim(p, i);
	}
}

/* When a wait of timeout_ms from now is over; negative: never. */
static uint64_t deadline_of(int timeout_ms)
{
	return timeout_ms < 0 ? UINT64_MAX : clock_now_ns() + (uint64_t)timeout_ms * 1000000;
}

/* Wait until a slot comes back, or the deadline. When none has for wait_ms, take all back.
 * 0, or -EINTR. */
static int await_return(struct shm_producer *p, uint64_t deadline_ns)
{
	zmq_pollitem_t item = { .socket = p->releases, .events = ZMQ_POLLIN };
	uint64_t now = clock_now_ns(), dead_ns;
	uint32_t out = p->out;
	int err = 0;

	if (!p->waiting_ns)
		p->waiting_ns = now;
	dead_ns = p->waiting_ns + p->options.wait_ms * UINT64_C(1000000);
	while (p->out == out && !err && now < deadline_ns && now < dead_ns) {
		uint64_t left_ns = (deadline_ns < dead_ns ? deadline_ns : dead_ns) - now;

		err = zmq_poll(&item, 1, (long)((left_ns + 999999) / 1000000)) < 0 ? -errno : 0;
		take_releases(p);
		now = clock_now_ns();
	}
	if (p->out != out || now < dead_ns)
		return err == -EINTR ? err : 0;
	for (uint32_t i = 0; i < p->options.slots; i++)
		if (p->slots[i].state == SLOT_OUT)
			reclaim(p, i);
	p->waiting_ns = 0;
	return 0;
}

int shm_producer_take(struct shm_producer *p, int timeout_ms, uint32_t *ret_slot)
{
	take_releases(p);
	sweep(p, clock_now_ns());
	if (p->free_count == 0) {
		int err;

		p->waits += p->waiting_ns == 0;
		err = await_return(p, deadline_of(timeout_ms));
		if (p->free_count == 0)
			return err ? err : -EAGAIN;
	}
	p->waiting_ns = 0;
	*ret_slot = p->free[p->free_first];
	p->free_first = (p->free_first + 1) % p->options.slots;
	p->free_count--;
	p->slots[*ret_slot].state = SLOT_TAKEN;
	return 0;
}

void *shm_producer_fill(struct shm_producer *p, uint32_t slot)
{
	mark_unfilled(p, slot);
	return (char *)slot_at(p, slot) + SHM_PAGE;
}

void shm_producer_put_back(struct shm_producer *p, uint32_t slot)
{
	set_free(p, slot);
}

int shm_producer_drain(struct shm_producer *p, int timeout_ms)
{
	uint64_t deadline_ns = deadline_of(timeout_ms);
	int err = 0;

	take_releases(p);
	while (p->out > 0 && !err && clock_now_ns() < deadline_ns)
		err = await_return(p, deadline_ns);
	if (p->out == 0)
		return 0;
	return err ? err : -EAGAIN;
}

/* ---- announcements ---- */

static int announce(struct shm_producer *p, const struct shm_announcement *fields)
{
	struct shm_announcement a = *fields;
	int err;

	memcpy(a.magic, "OBSA", sizeof a.magic);
	a.ring_id = p->ring.ring_id;
	a.series = p->series;
	a.bytes = p->options.pixel_bytes;
	a.width = p->options.width;
	a.height = p->options.height;
	a.pixel = p->options.pixel;
	a.bits = p->options.bits;
	memcpy(a.memory, p->memory, sizeof a.memory);
	if (zmq_send(p->announcements, &a, sizeof a, ZMQ_DONTWAIT) >= 0)
		return 0;
	err = errno;
	if (err == EAGAIN || err == EINTR)
		return -EAGAIN;
	return refuse(p, -err, "cannot announce at %.80s: %s", p->options.endpoint,
	              zmq_strerror(err));
}

bool shm_producer_ready(struct shm_producer *p, int timeout_ms)
{
	zmq_pollitem_t item = { .socket = p->announcements, .events = ZMQ_POLLOUT };

	return zmq_poll(&item, 1, timeout_ms) > 0;
}

int shm_producer_start(struct shm_producer *p, uint64_t series, uint64_t frames)
{
	p->series = series;
	return announce(p, &(struct shm_announcement){ .kind = SHM_START, .frame = frames });
}

int shm_producer_end(struct shm_producer *p)
{
	return announce(p, &(struct shm_announcement){ .kind = SHM_END });
}

int shm_producer_publish(struct shm_producer *p, uint32_t slot, uint64_t number, uint32_t flags,
                         uint64_t timestamp_ns)
{
	struct shm_producer_slot *s = &p->slots[slot];
	struct shm_slot *memory = slot_at(p, slot);
	int err;

	s->generation += s->generation & 1;
	memory->frame = number;
	/* release pairs with acquire in shm_map_holds(): the pixels are there. */
	__atomic_store_n(&memory->generation, s->generation, __ATOMIC_RELEASE);
	err = announce(p, &(struct shm_announcement){ .kind = SHM_FRAME,
	                                              .frame = number,
	                                              .generation = s->generation,
	                                              .timestamp_ns = timestamp_ns,
	                                              .slot = slot,
	                                              .flags = flags });
	if (err)
		return err;
	s->state = SLOT_OUT;
	s->announced_ns = clock_now_ns();
	p->out++;
	p->announced++;
	return 0;
}
