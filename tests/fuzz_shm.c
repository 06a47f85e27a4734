/* SPDX-License-Identifier: Apache-2.0 */
/* Input: tests/fuzz_parts.h. Each message is one step; its first part says which and with what:
 *
 *   0  announce: u8 memory, u8 parts of the message, then what is put over the announcement of a
 *      good frame in that memory
 *   1  the odd ring's first page: what is put over a good one
 *   2  the head of a slot: u8 slot, u64 generation, in the rings
 *   3  give a lease back: u8 which
 *   4  tell the producers
 *   5  the named ring's memory: u8 pages that are left
 *   6  announce as 0, without looking at the pixels
 *
 * The memories are the target's own, so that nobody else's can be named: two memfds, good and odd,
 * a ring in /dev/shm that can be cut short, and names that are none. Releases go to a socket here;
 * each must be of something that was announced. */
#include "ingest/shm.h"
#include "ingest/shm_map.h"
#include "tests/fuzz_decoder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#define SLOTS      4u
#define SLOT_BYTES (3 * (uint64_t)SHM_PAGE)
#define RING_BYTES (SHM_PAGE + SLOTS * SLOT_BYTES)
#define LEASES_MAX 64u

enum memory { MEMORY_GOOD, MEMORY_ODD, MEMORY_NAMED, MEMORIES };

static struct {
	void *context, *releases;
	int fds[MEMORIES];
	char names[MEMORIES][64];
	char endpoint[64];
} host;

static struct shm_lease *leases[LEASES_MAX];
static unsigned lease_count;

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition,                 \
			        strerror(errno));                                                  \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static void unlink_named(void)
{
	shm_unlink(host.names[MEMORY_NAMED]);
}

