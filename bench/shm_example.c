/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest producer of `protocol: shm`, for copying; ingest/shm.md says what it does and why.
 *
 *   shm-example [ENDPOINT [FRAMES]] */
#include "ingest/shm_ring.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

enum { WIDTH = 640, HEIGHT = 480, BYTES = 2 * WIDTH * HEIGHT, SLOTS = 32, WAIT_MS = 5000 };
enum { SLOT_BYTES = SHM_PAGE + (BYTES + SHM_PAGE - 1) / SHM_PAGE * SHM_PAGE };

static char *memory;
static uint64_t generation[SLOTS]; /* as announced; memory is never read back */
static bool out[SLOTS];            /* announced, not released */
static unsigned out_count;

static struct shm_slot *slot_at(uint32_t i)
{
	return (struct shm_slot *)(void *)(memory + SHM_PAGE + (size_t)i * SLOT_BYTES);
}

/* From now on nobody may use what the slot held: odd, and a fence before the first pixel. */
static void void_slot(uint32_t i)
{
	__atomic_store_n(&slot_at(i)->generation, generation[i] + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

/* Wait for one release. When none comes the consumer is gone: all slots are ours again. */
static void await_release(void *pull, uint64_t ring_id)
{
	zmq_pollitem_t item = { .socket = pull, .events = ZMQ_POLLIN };
	struct shm_release r;

	if (zmq_poll(&item, 1, WAIT_MS) == 0) {
		for (uint32_t i = 0; i < SLOTS; i++)
			void_slot(i);
		memset(out, 0, sizeof out);
		out_count = 0;
	} else if (zmq_recv(pull, &r, sizeof r, 0) == sizeof r && r.ring_id == ring_id &&
	           r.slot < SLOTS && out[r.slot] && r.generation == generation[r.slot]) {
		out[r.slot] = false;
		out_count--;
	}
}

int main(int argc, char **argv)
{
	uint64_t frames = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000, frame = 0;
	size_t memory_bytes = SHM_PAGE + (size_t)SLOTS * SLOT_BYTES;
	int fd = memfd_create("shm-example", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *context = zmq_ctx_new(), *push = zmq_socket(context, ZMQ_PUSH);
	void *pull = zmq_socket(context, ZMQ_PULL);
	struct shm_ring ring = { .magic = SHM_RING_MAGIC,
		                 .version = SHM_RING_VERSION,
		                 .slot_count = SLOTS,
		                 .slot_bytes = SLOT_BYTES,
		                 .first_slot = SHM_PAGE };
	struct shm_announcement a = { .magic = "OBSA", .kind = SHM_START, .frame = frames };
	size_t length = sizeof ring.release;

	/* Memory that is ours alone and is never cut short; its first page. */
	if (fchmod(fd, 0600) || ftruncate(fd, (off_t)memory_bytes) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) ||
	    getrandom(&ring.ring_id, sizeof ring.ring_id, 0) != sizeof ring.ring_id ||
	    zmq_bind(pull, "tcp://127.0.0.1:*") ||
	    zmq_getsockopt(pull, ZMQ_LAST_ENDPOINT, ring.release, &length) ||
	    zmq_bind(push, argc > 1 ? argv[1] : "tcp://127.0.0.1:9999") ||
	    (memory = mmap(NULL, memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) ==
	            MAP_FAILED) {
		perror("shm-example");
		return 1;
	}
	memcpy(memory, &ring, sizeof ring);

	/* What every announcement says. The first zmq_send() waits for the daemon. */
	a.ring_id = a.series = ring.ring_id;
	a.width = WIDTH;
	a.height = HEIGHT;
	a.bytes = BYTES;
	a.pixel = SHM_UINT16;
	snprintf(a.memory, sizeof a.memory, "/proc/%d/fd/%d", getpid(), fd);
	zmq_send(push, &a, sizeof a, 0);

	a.kind = SHM_FRAME;
	while (frame < frames) {
		uint32_t i = a.slot = (uint32_t)(frame % SLOTS);
		uint16_t *pixels = (uint16_t *)(void *)((char *)slot_at(i) + SHM_PAGE);

		if (out[i]) {
			await_release(pull, ring.ring_id);
			continue;
		}
		void_slot(i);
		for (unsigned p = 0; p < WIDTH * HEIGHT; p++)
			pixels[p] = (uint16_t)(p + frame);
		slot_at(i)->frame = frame;
		a.generation = generation[i] += 2;
		/* Even, and a release behind the last pixel. */
		__atomic_store_n(&slot_at(i)->generation, a.generation, __ATOMIC_RELEASE);
		a.frame = frame++;
		zmq_send(push, &a, sizeof a, 0);
		out[i] = true;
		out_count++;
	}
	while (out_count > 0)
		await_release(pull, ring.ring_id);
	a.kind = SHM_END;
	zmq_send(push, &a, sizeof a, 0);
	zmq_close(push);
	zmq_close(pull);
	return zmq_ctx_term(context);
}
