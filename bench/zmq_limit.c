/* SPDX-License-Identifier: Apache-2.0 */
/* Two threads and two contexts for each link, as two programs would have. The sending thread owns
 * the frames and sends until `stop`; the receiving one counts until then. The calling thread looks
 * at the clocks. Names of threads begin with the number of their side: /proc tells what each side
 * used. */
#include "bench/zmq_limit.h"

#include "bench/proc_threads.h"
#include "daemon/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <zmq.h>

#define HEADER  "{\"htype\":\"array-1.0\", \"shape\":[2160,2560], \"type\":\"uint16\", \"frame\":0}"
#define QUEUE   8                  /* messages on each side */
#define PICTURE ((size_t)96 << 20) /* bytes that the frames are taken from: outside the caches */
#define WARM    (2 * QUEUE)        /* frames on each link before the clock starts */

enum side { SIDE_SEND = 1, SIDE_RECEIVE = 2 };

struct carrying;

struct link {
	struct carrying *all;
	void *push_context, *push, *pull_context, *pull;
	pthread_t threads[2];
	unsigned running;
	size_t first;                               /* its first picture */
	_Alignas(64) atomic_uint_fast64_t received; /* frames */
};

struct carrying {
	struct zmq_load load;
	unsigned char *pictures;
	size_t frames; /* that they are */
	struct link links[ZMQ_LINKS_MAX];
	atomic_bool stop;
	struct proc_process before, after;
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
}

