/* SPDX-License-Identifier: Apache-2.0 */
/* Two threads and two contexts, as two programs would have. The sending thread owns the frames
 * and sends until `stop`; the calling thread receives, sets `stop` when the time is over and
 * drains until the sender has ended. */
#include "bench/zmq_limit.h"

#include "daemon/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <zmq.h>

#define HEADER  "{\"htype\":\"array-1.0\", \"shape\":[2160,2560], \"type\":\"uint16\", \"frame\":0}"
#define QUEUE   8                  /* messages on each side */
#define PICTURE ((size_t)96 << 20) /* bytes that the frames are taken from: outside the caches */

struct link {
	void *push_context, *push, *pull_context, *pull;
	unsigned char *pictures;
	size_t frame_bytes, frames;
	atomic_bool stop;
};

static void set_int(void *socket, int option, int value)
{
	zmq_setsockopt(socket, option, &value, sizeof value);
}

static void close_link(struct link *l)
{
	if (l->push)
		zmq_close(l->push);
	if (l->pull)
		zmq_close(l->pull);
	if (l->push_context)
		zmq_ctx_term(l->push_context);
	if (l->pull_context)
		zmq_ctx_term(l->pull_context);
	free(l->pictures);
}

static int refuse(struct link *l, const char *endpoint, char why[512])
{
	int err = errno;

	snprintf(why, 512, "cannot connect two sockets over %s: %s", endpoint, zmq_strerror(err));
	close_link(l);
	return err ? -err : -EIO;
}

static void *open_socket(void *context, int kind, int queue_option)
{
	void *socket = context ? zmq_socket(context, kind) : NULL;

	if (!socket)
		return NULL;
	set_int(socket, queue_option, QUEUE);
	set_int(socket, ZMQ_LINGER, 0);
	set_int(socket, ZMQ_RCVTIMEO, 100);
	set_int(socket, ZMQ_SNDTIMEO, 100);
	return socket;
}

static int open_link(struct link *l, const char *endpoint, size_t frame_bytes, char why[512])
{
	char bound[256];
	size_t size = sizeof bound;

	*l = (struct link){ .frame_bytes = frame_bytes, .frames = 1 + PICTURE / frame_bytes };
	l->pictures = malloc(l->frames * frame_bytes);
	l->push_context = zmq_ctx_new();
	l->pull_context = zmq_ctx_new();
	l->push = open_socket(l->push_context, ZMQ_PUSH, ZMQ_SNDHWM);
	l->pull = open_socket(l->pull_context, ZMQ_PULL, ZMQ_RCVHWM);
	if (!l->pictures || !l->push || !l->pull || zmq_bind(l->push, endpoint) ||
	    zmq_getsockopt(l->push, ZMQ_LAST_ENDPOINT, bound, &size) || zmq_connect(l->pull, bound))
		return refuse(l, endpoint, why);
	memset(l->pictures, 0x5a, l->frames * frame_bytes);
	return 0;
}

/* False when nobody took it within the time limit, or the rest of it. */
static bool send_frame(struct link *l, size_t frame)
{
	zmq_msg_t pixels;

	if (zmq_send(l->push, HEADER, sizeof HEADER - 1, ZMQ_SNDMORE) < 0)
		return false;
	zmq_msg_init_data(&pixels, l->pictures + frame % l->frames * l->frame_bytes, l->frame_bytes,
	                  NULL, NULL);
	if (zmq_msg_send(&pixels, l->push, 0) >= 0)
		return true;
	zmq_msg_close(&pixels);
	return false;
}

static void *send_until_stopped(void *user)
{
	struct link *l = user;

	/* Relaxed: only the time of the end depends on it. */
	for (size_t frame = 0; !atomic_load_explicit(&l->stop, memory_order_relaxed);)
		frame += send_frame(l, frame);
	return NULL;
}

/* One whole message; false when none came within the time limit. */
static bool receive_frame(struct link *l)
{
	zmq_msg_t part;
	int more, received = 0;

	do {
		zmq_msg_init(&part);
		if (zmq_msg_recv(&part, l->pull, 0) < 0) {
			zmq_msg_close(&part);
			return false;
		}
		received++;
		more = zmq_msg_more(&part);
		zmq_msg_close(&part);
	} while (more);
	return received == 2;
}

static void measure_once(struct link *l, double seconds, struct zmq_limit *ret)
{
	uint64_t begin, end, cpu;
	uint64_t frames = 0;

	for (unsigned warm = 0; warm < 2 * QUEUE; warm++)
		receive_frame(l);
	begin = clock_now_ns();
	cpu = clock_cpu_ns();
	do {
		frames += receive_frame(l);
		end = clock_now_ns();
	} while ((double)(end - begin) < seconds * 1e9);
	cpu = clock_cpu_ns() - cpu;
	if (frames == 0)
		return;
	samples_add(&ret->frames_per_s, (double)frames / ((double)(end - begin) * 1e-9));
	samples_add(&ret->cpu_s_per_frame, (double)cpu * 1e-9 / (double)frames);
}

int zmq_limit_measure(const char *endpoint, size_t frame_bytes, unsigned runs, double seconds,
                      struct zmq_limit *ret, char why[512])
{
	struct zmq_limit limit = { 0 };
	struct link l;
	pthread_t sender;
	int err = open_link(&l, endpoint, frame_bytes, why);

	if (err)
		return err;
	err = pthread_create(&sender, NULL, send_until_stopped, &l);
	if (err) {
		snprintf(why, 512, "cannot make a thread: %s", strerror(err));
		close_link(&l);
		return -err;
	}
	for (unsigned i = 0; i < runs; i++)
		measure_once(&l, seconds, &limit);
	atomic_store_explicit(&l.stop, true, memory_order_relaxed);
	pthread_join(sender, NULL);
	close_link(&l);
	if (limit.frames_per_s.count == 0) {
		snprintf(why, 512, "no message arrived over %s", endpoint);
		return -EIO;
	}
	*ret = limit;
	return 0;
}