static void open_host(void)
{
	char *named = host.names[MEMORY_NAMED];
	int linger = 0, unlimited = 0;

	snprintf(host.endpoint, sizeof host.endpoint, "ipc://@openbeam-fuzz-%d", getpid());
	snprintf(named, sizeof host.names[0], "/openbeam-fuzz-%d", getpid());
	host.context = zmq_ctx_new();
	host.releases = zmq_socket(host.context, ZMQ_PULL);
	zmq_setsockopt(host.releases, ZMQ_LINGER, &linger, sizeof linger);
	zmq_setsockopt(host.releases, ZMQ_RCVHWM, &unlimited, sizeof unlimited);
	MUST(zmq_bind(host.releases, host.endpoint) == 0);
	for (unsigned i = 0; i < MEMORY_NAMED; i++) {
		host.fds[i] = memfd_create("openbeam-fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		MUST(host.fds[i] >= 0 && fchmod(host.fds[i], 0600) == 0);
		MUST(ftruncate(host.fds[i], RING_BYTES) == 0);
		MUST(fcntl(host.fds[i], F_ADD_SEALS, F_SEAL_SHRINK) == 0);
		snprintf(host.names[i], sizeof host.names[i], "/proc/%d/fd/%d", getpid(),
		         host.fds[i]);
	}
	host.fds[MEMORY_NAMED] = shm_open(named, O_RDWR | O_CREAT | O_EXCL, 0600);
	MUST(host.fds[MEMORY_NAMED] >= 0);
	atexit(unlink_named);
}

static struct shm_ring good_ring(unsigned memory)
{
	struct shm_ring r = { .version = SHM_RING_VERSION,
		              .slot_count = SLOTS,
		              .slot_bytes = SLOT_BYTES,
		              .first_slot = SHM_PAGE,
		              .ring_id = 1 + memory };

	memcpy(r.magic, SHM_RING_MAGIC, sizeof r.magic);
	snprintf(r.release, sizeof r.release, "%s", host.endpoint);
	return r;
}

static void write_ring(unsigned memory, const struct shm_ring *r)
{
	MUST(pwrite(host.fds[memory], r, sizeof *r, 0) == (ssize_t)sizeof *r);
}

static void write_slot(unsigned slot, uint64_t generation)
{
	off_t at = (off_t)(SHM_PAGE + slot % SLOTS * SLOT_BYTES);

	for (unsigned i = 0; i < MEMORY_NAMED; i++)
		MUST(pwrite(host.fds[i], &generation, sizeof generation, at) ==
		     (ssize_t)sizeof generation);
}

/* As it is before each input. */
static void reset_host(void)
{
	MUST(ftruncate(host.fds[MEMORY_NAMED], RING_BYTES) == 0);
	for (unsigned i = 0; i < MEMORIES; i++) {
		struct shm_ring r = good_ring(i);

		write_ring(i, &r);
	}
	for (unsigned i = 0; i < SLOTS; i++)
		write_slot(i, 2);
}

/* The sender may only name endpoints here, so that nothing else on this host hears of it. */
static void write_odd(const uint8_t *data, size_t size)
{
	struct shm_ring r = good_ring(MEMORY_ODD);

	memcpy(&r, data, size < sizeof r ? size : sizeof r);
	if (strncmp(r.release, "ipc:", 4) == 0 || strncmp(r.release, "tcp:", 4) == 0)
		snprintf(r.release, sizeof r.release, "%s", host.endpoint);
	write_ring(MEMORY_ODD, &r);
}

static void name_memory(struct shm_announcement *a, unsigned memory)
{
	if (memory < MEMORIES) {
		snprintf(a->memory, sizeof a->memory, "%s", host.names[memory]);
		return;
	}
	/* The sender's own word, but for what could be somebody's. */
	if (memchr(a->memory, '\0', sizeof a->memory) &&
	    (strncmp(a->memory, "/proc/", 6) == 0 || access(a->memory, F_OK) == 0))
		a->memory[0] = '?';
}

static void check_lease(const struct decoded *d)
{
	const struct shm_map *map = d->lease->map;
	const char *pixels = d->frame.pixels;
	uint64_t slot = map->first_slot + d->lease->slot * map->slot_bytes;

	MUST(d->lease->lent && d->lease->slot < map->slot_count);
	if (d->verdict != VERDICT_FRAME)
		return;
	MUST(pixels == map->base + slot + SHM_PAGE);
	MUST(d->frame.bytes <= map->slot_bytes - SHM_PAGE);
	MUST((size_t)(pixels - map->base) + d->frame.bytes <= map->bytes);
}

static void give_back(unsigned which)
{
	if (lease_count == 0)
		return;
	which %= lease_count;
	shm_lease_return(leases[which]);
	leases[which] = leases[--lease_count];
}

static void announce(struct decoder *d, const uint8_t *data, size_t size, bool read)
{
	static struct message m;
	struct shm_announcement a = { .magic = "OBSA",
		                      .kind = SHM_FRAME,
		                      .generation = 2,
		                      .bytes = 16,
		                      .width = 4,
		                      .height = 2,
		                      .pixel = SHM_UINT16 };
	unsigned memory = size > 0 ? data[0] & 3 : 0;
	struct decoded ret;
	char *exact;

	m.part_count = size > 1 && data[1] > 127 ? data[1] - 128 : 1;
	a.ring_id = 1 + memory;
	if (size > 2)
		memcpy(&a, data + 2, size - 2 < sizeof a ? size - 2 : sizeof a);
	if (memory == MEMORIES && size > 2 && a.ring_id == 4)
		a.ring_id = 1;
	name_memory(&a, memory);
	exact = malloc(sizeof a);
	MUST(exact);
	memcpy(exact, &a, sizeof a);
	m.parts[0] =
		(struct part){ exact, size > 1 && data[1] > 0 && data[1] < 128 ? sizeof a - data[1]
		                                                               : sizeof a };
	for (unsigned i = 1; i < m.part_count; i++)
		m.parts[i] = (struct part){ NULL, 0 };
	memset(&ret, 0xa5, sizeof ret);
	shm_decode(d, &m, &ret);
	free(exact);
	if (ret.lease)
		check_lease(&ret);
	MUST(ret.verdict != VERDICT_FRAME || ret.lease);
	/* What the producer takes away while it is read is for shm_lease_holds() to say. */
	if (ret.verdict != VERDICT_FRAME || read)
		fuzz_check(&ret, &m);
	if (ret.verdict == VERDICT_FRAME)
		shm_lease_holds(ret.lease);
	if (!ret.lease)
		return;
	if (lease_count == LEASES_MAX || ret.verdict != VERDICT_FRAME)
		shm_lease_return(ret.lease);
	else
		leases[lease_count++] = ret.lease;
}

static void step(struct decoder *d, const struct part *part)
{
	const uint8_t *data = part->data;
	size_t size = part->size > 0 ? part->size - 1 : 0;
	uint64_t generation = 0;

	if (part->size == 0)
		return;
	data++;
	switch (data[-1] % 7) {
	case 0:
	case 6:
		announce(d, data, size, data[-1] % 7 == 0);
		break;
	case 1:
		write_odd(data, size);
		break;
	case 2:
		if (size > 1)
			memcpy(&generation, data + 1, size - 1 < 8 ? size - 1 : 8);
		write_slot(size > 0 ? data[0] : 0, generation);
		break;
	case 3:
		give_back(size > 0 ? data[0] : 0);
		break;
	case 4:
		shm_tend(d);
		break;
	default:
		MUST(ftruncate(host.fds[MEMORY_NAMED],
		               (off_t)((size > 0 ? data[0] % 14 : 0) * SHM_PAGE)) == 0);
	}
}

/* What came is whole. All of it has come: the decoder's sockets are closed. */
static void check_releases(void)
{
	struct shm_release r;
	int bytes;

	while ((bytes = zmq_recv(host.releases, &r, sizeof r, ZMQ_DONTWAIT)) >= 0) {
		MUST(bytes == sizeof r);
		MUST(memcmp(r.magic, "OBSR", 4) == 0);
		MUST(r.generation > 0 && r.generation % 2 == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct message m;
	struct config_ingest c = { .frame_limit = fuzz_frame_limit };
	struct fuzz_reader r;
	struct decoder *d = NULL;
	char why[160];

	if (!host.context)
		open_host();
	reset_host();
	fuzz_begin(&r, data, size);
	MUST(shm_open_decoder(&d, &c, why) == 0);
	for (unsigned i = 0; i < FUZZ_MESSAGES_MAX && fuzz_next_message(&r, &m); i++) {
		if (m.part_count > 0)
			step(d, &m.parts[0]);
		fuzz_free_message(&m);
	}
	while (lease_count > 0)
		give_back(0);
	shm_close(d);
	check_releases();
	return 0;
}