static void *open_context(enum side side)
{
	void *context = zmq_ctx_new();

	if (context)
		zmq_ctx_set(context, ZMQ_THREAD_NAME_PREFIX, (int)side);
	return context;
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

static bool open_link(struct link *l, const char *endpoint)
{
	char bound[256];
	size_t size = sizeof bound;

	l->push_context = open_context(SIDE_SEND);
	l->pull_context = open_context(SIDE_RECEIVE);
	l->push = open_socket(l->push_context, ZMQ_PUSH, ZMQ_SNDHWM);
	l->pull = open_socket(l->pull_context, ZMQ_PULL, ZMQ_RCVHWM);
	return l->push && l->pull && !zmq_bind(l->push, endpoint) &&
	       !zmq_getsockopt(l->push, ZMQ_LAST_ENDPOINT, bound, &size) &&
	       !zmq_connect(l->pull, bound);
}

/* False when nobody took it within the time limit, or the rest of it. */
static bool send_frame(struct link *l, size_t frame)
{
	const struct carrying *c = l->all;
	zmq_msg_t pixels;

	if (zmq_send(l->push, HEADER, sizeof HEADER - 1, ZMQ_SNDMORE) < 0)
		return false;
	zmq_msg_init_data(&pixels,
	                  c->pictures + (l->first + frame) % c->frames * c->load.frame_bytes,
	                  c->load.frame_bytes, NULL, NULL);
	if (zmq_msg_send(&pixels, l->push, 0) >= 0)
		return true;
	zmq_msg_close(&pixels);
	return false;
}

/* Relaxed: only the time of the end depends on it. */
static bool goes_on(const struct link *l)
{
	return !atomic_load_explicit(&l->all->stop, memory_order_relaxed);
}

static void *send_until_stopped(void *user)
{
	struct link *l = user;

	pthread_setname_np(pthread_self(), "1/send");
	for (size_t frame = 0; goes_on(l);)
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

static void *receive_until_stopped(void *user)
{
	struct link *l = user;

	pthread_setname_np(pthread_self(), "2/receive");
	while (goes_on(l))
		if (receive_frame(l))
			atomic_fetch_add_explicit(&l->received, 1, memory_order_relaxed);
	return NULL;
}

static uint64_t received(struct carrying *c)
{
	uint64_t frames = 0;

	for (unsigned i = 0; i < c->load.links; i++)
		frames += atomic_load_explicit(&c->links[i].received, memory_order_relaxed);
	return frames;
}

/* CPU time of one side between two looks; *faults grows by its page faults. */
static double side_s(const struct carrying *c, enum side side, double *faults)
{
	double sum = 0;

	for (unsigned i = 0; i < c->after.count; i++) {
		const struct proc_thread *t = &c->after.threads[i];

		if (t->name[0] == '0' + (char)side && t->name[1] == '/') {
			struct proc_thread d = proc_thread_since(t, &c->before);

			sum += d.run_s;
			*faults += (double)d.faults;
		}
	}
	return sum;
}

static void measure_once(struct carrying *c, double seconds, struct zmq_limit *ret)
{
	uint64_t begin, end, cpu, frames = received(c);
	double faults = 0;

	proc_process_look(&c->before, getpid());
	begin = clock_now_ns();
	cpu = clock_cpu_ns();
	clock_sleep_until(begin + (uint64_t)(seconds * 1e9));
	frames = received(c) - frames;
	end = clock_now_ns();
	cpu = clock_cpu_ns() - cpu;
	proc_process_look(&c->after, getpid());
	if (frames == 0)
		return;
	samples_add(&ret->frames_per_s, (double)frames / ((double)(end - begin) * 1e-9));
	samples_add(&ret->cpu_s_per_frame, (double)cpu * 1e-9 / (double)frames);
	samples_add(&ret->send_s_per_frame, side_s(c, SIDE_SEND, &faults) / (double)frames);
	samples_add(&ret->receive_s_per_frame, side_s(c, SIDE_RECEIVE, &faults) / (double)frames);
	samples_add(&ret->faults_per_frame, faults / (double)frames);
}

/* 0 or negative errno. */
static int start_link(struct link *l)
{
	static void *(*const duties[2])(void *) = { send_until_stopped, receive_until_stopped };

	for (unsigned i = 0; i < 2; i++) {
		int err = pthread_create(&l->threads[i], NULL, duties[i], l);

		if (err)
			return -err;
		l->running++;
	}
	return 0;
}

static int open_links(struct carrying *c, char why[512])
{
	int err = 0;

	for (unsigned i = 0; i < c->load.links && !err; i++) {
		struct link *l = &c->links[i];

		l->all = c;
		l->first = i;
		errno = 0;
		if (!open_link(l, c->load.endpoint)) {
			err = errno ? -errno : -EIO;
			snprintf(why, 512, "cannot connect two sockets over %s: %s",
			         c->load.endpoint, zmq_strerror(-err));
		}
	}
	for (unsigned i = 0; i < c->load.links && !err; i++) {
		err = start_link(&c->links[i]);
		if (err)
			snprintf(why, 512, "cannot make a thread: %s", strerror(-err));
	}
	return err;
}

static void await_warmth(struct carrying *c)
{
	uint64_t deadline = clock_now_ns() + NS_PER_S;

	while (received(c) < (uint64_t)WARM * c->load.links && clock_now_ns() < deadline)
		usleep(1000);
}

static void close_links(struct carrying *c)
{
	atomic_store_explicit(&c->stop, true, memory_order_relaxed);
	for (unsigned i = 0; i < c->load.links; i++)
		for (unsigned k = 0; k < c->links[i].running; k++)
			pthread_join(c->links[i].threads[k], NULL);
	for (unsigned i = 0; i < c->load.links; i++)
		close_link(&c->links[i]);
}

static int carry(struct carrying *c, unsigned runs, double seconds, struct zmq_limit *ret,
                 char why[512])
{
	int err = open_links(c, why);

	if (!err)
		await_warmth(c);
	for (unsigned i = 0; i < runs && !err; i++)
		measure_once(c, seconds, ret);
	close_links(c);
	if (!err && ret->frames_per_s.count == 0) {
		snprintf(why, 512, "no message arrived over %s", c->load.endpoint);
		err = -EIO;
	}
	return err;
}

static int refuse_memory(const struct zmq_load *load, char why[512])
{
	snprintf(why, 512, "no memory for messages of %zu bytes", load->frame_bytes);
	return -ENOMEM;
}

int zmq_limit_run(const struct zmq_load *load, unsigned runs, double seconds, struct zmq_limit *ret,
                  char why[512])
{
	struct carrying *c = aligned_alloc(64, (sizeof *c + 63) / 64 * 64);
	struct zmq_limit limit = { 0 };
	int err = -ENOMEM;

	if (!c)
		return refuse_memory(load, why);
	memset(c, 0, sizeof *c);
	c->load = *load;
	c->frames = 1 + PICTURE / load->frame_bytes;
	c->pictures = malloc(c->frames * load->frame_bytes);
	if (c->pictures) {
		memset(c->pictures, 0x5a, c->frames * load->frame_bytes);
		err = carry(c, runs, seconds, &limit, why);
	} else {
		refuse_memory(load, why);
	}
	free(c->pictures);
	free(c);
	if (!err)
		*ret = limit;
	return err;
}

int zmq_limit_measure(const char *endpoint, size_t frame_bytes, unsigned runs, double seconds,
                      struct zmq_limit *ret, char why[512])
{
	const struct zmq_load load = { endpoint, frame_bytes, 1 };

	return zmq_limit_run(&load, runs, seconds, ret, why);
}
