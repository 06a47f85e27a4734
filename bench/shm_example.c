/* SPDX-License-Identifier: Apache-2.0 */
/* A producer of `protocol: shm` for copying; ingest/shm.md says what it does and why.
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

static uint64_t generation[SLOTS]; /* as announced; memory is never read back */
static bool out[SLOTS];            /* announced, not released */

/* Wait until slot i is released. When nothing comes for long, the consumer is gone: all are ours.
 */
static void await(uint32_t i, void *pull, uint64_t ring_id)
{
	zmq_pollitem_t item = { .socket = pull, .events = ZMQ_POLLIN };
	struct shm_release r;

	while (out[i])
		if (zmq_poll(&item, 1, WAIT_MS) == 0)
			memset(out, 0, sizeof out);
		else if (zmq_recv(pull, &r, sizeof r, 0) == sizeof r && r.ring_id == ring_id &&
		         r.slot < SLOTS && r.generation == generation[r.slot])
			out[r.slot] = false;
}

int main(int argc, char **argv)
{
	uint64_t frames = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000;
	size_t bytes = SHM_PAGE + (size_t)SLOTS * SLOT_BYTES, length = 216;
	int fd = memfd_create("shm-example", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *context = zmq_ctx_new(), *push = zmq_socket(context, ZMQ_PUSH);
	void *pull = zmq_socket(context, ZMQ_PULL);
	struct shm_ring ring = {
		SHM_RING_MAGIC, SHM_RING_VERSION, SLOTS, SLOT_BYTES, SHM_PAGE, 0, ""
	};
	struct shm_announcement a = { .magic = "OBSA",
		                      .kind = SHM_START,
		                      .frame = frames,
		                      .bytes = BYTES,
		                      .width = WIDTH,
		                      .height = HEIGHT,
		                      .pixel = SHM_UINT16 };
	char *memory = MAP_FAILED;

	/* Memory that is ours alone and is never cut short. The first zmq_send() waits for the
	 * daemon. */
	if (!fchmod(fd, 0600) && !ftruncate(fd, (off_t)bytes) &&
	    !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) &&
	    getrandom(&ring.ring_id, sizeof ring.ring_id, 0) == sizeof ring.ring_id &&
	    !zmq_bind(pull, "tcp://127.0.0.1:*") &&
	    !zmq_getsockopt(pull, ZMQ_LAST_ENDPOINT, ring.release, &length) &&
	    !zmq_bind(push, argc > 1 ? argv[1] : "tcp://127.0.0.1:9999"))
		memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return perror("shm-example"), 1;
	memcpy(memory, &ring, sizeof ring);
	a.ring_id = a.series = ring.ring_id;
	snprintf(a.memory, sizeof a.memory, "/proc/%d/fd/%d", getpid(), fd);
	zmq_send(push, &a, sizeof a, 0);

	a.kind = SHM_FRAME;
	for (a.frame = 0; a.frame < frames; a.frame++) {
		struct shm_slot *slot;
		uint16_t *pixels;

		a.slot = (uint32_t)(a.frame % SLOTS);
		slot = (struct shm_slot *)(void *)(memory + SHM_PAGE + (size_t)a.slot * SLOT_BYTES);
		pixels = (uint16_t *)(void *)((char *)slot + SHM_PAGE);
		await(a.slot, pull, ring.ring_id);
		/* Odd, and a fence before the first pixel; even, with release, behind the last. */
		__atomic_store_n(&slot->generation, generation[a.slot] + 1, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_RELEASE);
		for (unsigned p = 0; p < WIDTH * HEIGHT; p++)
			pixels[p] = (uint16_t)(p + a.frame);
		a.generation = generation[a.slot] += 2;
		__atomic_store_n(&slot->generation, a.generation, __ATOMIC_RELEASE);
		out[a.slot] = true;
		zmq_send(push, &a, sizeof a, 0);
	}
	for (uint32_t i = 0; i < SLOTS; i++)
		await(i, pull, ring.ring_id);
	a.kind = SHM_END;
	zmq_send(push, &a, sizeof a, 0);
	zmq_close(push);
	zmq_close(pull);
	return zmq_ctx_term(context);
}
